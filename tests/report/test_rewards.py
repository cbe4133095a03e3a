"""Rewards on the page and the terminal: figures of all rows, and signs where there are any."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from tests_support import BROWSER, RIGHT, dom_of, run_stages
from typer.testing import CliRunner

from mashbill.cli import app
from mashbill.core.correlating import Correlation, spearman
from mashbill.core.verifier import Score
from mashbill.report import reward_rows as rewarding
from mashbill.report import write_report
from mashbill.report.reward_signs import signs
from mashbill.report.rewards import Part, rewards_behind, rewards_of
from mashbill.verifiers import exact

STAGES = (
    RIGHT
    + """
KEYS

[stages.half]
kind = "split"
input = "right"
range = [0.0, 1.0]
"""
)


def says(monkeypatch):
    """Let the verifier give what an output begins with."""

    def one(_self, case):
        if case.reference is not None:  # a control of the kind
            return Score(float(case.output == case.reference))
        word = case.output.split()[0]
        if word in {"undecided", "failed"}:
            return getattr(Score, word)("so it is")
        return Score(float(word) if word[0].isdigit() else 0.0)

    monkeypatch.setattr(exact.Exact, "_one", one)
    monkeypatch.setattr(exact.ExactSpec, "needs_reference", False)


def rows_with(outputs):
    return [{"prompt": f"p{at // 4}", "text": text, "by": "toy"} for at, text in enumerate(outputs)]


def some_outputs(count=400):
    """Longer ones score higher; some are undecided."""
    rng = random.Random(1)
    found = []
    for at in range(count):
        words = rng.randint(0, 30)
        score = "undecided" if at % 20 == 0 else f"{min(max(words / 30, 0), 1):.2f}"
        found.append(f"{score} {'w ' * words}end")
    return found


def made(folder, keys, outputs):
    files = {"answers.jsonl": rows_with(outputs)}
    return run_stages(folder, STAGES.replace("KEYS", keys), files, teachers="")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        says(patch)
        keys = 'group = ["prompt"]\nbest = 2'
        return made(tmp_path_factory.mktemp("rewards"), keys, some_outputs())


def test_figures_are_those_of_all_rows_kept_and_rejected(store):
    told = rewards_of(store, store.find("right"))
    outputs = some_outputs()
    scores = np.array([float(text.split()[0]) for text in outputs if text[0].isdigit()])
    lengths = np.array([len(text) for text in outputs if text[0].isdigit()], float)
    assert (told.rows, told.scored, told.every) == (400, len(scores), 1)
    assert told.mean == pytest.approx(scores.mean())
    assert sum(told.histogram) == len(scores)
    assert told.histogram == tuple(np.histogram(scores, 20, (0, 1))[0])
    assert told.by_rank == spearman(scores, lengths)
    assert told.in_groups.value > 0.9
    assert sum(share.rows for share in told.lengths) == len(scores)
    assert [share.mean for share in told.lengths] == sorted(share.mean for share in told.lengths)
    assert told.counts["undecided"] == 20
    assert [one.k for one in told.pass_at] == [1, 2, 4]
    assert any("longer outputs score higher" in text for text in signs(told))
    assert rewards_of(store, store.find("answers")) is None


def test_a_result_shows_what_it_rests_on(store):
    (told,) = rewards_behind(store, store.find("half"))
    assert told.name == "right"


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("group", ["", '\ngroup = ["prompt"]'])
def test_no_slicing_changes_a_figure(tmp_path, monkeypatch, rows, group):
    says(monkeypatch)
    outputs = some_outputs(80)
    store = made(tmp_path, f"shard_rows = {rows}{group}", outputs)
    told = rewards_of(store, store.find("right"))
    whole = made(tmp_path / "whole", "", outputs)
    other = rewards_of(whole, whole.find("right"))
    assert (told.histogram, told.lengths, told.counts) == (
        other.histogram, other.lengths, other.counts
    )  # fmt: skip
    assert told.by_rank.value == pytest.approx(other.by_rank.value)
    (one,) = other.pass_at
    assert one.estimate == pytest.approx(other.counts["passed"] / other.counts["scored"])
    assert (one.at_least, one.at_most) == pytest.approx(
        (other.counts["passed"] / 80, (other.counts["passed"] + 4) / 80)
    )
    assert one.estimate == pytest.approx(told.pass_at[0].estimate, abs=0.05)
    assert (told.in_groups is None) == (not group)


def test_of_very_many_rows_whole_prompts_are_looked_at_and_it_is_told(store, monkeypatch):
    whole = rewards_of(store, store.find("right"))
    monkeypatch.setattr(rewarding, "_MOST", 150)
    monkeypatch.setattr(rewarding, "_BATCH", 7)
    told = rewards_of(store, store.find("right"))
    assert (told.every, told.rows) == (3, 400)
    assert 60 <= told.scored <= 200
    assert told.counts == whole.counts
    assert told.pass_at == whole.pass_at
    assert told.in_groups.value == pytest.approx(whole.in_groups.value, abs=0.05)
    rows = rewarding.RewardRows(store.find("right"), 0.5, ())
    groups = rows.read(store.folder("dataset", store.find("right").ref)).column("group")
    assert {count["counts"] for count in groups.value_counts().to_pylist()} == {4}
    page = write_report(store, store.find("right"), store.root / "reports" / "few.html")
    assert "of about one row in 3" in page.read_text()


def test_of_very_many_rows_no_more_row_groups_are_read_than_are_looked_at(tmp_path, monkeypatch):
    says(monkeypatch)
    store = made(tmp_path, "shard_rows = 4", some_outputs(240))
    monkeypatch.setattr(rewarding, "_MOST", 80)
    told = rewards_of(store, store.find("right"))
    assert told.every == 3
    assert 50 <= told.scored <= 110
    assert any("longer outputs score higher" in text for text in signs(told))


LENGTH = {"by_rank": None, "by_line": None, "in_groups": None}


def cor(value, half=0.05):
    return Correlation(value, value - half, value + half, 500)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"by_rank": cor(0.4)}, "longer outputs score higher, +0.40"),
        ({"by_rank": cor(-0.4)}, "shorter outputs score higher, -0.40"),
        ({"by_rank": cor(0.2)}, None),
        ({"by_rank": cor(0.9), "in_groups": cor(0.0)}, None),
        ({"by_rank": cor(0.0), "in_groups": cor(0.5)}, "among attempts at one prompt longer"),
        ({"parts": {"a": Part(500, 1.0, 0.0, None)}}, "a says 1.00 of all 500 outputs"),
        ({"parts": {"a": Part(29, 1.0, 0.0, None)}}, None),
        ({"pairs": {("a", "b"): cor(0.99, 0.005)}}, "a and b say the same, +0.99"),
        ({"pairs": {("a", "b"): cor(0.9)}}, None),
        ({"pairs": {("a", "b"): cor(-0.4)}}, "a and b pull apart, -0.40"),
        ({"pairs": {("a", "b"): None}}, None),
        ({"counts": {"scored": 100, "passed": 99}}, "99 of 100 scored outputs pass: look"),
        ({"counts": {"scored": 100, "passed": 90}}, None),
        ({"counts": {"scored": 100, "passed": 0}}, "none of 100 scored outputs passes"),
        ({"counts": {"scored": 10, "passed": 10}}, None),
        ({"counts": {"scored": 60, "passed": 30, "undecided": 40}}, "40 of 100 rows are undecided"),
        ({"counts": {"scored": 98, "passed": 30, "failed": 2}}, "2 of 100 rows are failed: the"),
        ({"counts": {"scored": 80, "passed": 30, "truncated": 20}}, "20 of 100 rows are truncated"),
        ({"counts": {"scored": 80, "passed": 30, "missing": 20}}, "20 of 100 rows are missing"),
        ({"counts": {"scored": 3, "passed": 1, "failed": 2}}, None),
        ({"repeated": (50, 400)}, "one text is 50 of 400 longer outputs that pass"),
        ({"repeated": (5, 5)}, None),
        ({"spread": 0.0, "counts": {"scored": 99, "passed": 50}}, "all scores are"),
    ],
)
def test_a_sign_is_told_where_its_rule_holds_and_nowhere_else(store, changes, said):
    told = rewards_of(store, store.find("right"))
    calm = {**LENGTH, "parts": {}, "pairs": {}, "counts": {"scored": 100, "passed": 50},
            "repeated": (0, 0), "spread": 0.3}  # fmt: skip
    found = signs(replace(told, **{**calm, **changes}))
    if said is None:
        assert found == []
    else:
        assert len(found) == 1
        assert said in found[0]


@pytest.mark.parametrize("count", [2, 3, 29])
def test_few_rows_are_shown_without_correlations_and_signs(tmp_path, monkeypatch, count):
    says(monkeypatch)
    store = made(tmp_path, "threshold = 0", ["0.5 a", "1 bcd", "0 e"] * 10)
    small = made(tmp_path / "small", "threshold = 0", (["0.5 a", "1 bcd", "0 e"] * 10)[:count])
    assert rewards_of(store, store.find("right")).by_rank is not None
    told = rewards_of(small, small.find("right"))
    assert told.by_rank is told.by_line is told.in_groups is None
    assert signs(told) == []
    page = write_report(small, small.find("right"), tmp_path / "page.html").read_text()
    assert "What was paid for" in page
    assert "too few" in page


def test_parts_of_a_rubric_are_told_and_other_columns_are_none(tmp_path):
    stages = STAGES.replace('kind = "exact"', """kind = "rubric"
