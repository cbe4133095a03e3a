"""A model that a stage trained writes: what it wrote has the model's own bill one hop further."""

import datetime as dt
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from tests_insider import Insider
from tests_students import ROWS, STAGES, TEACHERS, run_chain
from tests_support import execute, killed, rows_of

from mashbill import (
    ArtifactRef,
    Channel,
    Decoding,
    DriftError,
    InputError,
    Question,
    Signer,
    Source,
    Store,
    StoreError,
    load_recipe,
)
from mashbill.calls.journal import Journal
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.circuit.contradicted import table_of as contradicted_table
from mashbill.lineage.circuit.nodes import NodeTable, edges
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.evidence.finding import Rederived
from mashbill.lineage.evidence.trace import Tracer
from mashbill.lineage.exports import card, eu_2_5
from mashbill.lineage.exports.account import gather
from mashbill.lineage.exports.trained_here import own_teachers
from mashbill.lineage.whatif.rebuild import rebuild, write_rebuild
from mashbill.lineage.whatif.removal import Selector
from mashbill.models.decoder_writing import DecoderWriting
from mashbill.plan import build
from mashbill.policy.documents import load_registry
from mashbill.report.brief.calls import calls_of
from mashbill.run import reloading
from mashbill.run.asking_again import ask_again
from mashbill.run.executor import Execution
from mashbill.run.rederiving import Rederiver
from mashbill.train.pretrain import PretrainSpec
from mashbill.workspace.artifact import Artifact


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.getbasetemp()
        patch.setenv("MASHBILL_KEY_FILE", str(base / "key.pem"))
        return run_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def copied(chain, tmp_path):
    """A copy of the store and its recipe, to be altered; returns (recipe, root of the store)."""
    shutil.copytree(chain.root.parent, tmp_path / "copy")
    return tmp_path / "copy" / "some.toml", tmp_path / "copy" / "store"


def table(store, name):
    return NodeTable.of(store, store.find(name))


def again(recipe, root):
    store = Store(root, Signer.default())
    plan = build(load_recipe(recipe), store)
    execute(plan, store, Execution(root.parent / "cache", threads=1))
    return store


# What it wrote, and what stands behind it.


def test_the_model_is_an_input_and_no_source(chain):
    manifest = chain.find("written")
    model = chain.find("scratch")
    (item,) = [item for item in manifest.inputs if item.role == "actor"]
    assert (item.name, item.digest, item.channel) == ("scratch@1", model.digest, "content")
    assert item.asks == {"kind": "student", "model": "scratch@1", "sha256": model.digest}
    assert not any(item.is_teacher for item in manifest.inputs)
    found = table(chain, "written")
    assert all(
        ("content", model.bill) in [edge[:2] for edge in edges(found.bodies[node])]
        for node in found.numbered
    )
    names = {body["name"] for body in found.bodies.values() if body["type"] == "source"}
    assert names == {"own openings", "Strong (stand-in)"}


def reached(store, name):
    """(source, channels) -> models between, by each route of a bill."""
    return {(line.source.name, line.channels): line.depth for line in bill(table(store, name))}


def test_the_bill_of_what_it_wrote_is_its_own_one_hop_further(chain):
    own = reached(chain, "scratch")
    assert any(name == "Strong (stand-in)" for name, _ in own)
    asked_by = {("own openings", (Channel.PROMPT,)): 1}
    assert reached(chain, "written") == {key: d + 1 for key, d in own.items()} | asked_by


def test_a_student_stands_between_a_closed_model_and_what_is_trained_on_it(chain):
    told = {
        closed.definition.name: (closed.depth, [step.what for step in closed.path])
        for closed, _ in judge_all(table(chain, "second"))
    }
    depth, path = told["B"]
    assert (depth, path[0]) == (2, "scratch@1")
    assert path[-1].startswith("Strong")
    assert told["A"] == (None, [])


def test_a_written_row_is_traced_to_its_call_and_through_the_model(chain):
    journal = Journal.of(chain)
    hop = Tracer(chain, journal).trace("written", 2)
    journal.close()
    met = [(each.kind, each.what) for _, each in hop.walk()]
    assert ("model", "scratch@1") in met
    (call,) = [each for each in hop.behind if each.kind == "call"]
    assert "scratch@1" in str(call.facts["teacher"])
    assert call.facts["wrote"]
    assert any(kind == "source" for kind, _ in met)


