"""What is removed on record: bills, verdicts and audits hold, and whatever is forged is found."""

import base64
import json
import os
import shutil
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests_insider import Insider
from tests_laws import law
from tests_support import rows_of, run_stages, run_toy
from typer.testing import CliRunner

import mashbill
from mashbill import ArtifactRef, InputError, Signer, Store, StoreError
from mashbill.cli import app
from mashbill.core import checkpoint
from mashbill.core.canonical import canonical
from mashbill.core.errors import RemovedError
from mashbill.core.ledger import REMOVAL_TYPE, Ledger
from mashbill.core.removals import CLEAR, REMOVE
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.evidence.proof import prove
from mashbill.lineage.evidence.proven import check_proof
from mashbill.report import write_report
from mashbill.run.rederiving import Rederiver


@pytest.fixture(autouse=True)
def _own_checkpoints(tmp_path, monkeypatch):
    """Copies of one store that go on differently are kept apart."""
    monkeypatch.setenv("MASHBILL_CHECKPOINTS", str(tmp_path / "checkpoints"))


@pytest.fixture
def store(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "store")
    return tmp_path / "store"


def remove(root, name, reason="", cache=None):
    return mashbill.open(root, cache=cache or root.parent / "cache").remove(name, reason)


def said(store):
    """Return the bill, verdicts and node digests of everything that a store has."""
    found = {}
    for manifest in store.manifests():
        circuit = Circuit.of_artifact(store, manifest)
        found[str(manifest.ref)] = (
            manifest.digest,
            NodeTable.of(store, manifest).digest,
            [line.as_json() for line in bill(circuit)],
            [verdict.as_json() for pair in judge_all(circuit) for verdict in pair],
        )
    return found


def audited(root, **more):
    result = Auditor(root, **more).run()
    return [str(finding) for finding in result.findings]


# -- the law ---------------------------------------------------------------------------------------

TEXTS = [
    {"text": f"a {'kind' if i % 2 else 'dull'} day number {i}", "mood": "good" if i % 2 else "bad"}
    for i in range(90)
]
KINDS = {
    "split": 'kind = "split"\ninput = "{0}"\nrange = [0.0, 0.8]\nshard_rows = 8\n',
    "dedup": 'kind = "dedup"\ninput = "{0}"\n',
    "mix": 'kind = "mix"\ninputs = {{ {0} = 1.0, {1} = 1.0 }}\n',
    "label": 'kind = "label"\ninput = "{0}"\nteacher = "t"\nprompt = "ask.txt"\n'
    'labels = {{ good = " good", bad = " bad" }}\ncalibrate_on = 4\nshard_rows = 8\n',
}
FIRST = """
[stages.texts]
kind = "corpus"
title = "texts"
license = "CC0-1.0"
source = "texts.jsonl"
"""


@st.composite
def recipes(draw):
    """A few stages, each of some before it; a classifier and what it labels; what is removed."""
    stages, names = [FIRST], ["texts"]
    for number in range(draw(st.integers(2, 4))):
        of = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2))
        kind = draw(st.sampled_from(sorted(KINDS)))
        if kind == "mix" and of[0] == of[1]:
            kind = "dedup"
        stages.append(f"[stages.s{number}]\n{KINDS[kind].format(*of)}")
        names.append(f"s{number}")
    stages.append(f"[stages.last]\n{KINDS['label'].format(draw(st.sampled_from(names)))}")
    stages.append('[stages.student]\nkind = "classifier"\ninput = "last"\nbuckets = 64\n')
    stages.append(
        f'[stages.applied]\nkind = "apply"\ninput = "{draw(st.sampled_from(names))}"\n'
        'model = "student"\nshard_rows = 8\n'
    )
    names += ["last", "student", "applied"]
    gone = draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    return "\n".join(stages), names, gone


@pytest.mark.slow
@law(8)
@given(recipes())
def test_whatever_is_removed_bills_verdicts_lineage_and_audits_hold(tmp_path_factory, drawn):
    holds_after(tmp_path_factory.mktemp("law"), *drawn)


