"""Rewards of attempts: what a verifier says of each, and never more than it says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mashbill.core.errors import InputError
from mashbill.core.verifier import Score, VerifierSession
from mashbill.train.group_rewards import Attempts, Rewarding, random_rewards
from mashbill.verifiers.exact import ExactSpec
from mashbill.verifiers.form import FormSpec


class _Says:
    """Says what it is told to say, an output a score."""

    def __init__(self, **scores):
        self.scores = scores
        self.cases = []

    def score(self, cases):
        self.cases += cases
        return [self.scores.get(case.output, Score(0.0)) for case in cases]


def rewarding(says, spec=None, **more):
    spec = spec or FormSpec(match=("a",))
    return Rewarding("v", VerifierSession("v", spec, lambda: says), "asked", **more)


def attempts(*completions, cut=(), step=0, rows=None):
    rows = rows or [{}] * len(completions)
    is_cut = np.array([n in cut for n in range(len(completions))], bool)
    return Attempts(step, completions, is_cut, rows)


def test_what_could_not_be_said_is_null():
    says = _Says(a=Score(0.25, "a quarter"), b=Score.undecided("odd"), c=Score.failed("no parser"))
    found = rewarding(says).columns(attempts("a", "b", "c", "d"))
    assert found["reward"].to_pylist() == [0.25, None, None, 0.0]
    assert found["outcome"].to_pylist() == ["scored", "undecided", "failed", "scored"]
    assert found["reason"].to_pylist() == [
        "a quarter", "undecided: odd", "failed: no parser", None,
    ]  # fmt: skip
    types = {name: each.type for name, each in found.items()}
    assert types == {"reward": pa.float64(), "outcome": pa.string(), "reason": pa.string()}


def test_an_empty_completion_is_an_attempt_and_is_scored():
    says = _Says()
    found = rewarding(says).columns(attempts("", "x"))
    assert [case.output for case in says.cases] == ["", "x"]
    assert found["reward"].to_pylist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("truncated", "reward", "outcome", "asked"),
    [("score", 1.0, "scored", 2), ("leave-out", None, "truncated", 1),
     (0.1, 0.1, "truncated", 1), (-1.0, -1.0, "truncated", 1), (0.0, 0.0, "truncated", 1)],
)  # fmt: skip
def test_what_was_cut_off_is_told_apart(truncated, reward, outcome, asked):
    says = _Says(a=Score(1.0), b=Score(0.5))
    found = rewarding(says, truncated=truncated).columns(attempts("a", "b", cut=[0]))
    assert found["reward"].to_pylist() == [reward, 0.5]
    assert found["outcome"].to_pylist() == [outcome, "scored"]
    assert len(says.cases) == asked


def test_a_reference_that_a_row_lacks_is_none():
    says = _Says()
    made = rewarding(says, ExactSpec(), reference="right")
    made.columns(attempts("a", "b", "c", rows=[{"right": "a"}, {"right": None}, {}]))
    assert [case.reference for case in says.cases] == ["a", None, None]


def test_a_verifier_that_fails_for_a_whole_step_ends_it_with_the_commonest_reasons():
    failed = Score.failed("no parser")
    made = rewarding(_Says(a=failed, b=failed, c=Score.failed("time-out")), whole=4)
    made.columns(attempts("a", "b"))
    with pytest.raises(
        InputError, match=r"v failed for all 4 attempts of step 1.*3 x no parser; 1 x time-out"
    ):
        made.columns(attempts("a", "c"))


@pytest.mark.parametrize("other", [Score(0.0), Score.undecided("odd")])
def test_one_that_it_could_look_at_is_enough_to_go_on(other):
    failed = Score.failed("no parser")
    made = rewarding(_Says(a=failed, b=other), whole=4)
    made.columns(attempts("a", "b"))
    made.columns(attempts("a", "a"))
    made.columns(attempts("a", "a", step=1))
    with pytest.raises(InputError, match="all 4 attempts of step 2"):
        made.columns(attempts("a", "a", step=1))


def test_attempts_that_were_all_cut_off_are_no_failure():
    made = rewarding(_Says(a=Score.failed("no")), truncated="leave-out", whole=2)
    found = made.columns(attempts("a", "a", cut=[0, 1]))
    assert found["outcome"].to_pylist() == ["truncated"] * 2
    made = rewarding(_Says(), whole=0)
    assert made.columns(attempts())["reward"].to_pylist() == []


def test_random_rewards_follow_from_seed_step_row_and_attempt_alone():
    def paid(seed=1, step=0, truncated="score", cut=()):
        some = attempts(*["x"] * 64, cut=cut, step=step)
        rows, samples = [n // 8 for n in range(64)], [n % 8 for n in range(64)]
        return random_rewards(seed, some, rows, samples, truncated)["reward"].to_pylist()

    assert paid() == paid()
    assert paid() != paid(seed=2)
    assert paid() != paid(step=1)
    assert set(paid()) == {0.0, 1.0}
    assert 16 < sum(paid()) < 48
    assert paid(truncated="leave-out", cut=[3])[3] is None
    assert paid(truncated=0.5, cut=[3])[3] == 0.5
    turned = attempts(*["x"] * 3)
    few = random_rewards(1, turned, [2, 1, 0], [0, 0, 0], "score")["reward"].to_pylist()
    assert few == [paid()[16], paid()[8], paid()[0]]


class _Reads(FormSpec):
    def reads(self):
        return ("prompt", "completion", "about")


def test_a_verifier_can_read_what_was_asked_and_what_rows_have():
    says = _Says()
    some = Attempts(
        0,
        ["x", "y"],
        np.zeros(2, bool),
        [{"about": 1}, {"prompt": "own", "completion": "gold"}],
        ["q", "r"],
    )
    rewarding(says, _Reads(match=("a",))).columns(some)
    assert [dict(case.row) for case in says.cases] == [
        {"prompt": "q", "completion": "x", "about": 1},
        {"prompt": "own", "completion": "y", "about": None},
    ]
