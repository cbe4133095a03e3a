"""Stores of earlier versions are audited and billed for ever."""

import json
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
