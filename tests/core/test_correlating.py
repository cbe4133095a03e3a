"""Correlations are those of the textbooks, and say nothing where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core import correlating
from mashbill.core.correlating import pearson, spearman, within

scipy = pytest.importorskip("scipy.stats")
NUMBERS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 40)), min_size=30, max_size=60
)


@law(50)
@given(NUMBERS)
def test_they_are_those_of_scipy(pairs):
    one, other = (np.array(side, np.float64) for side in zip(*pairs, strict=True))
    for mine, its in ((pearson, scipy.pearsonr), (spearman, scipy.spearmanr)):
        found = mine(one, other)
        if np.ptp(one) == 0 or np.ptp(other) == 0:
            assert found is None
            continue
        assert found.value == pytest.approx(its(one, other).statistic, abs=1e-9)
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert mine(other, one).value == pytest.approx(found.value)
        order = np.random.default_rng(0).permutation(len(one))
        assert mine(one[order], other[order]).value == pytest.approx(found.value)


def test_the_interval_of_ranks_is_that_of_a_published_example(monkeypatch):
    """The example of ci.spear in Bonett's R package statpsych, manual of that function."""
    monkeypatch.setattr(correlating, "LEAST", 3)
    y = np.array([21, 4, 9, 12, 35, 18, 10, 22, 24, 1, 6, 8, 13, 16, 19], float)
    x = np.array([67, 28, 30, 28, 52, 40, 25, 37, 44, 10, 14, 20, 28, 40, 51], float)
    found = spearman(y, x)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.8699639, 0.5840951, 0.9638297), abs=1e-6
    )


@pytest.mark.parametrize("rows", [0, 1, 2, 29])
def test_few_rows_say_nothing(rows):
    some = np.arange(rows, dtype=float)
    assert pearson(some, some) is spearman(some, some) is within(some, some, some) is None


def test_what_is_missing_is_in_no_pair():
    one = np.array([*range(40), np.nan, np.inf, 3], float)
    other = np.array([*range(40), 5, 5, np.nan], float)
    assert pearson(one, other).pairs == spearman(one, other).pairs == 40
    assert pearson(one, other).value == pytest.approx(1)
    assert pearson(one, np.full(43, 0.1)) is None


def test_inside_of_groups_what_differs_between_them_counts_for_nothing():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(50), 4)
    length = group * 10.0 + rng.normal(size=200)
    score = group * -1.0 + rng.normal(size=200)
    assert pearson(length, score).value < -0.9  # hard prompts are long
    assert abs(within(length, score, group).value) < 0.2
    found = within(length, length * 2 + group, group)
    assert found.value == pytest.approx(1)
    assert within(length, score, np.arange(200)) is None  # nobody has two attempts
