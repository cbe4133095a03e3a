"""What somebody wrote who has no key of a store: no command reads it."""

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests_insider import Insider

from mashbill import Signer, Store, StoreError
from mashbill.core.marks import CONTRADICTED, Contradiction, Mark
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import contradictions, table_of, told_of
from mashbill.lineage.circuit.nodes import NodeTable


@pytest.fixture
def insider(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    return Insider(tmp_path / "store")


def test_a_mark_is_not_taken_back_by_an_entry_of_a_stranger(insider):
    leaf = NodeTable.read(insider.of("corpus@1") / "nodes.parquet").numbered[0]
    told = Contradiction(("own-dataset",), (leaf,), (Mark("column", "model", ("closed-x",), 1, 2),))
    (commit,) = insider.about("corpus@1", "commit")
    commit[CONTRADICTED] = told.as_json()
    insider.sign()
    store = Store(insider.folder)
    assert set(contradictions(store, store.find("first"))) == {"corpus@1"}
    stranger = Signer(Ed25519PrivateKey.generate())
    again = dict(commit, public_key=stranger.public.hex())
    del again[CONTRADICTED]
    statement = insider.add(
        "commit", **{k: v for k, v in again.items() if k not in {"event", "at"}}
    )
    ledger = insider.folder / "ledger.jsonl"
    before = store.ledger.entries[-1]
    statement["predicate"] |= {"index": before.index + 1, "previous": before.digest}
    ledger.write_bytes(ledger.read_bytes() + stranger.seal(statement) + b"\n")
    store = Store(insider.folder)
    assert len(store.ledger.strangers) == 1
    assert told_of(store, "corpus@1") is not None
    assert set(contradictions(store, store.find("first"))) == {"corpus@1"}


@pytest.mark.parametrize("read", [Circuit.of_artifact, NodeTable.of, table_of])
@pytest.mark.parametrize("name", ["first", "scratch"])
def test_nodes_that_were_exchanged_are_refused_where_they_are_read(insider, read, name):
    store = Store(insider.folder)
    manifest = store.find(name)
    path = store.folder(manifest.kind, manifest.ref) / "nodes.parquet"
    shutil.copy(insider.of("corpus@1") / "nodes.parquet", path)
    with pytest.raises(StoreError, match="is not as it was committed; run `mashbill audit`"):
        read(store, manifest)
    path.unlink()
    with pytest.raises(StoreError, match="is not there"):
        read(store, manifest)
