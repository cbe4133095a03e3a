"""Answers scored by a verifier: what came of each, attempts, seeds, differences and retention."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from typer.testing import CliRunner

from mashbill import Answer, InputError, RecipeError
from mashbill.cli import app
from mashbill.cli.options import out
from mashbill.cli.show_evaluation import print_evaluations
from mashbill.core.attempts import pass_at
from mashbill.core.evaluation import evaluation_of
from mashbill.evals.comparing import compared, retained
from mashbill.evals.measured import Measured, mean_of
from mashbill.evals.remarks import remarks
from mashbill.report import write_report
from mashbill.teachers.fake import FakeTeacher

NAN = float("nan")
SUMS = [
    {"text": f"{a} + {b}", "answer": str(a + b), "level": "large" if a > 5 else "small",
     "topic": f"t{a // 2}"}
    for a in range(12) for b in range(5)
]  # fmt: skip
TASKS = """
[stages.tasks]
kind = "corpus"
title = "sums"
source = "sums.jsonl"
columns = ["answer", "level", "topic"]

[verifiers.same]
kind = "exact"
"""


def teacher(name):
    return f'\n[teachers.{name}]\nkind = "fake"\nname = "{name}"\nwords.x = ["x"]\n'


def answers(name, by, keys=""):
    return f'\n[stages.{name}]\nkind = "generate"\ninput = "tasks"\nteacher = "{by}"\n{keys}\n'


def knowing(monkeypatch, known):
    """Let each fake teacher answer by its function of a sum's two numbers and the sample."""

    def one(self, question):
        a, b = map(int, question.body.split(" + "))
        said = known[self.identity["name"]](a, b, question.sample)
        if said is None:
            return Answer((), 1, failed="it was not there")
        return Answer((), 2, said, finish="stop")

    monkeypatch.setattr(FakeTeacher, "_one", one)


RIGHT = {
    "strong": lambda a, b, _: str(a + b) if (a + b) % 10 else "0",
    "weak": lambda a, b, _: str(a + b) if a % 3 else "no idea",
    "seed0": lambda a, b, _: str(a + b) if b % 2 else "no idea",
    "seed1": lambda a, b, _: str(a + b) if (b + a) % 2 else "no idea",
    "mute": lambda a, b, _: None if a > 1 else str(a + b),
    "sampling": lambda a, b, sample: str(a + b) if sample < a % 4 else "no",
}
EVALUATE = """
[stages.evaluation]
kind = "evaluate"
input = "tasks"
by = "same"
reference = "answer"
"""


def evaluated(folder, monkeypatch, stages, keys, files=None):
    names = [name for name in RIGHT if f'"{name}"' in stages]
    knowing(monkeypatch, RIGHT)
    return run_stages(
        folder, f"{TASKS}{stages}{EVALUATE}{keys}", {"sums.jsonl": files or SUMS},
        "".join(map(teacher, names)),
    )  # fmt: skip


