"""Noise of a teacher against what it teaches."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import InputError
from mashbill.train.teacher_test import TwiceScored, measured, passed


def scored(noise, signal, tokens=200, seed=0):
    rng = np.random.default_rng(seed)
    teacher = -rng.exponential(2.0, tokens)
    other = teacher + noise * rng.choice([-1, 1], tokens)
    student = teacher + signal * rng.choice([-1, 1], tokens)
    return TwiceScored.of([teacher], [other], [student], "twice")


@law(60)
@given(st.floats(1e-3, 5), st.floats(1e-3, 5), st.floats(0.01, 2))
def test_it_is_refused_where_noise_is_more_than_its_part_of_the_signal(noise, signal, ratio):
    given_by = scored(noise, signal)
    if noise > ratio * signal * 1.0001:
        with pytest.raises(InputError, match="noisier than what it teaches"):
            passed("t", given_by, ratio)
    elif noise < ratio * signal * 0.9999:
        found = passed("t", given_by, ratio)
        assert found["noise"]["rms"] == pytest.approx(noise)
        assert found["signal"]["rms"] == pytest.approx(signal)


def test_its_figures_are_those_of_the_differences():
    first, second = np.array([-1.0, -2.0, -3.0, -4.0]), np.array([-1.0, -2.0, -3.5, -3.0])
    found = measured(TwiceScored.of([first], [second], [np.array([-2.0, -2.0, -1.0, -4.0])], "x"))
    assert found["tokens"] == 4
    assert found["noise"]["mean"] == pytest.approx(1.5 / 4)
    assert found["noise"]["rms"] == pytest.approx(np.sqrt(1.25 / 4))
    assert found["noise"]["max"] == 1
    assert found["noise"]["bias"] == pytest.approx(-0.5 / 4)
    assert found["signal"]["mean"] == pytest.approx(3 / 4)
    assert json.loads(json.dumps(found)) == found


def test_scores_of_the_token_beside_are_found():
    rng = np.random.default_rng(1)
    student = -rng.exponential(2.0, 400)
    close = student + 0.1 * rng.standard_normal(400)
    passed("t", TwiceScored.of([close], [close], [student], "x"), 1.0)
    with pytest.raises(InputError, match="noisier"):
        passed("t", TwiceScored.of([np.roll(close, 1)], [close], [student], "x"), 0.5)


def test_a_teacher_that_is_the_student_passes_for_rounding_is_no_noise():
    same = np.array([-1.0, -2.0, -3.0])
    assert passed("t", TwiceScored.of([same], [same + 1e-6], [same], "x"), 1.0)["tokens"] == 3
    with pytest.raises(InputError, match="noisier"):
        passed("t", TwiceScored.of([same], [same + 1e-2], [same], "x"), 1.0)


def test_tokens_without_a_score_are_counted_and_most_must_have_one():
    first, second = [-1.0, None, -3.0, -np.inf], [-1.0, -2.0, -3.0, -4.0]
    found = passed("t", TwiceScored.of([first], [second], [[-2.0] * 4], "x"), 1.0)
    assert (found["tokens"], found["without"]) == (2, 2)
    for given_by in ([None, None, -3.0, None], [None] * 4, []):
        with pytest.raises(InputError, match="have no log-probability"):
            passed("t", TwiceScored.of([given_by], [given_by], [[-1.0] * len(given_by)], "x"), 1.0)


def test_other_numbers_of_tokens_are_refused():
    with pytest.raises(InputError, match="other tokens came back"):
        TwiceScored.of([[-1.0]], [[-1.0, -2.0]], [[-1.0]], "x")