def test_bills_verdicts_lineage_and_audits_hold_after_removals_in_a_row(tmp_path):
    last = f"[stages.last]\n{KINDS['label'].format('mixed')}"
    stages = (
        f"{FIRST}[stages.part]\n{KINDS['split'].format('texts')}"
        f"[stages.mixed]\n{KINDS['mix'].format('texts', 'part')}{last}"
        '[stages.student]\nkind = "classifier"\ninput = "last"\nbuckets = 64\n'
        '[stages.applied]\nkind = "apply"\ninput = "part"\nmodel = "student"\nshard_rows = 8\n'
    )
    names = ["texts", "part", "mixed", "last", "student", "applied"]
    holds_after(tmp_path, stages, names, ["texts", "mixed", "last", "student"])


def holds_after(folder, stages, names, gone):
    """Run some stages, remove some, and hold the store to what it was; then need them again."""
    made = run_stages(folder / "r", stages, {"texts.jsonl": TEXTS, "ask.txt": "{{ text }} ->"})
    before = said(made)
    note = checkpoint.make(made.root / "ledger.jsonl", Signer.default())
    bytes_of = {
        path.relative_to(made.root): path.read_bytes() for path in made.root.glob("*/*@1/*")
    }
    for name in gone:
        remove(made.root, name, f"law: {name}")
    store = Store(made.root)
    assert said(store) == before
    result = Auditor(made.root, checkpoints=[note]).run()
    assert not result.findings
    assert {item.file for item in result.removed} == {f"{name}@1" for name in gone}
    again = Auditor(made.root, rederive=Rederiver(store)).run()
    assert not again.findings
    # Nothing is left of them but what says what they were.
    for name in gone:
        folders = [*made.root.glob(f"[dm]*s/{name}@1")]
        left = {path.name for one in folders for path in one.iterdir()}
        assert left <= {"manifest.json", "nodes.parquet", "learned.parquet"}
    # The same recipe makes nothing, and one that needs them makes them again as they were.
    _, done = run_toy(folder / "r" / "some.toml", made.root)
    assert all(item.was_cached for item in done)
    need = "".join(
        f"\n[stages.more{number}]\n{KINDS['split'].format(name)}"
        for number, name in enumerate(names)
        if name != "student"
    )
    need += '\n[stages.most]\nkind = "apply"\ninput = "texts"\nmodel = "student"\n'
    with (folder / "r" / "some.toml").open("a") as file:
        file.write(need)
    run_toy(folder / "r" / "some.toml", made.root)
    assert not Store(made.root).removals().in_force
    found = {
        path.relative_to(made.root): path.read_bytes()
        for path in made.root.glob("*/*@1/*")
        if path.relative_to(made.root) in bytes_of
    }
    assert found == bytes_of
    result = Auditor(made.root, checkpoints=[note]).run()
    assert not result.findings
    assert not result.removed


# -- what is entered -------------------------------------------------------------------------------


def test_a_removal_is_an_entry_of_a_type_of_its_own_that_names_all_that_went(store):
    before = Store(store).committed()["labelled@1"]
    folder = store / "datasets/labelled@1"
    sizes = {f"datasets/labelled@1/{p.name}": p.stat().st_size for p in folder.glob("part-*")}
    remove(store, "labelled", "a person asked for it")
    line = (store / "ledger.jsonl").read_bytes().splitlines()[-1]
    statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
    told = statement["predicate"]
    assert statement["predicateType"] == REMOVAL_TYPE
    assert told["event"] == REMOVE
    assert told["entry"] == before.digest
    assert told["digest"] == before.predicate["digest"]
    assert told["bytes"] == sizes
    assert told["reason"] == "a person asked for it"
    assert {one["name"] for one in statement["subject"]} == set(sizes)
    assert "altered" not in told


def test_what_was_damaged_before_it_was_removed_is_on_record(store):
    path = next((store / "datasets/labelled@1").glob("part-*"))
    path.write_bytes(b"damaged")
    remove(store, "labelled")
    told = Store(store).ledger.entries[-1].predicate["altered"]
    assert list(told) == [f"datasets/labelled@1/{path.name}"]
    assert audited(store) == []


def test_the_last_version_is_meant_where_none_is_named_and_others_are_told(store):
    with pytest.raises(StoreError, match="has no artifact 'nothing'"):
        remove(store, "nothing")
    assert remove(store, "labelled@1").artifact == "labelled@1"


