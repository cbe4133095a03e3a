"""A proof of one record holds without the store, and nothing in it can be altered."""

import copy
import json
import os
import shutil
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mashbill import AuditError, InputError, Signer, Store
from mashbill.core import checkpoint
from mashbill.core.signers import SIGNERS
from mashbill.core.source import Channel
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.evidence.proof import prove
from mashbill.lineage.evidence.proven import check_proof

DATASETS = ["corpus", "first", "labelled", "relabelled", "confident", "heldout-scratch"]


@pytest.fixture(scope="module")
def store(finished):
    return Store(finished[0])


@pytest.fixture
def signer(finished):
    return Signer.default()


@pytest.mark.few(2)
@pytest.mark.parametrize("name", DATASETS)
def test_every_seventh_row_has_a_proof_that_holds(store, signer, name):
    manifest = store.find(name)
    dataset = store.dataset(manifest.ref)
    for row in range(0, manifest.rows, 7):
        proof = json.loads(json.dumps(prove(store, name, row, signer)))
        shown = check_proof(proof, signer.keyid)
        assert (shown.artifact, shown.row, shown.signer) == (f"{name}@1", row, signer.keyid)
        assert shown.record["text"] == dataset.row(row)["text"]
        assert shown.record["_id"] == dataset.row(row)["_id"].hex()
        assert len(json.dumps(proof)) < 20_000
    with pytest.raises(InputError, match="cannot be proven"):
        prove(store, name, manifest.rows, signer)


def test_a_proof_holds_in_an_empty_place_with_the_store_gone(finished, signer, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    proof = prove(Store(tmp_path / "store"), "relabelled", 10, signer)
    (tmp_path / "store").rename(tmp_path / "moved")
    (tmp_path / "empty").mkdir()
    code = (
        "import json, sys\n"
        "from mashbill.lineage.bills.bill import bill\n"
        "from mashbill.lineage.evidence.proven import check_proof\n"
        "shown = check_proof(json.load(sys.stdin), sys.argv[1])\n"
        "assert not {'torch', 'sklearn', 'tokenizers'} & sys.modules.keys()\n"
        "print(shown.row, len(bill(shown.as_dataset())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, signer.keyid],
        input=json.dumps(proof),
        cwd=tmp_path / "empty",
        env={"PATH": os.environ["PATH"]},
        text=True,
        capture_output=True,
        check=True,
    )
    row, lines = done.stdout.split()
    assert (row, int(lines) > 1) == ("10", True)


def test_the_bill_of_a_proven_record_names_the_teacher_that_judged(store, signer):
    shown = check_proof(prove(store, "relabelled", 3, signer))
    lines = bill(shown.as_dataset())
    teacher = [line for line in lines if line.source.what == "model"]
    assert teacher
    assert all(line.share == (1.0, 1.0) for line in lines)
    assert all(Channel.JUDGEMENT in line.channels for line in teacher)


def leaf_places(value, place=()):
    if isinstance(value, dict):
        for key in value:
            yield from leaf_places(value[key], (*place, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from leaf_places(item, (*place, at))
    else:
        yield place, value


def others(value):
    """Other values for a leaf of the proof, near and far."""
    match value:
        case bool() | None:
            return [not value, "x"]
        case int():
            return [value + 1, value - 1, str(value), bool(value)]
        case float():
            return [value + 1, str(value)]
        case str() if value:
            middle = len(value) // 2
            swapped = "0" if value[middle] != "0" else "1"
            return [
                value[:middle] + swapped + value[middle + 1 :],
                value[:-1],
                value + " ",
                " " + value,
                value.swapcase() if value.swapcase() != value else "x",
            ]
        case _:
            return ["x"]


@pytest.mark.parametrize("name", ["relabelled", "confident"])
def test_no_value_of_a_proof_can_be_altered(store, signer, name):
    proof = prove(store, name, 5, signer)
    places = list(leaf_places(proof))
    assert len(places) > 60
    for place, value in places:
        for other in others(value):
            altered = copy.deepcopy(proof)
            inner = altered
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = other
            with pytest.raises(AuditError, match="proof: "):
                check_proof(altered)


def test_nothing_can_be_left_out_or_added(store, signer):
    proof = prove(store, "relabelled", 5, signer)
    for key, value in proof.items():
        with pytest.raises(AuditError):
            check_proof({k: v for k, v in proof.items() if k != key})
        if isinstance(value, list):
            for at in range(len(value)):
                with pytest.raises(AuditError):
                    check_proof({**proof, key: value[:at] + value[at + 1 :]})
            with pytest.raises(AuditError):
                check_proof({**proof, key: [*value, value[0]]})
    with pytest.raises(AuditError, match="more"):
        check_proof({**proof, "more": 1})
    stranger = prove(store, "corpus", 5, signer)
    for key in ("record", "shard", "manifest", "lines", "nodes"):
        with pytest.raises(AuditError):
            check_proof({**proof, key: stranger[key]})


def test_a_demanded_signer_must_have_signed(store, signer):
    proof = prove(store, "first", 0, signer)
    assert check_proof(proof, signer.keyid)
    with pytest.raises(AuditError, match="checkpoint: is not signed by 000"):
        check_proof(proof, "0" * 64)


def test_who_has_no_entry_in_the_ledger_cannot_prove(store):
    with pytest.raises(AuditError, match="not signed"):
        prove(store, "first", 0, Signer(Ed25519PrivateKey.generate()))


def test_a_second_signer_s_checkpoint_brings_the_line_that_introduced_it(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    second = Signer(Ed25519PrivateKey.generate())
    owner = Store(tmp_path / "store", Signer.default())
    with pytest.raises(AuditError, match="none of its signers"):
        Store(tmp_path / "store", second).ledger.append("accept")
    owner.ledger.append(SIGNERS, add=[{"keyid": second.keyid}])
    Store(tmp_path / "store", second).ledger.append("accept")
    proof = prove(Store(tmp_path / "store"), "first", 0, second)
    shown = check_proof(proof)
    assert shown.signer == Signer.default().keyid
    assert proof["lines"][-1]["index"] == shown.size - 1
    with pytest.raises(AuditError, match="is signed by"):
        check_proof(proof, second.keyid)


def test_the_kept_checkpoint_serves_who_cannot_sign(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("MASHBILL_CHECKPOINTS", str(tmp_path / "kept"))
    shutil.copytree(finished[0], tmp_path / "store")
    root, signer = tmp_path / "store", Signer.default()
    with pytest.raises(AuditError, match="mashbill checkpoint"):
        prove(Store(root), "first", 0, None)
    lines = (root / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    checkpoint.keep(root, signer)
    Store(root, signer).ledger.append("accept")
    shown = check_proof(prove(Store(root), "first", 0, None), signer.keyid)
    assert shown.size == len(lines)
    # One that was kept before the artifact was committed does not cover it.
    early = checkpoint.sign([line.rstrip(b"\n") for line in lines[:3]], signer)
    for note in (tmp_path / "kept").iterdir():
        note.write_text(str(early), encoding="utf-8")
    with pytest.raises(AuditError, match="committed later"):
        prove(Store(root), "first", 0, None)


def test_a_store_that_was_altered_proves_nothing(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    store = Store(tmp_path / "store")
    manifest = store.find("first")
    folder = store.folder("dataset", manifest.ref)
    (folder / "part-00000.parquet").write_bytes((folder / "part-00001.parquet").read_bytes())
    with pytest.raises(AuditError, match="not in the shard"):
        prove(store, "first", 0, Signer.default())
    (folder / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(AuditError, match="run `mashbill audit`"):
        prove(store, "first", 0, Signer.default())