[verifiers.same.parts.short]
kind = "form"
max_words = 3
[verifiers.same.parts.plain]
kind = "form"
refuse = ["b"]""").replace("KEYS", "threshold = 0")  # fmt: skip
    rows = [{**row, "score_mine": 9.0, "score": "hers"} for row in
            rows_with(["a", "a b c d", "b", "a c", "b b b b b"] * 8)]  # fmt: skip
    store = run_stages(tmp_path, stages, {"answers.jsonl": rows}, teachers="")
    told = rewards_of(store, store.find("right"))
    assert set(told.parts) == {"short", "plain"}
    assert told.pairs["plain", "short"].value == pytest.approx(
        np.corrcoef([1, 0, 0, 1, 0], [1, 0, 1, 1, 0])[0, 1]
    )
    assert told.verifier == "same (rubric 1 plain:2 short:2)"
    at = ["rewards", "right", "--store", str(store.root)]
    shown = CliRunner().invoke(app, at, env={"COLUMNS": "160"}).output
    assert "Part short: 40 outputs scored, mean 0.60, with length -0." in shown
    assert "plain with short: " in shown


def test_verifiers_one_behind_the_other_are_held_against_each_other(tmp_path):
    stages = """
[verifiers.short]
kind = "form"
max_words = 3
[verifiers.plain]
kind = "form"
refuse = ["b"]
[verifiers.long]
kind = "form"
min_words = 4