@pytest.mark.parametrize("reason", ["x" * 1001, "\ud800"])
def test_a_reason_that_cannot_be_kept_removes_nothing(store, reason):
    with pytest.raises(InputError, match="--reason"):
        remove(store, "labelled", reason)
    assert Store(store).removal(ArtifactRef("labelled", "1")) is None
    assert list((store / "datasets/labelled@1").glob("part-*"))


def test_a_reason_is_one_line_wherever_it_is_told(store):
    removal = remove(store, "labelled", "one\n\x1b[31mtwo")
    assert "\n" not in str(removal)
    assert "\x1b" not in str(removal)
    assert removal.reason == "one\n\x1b[31mtwo"


def test_hashes_of_its_texts_and_pages_that_show_rows_go_with_it(store, tmp_path):
    manifest = Store(store).find("labelled")
    marks, reports = tmp_path / "cache" / "marks", store / "reports"
    marks.mkdir(parents=True)
    reports.mkdir(exist_ok=True)
    for name in (f"{manifest.digest}-3.npy", f"{manifest.digest}-3p.npy", "of-another-3.npy"):
        (marks / name).write_bytes(b"12")
    for name in ("labelled@1.html", "scratch@1.brief.html", "corpus@1.html"):
        (reports / name).write_text("rows")
    remove(store, "labelled")
    assert [path.name for path in marks.iterdir()] == ["of-another-3.npy"]
    assert [path.name for path in reports.iterdir()] == ["corpus@1.html"]


def test_texts_of_what_was_removed_are_looked_for_no_more(store, tmp_path):
    from mashbill.stages.marks.index import held

    names = {one.name for one in held(Store(store), tmp_path / "marks-cache")[0]}
    remove(store, "labelled")
    after = {one.name for one in held(Store(store), tmp_path / "marks-cache")[0]}
    assert names - after == {"labelled@1"}


# -- what is asked of it ---------------------------------------------------------------------------


def test_what_needs_the_rows_is_refused_and_says_when_by_whom_and_why(store, tmp_path):
    for name in ("relabelled", "scratch"):
        remove(store, name, "to save room")
    space = mashbill.open(store)
    key = Signer.default().keyid[:16]
    for refused in (
        space["relabelled"].to_arrow,
        lambda: space.publish("relabelled", str(tmp_path / "p")),
        lambda: space.publish("scratch", str(tmp_path / "p")),
        space["scratch"].model,
        lambda: space["scratch"].write_model("gguf", tmp_path / "m.gguf"),
        lambda: prove(Store(store), "relabelled", 1, Signer.default()),
        lambda: space.overlap("relabelled", "rest"),
        lambda: space.affected_rows("relabelled", kind="public-dataset"),
        lambda: space.data("relabelled"),
    ):
        with pytest.raises(RemovedError, match=rf"removed on 20.* by {key} \(to save room\)"):
            refused()


def test_all_else_answers_of_it_and_of_what_was_made_of_it(store, tmp_path):
    before = mashbill.open(store).trace("confident", 3)
    for name in ("relabelled", "labelled"):
        remove(store, name)
    space = mashbill.open(store)
    for name in ("relabelled", "labelled", "confident", "scratch"):
        assert space.bill(name).lines
        assert space.check(name)
        assert space.export(name, "cyclonedx")
        assert space.report(name, tmp_path / f"{name}.html").exists()
        assert space.brief(name, tmp_path / "brief")
    assert space.affected(kind="test-double").found
    hop = space.trace("confident", 3)
    assert hop.facts == before.facts
    # The hop that was removed says so, and which sources are behind it.
    (gone,) = [one for one in hop.behind if one.what.startswith("relabelled@1")]
    assert gone.facts["its rows"].startswith("removed on")
    assert {one.what for one in gone.behind} == {"toy texts", "fake teacher"}
    forward = space.trace("rest", 3, forward=True)
    assert any("removed on" in str(one.facts.get("its rows")) for one in forward.behind)
    with pytest.raises(InputError, match="row 5000 is not one"):
        space.trace("relabelled", 5000)


