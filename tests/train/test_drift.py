"""Whether what a student samples changes in form: length, ends, repetitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.train.drift import drifted, form_of, repeated


def test_a_text_that_goes_round_is_a_repetition():
    assert repeated(list(range(20))) == 0
    assert repeated([1, 2] * 10) == pytest.approx(1 - 2 / 17)
    assert repeated([1, 2, 3]) == repeated([]) == 0


@law(50)
@given(st.lists(st.integers(0, 3), max_size=30))
def test_a_share_of_repetitions_is_a_share(ids):
    assert 0 <= repeated(ids) < 1


def test_the_form_of_a_step_is_told():
    found = form_of([[1, 2, 3, 4], [5, 5, 5, 5, 5, 5]], [False, True])
    assert found == {"completion_tokens": 5, "cut_off": 0.5, "repeated": pytest.approx(1 / 3)}
    assert form_of([], [])["completion_tokens"] == 0


def step(tokens=20.0, cut=0.0, again=0.0):
    return {"completion_tokens": tokens, "cut_off": cut, "repeated": again}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (step(tokens=50.0), "became much longer"),
        (step(tokens=5.0), "became much shorter"),
        (step(cut=0.5), "without an end more and more"),
        (step(again=0.6), "repeat what they said more and more"),
    ],
)
def test_what_moves_far_is_warned_of(last, said):
    found, warned = drifted([step()] * 9 + [last])
    assert len(warned) == 1
    assert said in warned[0]
    assert found["completion_tokens"] == [20.0, last["completion_tokens"]]


def test_what_stays_is_not():
    assert drifted([step(), step(tokens=30.0, cut=0.1, again=0.1)])[1] == []
    assert drifted([step()])[1] == []
    assert drifted([]) == ({}, [])
