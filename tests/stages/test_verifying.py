"""``verify`` by a verifier: scores, what goes and why, and an audit that scores again."""

from __future__ import annotations

import dataclasses
import json

import pytest
from tests_support import RIGHT, rows_of, run_stages

from mashbill import RecipeError, load_recipe
from mashbill.core.errors import InputError
from mashbill.core.job import Job
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.exports import export
from mashbill.plan import build
from mashbill.report import write_report
from mashbill.run.rederiving import Rederiver

ROWS = [
    {"text": "4", "known": "4", "score": "hers", "by": "toy"},
    {"text": "5", "known": "4", "score": "hers", "by": "toy"},
    {"text": " vier ", "known": "vier", "score": "hers", "by": "toy"},
    {"text": "6", "known": None, "score": "hers", "by": "toy"},
]
STAGES = (
    RIGHT
    + """
reference = "known"
shard_rows = 2
"""
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verifying")
    return run_stages(folder, STAGES, {"answers.jsonl": ROWS}, teachers="")


def test_rows_get_score_and_reason_and_what_is_not_right_goes_with_why(store):
    kept = {row["text"]: row for row in rows_of(store, "right")}
    assert set(kept) == {"4", " vier "}
    assert {row["score"] for row in kept.values()} == {1}
    assert {row["reason"] for row in kept.values()} == {"equal to the reference"}
    assert {row["original_score"] for row in kept.values()} == {"hers"}
    gone = {row["text"]: row for row in rows_of(store, "right", "rejected")}
    assert gone["5"]["score"] == 0
    assert gone["5"]["_reason"] == "score 0.0000, below 0.5: '5' is not '4'"
    assert gone["6"]["score"] is None
    assert gone["6"]["_reason"] == "undecided: there is no reference to compare with"


def test_how_many_were_scored_is_measured(store):
    manifest = store.find("right")
    told = {"scored": 3, "passed": 2, "undecided": 1, "failed": 0}
    assert manifest.measures["scores"] == told


def test_a_verifier_is_a_program_on_the_bill_and_never_a_model(store):
    manifest = store.find("right")
    assert [(i.role, i.channel) for i in manifest.inputs] == [
        ("rows", "content"), ("verifier", "judgement/verifying")
    ]  # fmt: skip
    lines = bill(Circuit.of_artifact(store, manifest))
    line = next(line for line in lines if line.source.what == "program")
    assert (line.source.title, line.source.kind, line.depth) == ("verifier exact 1", "program", 1)
    for pair in judge_all(NodeTable.of(store, manifest)):
        for verdict in pair:
            assert all("verifier" not in step.what for step in verdict.path)


def test_an_audit_scores_again(store):
    told = Auditor(store.root, rederive=Rederiver(store)).run()
    assert told.findings == []
    assert not [item for item in told.not_derived if "right" in item.file]


def test_an_audit_finds_a_score_that_no_verifier_gave(tmp_path, monkeypatch):
    with monkeypatch.context() as lying:
        from mashbill.verifiers import exact

        true = exact.Exact._one
        lying.setattr(exact.Exact, "_one",
                      lambda self, case: exact.Score(1.0, "equal to the reference")
                      if case.output == "5" else true(self, case))  # fmt: skip
        store = run_stages(tmp_path, STAGES, {"answers.jsonl": ROWS}, teachers="")
    told = Auditor(store.root, rederive=Rederiver(store)).run()
    assert any("datasets/right@1" in finding.file for finding in told.findings)


def test_a_report_and_an_export_show_it(store, tmp_path):
    page = write_report(store, store.find("right"), tmp_path / "page.html").read_text()
    assert "verifier exact 1" in page
    assert "verifier" in export(store, store.find("right"), "prov")


def test_labels_of_a_teacher_are_scored_against_what_humans_said(tmp_path):
    moods = ["good", "bad", "plain"]
    words = {"good": "lovely", "bad": "awful", "plain": "table"}
    rows = [{"text": f"a {words[moods[at % 3]]} thing {at}", "mood": moods[at % 3 - at % 2]}
            for at in range(24)]  # fmt: skip
    teacher = '[teachers.t]\nkind = "fake"\nnoise = 0\n' + "".join(
        f'words.{mood} = ["{word}"]\n' for mood, word in words.items()
    )
    stages = """
[verifiers.same]
kind = "exact"
fold = true

[stages.texts]
kind = "corpus"
title = "texts"
origin = "own-dataset"
source = "texts.jsonl"

[stages.labelled]
kind = "label"
input = "texts"
teacher = "t"
prompt = "p.txt"
labels = { good = " good", bad = " bad", plain = " plain" }

[stages.checked]
kind = "verify"
input = "labelled"
by = "same"
column = "label"
reference = "mood"
"""
    files = {"texts.jsonl": rows, "p.txt": "Text: {{ text }} ->"}
    store = run_stages(tmp_path, stages, files, teachers=teacher)
    kept, gone = rows_of(store, "checked"), rows_of(store, "checked", "rejected")
    assert {row["label"] for row in kept} == set(moods)
    assert all(row["label"] == row["mood"] and row["score"] == 1 for row in kept)
    assert gone
    assert all(row["label"] != row["mood"] and row["score"] == 0 for row in gone)
    table = NodeTable.of(store, store.find("checked"))
    told = {line.source.what: line.channels for line in bill(Circuit.of(table))}
    assert set(told) == {"dataset", "model", "program"}


def recipe(folder, text=STAGES):
    (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    path = folder / "r.toml"
    path.write_text(f'[recipe]\nname = "r"\nversion = "1"\n{text}')
    return path


def test_a_plan_and_a_job_have_it(tmp_path):
    loaded = load_recipe(recipe(tmp_path))
    plan = build(loaded)
    assert [(s.title, c, r) for s, c, r in plan.stages[1].adds] == [
        ("verifier exact 1", "judgement/verifying", "verifier")
    ]
    job = Job.of(loaded, "right")
    assert job.verifiers == {"same": loaded.verifiers["same"]}
    assert job.literals["verifiers"] == {
        "same": {"release": "1", "kind": "exact", "trim": True, "fold": False}
    }
    other = load_recipe(recipe(tmp_path, STAGES.replace('"exact"', '"exact"\nfold = true')))
    assert Job.of(other, "right").literals != job.literals


def test_what_is_undecided_stays_where_the_recipe_says_so(tmp_path):
    stages = STAGES.replace("shard_rows = 2", 'undecided = "keep"\nthreshold = 0')
    store = run_stages(tmp_path, stages, {"answers.jsonl": ROWS}, teachers="")
    kept = {row["text"]: row["score"] for row in rows_of(store, "right")}
    assert kept["6"] is None
    assert kept["5"] == 0


def test_what_failed_is_rejected_or_kept_and_never_wrong(tmp_path, monkeypatch):
    from mashbill.verifiers import exact

    monkeypatch.setattr(exact.Exact, "_one", lambda *_: exact.Score.failed("the parser is away"))
    keeping = STAGES.replace("shard_rows = 2", 'failed = "keep"')
    store = run_stages(tmp_path / "keep", keeping, {"answers.jsonl": ROWS}, teachers="")
    assert {row["score"] for row in rows_of(store, "right")} == {None}
    assert {row["reason"] for row in rows_of(store, "right")} == {"failed: the parser is away"}
    with pytest.raises(InputError, match="failed: the parser is away"):
        run_stages(tmp_path / "reject", STAGES, {"answers.jsonl": ROWS}, teachers="")


def test_what_ran_outputs_says_under_which_isolation_and_it_is_counted(tmp_path, monkeypatch):
    from mashbill.verifiers import exact

    true = exact.Exact._one
    under = {"4": "toy box", "5": "toy box", " vier ": "none"}
    monkeypatch.setattr(exact.ExactSpec, "isolates", True)
    monkeypatch.setattr(exact.Exact, "_one", lambda self, case: dataclasses.replace(
        true(self, case), isolation=under.get(case.output, "")))  # fmt: skip
    store = run_stages(tmp_path, STAGES, {"answers.jsonl": ROWS}, teachers="")
    rows = rows_of(store, "right") + rows_of(store, "right", "rejected")
    assert {row["text"]: row["isolation"] for row in rows} == {**under, "6": None}
    assert store.find("right").measures["isolation"] == {"toy box": 2, "none": 1}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "exact"', 'kind = "exat"', "kind 'exat' is not one of code, "),
        ('kind = "exact"', 'kind = "exat"', "did you mean 'exact'"),
        ('by = "same"', 'by = "smae"', "which is no [verifiers.*] table; did you mean 'same'"),
        ('by = "same"', "", "name who scores: by"),
        ('by = "same"', 'by = "same"\nteacher = "t"', "teacher is for a teacher: leave it out"),
        ('reference = "known"', "", "compares with what is known to be right"),
        ('reference = "known"', 'reference = "text"', "each row would be held against itself"),
        ("[verifiers.same]", "[verifier.same]", "'verifier' is unknown"),
        ('kind = "exact"', 'kind = "exact"\nfolded = true', "folded"),
    ],
)
def test_a_slip_in_the_recipe_is_told_with_key_and_remedy(tmp_path, old, new, said):
    with pytest.raises(RecipeError) as told:
        load_recipe(recipe(tmp_path, STAGES.replace(old, new)))
    assert said in str(told.value)


def test_a_column_that_is_not_there_is_told_before_anything_runs(tmp_path):
    path = recipe(tmp_path, STAGES.replace('"known"', '"knwon"'))
    with pytest.raises(RecipeError, match="reference = 'knwon' is no column of answers; did you"):
        build(load_recipe(path))
