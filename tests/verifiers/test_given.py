"""``given``: scores that rows bring along, and choosing by them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given as law
from hypothesis import strategies as st
from pydantic import ValidationError
from tests_support import rows_of, run_stages

from mashbill.core.errors import RecipeError
from mashbill.core.verifier import Case, VerifierSession
from mashbill.lineage.evidence.audit import Auditor
from mashbill.report.rewards import rewards_behind
from mashbill.run.rederiving import Rederiver
from mashbill.verifiers.given import GivenSpec


def scored(value, **keys):
    spec = GivenSpec(score="r", **keys)
    session = VerifierSession("v", spec, lambda: spec.load(None, None, 1))
    (score,) = session.score([Case("any", row={"r": value})])
    return score


@pytest.mark.parametrize(
    ("value", "keys", "expected"),
    [
        (0.25, {}, 0.25),
        (1, {}, 1.0),
        ("0.5", {}, 0.5),
        (" 4 ", {"low": 0, "high": 5}, 0.8),
        (-1.0, {"low": -1, "high": 1}, 0.0),
        (True, {}, 1.0),
        (False, {"low": -5, "high": 5}, 0.0),
        (3, {"low": 1, "high": 5}, 0.5),
    ],
)
def test_a_score_is_brought_between_0_and_1(value, keys, expected):
    assert scored(value, **keys).value == pytest.approx(expected)
    assert scored(value, **keys).reason


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "its column r is empty"),
        (math.nan, "its column r is empty"),
        ("", "is no number"),
        ("good", "r 'good' is no number"),
        ([1], "is no number"),
        (7.5, "r 7.5 is not between 0 and 1"),
        (-0.1, "is not between"),
        (math.inf, "is not between"),
        ("1e400", "is not between"),
        ("nan", "is no number"),
    ],
)
def test_what_is_no_score_is_undecided_and_never_0(value, said):
    found = scored(value)
    assert (found.outcome, found.value) == ("undecided", None)
    assert said in found.reason


@law(st.floats(allow_nan=False) | st.integers() | st.text(max_size=5) | st.none() | st.booleans(),
     st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))  # fmt: skip
def test_any_cell_has_a_score_or_says_why(value, low, width):
    found = scored(value, low=low, high=low + width)
    assert (found.value is None) == (found.outcome == "undecided")
    assert found.reason


@pytest.mark.parametrize(
    "keys", [{"score": ""}, {}, {"score": "r", "low": 1}, {"score": "r", "high": "x"},
             {"score": "r", "high": math.inf}, {"score": "r", "low": math.nan}],
)  # fmt: skip
def test_keys_that_cannot_be_are_refused(keys):
    with pytest.raises(ValidationError):
        GivenSpec(**keys)


STAGES = """
[verifiers.same]
kind = "exact"
[verifiers.brought]
kind = "given"
score = "score"

[stages.answers]
kind = "import"
title = "answers"
source = "answers.jsonl"
generator = "by"

[stages.at-once]
kind = "verify"
input = "answers"
by = "same"
reference = "known"
group = ["prompt"]
best = 1

[stages.scored]
kind = "verify"
input = "answers"
by = "same"
reference = "known"
threshold = 0
undecided = "keep"
shard_rows = 3

[stages.chosen]
kind = "verify"
input = "scored"
by = "brought"
group = ["prompt"]
best = 1
"""


def test_scoring_in_slices_and_choosing_behind_it_comes_to_what_one_stage_does(tmp_path):
    rows = [
        {"prompt": f"p{at % 5}", "text": str(at % 3), "by": "toy", "known": "1" if at % 7 else None}
        for at in range(40)
    ]
    store = run_stages(tmp_path, STAGES, {"answers.jsonl": rows}, teachers="")
    one, two = (store.find(name).measures for name in ("at-once", "chosen"))
    assert one["attempts"]["kinds"] == two["attempts"]["kinds"]
    assert one["attempts"]["pass_at"] == two["attempts"]["pass_at"]
    assert one["best"] == two["best"]
    kept = [[(row["prompt"], row["text"], row["rank"]) for row in rows_of(store, name)]
            for name in ("at-once", "chosen")]  # fmt: skip
    assert sorted(kept[0]) == sorted(kept[1])
    told = {told.name: told for told in rewards_behind(store, store.find("chosen"))}
    assert "scored" not in told["chosen"].others  # whose scores they are: that says nothing
    assert Auditor(store.root, rederive=Rederiver(store)).run().findings == []


def test_a_column_that_is_not_there_is_told(tmp_path):
    rows = [{"prompt": "p", "text": "a", "by": "toy", "known": "a"}]
    stages = STAGES.replace('score = "score"', 'score = "reward"')
    with pytest.raises(RecipeError, match="'reward' is no column of scored; it has"):
        run_stages(tmp_path, stages, {"answers.jsonl": rows}, teachers="")
