"""Scores held against gold: laws, and what other code says of the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.calibration import calibrated, observed

SCORE = st.none() | st.floats(0, 1)
ROWS = st.lists(st.tuples(st.text("abcd", max_size=4), SCORE, st.sampled_from([0.0, 1.0, None])))


def summed(one, two):
    keys = one | two
    return {
        key: summed(one.get(key, {}), two.get(key, {}))
        if isinstance(keys[key], dict)
        else one.get(key, 0) + two.get(key, 0)
        for key in keys
    }


@given(ROWS, ROWS)
def test_slices_are_summed(one, two):
    assert summed(observed(one, 0.5), observed(two, 0.5)) == observed([*one, *two], 0.5)


@given(ROWS)
def test_accuracy_correlation_and_error_are_those_of_the_rows(rows):
    told = calibrated(observed(rows, 0.5))
    pairs = np.array([(s, g) for _, s, g in rows if s is not None and g is not None]).reshape(-1, 2)
    assert told["rows"] == len(pairs)
    if not len(pairs):
        assert told["accuracy"] is told["error"] is told["correlation"] is None
        return
    score, gold = pairs.T
    assert told["accuracy"] == pytest.approx(((score >= 0.5) == (gold >= 0.5)).mean())
    place = np.minimum((score * 20).astype(int), 19)
    error = sum(
        abs(score[place == at].mean() - gold[place == at].mean()) * (place == at).mean()
        for at in np.unique(place)
    )
    assert told["error"] == pytest.approx(error, abs=1e-5)
    if told["correlation"] is not None and score.std() > 0.05:
        assert told["correlation"] == pytest.approx(np.corrcoef(score, gold)[0, 1], abs=1e-2)


def test_a_judge_that_is_too_kind_gets_a_threshold_that_holds_on_the_other_part():
    rows = [(f"t{n}", 0.9 if n % 3 == 0 else 0.7, float(n % 3 == 0)) for n in range(120)]
    told = calibrated(observed(rows, 0.5))
    assert told["accuracy"] == pytest.approx(1 / 3)
    assert 0.7 < told["threshold"] <= 0.9
    assert told["held_accuracy"] == 1.0
    assert told["held_at_half"] < 0.5
    assert 30 < told["held_rows"] < 90
    assert told["correlation"] == pytest.approx(1.0, abs=1e-3)


def test_gold_of_another_range_and_none_are_taken_as_they_are():
    rows = [("a", 0.2, 1.0), ("b", 0.8, 5.0), ("c", 0.5, float("nan")), ("d", None, 3.0)]
    told = calibrated(observed(rows, 3.0))
    assert (told["rows"], told["accuracy"]) == (2, 1.0)
    assert calibrated({})["rows"] == 0
