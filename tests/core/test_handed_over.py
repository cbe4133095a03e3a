"""A store that somebody hands over: what is no file in it is told, and never waited for."""

import os
import shutil
import subprocess
import sys

import pytest

CODE = """
import sys
from pathlib import Path
from mashbill import MashbillError, Store
from mashbill.calls.journal import Journal
from mashbill.core.checkpoint import lines_of
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
def opened(root):
    store = Store(root)
    for manifest in store.manifests():
        store.made_wrong(manifest)
        folder = store.folder(manifest.kind, manifest.ref)
        NodeTable.read(folder / "nodes.parquet")
        Circuit.read(folder / "nodes.parquet")
        if manifest.kind == "dataset":
            store.dataset(manifest.ref).row(0)
    Journal.of(store)
def audited(root):
    found = Auditor(root).run().findings
    assert found
    raise MashbillError(f"{found}")
for root in map(Path, sys.argv[1:]):
    for look in (opened, audited, lambda root: lines_of(root / "ledger.jsonl")):
        try:
            look(root)
            print("nothing", flush=True)
        except MashbillError as error:
            print(str(error).replace(chr(10), " "), flush=True)
"""
FILES = ("ledger.jsonl", "calls.sqlite", "calls.sqlite-wal", "datasets/*/manifest.json",
         "datasets/*/nodes.parquet")  # fmt: skip


CASES = [(what, name) for what in ("pipe", "link") for name in FILES]


@pytest.fixture(scope="module")
def told(channels, tmp_path_factory):
    """Return what one process says of a store each: (what, name) -> (path, three lines).

    The process is ended where it waits; what it said until then tells of which store.
    """
    paths = {}
    for what, name in CASES:
        root = tmp_path_factory.mktemp("handed") / "store"
        shutil.copytree(channels, root)
        path = next(iter(sorted(root.glob(name))), root / name)
        path.unlink(missing_ok=True)
        if what == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
        paths[what, name] = root, path
    done = subprocess.Popen(
        [sys.executable, "-c", "import resource\nresource.setrlimit(resource.RLIMIT_AS, "
         "(4 << 30, 4 << 30))\n" + CODE, *(str(root) for root, _ in paths.values())],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = done.communicate(timeout=300)[0].splitlines()
    except subprocess.TimeoutExpired:
        done.kill()
        said = done.communicate()[0].splitlines()
    return {
        case: (path, said[3 * n : 3 * n + 3]) for n, (case, (_, path)) in enumerate(paths.items())
    }


@pytest.mark.parametrize(("what", "name"), CASES)
def test_what_is_no_file_is_told(told, what, name):
    path, lines = told[what, name]
    opened, _audited, read = lines
    assert f"{path}" in opened
    assert "is a pipe, a device or a socket" in opened
    assert ("/dev/zero" in opened) == (what == "link")
    assert ("a pipe" in read) == (name == "ledger.jsonl")
