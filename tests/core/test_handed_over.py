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
root = Path(sys.argv[1])
def opened():
    store = Store(root)
    for manifest in store.manifests():
        store.made_wrong(manifest)
        folder = store.folder(manifest.kind, manifest.ref)
        NodeTable.read(folder / "nodes.parquet")
        Circuit.read(folder / "nodes.parquet")
        if manifest.kind == "dataset":
            store.dataset(manifest.ref).row(0)
    Journal.of(store)
def audited():
    found = Auditor(root).run().findings
    assert found
    raise MashbillError(f"{found}")
for look in (opened, audited, lambda: lines_of(root / "ledger.jsonl")):
    try:
        look()
        print("nothing")
    except MashbillError as error:
        print(str(error).replace(chr(10), " "))
"""
FILES = ("ledger.jsonl", "calls.sqlite", "calls.sqlite-wal", "datasets/*/manifest.json",
         "datasets/*/nodes.parquet")  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("what", ["pipe", "link"])
def test_what_is_no_file_is_told(channels, tmp_path, name, what):
    root = tmp_path / "store"
    shutil.copytree(channels, root)
    path = next(iter(sorted(root.glob(name))), root / name)
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    done = subprocess.run(
        [sys.executable, "-c", "import resource\nresource.setrlimit(resource.RLIMIT_AS, "
         "(4 << 30, 4 << 30))\n" + CODE, str(root)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    opened, _audited, lines = done.stdout.splitlines()
    assert f"{path}" in opened
    assert "is a pipe, a device or a socket" in opened
    assert ("/dev/zero" in opened) == (what == "link")
    assert ("a pipe" in lines) == (name == "ledger.jsonl")