def test_models_without_weights_and_what_they_did_can_be_asked_for(store, tmp_path):
    for name in ("scratch", "classifier", "evaluation"):
        remove(store, name)
    space = mashbill.open(store)
    assert audited(store) == []
    for name in ("scratch", "classifier", "evaluation", "relabelled"):
        assert space.bill(name).lines
        for form in ("cyclonedx", "spdx", "card"):
            assert space.export(name, form)
        assert space.report(name, tmp_path / f"{name}.html").exists()
    assert space.trace("scratch", 1).behind
    acted = space.trace("relabelled", 1).behind
    assert any("its weights" in one.facts for one in acted if one.kind == "model")
    with pytest.raises(RemovedError):
        space["classifier"].load()


def test_a_proof_and_a_checkpoint_of_before_hold_after_it(store):
    proof = prove(Store(store), "labelled", 2, Signer.default())
    note = checkpoint.make(store / "ledger.jsonl", Signer.default())
    remove(store, "labelled")
    assert check_proof(proof, Signer.default().keyid).artifact == "labelled@1"
    assert audited(store, checkpoints=[note]) == []


# -- what is forged --------------------------------------------------------------------------------


def entered(root, signer=None, **other):
    """Enter a removal of labelled@1 by hand, with other facts than are so."""
    store = Store(root, signer or Signer.default())
    manifest, commit = store.find("labelled"), store.committed()["labelled@1"]
    files = other.pop("subjects", store.removals().going("labelled@1"))
    facts = {
        "artifact": "labelled@1", "kind": "dataset", "digest": manifest.digest,
        "entry": commit.digest, "reason": "",
    }  # fmt: skip
    store.ledger.append(REMOVE, files, **{**facts, **other})


def gone(root, name="labelled"):
    for path in (root / f"datasets/{name}@1").glob("part-*"):
        path.unlink()


def put_back(root, kept):
    for name, data in kept.items():
        (root / name).write_bytes(data)


def rows_taken_without_an_entry(root):
    gone(root)


def rows_put_back(root):
    folder = root / "datasets/labelled@1"
    kept = {f"datasets/labelled@1/{p.name}": p.read_bytes() for p in folder.glob("part-*")}
    remove(root, "labelled")
    put_back(root, kept)


def other_rows_put_in_their_place(root):
    remove(root, "labelled")
    (root / "datasets/labelled@1/part-00000.parquet").write_bytes(b"others")


def a_file_put_beside_it(root):
    remove(root, "labelled")
    (root / "datasets/labelled@1/part-00099.parquet").write_bytes(b"others")


def manifest_of_it_altered(root):
    remove(root, "labelled")
    path = root / "datasets/labelled@1/manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"rows":', b'"rows": '))


def nodes_of_it_altered(root):
    remove(root, "labelled")
    path = root / "datasets/labelled@1/nodes.parquet"
    table = NodeTable.read(path)
    table.records[0] += 1
    path.write_bytes(table.to_parquet())


def nodes_of_it_gone(root):
    remove(root, "labelled")
    (root / "datasets/labelled@1/nodes.parquet").unlink()


def a_removal_under_a_key_of_nobody(root):
    stranger = Signer(Ed25519PrivateKey.generate())
    ledger = Ledger(root / "ledger.jsonl", stranger)
    ledger.check_may_append = lambda: None
    store = Store(root)
    ledger.append(
        REMOVE,
        store.removals().going("labelled@1"),
        artifact="labelled@1",
        kind="dataset",
        digest=store.find("labelled").digest,
        entry=store.committed()["labelled@1"].digest,
        reason="",
    )
    gone(root)


def a_removal_of_what_does_not_exist(root):
    entered(root, artifact="nothing@1")


def a_removal_of_no_address(root):
    entered(root, artifact="../labelled@1")


def two_removals(root):
    remove(root, "labelled")
    entered(root)


def a_removal_of_another_content(root):
    entered(root, digest="0" * 64)
    gone(root)


def a_removal_that_names_another_entry(root):
    entered(root, entry="0" * 64)
    gone(root)


