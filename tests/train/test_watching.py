"""What is watched while a student is paid: figures of a step, and alarms over steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.train.watching import FEWEST, Seen, alarms, figures

CALM = {
    "reward": 0.5, "watched": 0.5, "undecided": 0.0, "failed": 0.0, "truncated": 0.0,
    "completion_tokens": 20.0, "repeating": 0.0, "entropy": 1.0, "distinct": 1.0, "telling": 0.5,
}  # fmt: skip


def steps(count=12, **paths):
    """Steps in which some figures go in a straight line from one value to another."""
    found = []
    for at in range(count):
        share = at / max(count - 1, 1)
        found.append(CALM | {n: a + (b - a) * share for n, (a, b) in paths.items()})
    return found


def test_figures_of_a_step():
    over = [1, 2] * 8
    seen = Seen(
        ids=[[5, 6, 7], [5, 6, 7], over, [9]],
        logprobs=[[-1.0, -1.0, -1.0], [-1.0, -1.0, -1.0], [-0.5] * 16, [-2.0]],
        group=np.array([0, 0, 1, 1]),
        is_cut=np.array([False, False, True, False]),
        rewards=np.array([1.0, 0.0, np.nan, 0.5]),
        outcomes=["scored", "scored", "undecided", "scored"],
        watched=np.array([np.nan, 0.25, 0.75, np.nan]),
    )
    assert figures(seen) == {
        "undecided": 0.25, "failed": 0.0, "truncated": 0.25, "completion_tokens": 23 / 4,
        "repeating": 0.25, "distinct": 0.75, "telling": 0.5, "reward": 0.5, "watched": 0.5,
        "entropy": pytest.approx(16 / 23),
    }  # fmt: skip


def test_what_nobody_could_score_has_no_mean():
    none = Seen([[1], [2]], [[-1.0], [-1.0]], np.zeros(2, int), np.zeros(2, bool),
                np.full(2, np.nan), ["failed", "failed"])  # fmt: skip
    found = figures(none)
    assert "reward" not in found
    assert "watched" not in found
    assert found["failed"] == 1.0
    assert found["telling"] == 0.0
    assert figures(Seen([], [], np.zeros(0), np.zeros(0), np.zeros(0), [])) == {}


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=20)), min_size=1))
@law(50)
def test_shares_lie_within_nothing_and_all_and_all_are_numbers(attempts):
    count = len(attempts)
    seen = Seen(
        [ids for _, ids in attempts], [[-0.5] * len(ids) for _, ids in attempts],
        np.array([group for group, _ in attempts]), np.zeros(count, bool),
        np.full(count, 0.5), ["scored"] * count,
    )  # fmt: skip
    for name, value in figures(seen).items():
        assert math.isfinite(value)
        assert name in {"completion_tokens", "entropy"} or 0 <= value <= 1


ALARMS = [
    ({"reward": (0.2, 0.8), "watched": (0.6, 0.3)}, "what is paid, and not what is meant"),
    ({"completion_tokens": (20, 60)}, "length may be what is paid"),
    ({"completion_tokens": (60, 9)}, "length may be what is paid"),
    ({"repeating": (0.0, 0.4)}, "said over and over"),
    ({"undecided": (0.2, 0.5)}, "could not be scored"),
    ({"undecided": (0.2, 0.2), "failed": (0.1, 0.1)}, "could not be scored"),
    ({"entropy": (1.0, 0.05)}, "says nearly one thing"),
    ({"truncated": (0.2, 0.9)}, "were cut off at max_new_tokens"),
]


@pytest.mark.parametrize(("paths", "told"), ALARMS)
def test_what_drifts_is_told_once_in_a_sentence(paths, told):
    (said,) = alarms(steps(**paths))
    assert told in said


@pytest.mark.parametrize(
    "paths",
    [{}, {"reward": (0.2, 0.9), "watched": (0.4, 0.7)}, {"reward": (0.8, 0.2), "watched": (0.8, 0)},
     {"completion_tokens": (20, 30)}, {"repeating": (0.3, 0.3)}, {"entropy": (1.0, 0.5)},
     {"undecided": (0.1, 0.1)}, {"completion_tokens": (0, 0), "entropy": (0, 0)}],
)  # fmt: skip
def test_what_is_calm_is_not_told(paths):
    assert alarms(steps(**paths)) == []


def test_a_few_steps_tell_of_no_drift():
    drifting = steps(FEWEST - 1, completion_tokens=(10, 90), entropy=(2, 0.01))
    assert alarms(drifting) == []
    assert alarms([]) == []
    assert alarms(steps(2, undecided=(1, 1)))


def test_a_reward_that_only_wavers_is_no_alarm():
    """Chance alone: the same means at both ends, with the spread of few attempts."""
    random = np.random.default_rng(3)
    wavering = [
        CALM | {"reward": random.normal(0.5, 0.2), "watched": random.normal(0.5, 0.2)}
        for _ in range(16)
    ]
    assert alarms(wavering) == []
    noisy = [
        CALM | {"reward": 0.2 + 0.04 * at + random.normal(0, 0.05),
                "watched": 0.8 - 0.04 * at + random.normal(0, 0.05)}
        for at in range(16)
    ]  # fmt: skip
    assert len(alarms(noisy)) == 1


def test_figures_that_some_steps_lack_are_of_those_that_have_them():
    some = [{k: v for k, v in step.items() if k != "reward" or at % 2}
            for at, step in enumerate(steps(24, reward=(0, 1), watched=(1, 0)))]  # fmt: skip
    assert len(alarms(some)) == 1
    assert alarms([{k: v for k, v in step.items() if k != "watched"} for step in some]) == []