def test_its_calls_are_told_as_ones_own(chain):
    manifest, journal = chain.find("second"), Journal.of(chain)
    try:
        asked = calls_of(chain, gather(chain, manifest), journal, load_registry()).asked
    finally:
        journal.close()
    own = next(row for row in asked if row.source == "scratch@1 (trained here)")
    assert own.calls == chain.find("written").rows
    assert own.is_known
    assert {row.source for row in asked} > {own.source}


def test_an_audit_composes_it_again(chain):
    result = Auditor(chain.root, rederive=Rederiver(Store(chain.root))).run()
    assert not result.findings
    assert result.composed >= len(list(chain.manifests())) - 1


# Identity.


CHANGES = {
    "how it writes": ("max_tokens = 8", "max_tokens = 6", "teachers.student.max_tokens"),
    "how many at once": ("batch = 4", "batch = 5", "teachers.student.batch"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_how_it_writes_is_the_identity_of_what_it_wrote_and_not_of_the_model(copied, what):
    recipe, root = copied
    old, new, key = CHANGES[what]
    recipe.write_text(recipe.read_text().replace(old, new))
    with pytest.raises(DriftError, match=f"written@1 is already made.*\n.*{key}"):
        build(load_recipe(recipe), Store(root))


def test_another_model_is_another_input(copied):
    recipe, root = copied
    text = recipe.read_text().replace("steps = 6\n", 'steps = 7\nversion = "2"\n')
    recipe.write_text(text)
    plan = build(load_recipe(recipe), Store(root), supposed=True)
    status = {stage.name: stage.status for stage in plan.stages}
    assert (status["scratch"], status["written"], status["first"]) == ("to do", "to do", "done")
    with pytest.raises(DriftError, match=r"written@1 is already made.*\n.*input scratch") as told:
        again(recipe, root)
    assert "So are marked@1 and second@1" in str(told.value)


def test_a_plan_tells_what_it_will_put_on_the_bill_before_it_is_run(tmp_path, chain):
    recipe = load_recipe(chain.root.parent / "some.toml")
    plan = build(recipe)
    written = next(stage for stage in plan.stages if stage.name == "written")
    assert (written.calls, written.price) == (len(ROWS), 0.0)
    assert written.seconds == pytest.approx(len(ROWS) / PretrainSpec.pace)
    assert written.job.inputs == ("corpus", "scratch")
    told = {closed.definition.name: closed for closed, _ in plan.verdicts()}
    assert (told["B"].depth, told["B"].path[0].what) == (2, "scratch@1")
    # What is planned and what is made differ in weights alone.
    assert set(reached_in(plan.tables["written"])) == set(reached(chain, "written"))


def reached_in(planned):
    return {(line.source.name, line.channels): line.depth for line in bill(planned)}


def test_two_runs_write_the_same(chain, tmp_path):
    other = run_chain(tmp_path / "other")
    for name in ("scratch", "written", "second"):
        first, second = (store.find(name).to_bytes() for store in (chain, other))
        assert first == second, name


def test_a_run_that_is_cut_off_while_it_writes_goes_on(chain, tmp_path, monkeypatch):
    answer, asked = DecoderWriting.answer, []

    def cut_off(self, questions, decoding):
        if all(not question.choices for question in questions) and decoding.max_tokens == 8:
            asked.extend(questions)
            if len(asked) > 12:
                raise KeyboardInterrupt
        return answer(self, questions, decoding)

    monkeypatch.setattr(DecoderWriting, "answer", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run_chain(tmp_path / "cut")
    first = len(asked)
    monkeypatch.setattr(
        DecoderWriting, "answer", lambda *given: asked.extend(given[1]) or answer(*given)
    )
    store = again(tmp_path / "cut" / "some.toml", tmp_path / "cut" / "store")
    assert store.find("written").to_bytes() == chain.find("written").to_bytes()
    # What was answered was not asked again, beside the batch that was cut off.
    told = [question.body for question in asked[first:]]
    assert not set(told) & {question.body for question in asked[:12]}


@pytest.mark.slow
def test_worker_processes_load_it_themselves_and_write_the_same(chain, tmp_path):
    recipe = shutil.copytree(chain.root.parent, tmp_path / "two", ignore=_stores) / "some.toml"
    store = Store(tmp_path / "store", Signer.default())
    how = Execution(tmp_path / "cache", threads=1, workers=2)
    execute(build(load_recipe(recipe), store), store, how)
    assert len(store.find("written").shards) == 3
    for name in ("scratch", "written", "second"):
        assert store.find(name).to_bytes() == chain.find(name).to_bytes(), name


def _stores(_folder, names):
    return [name for name in names if name in {"store", "cache"}]


# What the owner of the key could say else.


def manifest_said(change):
    def forge(insider):
        manifest = insider.manifest("written@1")
        change(manifest, next(item for item in manifest["inputs"] if item["role"] == "actor"))
        insider.put("written@1", manifest)

    return forge


FORGED = {
    "it was not asked": lambda _, item: item.pop("asks"),
    "another model was asked": lambda _, item: item["asks"].update(model="classifier@1"),
    "other weights were asked": lambda _, item: item["asks"].update(sha256="ab" * 32),
    "a service was asked": lambda _, item: item["asks"].update(kind="openai"),
    "it only stood beside": lambda _, item: item.update(role="beside"),
    "it takes no part": lambda manifest, item: manifest["inputs"].remove(item),
    "no student is named": lambda manifest, _: manifest["stage"].update(teachers={}),
    "another student is named": lambda manifest, _: manifest["stage"]["teachers"]["student"].update(
        model="other"
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_is_signed_of_a_student_is_held_to_literals_model_and_journal(copied, what):
    root = copied[1]
    insider = Insider(root)
    manifest_said(FORGED[what])(insider)
    insider.sign()
    result = Auditor(root).run()
    assert any("written@1" in finding.file for finding in result.findings), result.findings


def test_answers_of_a_teacher_do_not_pass_for_a_students(copied):
    """What the closed model judged, said to be the student's: the calls say whose it is."""
    root = copied[1]
    insider = Insider(root)
    marked, written = (insider.manifest(name) for name in ("marked@1", "written@1"))
    (student,) = [item for item in written["inputs"] if item["role"] == "actor"]
    marked["inputs"] = [
        {**student, "channel": item["channel"]} if item["role"] == "teacher" else item
        for item in marked["inputs"]
    ]
    marked["stage"] |= {"teacher": "student", "teachers": written["stage"]["teachers"]}
    insider.put("marked@1", marked)
    insider.sign()
    told = [f.what for f in Auditor(root).run().findings if "marked@1" in f.file]
    assert any("answers of another teacher" in what for what in told), told


def altered_answers(root, many, to="text = 'something else'"):
    """Alter answers of the student in the journal."""
    with closing(sqlite3.connect(root / "calls.sqlite")) as db, db:
        db.execute(
            f"UPDATE calls SET {to} WHERE request IN (SELECT request FROM calls "  # noqa: S608
            "WHERE teacher LIKE '%scratch@1%' ORDER BY request LIMIT ?)",
            [many],
        )


@pytest.mark.parametrize(("many", "is_wrong"), [(24, True), (1, False), (0, None)])
def test_a_deep_audit_asks_the_student_again(copied, many, is_wrong):
    root = copied[1]
    altered_answers(root, many)
    store = Store(root)
    found = Rederived()
    ask_again(store.find("written"), store, found, share=1.0, seed=0, threads=1)
    told = f"{many} of 24 answers of scratch@1 come out otherwise where it is asked again"
    assert [told in what for _, what in found.wrong] == [True] * (is_wrong is True)
    assert [told in what for what in found.not_derived] == [True] * (is_wrong is False)


@pytest.mark.parametrize(
    "to", ["teacher = '[]'", "more = '[1]'", "choices = '[\"a\"]'", "more = '{'"]
)
def test_odd_rows_of_a_journal_stop_no_deep_audit(copied, to):
    root = copied[1]
    altered_answers(root, 24, to)
    found = Rederived()
    ask_again(Store(root).find("written"), Store(root), found, share=1.0, seed=0, threads=1)
    assert len(found.wrong) + len(found.not_derived) <= 1


def test_a_deep_audit_weighs_a_students_choices_again(tmp_path):
    stages = STAGES.partition("[stages.written]")[0] + MOODS
    store = run_chain(tmp_path, stages)
    moods = store.find("moods")
    for altered in (False, True):
        if altered:
            altered_answers(store.root, 9, "logprobs = '[-0.5,-0.9]'")
        found = Rederived()
        ask_again(moods, store, found, share=1.0, seed=0, threads=1)
        assert len(found.wrong) == altered


MOODS = """
[stages.moods]
kind = "label"
input = "corpus"
teacher = "student"
prompt = "mood.txt"
labels = { good = " good", bad = " bad" }
"""


ODD = {
    "keys of a later release": {"beam": 4},
    "keys that are wrong": {"max_tokens": -1, "temperature": "hot"},
    "a model that is no name": {"model": ["scratch"]},
    "no model": {"model": None},
    "a table that is none": "scratch",
}


@pytest.mark.parametrize("what", ODD)
def test_odd_literals_of_a_student_are_told_and_stop_no_audit(copied, what):
    insider = Insider(copied[1])

    def change(manifest, _item):
        table = manifest["stage"]["teachers"]
        odd = ODD[what]
        table["student"] = {**table["student"], **odd} if isinstance(odd, dict) else odd

    manifest_said(change)(insider)
    insider.sign()
    result = Auditor(copied[1], rederive=Rederiver(Store(copied[1]))).run()
    names_the_model = what.startswith("keys")
    assert bool(result.findings) != names_the_model, result.findings
    assert not any("cannot be checked" in finding.what for finding in result.findings)


# The other things that teachers do.


def test_a_student_may_judge(tmp_path):
    stages = (
        STAGES.partition("[stages.marked]")[0]
        + """
[stages.judged]
kind = "generate"
input = "corpus"
teacher = "closed"
prompt = "on.txt"
judge = "student"
judge_prompt = "judge.txt"
threshold = 0.0

[stages.moods]
kind = "label"
input = "corpus"
teacher = "student"
prompt = "mood.txt"
labels = { good = " good", bad = " bad" }
"""
    )
    store = run_chain(tmp_path, stages, **{"judge.txt": "{{ prompt }} {{ text }}"})
    judged = store.find("judged")
    (item,) = [item for item in judged.inputs if item.role == "actor"]
    assert (item.name, item.channel) == ("scratch@1", "judgement/verifying")
    assert [i.channel for i in judged.inputs if i.is_teacher] == ["content"]
    assert all(0 <= row["right"] <= 1 for row in rows_of(store, "judged"))
    assert {row["label"] for row in rows_of(store, "moods")} <= {"good", "bad"}
    assert not Auditor(store.root, rederive=Rederiver(Store(store.root))).run().findings


def test_what_was_rejected_of_a_student_and_comes_back_as_ones_own_has_its_models_bill(tmp_path):
    """Rejected answers are in the journal alone, and whose they are leads to the model's bill."""
    stages = STAGES.partition("[stages.marked]")[0].replace(
        "shard_rows = 8", "max_answer_chars = 25"
    )
    store = run_chain(
        tmp_path,
        stages.replace("keep_cut = true", "keep_cut = true\nsamples = 3").replace("batch = 4", ""),
        TEACHERS.replace("max_tokens = 8", "max_tokens = 24\ntemperature = 1.0"),
    )
    gone = [row["text"] for row in rows_of(store, "written", "rejected") if row["text"]]
    assert len(gone) > 8
    (tmp_path / "gone.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in gone)
    )
    ours = tmp_path / "ours.toml"
    ours.write_text(
        '[recipe]\nname = "ours"\nversion = "1"\n[stages.ours]\nkind = "corpus"\n'
        'title = "ours"\norigin = "own-dataset"\nsource = "gone.jsonl"\n'
    )
    store = again(ours, store.root)
    told = contradicted_table(store, store.find("ours"))
    names = {body["name"] for body in told.bodies.values() if body["type"] == "source"}
    assert "Strong (stand-in)" in names
    assert any(body.get("artifact") == "scratch@1" for body in told.bodies.values())


def test_a_rebuild_takes_a_student_away_with_what_it_was_trained_on(copied):
    recipe, root = copied
    store = Store(root, Signer.default())
    made = rebuild(recipe, store, Selector(kind="closed-api"))
    assert set(made.gone) == {"first", "labelled", "scratch", "written", "marked", "second"}
    assert "teacher student goes" in made.gone["written"]


def test_a_rebuild_with_another_teacher_trains_the_student_anew(copied):
    recipe, root = copied
    closed = TEACHERS.partition("[teachers.student]")[0]
    other = closed.replace("closed]", "open]").replace('"Strong"', '"Open"')
    other = other.replace('source_kind = "closed-api"\n', "")
    text = recipe.read_text().partition("[stages.second]")[0]
    recipe.write_text(text.replace("[teachers.student]", other + "[teachers.student]"))
    store = Store(root, Signer.default())
    going = Selector(kind="closed-api")
    made = rebuild(recipe, store, going, {"closed": "open"})
    assert not made.gone
    assert made.data["teachers"].keys() == {"open", "student"}
    to = recipe.parent / "rebuilt.toml"
    write_rebuild(made, recipe, to, going)
    new = again(to, root)
    written = new.get(ArtifactRef("written", "1-without"))
    sources = NodeTable.of(new, written).bodies.values()
    names = {body["name"] for body in sources if body["type"] == "source"}
    assert names == {"own openings", "Open"}


def test_a_student_whose_files_write_otherwise_is_not_committed(tmp_path, monkeypatch):
    load = PretrainSpec.load

    def other(folder, threads):
        model = load(folder, threads)
        with torch.no_grad():
            model._model.embedding.weight += torch.randn_like(model._model.embedding.weight)
        model.probabilities = lambda texts: np.full((len(texts), 2), 0.5)
        return model

    monkeypatch.setattr(reloading, "_check_labels", lambda *_: None)
    monkeypatch.setattr(PretrainSpec, "load", staticmethod(other))
    with pytest.raises(StoreError, match="writes otherwise than the one it trained"):
        run_chain(tmp_path)
    store = Store(tmp_path / "store")
    assert [m.name for m in store.manifests()] == ["corpus", "first", "labelled"]


def test_a_workspace_gives_the_writer(chain):
    artifact = Artifact(chain, chain.find("scratch"))
    (answer,) = artifact.writer().answer([Question("", ROWS[0]["text"])], Decoding(max_tokens=8))
    assert answer.text == rows_of(chain, "written")[0]["text"]
    with pytest.raises(InputError, match=r"'classifier', which does not write; load\(\) gives it"):
        Artifact(chain, chain.find("second")).writer()


STUDENT = Path(__file__).parents[2] / "recipes" / "student.toml"


def test_the_recipe_that_comes_with_it_says_beforehand_what_its_last_model_is():
    told = {closed.definition.name: closed for closed, _ in build(load_recipe(STUDENT)).verdicts()}
    assert [(told[name].conclusion, told[name].depth) for name in "AB"] == [
        ("none recorded", None),
        ("yes", 2),
    ]


def test_terms_of_what_a_student_learned_from_are_asked_before_it_is_trained():
    recipe = load_recipe(STUDENT)
    competing = recipe.model_copy(
        update={"use": recipe.use.model_copy(update={"competes_with": ("Example AI",)})}
    )
    terms = load_registry([STUDENT.parent / "data" / "example-terms.toml"])
    allowed, denied = (
        build(each).decide(terms, dt.date(2026, 11, 20)) for each in (recipe, competing)
    )
    assert allowed.outcome == "allow"
    assert denied.outcome == "deny"
    assert any("scratch@1" in str(item.as_json()) for item in denied.of("deny"))


def test_answers_that_are_cut_off_are_told_as_any_teachers_are(tmp_path):
    with pytest.raises(
        InputError, match=r"stages\.written: none .* cut off at the teacher's max_t"
    ):
        run_chain(tmp_path, STAGES.replace("keep_cut = true\n", ""))


@pytest.mark.slow
def test_a_run_that_is_killed_while_a_student_writes_makes_the_same(tmp_path):
    folder = shutil.copytree(STUDENT.parent, tmp_path / "recipes")
    text = (folder / "student.toml").read_text()
    begun = text.partition("[stages.written]")[0].replace('result = "second"', 'result = "scratch"')
    begun = begun.replace('"prompts/go_on.txt" = { by = "people" }\n', "")
    (folder / "begun.toml").write_text(begun.replace("steps = 240", "steps = 8"))
    (folder / "student.toml").write_text(
        text.replace("steps = 240", "steps = 8").replace("steps = 120", "steps = 8")
    )
    root = tmp_path / "store"
    again(folder / "begun.toml", root)
    shutil.copytree(root, tmp_path / "whole" / "store")
    whole = again(folder / "student.toml", tmp_path / "whole" / "store")
    killed(folder / "student.toml", root, lambda: any((root / "datasets/written@1").glob("part-*")))
    assert Store(root).get(ArtifactRef("written", "1")) is None
    store = again(folder / "student.toml", root)
    for name in ("written", "sorted", "second"):
        assert store.find(name).to_bytes() == whole.find(name).to_bytes(), name


@pytest.mark.slow
def test_the_recipe_that_comes_with_it_makes_much_of_a_little(tmp_path):
    store = again(STUDENT, tmp_path / "store")
    first, written = store.find("first"), store.find("written")
    assert written.rows > 3 * first.rows
    assert len({row["text"] for row in rows_of(store, "written")}) > 100
    told = {closed.definition.name: closed for closed, _ in judge_all(table(store, "second"))}
    assert (told["B"].depth, told["B"].path[0].what) == (2, "scratch@1")
    assert not Auditor(store.root, rederive=Rederiver(Store(store.root))).run().findings


def test_what_a_student_wrote_of_peoples_texts_is_told_as_machine_made(tmp_path):
    """No source wrote a word of it but people: that a model did stands in the circuit alone."""
    corpus, _, rest = STAGES.partition("[stages.first]")
    rest = rest[rest.index("[stages.labelled]") : rest.index("[stages.marked]")]
    store = run_chain(tmp_path, corpus + rest.replace('input = "first"', 'input = "corpus"'))
    account = gather(store, store.find("written"))
    models = [line for line in account.lines if line.source.what == "model"]
    assert all(Channel.CONTENT not in line.channels for line in models)
    assert own_teachers(account.table) == {"scratch@1": {Channel.CONTENT}}
    text = card.write(account)
    assert 'language_creators:\n  - "machine-generated"' in text
    assert "Models had a part in it: scratch@1 (trained here) and Strong" in text
    assert "scratch@1 made data" in eu_2_5.write(account)


def test_who_wrote_the_prompt_of_a_text_did_not_write_the_text(chain):
    found = own_teachers(table(chain, "second"))
    assert found == {"scratch@1": {Channel.CONTENT}}
    assert own_teachers(table(chain, "first")) == {}
    asked = NodeTable()
    model = asked.add({"type": "model", "artifact": "m@1", "files": "", "members": []})
    prompt = asked.add_made([("content", model)])
    answer = asked.add_made([("prompt", prompt), ("content", asked.add_source(SOURCE))])
    asked.root = asked.add({"type": "dataset", "artifact": "d@1", "members": [[answer, 1, 1]]})
    assert own_teachers(asked) == {"m@1": {Channel.PROMPT}}


SOURCE = Source(name="x", what="model", kind="closed-api", route="api:x")


def test_a_card_says_how_to_have_it_write(chain, capsys):
    text = card.write(gather(chain, chain.find("scratch")))
    _, *parts = text.split("```python\n")
    code = "".join(part.partition("```")[0] for part in parts[:2])
    folder = chain.folder("model", chain.find("scratch").ref)
    exec(code.replace("path/to/this/folder", str(folder)))  # noqa: S102 - the card of our own model
    said, labels, written = capsys.readouterr().out.splitlines()[:3]
    assert said == "['bad', 'bad']"
    assert labels.startswith("('bad', 'good') [[")
    assert written
