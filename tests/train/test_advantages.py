"""Advantages: of a group's own scored members, and of nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.train.advantages import advantages, counted

KINDS = ("group-mean", "group-std", "batch-std", "leave-one-out")
NONE = math.nan
REWARDS = st.one_of(st.just(NONE), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.floats(0, 1))
STEPS = st.lists(st.tuples(REWARDS, st.integers(0, 4)), max_size=24)


def plain(rewards, groups, kind):
    """Write the definitions out, an attempt at a time."""
    of = {g: [r for r, h in zip(rewards, groups, strict=True) if h == g and not math.isnan(r)]
          for g in groups}  # fmt: skip
    everyone = [r for each in of.values() if len(each) >= 2 for r in each]
    found = []
    for r, g in zip(rewards, groups, strict=True):
        own = of[g]
        if math.isnan(r) or len(own) < 2 or max(own) - min(own) <= 1e-9:
            found.append(0.0)
            continue
        above = r - math.fsum(own) / len(own)
        if kind == "leave-one-out":
            above = r - (math.fsum(own) - r) / (len(own) - 1)
        elif kind == "group-std":
            above /= float(np.std(own))
        elif kind == "batch-std":
            above /= float(np.std(everyone))
        found.append(above)
    return found


@given(STEPS, st.sampled_from(KINDS))
@example([(0.1, 0), (0.1, 0), (0.1, 0), (1.0, 1), (NONE, 1)], "group-std")
@law(120)
def test_they_are_what_their_definitions_say(step, kind):
    rewards, groups = [r for r, _ in step], [g for _, g in step]
    found = advantages(np.array(rewards), np.array(groups, int), kind)
    assert found.dtype == np.float64
    close = {"rtol": 1e-6, "atol": 1e-6} if "std" in kind else {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(found, plain(rewards, groups, kind), **close)


@given(STEPS, st.sampled_from(KINDS))
@law(60)
def test_those_of_a_group_sum_to_nothing(step, kind):
    rewards, groups = np.array([r for r, _ in step]), np.array([g for _, g in step], int)
    found = advantages(rewards, groups, kind)
    for group in set(groups.tolist()):
        own = found[groups == group]
        assert abs(own.sum()) <= 1e-9 * max(1, np.abs(own).max())


@given(STEPS, st.sampled_from(KINDS), st.floats(-100, 100))
@law(60)
def test_a_reward_that_all_get_more_changes_nothing(step, kind, more):
    rewards = np.array([r if math.isnan(r) else round(r, 3) for r, _ in step])
    groups = np.array([g for _, g in step], int)
    np.testing.assert_allclose(
        advantages(rewards, groups, kind), advantages(rewards + more, groups, kind), atol=1e-8
    )


@given(STEPS, st.sampled_from(KINDS), st.integers(0, 30), st.integers(0, 4))
@law(60)
def test_an_attempt_that_was_not_scored_changes_nobodys(step, kind, place, group):
    """trl PR 5775, in which one that was not scored poisoned its group's mean."""
    rewards, groups = [r for r, _ in step], [g for _, g in step]
    place = min(place, len(step))
    more = advantages(
        np.array([*rewards[:place], NONE, *rewards[place:]]),
        np.array([*groups[:place], group, *groups[place:]], int), kind,
    )  # fmt: skip
    assert more[place] == 0
    np.testing.assert_array_equal(
        np.delete(more, place), advantages(np.array(rewards), np.array(groups, int), kind)
    )


@given(STEPS, st.sampled_from(KINDS), st.randoms(use_true_random=False))
@law(60)
def test_their_order_changes_nothing(step, kind, random):
    order = list(range(len(step)))
    random.shuffle(order)
    rewards, groups = np.array([r for r, _ in step]), np.array([g for _, g in step], int)
    found = advantages(rewards, groups, kind)
    np.testing.assert_allclose(
        advantages(rewards[order], groups[order], kind), found[order], atol=1e-9
    )


@given(STEPS, STEPS, st.sampled_from([kind for kind in KINDS if kind != "batch-std"]))
@law(60)
def test_groups_of_other_sizes_change_nothing(first, second, kind):
    """slime 1918 and open-instruct 1794: uneven groups were normalised across prompts."""
    both = [*first, *((r, g + 10) for r, g in second)]
    rewards, groups = np.array([r for r, _ in both]), np.array([g for _, g in both], int)
    found = advantages(rewards, groups, kind)
    np.testing.assert_array_equal(
        found[: len(first)],
        advantages(np.array([r for r, _ in first]), np.array([g for _, g in first], int), kind),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_groups_that_tell_nothing_give_nothing(kind):
    """One scored member; none; all alike, be it by sums that round (0.1 three times)."""
    rewards = np.array([1.0, NONE, NONE, NONE, 0.1, 0.1, 0.1, 0.3, 0.3])
    groups = np.array([0, 0, 1, 1, 2, 2, 2, 3, 3])
    found = advantages(rewards, groups, kind)
    assert found.tolist() == [0] * 9
    assert counted(rewards, groups).tolist() == [False] * 4 + [True] * 5


def test_a_failure_is_never_zero():
    """Two that were scored and two that could not be: not 1, 1 against 0, 0."""
    found = advantages(np.array([1.0, 1.0, NONE, NONE]), np.array([0, 0, 0, 0]))
    assert found.tolist() == [0, 0, 0, 0]
    with pytest.raises(ValueError, match="infinite"):
        advantages(np.array([1.0, math.inf]), np.array([0, 0]))