[stages.answers]
kind = "import"
title = "answers"
source = "answers.jsonl"
generator = "by"
"""
    for name, (before, by) in {"one": ("answers", "short"), "two": ("one", "plain"),
                               "three": ("two", "long")}.items():  # fmt: skip
        stages += f"""
[stages.{name}]
kind = "verify"
input = "{before}"
by = "{by}"
threshold = 0
"""
    texts = ["a", "a b c d", "b", "a c", "b b b b b"] * 8
    store = run_stages(tmp_path, stages, {"answers.jsonl": rows_with(texts)}, teachers="")
    told = {one.name: one for one in rewards_behind(store, store.find("three"))}
    assert list(told) == ["one", "two", "three"]
    assert told["one"].others == {}
    assert {name: found.value for name, found in told["three"].others.items()} == pytest.approx(
        {"one": -1.0, "two": np.corrcoef([0, 1, 0, 0, 1], [1, 0, 0, 1, 0])[0, 1]}
    )
    assert any("pull apart from those of one, -1.00" in text for text in signs(told["three"]))


def test_measures_and_columns_of_strangers_break_nothing(store):
    manifest = store.find("right")
    odd_ones = [
        {},
        {"scores": 3, "attempts": [], "levels": {"attempts": 1}, "best": None},
        {"attempts": {"passed_from": "x"}},
        {"attempts": {"groups": "x", "pass_at": {"1": {}}}, "scores": {"scored": "x"}},
    ]
    for measures in odd_ones:
        told = rewards_of(store, manifest.model_copy(update={"measures": measures}))
        assert told.scored == 380
        write_report(store, manifest, store.root / "reports" / "odd.html", rewards=[told])
    for column in ("nowhere", "score", "_from"):
        odd = manifest.model_copy(update={"stage": {**manifest.stage, "column": column}})
        assert rewards_of(store, odd).by_rank is None


def test_a_page_escapes_what_rows_call_themselves(tmp_path, monkeypatch):
    says(monkeypatch)
    rows = [{**row, "level": "<script>alert(1)</script>"} for row in rows_with(["1 a", "0 b"] * 20)]
    keys = 'group = ["prompt"]\nlevel = "level"'
    store = run_stages(tmp_path, STAGES.replace("KEYS", keys), {"answers.jsonl": rows}, teachers="")
    page = write_report(store, store.find("right"), tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "&lt;script" in page


def test_a_k_that_no_prompt_has_is_told_on_page_and_terminal(tmp_path, monkeypatch):
    says(monkeypatch)
    keys = 'group = ["prompt"]\npass_at = [1, 9]'
    store = made(tmp_path, keys, ["1 a", "0 b", "1 c", "failed d", "1 e"])
    page = write_report(store, store.find("right"), tmp_path / "page.html").read_text()
    assert "too few attempts" in page
    assert page.count('class="bounds"') == 1
    at = ["rewards", "right", "--store", str(store.root)]
    assert "too few attempts" in CliRunner().invoke(app, at, env={"COLUMNS": "160"}).output


@pytest.mark.skipif(BROWSER is None, reason="needs Debian's chromium; .ci/run installs it")
def test_a_browser_draws_scores_lengths_and_passes(store, tmp_path):
    page = write_report(store, store.find("right"), tmp_path / "page.html")
    dom = dom_of(page, tmp_path / "profile")
    for kind in ("scores", "lengths", "passes"):
        assert f'class="reward {kind}"' in dom
    assert dom.count('class="bounds"') == 3


def test_the_command_prints_them_and_gives_them_as_json(store):
    at = ["--store", str(store.root)]
    shown = CliRunner().invoke(app, ["rewards", "half", *at], env={"COLUMNS": "160"}).output
    assert "380 of 400 rows scored" in shown
    assert "pass@4" in shown
    assert "look here: among attempts at one prompt longer outputs score higher" in shown
    (told,) = json.loads(CliRunner().invoke(app, ["rewards", "right", "--json", *at]).output)
    assert told["counts"]["undecided"] == 20
    assert told["pass_at"]["1"]["groups"] == 100
    assert any("longer" in text for text in told["signs"])
    none = CliRunner().invoke(app, ["rewards", "answers", *at]).output
    assert "rests on nothing that a verifier scored" in " ".join(none.split())


def test_a_score_that_is_taken_over_is_not_held_against_itself(tmp_path):
    stages = """
