"""How often one system is preferred to another, and what form answers have beside their scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests_laws import law
from tests_support import run_stages
from typer.testing import CliRunner

from mashbill import Answer
from mashbill.cli import app
from mashbill.core.evaluation import evaluation_of
from mashbill.evals.comparing import compared, win_rate
from mashbill.evals.form import Form, says_again
from mashbill.evals.measured import Measured
from mashbill.evals.remarks import remarks
from mashbill.report import write_report
from mashbill.report.scores import difference, scores
from mashbill.report.scores import win_rate as win_rate_told
from mashbill.teachers.fake import FakeTeacher

stats = pytest.importorskip("scipy.stats")
NAN = float("nan")
SCORES = st.sampled_from([0.0, 0.1, 0.2, 0.30000000000000004, 0.3, 0.7, 1.0, NAN])


@st.composite
def systems(draw):
    """Scores of two systems, under one to three seeds each, on the same rows."""
    rows = draw(st.integers(1, 30))
    shapes = [(draw(st.integers(1, 3)), rows) for _ in range(2)]
    return tuple(draw(arrays(np.float64, shape, elements=SCORES)) for shape in shapes)


def by_hand(one, other):
    """Return the share of rows, under all pairs of seeds, that one wins; rounding is no win."""
    known = [
        row for row in range(one.shape[1])
        if not np.isnan(one[:, row]).any() and not np.isnan(other[:, row]).any()
    ]  # fmt: skip
    both = [(i, j) for i in range(len(one)) for j in range(len(other))]
    if len(one) == len(other):
        both = [(i, i) for i in range(len(one))]
    won = [
        0.5 if abs(one[i, row] - other[j, row]) < 1e-9 else float(one[i, row] > other[j, row])
        for row in known for i, j in both
    ]  # fmt: skip
    return np.mean(won) if won else None


@law(100)
@given(systems())
@example((np.array([[0.30000000000000004]]), np.array([[0.3]])))
@example((np.array([[NAN, 1.0]]), np.array([[0.0, 0.0]])))
@example((np.array([[NAN]]), np.array([[0.0]])))
def test_a_win_rate_is_the_share_of_rows_that_are_won_with_ties_as_halves(both):
    one, other = (Measured(values) for values in both)
    told, back = win_rate(one, other, 0, None), win_rate(other, one, 0, None)
    expected = by_hand(*both)
    if expected is None:
        assert told == back == {"win_rate": None, "win_low": None, "win_high": None}
        return
    assert told["win_rate"] == pytest.approx(expected)
    assert told["win_rate"] + back["win_rate"] == pytest.approx(1)
    if told["win_low"] is not None:
        assert 0 <= told["win_low"] <= told["win_rate"] + 1e-12
        assert told["win_rate"] - 1e-12 <= told["win_high"] <= 1


@law(40)
@given(st.integers(0, 60), st.integers(1, 60))
def test_without_ties_its_interval_is_scipys(wins, losses):
    count = wins + losses
    one = Measured(np.array([[1.0] * wins + [0.0] * losses]))
    other = Measured(np.full((1, count), 0.5))
    told = win_rate(one, other, 0, None)
    expected = stats.binomtest(wins, count).proportion_ci(method="wilson")
    assert (told["win_low"], told["win_high"]) == pytest.approx((expected.low, expected.high))


def test_rows_that_belong_together_are_no_more_than_they_are():
    values = np.array([[1.0] * 45 + [0.0] * 15])
    one, other = Measured(values), Measured(np.full_like(values, 0.5))
    alone = win_rate(one, other, 0, None)
    together = win_rate(one, other, 0, np.arange(60) // 5)
    assert together["win_rate"] == alone["win_rate"] == 0.75
    assert together["win_high"] - together["win_low"] > alone["win_high"] - alone["win_low"]


def test_it_is_told_where_a_verifier_scores_and_not_where_texts_are_weighed():
    pair = {name: Measured(np.array([[0.2, 0.9, 0.4]])) for name in ("a", "b")}
    assert "win_rate" not in compared(pair, [("a", "b")], 0, None)[0]
    (told,) = compared(pair, [("a", "b")], 0, None, with_wins=True)
    assert told["win_rate"] == 0.5
    assert "win rate 0.500" in difference(told)
    assert "win rate" not in difference({**told, "win_rate": "most"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", False),
        ("no " * 19, False),  # 56 characters are too few to tell
        ("no " * 30, True),
        ("A fine film. " + "at the risk of putting Wang " * 3, True),
        ("A fine film. " + "at the risk of putting Wang " * 3 + "at", True),
        ("很好看" * 20, True),
        ("no " * 30 + "and then it ends as a sentence does, with another word.", False),
        ("A sentence of seventy characters that says one thing after the other, once.", False),
        ("7" * 61 + "  \n", True),
    ],
)
def test_a_text_says_a_thing_again_where_its_end_is_nothing_else(text, says):
    assert says_again(text) is says


def test_the_form_of_no_answers_is_not_told():
    form = Form()
    form.add(["", "  \n"])
    assert form.as_json() == {}
    form.add(["four", "no " * 30])
    assert form.as_json() == {"characters": 47.0, "repeating": 0.5}


TASKS = """
[stages.tasks]
kind = "corpus"
title = "questions"
source = "tasks.jsonl"
columns = ["answer"]