def test_answers_are_scored_compared_and_told(tmp_path, monkeypatch):
    stages = answers("a", "strong") + answers("b", "weak")
    keys = (
        'systems = { student = "b", teacher = "a" }\ncompare = [["student", "teacher"]]\n'
        'retention = [["student", "teacher"]]\nlevel = "level"\n'
    )
    store = evaluated(tmp_path, monkeypatch, stages, keys)
    measures = store.find("evaluation").measures
    rows = rows_of(store, "evaluation")
    assert measures["metric"] == "score"
    assert measures["by"] == "same (exact 1)"
    for name, known in (("teacher", RIGHT["strong"]), ("student", RIGHT["weak"])):
        right = [known(*map(int, row["text"].split(" + ")), 0) == row["answer"] for row in rows]
        told = measures["systems"][name]
        assert told["score"] == pytest.approx(np.mean(right))
        assert [row[name] for row in rows] == [float(one) for one in right]
        assert told["low"] < told["score"] < told["high"]
        assert told["came"] == {"scored": 60}
        assert told["at_least"] == told["at_most"] == pytest.approx(told["score"])
        large = [one for one, row in zip(right, rows, strict=True) if row["level"] == "large"]
        assert told["levels"]["large"]["score"] == pytest.approx(np.mean(large))
        assert told["levels"]["large"]["rows"] == len(large)
        assert "pass_at" not in told
    (pair,) = measures["compare"]
    scores = np.array([[row["student"], row["teacher"]] for row in rows])
    assert pair["difference"] == pytest.approx(np.diff(scores[:, ::-1]).mean())
    assert pair["wins"] + pair["losses"] + pair["ties"] == 60
    assert pair["test"] == "exact sign test"
    assert pair["p_corrected"] is None
    (kept,) = measures["retention"]
    assert kept["ratio"] == pytest.approx(scores[:, 0].sum() / scores[:, 1].sum())
    assert kept["low"] < kept["ratio"] < kept["high"]
    html = write_report(store, store.find("evaluation"), tmp_path / "page.html").read_text()
    assert "student has 0." in html
    assert "Mean score on" in html
    done = CliRunner().invoke(
        app, ["run", str(tmp_path / "some.toml"), "--store", str(store.root), "--full"],
        env={"COLUMNS": "200"},
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "Mean score by same (exact 1) on 60 held-out rows" in said
    assert "student - teacher: -0." in said
    assert "student, by level: large" in said


def test_what_was_not_answered_is_apart_with_bounds_or_wrong_if_that_is_said(tmp_path, monkeypatch):
    stages = answers("a", "strong") + answers("b", "mute")
    keys = 'systems = { all = "a", some = "b" }\ncompare = [["some", "all"]]\n'
    store = evaluated(tmp_path / "apart", monkeypatch, stages, keys)
    measures = store.find("evaluation").measures
    told = measures["systems"]["some"]
    assert told["came"] == {"scored": 10, "unanswered": 50}
    assert told["score"] == 1.0
    assert told["low"] < 0.9
    assert told["rows"] == 10
    assert told["at_least"] == pytest.approx(10 / 60)
    assert told["at_most"] == 1.0
    assert measures["compare"][0]["unpaired"] == 50
    said = " ".join(one.text for one in remarks(evaluation_of(measures)))
    assert "50 unanswered, which have no score: it lies between 0.167 and 1.000" in said
    assert "rows without an answer were rejected before: " in said
    assert "it was not there" in said
    by_row = {row["text"]: row for row in rows_of(store, "evaluation")}
    assert by_row["9 + 1"]["some"] is None
    assert by_row["9 + 1"]["some_came"] == "unanswered"
    wrong = evaluated(tmp_path / "wrong", monkeypatch, stages, f'{keys}unanswered = "wrong"\n')
    told = wrong.find("evaluation").measures["systems"]["some"]
    assert told["score"] == pytest.approx(10 / 60)
    assert "rows" not in told


@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_or_two_promise_nothing(rows, tmp_path, monkeypatch):
    stages = answers("a", "strong") + answers("b", "weak")
    keys = 'systems = { one = "b", two = "a" }\ncompare = [["one", "two"]]\n'
    store = evaluated(tmp_path, monkeypatch, stages, keys, SUMS[1 : 1 + rows])
    measures = store.find("evaluation").measures
    told = measures["systems"]["two"]
    assert told["score"] == 1.0
    assert told["low"] < 0.4
    pair = measures["compare"][0]
    assert pair["p"] >= 0.5
    assert remarks(evaluation_of(measures))
    write_report(store, store.find("evaluation"), tmp_path / "page.html")


def test_all_undecided_has_no_score_and_is_said_so(tmp_path, monkeypatch):
    rows = [{**row, "answer": None} for row in SUMS]
    stages = answers("a", "strong") + answers("b", "weak")
    keys = (
        'systems = { one = "b", two = "a" }\ncompare = [["one", "two"]]\n'
        'retention = [["one", "two"]]\n'
    )
    store = evaluated(tmp_path, monkeypatch, stages, keys, rows)
    measures = store.find("evaluation").measures
    told = measures["systems"]["one"]
    assert told["score"] is None
    assert told["came"] == {"scored": 0, "undecided": 60}
    assert (told["at_least"], told["at_most"]) == (0.0, 1.0)
    assert measures["compare"][0]["difference"] is None
    assert measures["retention"][0]["why"] == "no row has a score of both"
    found = evaluation_of(measures)
    said = {one.system: one.text for one in remarks(found)}
    assert said["one"] == "has no score at all: 60 undecided"
    assert "cannot be compared" in said["one - two"]
    with out.capture() as caught:
        print_evaluations({"evaluation": found})
    assert "not compared" in caught.get()
    html = write_report(store, store.find("evaluation"), tmp_path / "page.html").read_text()
    assert "has no score at all" in html


def test_several_answers_to_a_row_are_attempts(tmp_path, monkeypatch):
    stages = answers("a", "sampling", "samples = 4")
    store = evaluated(tmp_path, monkeypatch, stages, 'systems = { s = "a" }\npass_at = [1, 2, 4]\n')
    told = store.find("evaluation").measures["systems"]["s"]
    groups = [row["text"].split(" + ")[0] for row in rows_of(store, "evaluation")]
    right = [int(a) % 4 for a in groups]
    for k in (1, 2, 4):
        expected = np.mean([pass_at(4, each, k) for each in right])
        assert told["pass_at"][str(k)]["estimate"] == pytest.approx(expected)
    assert told["score"] == pytest.approx(np.mean(right) / 4)
    by_row = {row["text"]: row for row in rows_of(store, "evaluation")}
    assert by_row["3 + 1"]["s"] == 0.75


def test_rows_that_belong_together_widen_intervals(tmp_path, monkeypatch):
    stages = answers("a", "weak")
    keys = 'systems = { s = "a" }\n'
    alone = evaluated(tmp_path / "a", monkeypatch, stages, keys)
    together = evaluated(tmp_path / "b", monkeypatch, stages, f'{keys}group = ["topic"]\n')
    one, other = (store.find("evaluation").measures["systems"]["s"] for store in (alone, together))
    assert one["score"] == other["score"]
    assert other["high"] - other["low"] > one["high"] - one["low"]
    assert other["pass_at"]["1"]["groups"] == 6


def test_seeds_of_one_system_have_their_spread(tmp_path, monkeypatch):
    stages = answers("a", "seed0") + answers("b", "seed1") + answers("c", "strong")
    keys = (
        'systems = { student = ["a", "b"], teacher = "c" }\n'
        'compare = [["student", "teacher"]]\nretention = [["student", "teacher"]]\n'
    )
    store = evaluated(tmp_path, monkeypatch, stages, keys)
    measures = store.find("evaluation").measures
    told = measures["systems"]["student"]
    rows = rows_of(store, "evaluation")
    means = [np.mean([row[f"student_{n}"] for row in rows]) for n in (1, 2)]
    assert told["seeds"]["values"] == pytest.approx(means)
    assert told["score"] == pytest.approx(np.mean(means))
    assert told["seeds"]["sd"] == pytest.approx(np.std(means, ddof=1))
    assert told["came"] == {"scored": 120}
    assert measures["retention"][0]["ratio"] < 1
    found = evaluation_of(measures)
    assert "two seeds say little" in " ".join(one.text for one in remarks(found))
    with out.capture() as caught:
        print_evaluations({"evaluation": found})
    assert "sd over seeds" in caught.get()


def test_three_systems_are_corrected_for_all_comparisons(tmp_path, monkeypatch):
    stages = answers("a", "strong") + answers("b", "weak") + answers("c", "seed0")
    keys = (
        'systems = { a = "a", b = "b", c = "c" }\ncompare = [["a", "b"], ["a", "c"], ["b", "c"]]\n'
    )
    store = evaluated(tmp_path, monkeypatch, stages, keys)
    pairs = store.find("evaluation").measures["compare"]
    assert all(pair["p_corrected"] >= pair["p"] for pair in pairs)
    least = min(pairs, key=lambda pair: pair["p"])
    assert least["p_corrected"] == pytest.approx(min(3 * least["p"], 1))


def test_answers_over_several_steps_are_held_to_their_rows(tmp_path, monkeypatch):
    verify = '\n[stages.good]\nkind = "verify"\ninput = "a"\nby = "same"\nreference = "answer"\n'
    stages = answers("a", "weak", 'keep = ["answer"]') + verify
    keys = 'systems = { all = "a", good = "good" }\ncompare = [["good", "all"]]\n'
    store = evaluated(tmp_path, monkeypatch, stages, keys)
    told = store.find("evaluation").measures["systems"]
    assert told["good"]["score"] == 1.0
    assert told["good"]["came"]["unanswered"] == told["all"]["came"]["scored"] - 40
    rows = rows_of(store, "evaluation")
    assert all(row["all"] == 1.0 for row in rows if row["good"] == 1.0)


OTHER = """
[stages.others]
kind = "corpus"
title = "others"
source = "others.jsonl"

[stages.b]
kind = "generate"
input = "others"
teacher = "strong"
"""


def test_answers_to_other_rows_are_refused(tmp_path, monkeypatch):
    knowing(monkeypatch, RIGHT)
    files = {"sums.jsonl": SUMS, "others.jsonl": SUMS[:60]}
    with pytest.raises(InputError, match="b is not made of the rows of tasks, row for row"):
        run_stages(
            tmp_path, f'{TASKS}{OTHER}{EVALUATE}systems = {{ s = "b" }}\n', files,
            teacher("strong"),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('systems = { s = "a" }\nretention = [["s", "t"]]', "retention names 't'"),
        ("systems = { s = [] }", "names no stage"),
        ('systems = { s = ["a", "a"] }', "or one twice"),
        ("", "name systems"),
        ('systems = { s = "a" }\nagainst = ["a"]', "contamination = true"),
        ('systems = { s = "a" }\npass_at = [0]', "pass_at lists"),
        ('systems = { s = "a" }\nmax_tokens = 3', "max_tokens is for models"),
        ('systems = { s = "a" }\nlevel = "nothing"', "level = 'nothing' is no column of tasks"),
        ('systems = { s = "a" }\ncolumn = "nothing"', "column = 'nothing' is no column of a"),
        ('systems = { "_id" = "a" }', "no name of a system"),
    ],
)
def test_keys_that_make_no_sense_are_told(keys, said, tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match=said):
        evaluated(tmp_path, monkeypatch, answers("a", "strong"), f"{keys}\n")