def a_removal_that_takes_the_nodes_too(root):
    files = Store(root).removals().going("labelled@1")
    file = "datasets/labelled@1/nodes.parquet"
    entered(root, subjects={**files, file: Store(root).find("labelled").nodes.sha256})
    gone(root)


def a_removal_that_leaves_a_part_out(root):
    files = Store(root).removals().going("labelled@1")
    entered(root, subjects=dict(list(files.items())[1:]))
    gone(root)


def a_reason_that_is_no_text(root):
    entered(root, reason=["because"])
    gone(root)


def a_forged_reason(root):
    remove(root, "labelled", "a person asked for it")
    path = root / "ledger.jsonl"
    *lines, last, _ = path.read_bytes().split(b"\n")
    envelope = json.loads(last)
    said = base64.b64decode(envelope["payload"]).replace(b"a person asked", b"nobody asked it")
    envelope["payload"] = base64.b64encode(said).decode()
    path.write_bytes(b"\n".join([*lines, canonical(envelope), b""]))


def a_removal_under_the_type_of_other_entries(root):
    remove(root, "labelled")
    path = root / "ledger.jsonl"
    *lines, last, _ = path.read_bytes().split(b"\n")
    statement = json.loads(base64.b64decode(json.loads(last)["payload"]))
    statement["predicateType"] = "urn:mashbill:entry:v1"
    path.write_bytes(b"\n".join([*lines, Signer.default().seal(statement), b""]))


TAMPERED = [
    (rows_taken_without_an_entry, "part-00000.parquet", "is not there"),
    (rows_put_back, "part-00000.parquet", "removed it: it was put back, or the removal was cut"),
    (other_rows_put_in_their_place, "part-00000.parquet", "removed it: it was put back"),
    (a_file_put_beside_it, "part-00099.parquet", "no entry of the ledger speaks of this file"),
    (manifest_of_it_altered, "manifest.json", "has SHA-256"),
    (nodes_of_it_altered, "nodes.parquet", "has SHA-256"),
    (nodes_of_it_gone, "nodes.parquet", "is not there"),
    (a_removal_under_a_key_of_nobody, "ledger.jsonl", "which no signer of this ledger declared"),
    (a_removal_under_a_key_of_nobody, "part-00000.parquet", "is not there"),
    (a_removal_of_what_does_not_exist, "ledger.jsonl", "which no entry before it commits"),
    (a_removal_of_no_address, "ledger.jsonl", "which is no artifact's address"),
    (two_removals, "ledger.jsonl", "removed already"),
    (a_removal_of_another_content, "ledger.jsonl", "names another content than entry"),
    (a_removal_of_another_content, "part-00000.parquet", "is not there"),
    (a_removal_that_names_another_entry, "ledger.jsonl", "names another content than entry"),
    (a_removal_that_takes_the_nodes_too, "ledger.jsonl", "names other files than its rows"),
    (a_removal_that_leaves_a_part_out, "ledger.jsonl", "names other files than its rows"),
    (a_reason_that_is_no_text, "ledger.jsonl", "gives a reason that is no text"),
    (a_forged_reason, "ledger.jsonl", "signature that does not match"),
    (a_removal_under_the_type_of_other_entries, "ledger.jsonl", "is not an in-toto statement"),
]


@pytest.mark.few(8)
@pytest.mark.parametrize(
    ("tamper", "where", "what"), TAMPERED, ids=[f"{t[0].__name__}-{t[1]}" for t in TAMPERED]
)
def test_whatever_is_done_to_a_removal_is_found(store, tamper, where, what):
    tamper(store)
    findings = audited(store)
    assert any(where in found.partition(" (")[0] and what in found for found in findings), findings


