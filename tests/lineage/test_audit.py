"""Whatever is altered in a store is found, and the finding names the file or the entry."""

import base64
import json
import shutil
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mashbill import ArtifactRef, Signer, Store, StoreError
from mashbill.core import checkpoint
from mashbill.core.artifact import Manifest
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.ledger import GENESIS
from mashbill.core.merkle import root
from mashbill.core.record import BILL, FROM, leaves
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.audit import Auditor


@pytest.fixture
def store_copy(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="module")
def benchmarks():
    """The modules of the benchmark, importable."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    yield
    sys.path.pop(0)


@pytest.mark.parametrize("each", [0.2, pytest.param(2, marks=pytest.mark.slow)])
def test_every_kind_of_tampering_is_found_or_is_known_not_to_be(benchmarks, tmp_path, each):
    """Accidents are named, too; what an insider leaves no trace of is listed with the reason.

    A fifth of the kinds are tried each time, and twice each by `make slow`; more by `make bench`.
    """
    from tampered_store import make
    from tampering import EXPLAINED, Campaign

    store = make(tmp_path / "made")
    campaign = Campaign(store, Signer.default(), seed=20)
    count = round(each * len(campaign.kinds))
    outcome = campaign.run(count, time.monotonic() + 600)
    assert outcome.missed == []
    assert outcome.tried.total() == count
    assert len({kind for kind, who in outcome.who.items() if who != "accident"}) >= 60
    # What the benchmark says that nothing in a store contradicts is so.
    assert all(
        outcome.alone[kind] < outcome.tried[kind] for kind in EXPLAINED if outcome.tried[kind]
    )
    result = Auditor(store, Signer.default().keyid, checkpoints=[campaign.note]).run()
    assert result.holds
    assert result.newer == []


def test_another_signer_is_found_when_one_is_demanded(store_copy):
    keyid = Store(store_copy).ledger.entries[0].keyid
    assert Auditor(store_copy, signer=keyid).run().holds
    assert not Auditor(store_copy, signer="0" * 64).run().holds


def test_a_folder_that_is_no_store_holds_no_evidence(tmp_path):
    assert not Auditor(tmp_path).run().holds


def test_a_tail_removed_with_its_artifacts_is_found_by_the_kept_checkpoint(
    store_copy, tmp_path, monkeypatch
):
    monkeypatch.setenv("MASHBILL_CHECKPOINTS", str(tmp_path / "kept"))
    note = checkpoint.keep(store_copy, Signer.default())
    ledger = store_copy / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    entries = Store(store_copy).ledger.entries
    left = next(e.index for e in entries if e.predicate.get("artifact") == "heldout-scratch@1")
    for name in {e.predicate["artifact"] for e in entries[left:]}:
        shutil.rmtree(store_copy / "datasets" / name)
    ledger.write_bytes(b"".join(lines[:left]))
    assert Auditor(store_copy).run().holds
    findings = Auditor(store_copy, checkpoints=[checkpoint.kept(store_copy)]).run().findings
    assert [(f.file, f.entry) for f in findings] == [("ledger.jsonl", left)]
    assert f"{len(lines) - left} entries are gone from entry {left} on" in findings[0].what
    assert note.size == len(lines)


def test_a_ledger_that_grew_holds_by_its_old_checkpoint(store_copy):
    note = checkpoint.make(store_copy / "ledger.jsonl", Signer.default())
    Store(store_copy, Signer.default()).ledger.append("accept")
    assert Auditor(store_copy, checkpoints=[note]).run().holds


def test_a_checkpoint_by_a_stranger_is_a_finding(store_copy):
    stranger = Signer(Ed25519PrivateKey.generate())
    note = checkpoint.make(store_copy / "ledger.jsonl", stranger)
    (finding,) = Auditor(store_copy, checkpoints=[note]).run().findings
    assert (finding.file, finding.entry) == ("ledger.jsonl", None)


def resigned(folder, replaced, facts):
    """Sign the whole ledger again, as its owner could, with other digests of files.

    Args:
        folder: the store.
        replaced: file -> its new SHA-256.
        facts: file -> what its shard's entry is to say; artifact -> its manifest's new digest.
    """
    signer, lines = Signer.default(), []
    for line in (folder / "ledger.jsonl").read_bytes().splitlines():
        statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
        predicate = statement["predicate"]
        predicate["previous"] = digest_bytes(lines[-1]) if lines else GENESIS
        for item in statement["subject"]:
            item["digest"]["sha256"] = replaced.get(item["name"], item["digest"]["sha256"])
        for name in predicate.get("shards", {}):
            predicate["shards"][name].update(facts.get(name, {}))
        if predicate["event"] == "commit":
            predicate["digest"] = facts.get(predicate["artifact"], predicate["digest"])
        lines.append(signer.seal(statement))
    (folder / "ledger.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))


def write_parquet(table, path):
    pq.write_table(table, path, compression="zstd")
    return digest_bytes(path.read_bytes())


def forged(store, change, nodes=None):
    """Alter the first shard of confident@1, or its node table, and sign for it consistently."""
    ref = ArtifactRef("confident", "1")
    folder = Store(store).folder("dataset", ref)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    before = Manifest.model_validate(manifest).digest
    file = manifest["shards"][0]["file"]
    if nodes is not None:
        table = NodeTable.read(folder / "nodes.parquet")
        nodes(table)
        (folder / "nodes.parquet").write_bytes(table.to_parquet())
        manifest["nodes"]["sha256"] = digest_bytes((folder / "nodes.parquet").read_bytes())
        manifest["nodes_digest"] = table.digest
    numbered = NodeTable.read(folder / "nodes.parquet").numbered
    rows = change(pq.ParquetFile(folder / file).read())
    sha256 = write_parquet(rows, folder / file)
    # Python counts -1 from the end: a root over such a row can be made, and has to be refused.
    numbers = [number % len(numbered) for number in rows.column(BILL).to_pylist()]
    at = rows.schema.get_field_index(BILL)
    valid = rows.set_column(at, BILL, pa.array(numbers, pa.int32()))
    shard = {"sha256": sha256, "merkle_root": root(leaves(valid, numbered))}
    manifest["shards"][0] |= shard
    data = canonical(manifest)
    (folder / "manifest.json").write_bytes(data)
    inside = "datasets/confident@1"
    replaced = {
        f"{inside}/{file}": sha256,
        f"{inside}/manifest.json": digest_bytes(data),
        f"{inside}/nodes.parquet": manifest["nodes"]["sha256"],
    }
    own = Manifest.model_validate_json(data).digest
    resigned(store, replaced, {f"{inside}/{file}": shard, "confident@1": own})
    findings = Auditor(store).run().findings
    # What was made of it was made of other content than is committed now.
    of_it = [f for f in findings if f"was made of confident@1 with digest {before[:16]}" in f.what]
    assert [f.file for f in of_it] == ["models/scratch@1/manifest.json"] * (own != before)
    return [(f.file.rpartition("/")[2], f.what) for f in findings if f not in of_it]


def with_first(column, value, kind=None):
    """Return a change that gives the first row another value in one column."""

    def change(table):
        values = table.column(column).to_pylist()
        values = [[v] for v in values] if kind is not None else values
        values[0] = value
        at = table.schema.get_field_index(column)
        field = pa.field(column, kind or table.schema.field(column).type)
        return table.set_column(at, field, pa.array(values, field.type))

    return change


def test_a_store_signed_for_consistently_holds(store_copy):
    assert forged(store_copy, lambda table: table) == []


@pytest.mark.parametrize("number", [-1, 99])
def test_a_row_that_points_at_no_node_is_found(store_copy, number):
    ((file, what),) = forged(store_copy, with_first(BILL, number))
    assert file == "part-00000.parquet"
    assert f"a row points at node {number}, and there are nodes 0 to" in what


@pytest.mark.parametrize("row", [-1, 290, 10**9])
@pytest.mark.parametrize("kind", [None, pa.list_(pa.int64())])
def test_a_row_that_came_from_a_row_which_is_not_there_is_found(store_copy, row, kind):
    inputs = Store(store_copy).find("relabelled").rows
    row = inputs if row == 290 else row  # the first that is not there
    value = row if kind is None else [0, row]
    ((file, what),) = forged(store_copy, with_first(FROM, value, kind))
    assert file == "part-00000.parquet"
    assert what == (
        f"says that a row came from row {row} of relabelled@1, which has rows 0 to {inputs - 1}"
    )


@pytest.mark.parametrize("kind", [None, pa.list_(pa.int64())])
def test_a_row_may_come_from_the_last_row_of_its_input(store_copy, kind):
    last = Store(store_copy).find("relabelled").rows - 1
    assert forged(store_copy, with_first(FROM, last if kind is None else [last], kind)) == []


def test_a_node_that_counts_other_records_than_point_at_it_is_found(store_copy):
    def count_one_more(table):
        table.records[0] += 1

    ((file, what),) = forged(store_copy, lambda table: table, count_one_more)
    assert file == "nodes.parquet"
    assert "rows point at it" in what


def test_a_shard_that_its_entry_gives_two_digests_is_found(store_copy):
    name = "datasets/first@1/part-00000.parquet"
    resigned(store_copy, {}, {name: {"sha256": "0" * 64}})
    findings = Auditor(store_copy).run().findings
    assert {(f.file, f.what) for f in findings} == {(name, "has two digests in its entry")}


def test_what_was_given_up_is_told_and_shown_by_nothing_else(store_copy):
    store = Store(store_copy, Signer.default())
    store.give_up(store.find("evaluation"), "the rows were of another day")
    result = Auditor(store_copy).run()
    assert result.holds
    ((name, what),) = [(item.file, item.what) for item in result.given_up]
    assert name == "evaluation@1"
    assert "the rows were of another day" in what
    assert "evaluation@1" not in {str(m.ref) for m in Store(store_copy).manifests()}
    with pytest.raises(StoreError, match="has no artifact"):
        Store(store_copy).find("evaluation")


def test_an_entry_that_nothing_reads_is_told(store_copy):
    entry = Store(store_copy, Signer.default()).ledger.append("frobnicate")
    result = Auditor(store_copy).run()
    assert (entry.index, True) in [(f.entry, "'frobnicate'" in f.what) for f in result.not_derived]


def test_a_link_among_pages_is_found(store_copy):
    (store_copy / "reports" / "more").mkdir(parents=True)
    (store_copy / "reports" / "more" / "page.html").symlink_to("/etc/hosts")
    assert [f.file for f in Auditor(store_copy).run().findings] == ["reports/more/page.html"]