[verifiers.short]
kind = "form"
max_words = 3
[verifiers.that]
kind = "given"
score = "score"
[verifiers.first]
kind = "given"
score = "original_score"
[verifiers.both]
kind = "rubric"
[verifiers.both.parts.that]
kind = "given"
score = "score"

[stages.answers]
kind = "import"
title = "answers"
source = "answers.jsonl"
generator = "by"
"""
    chain = {"one": ("answers", "short"), "two": ("one", "that"), "three": ("two", "short"),
             "four": ("three", "both"), "five": ("four", "first")}  # fmt: skip
    for name, (before, by) in chain.items():
        stages += f'[stages.{name}]\nkind = "verify"\ninput = "{before}"\nby = "{by}"\n'
        stages += "threshold = 0\n"
    texts = ["a", "a b c d", "b", "a c", "b b b b b"] * 8
    store = run_stages(tmp_path, stages, {"answers.jsonl": rows_with(texts)}, teachers="")
    told = {one.name: one for one in rewards_behind(store, store.find("five"))}
    assert not any("are those of" in text for text in signs(told["two"]))
    assert any("its scores are those of one" in text for text in signs(told["three"]))
    assert set(told["four"].others) == {"one", "two"}
    assert set(told["five"].others) == {"two", "three", "four"}