[verifiers.same]
kind = "exact"

[stages.by-a]
kind = "generate"
input = "tasks"
teacher = "long"

[stages.by-b]
kind = "generate"
input = "tasks"
teacher = "short"

[stages.evaluation]
kind = "evaluate"
input = "tasks"
by = "same"
reference = "answer"
systems = { long = "by-a", short = "by-b" }
compare = [["short", "long"]]
"""
TEACHERS = "".join(
    f'\n[teachers.{name}]\nkind = "fake"\nname = "{name}"\nwords.x = ["x"]\n'
    for name in ("long", "short")
)


def test_an_evaluation_tells_who_wins_and_what_answers_look_like(tmp_path, monkeypatch):
    def one(self, question):
        number = int(question.body.split()[-1])
        said = "yes " * 40 if self._spec.name == "long" and number % 4 else "yes"
        return Answer((), 2, said, finish="stop")

    monkeypatch.setattr(FakeTeacher, "_one", one)
    rows = [{"text": f"question {number}", "answer": "yes"} for number in range(40)]
    store = run_stages(tmp_path, TASKS, {"tasks.jsonl": rows}, TEACHERS)
    manifest = store.find("evaluation")
    told = manifest.measures
    assert told["systems"]["short"]["characters"] == 3.0
    assert told["systems"]["short"]["repeating"] == 0.0
    long = told["systems"]["long"]
    assert long["characters"] == pytest.approx((30 * 160 + 10 * 3) / 40)
    assert long["repeating"] == 0.75
    (pair,) = told["compare"]
    assert (pair["wins"], pair["losses"], pair["ties"]) == (30, 0, 10)
    assert pair["win_rate"] == pytest.approx(35 / 40)
    assert pair["win_low"] < 35 / 40 < pair["win_high"]
    found = evaluation_of(told)
    table = scores(found)
    assert table.rows[0][table.head.index("characters")] == "3"
    said = [one.text for one in remarks(found) if one.system == "long"]
    assert "75% of its answers end in a phrase that is said over and over" in said
    page = write_report(store, manifest, tmp_path / "page.html").read_text()
    assert "win rate, ties as halves" in page
    assert f">{win_rate_told(pair)}<" in page
    assert "said over and over" in page
    done = CliRunner().invoke(
        app, ["run", str(tmp_path / "some.toml"), "--store", str(store.root), "--full"],
        env={"COLUMNS": "200"},
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "win rate 0.875" in " ".join(done.output.split())
