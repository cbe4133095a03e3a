"""Stores of earlier versions are audited and billed for ever."""

import json
import sqlite3
import tarfile
from pathlib import Path

import pytest

from mashbill import ArtifactRef, Store
from mashbill.core import checkpoint
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.evidence.proven import check_proof
from mashbill.lineage.evidence.trace import Tracer
from mashbill.run.rederiving import Rederiver

KEPT = sorted(path for path in (Path(__file__).parents[1] / "ledgers").glob("v*") if path.is_dir())


def test_a_store_of_a_version_is_kept():
    assert KEPT


@pytest.fixture(scope="module", params=KEPT, ids=lambda path: path.name)
def kept(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param.name)
    with tarfile.open(request.param / "store.tar.xz") as archive:
        archive.extractall(root, filter="data")
    return request.param, root, json.loads((request.param / "expected.json").read_text())


def test_it_holds_and_goes_on_from_the_checkpoint_kept_beside_it(kept):
    folder, root, expected = kept
    note = checkpoint.parse((folder / "checkpoint.note").read_text())
    result = Auditor(root, expected["signer"], checkpoints=[note]).run()
    assert not result.findings
    assert result.records > 1000


def test_its_rows_come_out_as_they_were_when_they_are_made_again(kept):
    _, root, expected = kept
    again = Rederiver(Store(root), 1.0)
    result = Auditor(root, expected["signer"], rederive=again).run()
    assert not result.findings
    assert result.derived_rows > 1000


def test_a_store_of_format_2_has_what_each_shard_measured_and_where_answers_were_given(kept):
    folder, root, _ = kept
    if not folder.name.endswith("-shards-2"):
        pytest.skip("of another format: release 0.1.0 stated what was measured so far")
    shards = [entry for entry in Store(root).ledger.accepted if entry.event == "shard"]
    assert {entry.predicate["format"] for entry in shards} == {2}
    with sqlite3.connect(root / "calls.sqlite") as journal:
        count, placed = journal.execute(
            "SELECT count(*), sum(batch != '' AND asked != '') FROM calls"
        ).fetchone()
    assert placed == count > 1000


def test_its_bills_and_verdicts_are_what_they_were(kept):
    _, root, expected = kept
    store = Store(root)
    for name, was in expected["artifacts"].items():
        manifest = store.get(ArtifactRef.parse(name))
        assert manifest.digest == was["digest"]
        circuit = Circuit.of_artifact(store, manifest)
        assert [line.as_json() for line in bill(circuit)] == was["bill"]
        now = {
            f"{v.definition.name} {v.definition.version} {v.asked}": [v.conclusion, v.depth]
            for pair in judge_all(circuit)
            for v in pair
        }
        # A definition whose meaning changed has another version, and is not compared.
        for key in was["verdicts"].keys() & now.keys():
            assert now[key] == was["verdicts"][key], key


def test_its_rows_are_traced_and_its_proof_holds(kept):
    folder, root, expected = kept
    assert Tracer(Store(root), None).trace("unique", 7).behind
    proof = json.loads((folder / "proof.json").read_text())
    assert check_proof(proof, expected["signer"]).artifact == "preferred@1"
