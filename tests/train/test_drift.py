"""Whether what a student samples changes in form: length, ends, repetitions."""

from __future__ import annotations

import pytest

from mashbill.train.drift import drifted, form_of


def test_the_form_of_a_step_is_told():
    found = form_of([[1, 2, 3, 4], [5] * 16], [False, True])
    assert found == {"completion_tokens": 10, "truncated": 0.5, "repeating": 0.5}
    assert form_of([], [])["completion_tokens"] == 0


def step(tokens=20.0, cut=0.0, again=0.0):
    return {"completion_tokens": tokens, "truncated": cut, "repeating": again}


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (step(tokens=50.0), "became much longer"),
        (step(tokens=5.0), "became much shorter"),
        (step(cut=0.5), "without an end more and more"),
        (step(again=0.6), "said over and over more and more"),
    ],
)
def test_what_moves_far_is_warned_of(last, said):
    found, warned = drifted([step()] * 9 + [last] * 3)
    assert len(warned) == 1
    assert said in warned[0]
    assert found["completion_tokens"] == [20.0, last["completion_tokens"]]


def test_what_stays_is_not():
    assert drifted([step(), step(tokens=30.0, cut=0.1, again=0.1)])[1] == []
    assert drifted([step(), step(tokens=90.0)])[1] == []  # too few to tell
    assert drifted([]) == ({}, [])