def test_a_rebuild_renames_seeds_and_leaves_out_what_is_gone():
    from mashbill.evals.evaluate import EvaluateSpec

    table = {
        "kind": "evaluate", "input": "rows",
        "systems": {"a": ["x", "y"], "b": "z", "c": ["z"]},
        "compare": [["a", "b"]], "retention": [["a", "c"]],
    }  # fmt: skip
    new = EvaluateSpec.renamed(table, {"x": "x2", "z": None, "rows": "rows2"})
    assert new["systems"] == {"a": ["x2", "y"]}
    assert new["input"] == "rows2"
    assert "compare" not in new
    assert "retention" not in new


def test_old_literals_are_what_they_were():
    from mashbill.evals.evaluate import EvaluateSpec

    spec = EvaluateSpec(input="rows", systems={"a": "b"}, compare=(("a", "a"),))
    assert spec.model_dump(mode="json") == {
        "kind": "evaluate", "input": "rows", "systems": {"a": "b"}, "compare": [["a", "a"]],
        "version": None, "shard_rows": 4096,
    }  # fmt: skip


SCORES = st.floats(0, 1) | st.just(NAN)


@st.composite
def systems(draw):
    rows = draw(st.integers(1, 12))
    seeds = st.integers(1, 3)
    one = [[draw(SCORES) for _ in range(rows)] for _ in range(draw(seeds))]
    other = [[draw(SCORES) for _ in range(rows)] for _ in range(draw(seeds))]
    units = draw(st.none() | st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    return np.array(one), np.array(other), None if units is None else np.array(units)


@law(60)
@given(systems())
def test_whatever_was_scored_is_told_as_json_and_within_bounds(made):
    one, other, units = made
    if units is not None:
        units = np.unique(units, return_inverse=True)[1]
    both = {"a": Measured(one), "b": Measured(other)}
    (pair,) = compared(both, [("a", "b")], 0, units)
    (kept,) = retained(both, [("a", "b")], 0.0, 0, units)
    mean = mean_of(both["a"], 0, units)
    json.dumps([pair, kept, mean.as_json("score")], allow_nan=False)
    if mean.rows:
        assert -1e-9 <= mean.value <= 1 + 1e-9
        if not math.isnan(mean.low):
            assert mean.low <= mean.high
        known = ~np.isnan(one).any(axis=0)
        assert mean.value == pytest.approx(one[:, known].mean())
    if pair["low"] is not None:
        assert pair["low"] <= pair["high"]
        assert 0 <= pair["p"] <= 1
    assert (kept["ratio"] is None) == bool(kept["why"])


JUDGED = """
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "by"

[stages.answers]
kind = "split"
input = "got"
range = [0.0, 1.0]

[verifiers.good]
kind = "rubric"
[verifiers.good.parts.short]
kind = "form"
max_words = 4
gate = 1.0
[verifiers.good.parts.fine]
kind = "judge"
teachers = ["a"]
prompt = "rubric.txt"
columns = ["prompt"]
accepts = "it is a toy, which looks for words"

[stages.evaluation]
kind = "evaluate"
input = "got"
by = "good"
systems.s = "answers"
"""
SAID = [
    {"prompt": f"Say something of {thing}.", "text": text, "by": "x"}
    for thing, text in (
        ("trains", "a dull awful train"), ("nights", None), ("rivers", "a lovely warm kind river"),
        ("days", "a superb day"), ("films", "a kind film"),
    )
]  # fmt: skip


def test_a_rubric_whose_judge_is_a_teacher_is_asked_and_stands_on_the_bill(tmp_path):
    judge = (
        '[teachers.a]\nkind = "fake"\nname = "Judge a"\nwords.no = ["is", "awful", "dull"]\n'
        'words.yes = ["lovely", "bright", "kind", "superb", "warm"]\n'
    )
    rubric = "Q: {{ prompt }}\nOutput: {{ output }}\nIs it good? answer:"
    store = run_stages(tmp_path, JUDGED, {"got.jsonl": SAID, "rubric.txt": rubric}, judge)
    measures = store.find("evaluation").measures
    rows = {row["prompt"]: row for row in rows_of(store, "evaluation")}
    assert rows["Say something of days."]["s"] > rows["Say something of trains."]["s"]
    assert sum(measures["systems"]["s"]["came"].values()) == len(rows)
    assert "controls" in measures
    done = CliRunner().invoke(app, ["bill", "evaluation", "--store", str(store.root)])
    assert "Judge a" in done.output
    assert CliRunner().invoke(app, ["audit", "--deep", "--store", str(store.root)]).exit_code == 0


@pytest.mark.parametrize("cell", [None, "", "  "])
def test_an_answer_that_is_not_there_is_missing_and_never_0(cell, tmp_path):
    stages = """
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "by"

[stages.answers]
kind = "split"
input = "got"
range = [0.0, 1.0]

[verifiers.same]
kind = "exact"

[stages.evaluation]
kind = "evaluate"
input = "got"
by = "same"
column = "said"
reference = "known"
systems.s = "answers"
"""
    rows = [
        {"text": f"row {n}", "said": said, "known": "a", "by": "x"}
        for n, said in enumerate(["a", "b", cell])
    ]
    store = run_stages(tmp_path, stages, {"got.jsonl": rows})
    told = store.find("evaluation").measures["systems"]["s"]
    # A text of nothing is an answer, as it is to verify; where there is no text there is none.
    assert told["score"] == pytest.approx(0.5 if cell is None else 1 / 3)
    assert ("missing" in told["came"]) == (cell is None)
    assert sum(told["came"].values()) == 3


def test_seeds_are_read_by_audits_removals_and_rebuilds(tmp_path, monkeypatch):
    stages = "".join(answers(name, by) for name, by in zip("abcde", [*RIGHT][:5], strict=True))
    keys = 'systems = { five = ["e", "b", "c", "d"], one = "a" }\ncompare = [["five", "one"]]\n'
    store = evaluated(tmp_path, monkeypatch, stages, keys)
    told = store.find("evaluation").measures["systems"]["five"]["seeds"]
    assert told["seeds"] == 4
    assert told["low"] < told["mean"] < told["high"]
    at = ["--store", str(store.root)]
    for command in (["audit", "--deep"], ["affected", "--kind", "test-double"]):
        done = CliRunner().invoke(app, [*command, *at])
        assert done.exit_code in (0, 1), done.output
        assert "come out otherwise" not in done.output
    assert "five" in CliRunner().invoke(app, ["affected", "--kind", "test-double", *at]).output
    done = CliRunner().invoke(
        app, ["rebuild", str(tmp_path / "some.toml"), "--kind", "test-double", *at,
              "--to", str(tmp_path / "new" / "recipe.toml")],
    )  # fmt: skip
    assert "Traceback" not in done.output


def test_programs_are_run_in_isolation_and_it_is_told_under_which(tmp_path):
    stages = """
[stages.got]
kind = "import"
title = "got"
source = "got.jsonl"
generator = "by"

[stages.answers]
kind = "split"
input = "got"
range = [0.0, 1.0]

[verifiers.runs]
kind = "code"
tests = "tests"

[stages.evaluation]
kind = "evaluate"
input = "got"
by = "runs"
systems.s = "answers"
"""
    tests = {"function": "f", "calls": [{"args": [1], "expected": 2}]}
    rows = [{"text": f"def f(x):\n    return x + {n}\n", "tests": tests, "by": "x"} for n in (1, 2)]
    store = run_stages(tmp_path, stages, {"got.jsonl": rows})
    told = store.find("evaluation").measures["systems"]["s"]
    assert told["score"] == 0.5
    assert sum(told["isolation"].values()) == 2
