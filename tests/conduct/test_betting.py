"""E-values: their mean under the null is at most 1, whatever the counts."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.evidence.betting import among, counted, discovered, graded, mean

SHARES = (0.02, 0.1, 0.4, 0.8)


@law(30)
@given(st.integers(1, 14), st.floats(0.001, 0.3), st.floats(0.0001, 0.1))
def test_counts_are_bet_on_fairly(number, first, second):
    null = (1 - first - second, first, second)
    total = 0.0
    for one, two in itertools.product(range(number + 1), repeat=2):
        if one + two > number:
            continue
        seen = (number - one - two, one, two)
        ways = math.factorial(number) / math.prod(math.factorial(count) for count in seen)
        chance = ways * math.prod(p**count for p, count in zip(null, seen, strict=True))
        total += chance * 10 ** counted(seen, null, graded(SHARES, (0.4, 0.6)))
    assert total == pytest.approx(1)


@law(30)
@given(st.lists(st.integers(0, 13), min_size=1, max_size=9))
def test_a_bet_on_one_of_exchangeable_places_is_fair(hits):
    total = 0.0
    for real in itertools.product((0, 1), repeat=len(hits)):
        chance, trials = 1.0, {}
        for count, is_real in zip(hits, real, strict=True):
            chance *= count / 13 if is_real else 1 - count / 13
            number, hit = trials.get(count, (0, 0))
            trials[count] = (number + 1, hit + is_real)
        if chance:
            total += chance * 10 ** among(trials, 13, (0.3, 0.6, 0.9))
    assert total == pytest.approx(1)


@law(50)
@given(st.lists(st.floats(-5, 12), min_size=1, max_size=30), st.floats(0.001, 0.5))
def test_what_is_discovered_is_the_largest_and_each_passes_its_bound(logs, level):
    kept = discovered(logs, level)
    assert [logs[place] for place in kept] == sorted(logs, reverse=True)[: len(kept)]
    for place in kept:
        assert logs[place] >= math.log10(len(logs) / (level * len(kept))) - 1e-9
    assert set(discovered(logs, level, 10 * len(logs))) <= set(kept)


@law(50)
@given(st.lists(st.floats(-300, 300), min_size=1, max_size=9))
def test_a_mean_lies_between_and_overflows_nowhere(logs):
    assert min(logs) - 1e-9 <= mean(logs) <= max(logs) + 1e-9
