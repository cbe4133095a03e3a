"""The walk of docs/evidence.md: a store that was handed over, with a checkpoint and a key id."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests_support import write_recipe

from mashbill import Signer

DOC = Path(__file__).parents[1] / "docs" / "evidence.md"


def mashbill(arguments, cwd, key):
    """Run the command line in a process of its own, with another person's key and checkpoints."""
    code = "from mashbill.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, text=True, capture_output=True,
        env={**os.environ, "MASHBILL_KEY_FILE": str(key), "COLUMNS": "200",
             "MASHBILL_CHECKPOINTS": str(key.with_suffix(".kept"))},
    )  # fmt: skip


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    """Made by one person, handed to another: (folder of the other, key id, proof)."""
    maker, other = tmp_path_factory.mktemp("maker"), tmp_path_factory.mktemp("other")
    recipe = write_recipe(maker / "recipe")
    key = maker / "key.pem"
    done = mashbill(["run", str(recipe), "--store", "store"], maker, key)
    assert done.returncode == 0, done.stderr
    mashbill(["checkpoint", "--to", "given.note", "--store", "store"], maker, key)
    proven = mashbill(["prove", "relabelled", "--row", "3", "--store", "store"], maker, key)
    assert proven.returncode == 0, proven.stderr
    shutil.copytree(maker / "store", other / "given")
    shutil.copy(maker / "given.note", other)
    shutil.copy(maker / "relabelled@1-row-3.proof.json", other / "FILE")
    listed = mashbill(["signers", "list", "--store", "store", "--json"], maker, key)
    assert listed.returncode == 0, (listed.stdout, listed.stderr)
    return other, json.loads(listed.stdout)[0]["keyid"]


def commands():
    """The commands that the page tells a third party to give, in order."""
    walk = DOC.read_text().partition("## A third party's walk")[2].partition("\n## ")[0]
    found = re.findall(r"^    mashbill (.*?)(?: {3,}.*)?$", walk, re.MULTILINE)
    assert len(found) == 6
    return found


@pytest.mark.slow
def test_the_walk_of_the_page_holds_and_says_what_it_rests_on(handed):
    folder, keyid = handed
    told = []
    for text in commands():
        words = text.replace("KEYID", keyid).replace("NAME", "scratch").split()
        words = ["relabelled" if words[0] == "trace" and w == "scratch" else w for w in words]
        done = mashbill(words, folder, folder / "own.pem")
        assert done.returncode == (3 if words[0] == "check" else 0), (words, done.stderr)
        assert "not read" not in done.stderr
        told.append(done.stdout)
    audit, signers, bill, trace, check, proof = told
    assert "holds: " in audit
    assert "1 checkpoint compared with" in audit
    assert "rows made again" in audit
    assert "not derived again: corpus@1" in audit
    assert keyid in signers
    assert "fake teacher" in bill
    assert "toy.jsonl" in trace or "toy texts" in trace
    assert "review" in check
    assert "holds: relabelled@1 row 3" in proof


@pytest.mark.slow
@pytest.mark.parametrize("what", ["entry", "manifest", "teacher", "cut", "key"])
def test_the_same_walk_finds_what_was_done_to_the_store(handed, tmp_path, what):
    folder, keyid = handed
    store = tmp_path / "given"
    shutil.copytree(folder / "given", store)
    if what == "entry":
        stranger = Signer._read(_key(tmp_path))
        _append(store, stranger)
    elif what == "manifest":
        path = store / "models" / "scratch@1" / "manifest.json"
        path.write_bytes(path.read_bytes().replace(b'"training_tokens":', b'"training_tokenz":'))
    elif what == "teacher":
        (store / "datasets" / "labelled@1" / "nodes.parquet").write_bytes(
            (store / "datasets" / "first@1" / "nodes.parquet").read_bytes()
        )
    elif what == "cut":
        lines = (store / "ledger.jsonl").read_bytes().splitlines(keepends=True)
        (store / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))
    signer = "0" * 64 if what == "key" else keyid
    done = mashbill(
        ["audit", "--store", "given", "--signer", signer, "--checkpoint",
         str(folder / "given.note")], tmp_path, tmp_path / "own.pem",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "found: " in done.stdout
    place = {"manifest": "models/scratch@1/manifest.json", "teacher": "labelled@1/nodes.parquet"}
    assert place.get(what, "ledger.jsonl") in done.stdout


def _key(folder):
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    pem = Ed25519PrivateKey.generate().private_bytes(
        s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()
    )
    (folder / "stranger.pem").write_bytes(pem)
    return folder / "stranger.pem"


def _append(store, signer):
    """Append an entry under a key that nobody declared, past what would refuse it."""
    from mashbill.core.canonical import digest_bytes
    from mashbill.core.envelope import STATEMENT_TYPE
    from mashbill.core.ledger import PREDICATE_TYPE

    path = store / "ledger.jsonl"
    lines = path.read_bytes().splitlines()
    predicate = {
        "event": "decide",
        "index": len(lines),
        "previous": digest_bytes(lines[-1]),
        "at": "2026-11-28T00:00:00.000+00:00",
        "public_key": signer.public.hex(),
    }
    line = signer.seal({"_type": STATEMENT_TYPE, "subject": [], "predicateType": PREDICATE_TYPE,
                        "predicate": predicate})  # fmt: skip
    path.write_bytes(b"".join(one + b"\n" for one in [*lines, line]))