def test_a_descendant_that_says_it_rests_on_something_else_is_found_without_the_rows(store):
    """Its parent's rows are gone, and none of its nodes may be one that they could not give."""
    owner = Insider(store)
    table = NodeTable.read(owner.of("confident@1") / "nodes.parquet")
    corpus = NodeTable.read(owner.of("corpus@1") / "nodes.parquet").numbered[0]
    parts = [part for part in table.bodies[table.numbered[0]]["parts"] if part[1] != corpus]
    assert parts
    other = table.add_made([("content", corpus)])
    table.numbered[0] = other
    members = [
        [node, records, tokens]
        for node, records, tokens in zip(table.numbered, table.records, table.tokens, strict=True)
    ]
    table.root = table.add({"type": "dataset", "artifact": "confident@1", "members": members})
    from mashbill.lineage.circuit.nodes import reachable

    keep = reachable(table, [table.root, *table.numbered])
    for node in set(table.bodies) - keep:
        del table.bodies[node]
    owner.nodes("confident@1", table)
    owner.rows("confident@1", lambda rows: rows)
    for shard in range(1, len(owner.manifest("confident@1")["shards"])):
        owner.rows("confident@1", lambda rows: rows, shard=shard)
    for number in range(len(owner.manifest("confident@1")["rejected"])):
        owner.rows("confident@1", lambda rows: rows, shard=number, which="rejected")
    owner.sign()
    remove(store, "relabelled")
    findings = audited(store)
    assert any("follows from no row that its inputs had" in found for found in findings), findings


def test_an_entry_of_a_removal_is_read_again_by_whoever_opens_the_ledger(store):
    removal = remove(store, "labelled", "why")
    again = Store(store).removal(ArtifactRef("labelled", "1"))
    assert again == removal
    assert Ledger(store / "ledger.jsonl").broken is None


def test_what_was_made_again_can_be_removed_again(store, finished, tmp_path):
    shutil.copytree(finished[1].parent, tmp_path / "recipe")
    recipe = tmp_path / "recipe" / finished[1].name
    remove(store, "relabelled")
    with recipe.open("a") as file:
        file.write('\n[stages.few]\nkind = "split"\ninput = "relabelled"\nrange = [0.0, 0.5]\n')
    run_toy(recipe, store)
    assert audited(store) == []
    second = remove(store, "relabelled", "again")
    assert audited(store) == []
    assert Auditor(store).run().removed[0].entry == second.entry
    assert rows_of(Store(store), "few")


def test_what_a_gc_cleared_is_an_entry_that_an_audit_reads(store):
    Store(store, Signer.default()).ledger.append(CLEAR, cleared={})
    result = Auditor(store).run()
    assert not result.findings
    assert not [item for item in result.not_derived if "does not know" in item.what]


def test_a_second_removal_leaves_pages_that_were_written_after_the_first(store, tmp_path):
    reports = store / "reports"
    reports.mkdir(exist_ok=True)
    for path in reports.iterdir():
        path.unlink()
    first = remove(store, "labelled")
    before = datetime.fromisoformat(first.at).timestamp()
    for name, at in (("labelled@1.html", before - 1), ("scratch@1.html", before + 1)):
        (reports / name).write_text("rows")
        os.utime(reports / name, (at, at))
    going = mashbill.open(store, cache=tmp_path / "cache").removing("labelled")
    assert [path.name for path in going.beside] == ["labelled@1.html"]
    assert remove(store, "labelled") == first
    assert [path.name for path in reports.iterdir()] == ["scratch@1.html"]


def test_a_list_and_a_page_say_what_was_removed(store, tmp_path):
    space = mashbill.open(store)
    rejected = next(m for m in space.store().manifests() if m.rejected_rows and m.kind == "dataset")
    page = tmp_path / "p.html"
    write_report(space.store(), space.store().find("scratch"), page)
    assert "Removed, and no longer" not in page.read_text()
    days = {remove(store, name).day for name in ("labelled", str(rejected.ref))}
    day = days.pop()
    told = CliRunner().invoke(app, ["ls", "--store", str(store)]).stdout
    assert told.count(f"removed {day}") == 2
    rows = json.loads(CliRunner().invoke(app, ["ls", "--store", str(store), "--json"]).stdout)
    gone = {row["name"] for row in rows if row["removed_on"] == day}
    assert gone == {"labelled@1", str(rejected.ref)}
    write_report(Store(store), Store(store).find("scratch"), page)
    text = page.read_text()
    assert "Removed, and no longer in the store" in text
    assert f"labelled (rows, {day})" in text
    table = text[text.index("The chain as a table") :]
    assert f", removed {day}</td>" in table
    why = text[text.index("What was rejected, and why") : text.index("Time and cost of each")]
    assert rejected.name in why
    assert f"removed on {day}" in why
