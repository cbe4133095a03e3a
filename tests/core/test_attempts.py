"""pass@k is what drawing k attempts comes to, and what is not scored is never wrong."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core import attempts
from mashbill.core.attempts import Attempts, interval, pass_at, pass_ats

GROUP = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 3)).map(
    lambda each: (each[0], min(each[1], each[0]), each[2])
)
GROUPS = st.lists(GROUP, max_size=8)


def tally(groups):
    made = Attempts()
    for group in groups:
        made.add(*group)
    return made


def drawn(scored, passed, k):
    """Draw every k of the attempts, and count those draws that hold a pass."""
    draws = list(combinations([True] * passed + [False] * (scored - passed), k))
    return sum(map(any, draws)) / len(draws)


@given(st.integers(1, 8), st.integers(0, 8), st.integers(1, 8))
def test_the_estimate_is_the_share_of_all_draws_that_pass(scored, passed, k):
    passed, k = min(passed, scored), min(k, scored)
    assert pass_at(scored, passed, k) == pytest.approx(drawn(scored, passed, k))


@given(GROUPS, st.integers(1, 7))
def test_what_was_not_scored_widens_the_bounds_and_moves_no_estimate(groups, k):
    found = tally(groups).pass_at(k)
    told = [drawn(s, p, k) for s, p, _ in groups if s >= k]
    assert found.groups == len(told)
    assert found.short == sum(s + u < k for s, _, u in groups)
    assert found.groups + found.unscored + found.short == len(groups)
    assert 0 <= found.at_least <= found.at_most <= 1
    if not told:
        assert found.estimate is None
        return
    assert found.estimate == pytest.approx(sum(told) / len(told))
    assert found.low - 1e-9 <= found.estimate <= found.high + 1e-9
    assert found.at_least - 1e-9 <= found.estimate <= found.at_most + 1e-9
    whole = [group for group in groups if group[0] >= k]
    same = tally([(s, p, 0) for s, p, _ in whole]).pass_at(k)
    assert (same.estimate, same.low, same.high) == (found.estimate, found.low, found.high)
    if not any(u for _, _, u in groups):
        assert found.at_least == pytest.approx(found.at_most)


@given(GROUPS, st.integers(1, 6), st.integers(1, 6))
def test_a_larger_k_never_passes_less(groups, one, two):
    one, two = sorted((one, two))
    whole = [group for group in groups if group[0] >= two]
    if whole:
        assert tally(whole).pass_at(one).estimate <= tally(whole).pass_at(two).estimate + 1e-9


@given(GROUPS, GROUPS, st.integers(1, 5))
def test_tallies_add_up_in_any_order(one, two, k):
    whole = tally(one + two)
    both = tally(two)
    for group, count in tally(one).groups.items():
        both.add(*group, count)
    assert both.groups == whole.groups
    assert both.pass_at(k).at_most == pytest.approx(whole.pass_at(k).at_most)
    (told,) = pass_ats(whole.as_json((k,))) or [None]
    assert told == whole.pass_at(k)


def test_the_bounds_of_attempts_one_by_one():
    found = tally([(3, 1, 1), (4, 4, 0), (0, 0, 4), (0, 0, 0)]).pass_at(1)
    assert found.estimate == pytest.approx((1 / 3 + 1) / 2)
    assert found.at_least == pytest.approx((1 / 4 + 1 + 0) / 3)
    assert found.at_most == pytest.approx((2 / 4 + 1 + 1) / 3)
    assert (found.groups, found.unscored, found.short) == (2, 1, 1)


def test_why_there_is_no_estimate_is_told():
    assert tally([(2, 1, 0)]).pass_at(3).lacking == "too few attempts"
    assert tally([(2, 1, 1)]).pass_at(3).lacking == "none scored"
    assert tally([(2, 1, 1)]).pass_at(2).lacking == ""


def test_a_group_of_thousands_neither_overflows_nor_rounds_to_nothing():
    assert pass_at(100_000, 1, 1) == pytest.approx(1e-5)
    assert pass_at(5000, 5, 1000) == pytest.approx(1 - 0.8**5, rel=1e-2)
    assert pass_at(5000, 0, 1000) == 0
    assert pass_at(5_000_000, 2_000_000, 2_000_000) == 1
    assert pass_at(5_000_000, 1, 2_500_000) == pytest.approx(0.5)
    assert pass_at(9_000_000, 20_000, 20_000) == pytest.approx(1)
    assert pass_at(10**12, 11_000, 11_000) == pytest.approx(1.21e-4, rel=1e-3)
    assert tally([(5_000_000, 2_000_000, 7)]).ks()[-1] == 1024
    assert len(tally([(5_000_000, 2_000_000, 7)]).as_json()["pass_at"]) == 11


@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 60))
def test_logarithms_and_factors_come_to_the_same(scored, passed, k):
    passed, k = min(passed, scored), min(k, scored)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attempts, "_FACTORS", -1)
        added = pass_at(scored, passed, k)
    assert pass_at(scored, passed, k) == pytest.approx(added, abs=1e-9)
    exact = 1 - comb(scored - passed, k) / comb(scored, k)
    assert pass_at(scored, passed, k) == pytest.approx(exact, abs=1e-12)


@pytest.mark.parametrize(
    ("groups", "ks"),
    [([], ()), ([(1, 0, 0)], (1,)), ([(8, 1, 0)] * 3 + [(2, 0, 0)], (1, 2, 4, 8)),
     ([(4, 0, 1)], (1, 2, 4, 5)), ([(0, 0, 0)], ())],
)  # fmt: skip
def test_the_ks_that_are_told_follow_the_commonest_size(groups, ks):
    assert tally(groups).ks() == ks


@pytest.mark.parametrize("group", [(1, 2, 0), (1, -1, 0), (1, 0, -1), (-1, -1, 0)])
def test_no_group_is_like_that(group):
    with pytest.raises(ValueError, match="scored attempts"):
        Attempts().add(*group)
    with pytest.raises(ValueError, match="a k of 1 at least"):
        Attempts().pass_at(0)


@pytest.mark.parametrize("groups", [5, 20, 60])
@pytest.mark.parametrize(("one", "two"), [(0.5, 0.5), (2, 2), (0.3, 3)])
def test_the_interval_covers_the_rate_of_prompts_like_these(groups, one, two):
    """95% intervals of drawn prompts hold the true rate, up to what so few prompts let."""
    rng, held, draws = np.random.default_rng(groups), 0, 300
    for _ in range(draws):
        passed = rng.binomial(8, rng.beta(one, two, groups))
        made = tally([(8, int(count), 0) for count in passed]).pass_at(1)
        held += made.low <= one / (one + two) <= made.high
    assert held / draws >= 0.88


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 500))
def test_an_interval_holds_its_mean_and_stays_within_0_and_1(mean, spread, groups):
    low, high = interval(mean, min(spread, mean * (1 - mean)), groups, 8 * groups)
    assert 0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1


@pytest.mark.parametrize(
    "told", [None, [], {"pass_at": 3}, {"pass_at": {"x": {}}}, {"pass_at": {"1": {"low": 1}}},
             {"pass_at": {"1": None}}],
)  # fmt: skip
def test_measures_of_strangers_are_read_as_none(told):
    assert pass_ats(told) == []
