"""One byte changed anywhere in a store is found, and the finding names the file."""

import random
import shutil

import pytest

from mashbill import ArtifactRef, Store
from mashbill.lineage.audit import Auditor


@pytest.fixture
def store_copy(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    return tmp_path / "store"


def evidence(root):
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file()
        and (path.name == "ledger.jsonl" or path.parent.parent.name in {"datasets", "models"})
    )


def test_one_byte_changed_in_any_file_is_found_and_named(store_copy):
    draw = random.Random(5)
    files = evidence(store_copy)
    assert len(files) > 40
    for path in files:
        whole = path.read_bytes()
        place = draw.randrange(len(whole))
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :]
        )
        findings = Auditor(store_copy).run().findings
        name = path.relative_to(store_copy).as_posix()
        assert any(finding.file == name for finding in findings), name
        named = [f for f in findings if f.file == name]
        assert any(f.entry is not None for f in named), name
        path.write_bytes(whole)
    assert Auditor(store_copy).run().holds


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE calls SET body = body || 'x' WHERE request = (SELECT min(request) FROM calls)",
        "UPDATE calls SET logprobs = '[-1.0, -2.0]'",
        "UPDATE calls SET at = '2020-01-01'",
        "UPDATE calls SET tokens = tokens + 1",
        "UPDATE texts SET text = text || ' '",
        "DELETE FROM calls WHERE request = (SELECT min(request) FROM calls)",
    ],
)
def test_an_altered_or_missing_call_is_found(store_copy, change):
    import sqlite3

    with sqlite3.connect(store_copy / "calls.sqlite") as db:
        db.execute(change)
    db.close()
    findings = Auditor(store_copy).run().findings
    assert any(finding.file == "calls.sqlite" for finding in findings)


def test_a_deleted_file_and_an_added_one_are_found(store_copy):
    folder = Store(store_copy).folder("dataset", ArtifactRef("first", "1"))
    (folder / "part-00000.parquet").unlink()
    (folder / "part-99999.parquet").write_bytes(b"x")
    what = {f.file.rsplit("/", 1)[1]: f.what for f in Auditor(store_copy).run().findings}
    assert what["part-00000.parquet"] == "is not there"
    assert "no entry" in what["part-99999.parquet"]


def test_another_signer_is_found_when_one_is_demanded(store_copy):
    keyid = Store(store_copy).ledger.entries[0].keyid
    assert Auditor(store_copy, signer=keyid).run().holds
    assert not Auditor(store_copy, signer="0" * 64).run().holds


def test_a_folder_that_is_no_store_holds_no_evidence(tmp_path):
    assert not Auditor(tmp_path).run().holds


@pytest.mark.parametrize("name", ["ledger.jsonl", "nodes.parquet", "manifest.json"])
def test_no_tampering_makes_the_audit_itself_fail(store_copy, name):
    draw = random.Random(17)
    folder = store_copy / "datasets" / "labelled@1"
    path = store_copy / name if name == "ledger.jsonl" else folder / name
    whole = path.read_bytes()
    for _ in range(12):
        place = draw.randrange(len(whole))
        byte = whole[place] ^ (1 << draw.randrange(8))
        path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
        relative = path.relative_to(store_copy).as_posix()
        assert relative in {finding.file for finding in Auditor(store_copy).run().findings}
