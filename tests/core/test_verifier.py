"""A score is a number in [0, 1] or none, and a verifier is held to what it promises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mashbill.core.errors import StageError
from mashbill.core.verifier import Case, Score, VerifierSession, VerifierSpec
from mashbill.verifiers.exact import ExactSpec

NUMBERS = st.one_of(st.floats(), st.integers(-3, 3), st.booleans(), st.none(), st.text(max_size=3))


@given(NUMBERS, st.sampled_from(["scored", "undecided", "failed", "wrong"]), st.text(max_size=3))
def test_a_score_is_a_share_or_it_is_none_and_says_why(value, outcome, reason):
    is_share = type(value) in {int, float} and math.isfinite(value) and 0 <= value <= 1
    allowed = is_share if outcome == "scored" else value is None and bool(reason.strip())
    if allowed and outcome != "wrong":
        assert Score(value, reason, outcome=outcome).value == value
    else:
        with pytest.raises(ValueError, match=r"."):
            Score(value, reason, outcome=outcome)


class Parts(VerifierSpec):
    kind: str = "parts"
    components = ("form", "sense")


class Saying:
    def __init__(self, scores):
        self.scores = scores

    def score(self, _cases):
        return self.scores


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([], "was given 2 outputs at once and gave 0 scores"),
        (None, "gave NoneType scores"),
        ([1.0, 1.0], "gave 1.0 of output 0, which is no Score"),
        ([Score(1.0)] * 2, "has the components none, and it declares form, sense"),
        ([Score(1.0, "", {"form": 1.0})] * 2, "has the components form, and it declares"),
        (
            [Score(1.0, "", {"form": 1.0, "sense": 1.0}, isolation="bwrap")] * 2,
            "it ran output 0 ('bwrap'), and its kind does not say that it runs outputs",
        ),
    ],
)
def test_what_breaks_the_promise_is_told_with_the_verifiers_name(scores, said):
    session = VerifierSession("mine", Parts(), lambda: Saying(scores))
    with pytest.raises(
        StageError, match=r"verifiers\.mine: kind 'parts' of no distribution broke"
    ) as told:
        session.score([Case("a"), Case("b")])
    assert said in str(told.value)


def test_what_is_not_scored_has_no_parts():
    session = VerifierSession("mine", Parts(), lambda: Saying([Score.failed("it is away")]))
    assert session.score([Case("a")])[0].value is None


@given(st.text(max_size=6), st.text(max_size=6))
def test_exact_is_equality_after_what_its_keys_leave_out(one, other):
    def value(spec, output, known):
        return spec.load(None, None, 1).score([Case(output, known)])[0].value

    assert value(ExactSpec(), one, one) == 1
    assert value(ExactSpec(), f" {one}\n", one) == 1
    assert value(ExactSpec(fold=True), one.upper(), one.upper().lower()) in {0, 1}
    assert value(ExactSpec(trim=False), f" {one}", one) == 0
    assert value(ExactSpec(), one, other) == value(ExactSpec(), other, one)
    assert value(ExactSpec(), one, None) is None


@given(st.text(max_size=5) | st.integers() | st.just("x" * 201))
def test_an_isolation_is_one_line_of_text(under):
    is_line = isinstance(under, str) and len(under) <= 200 and not set(under) & set("\r\n\0")
    if is_line:
        assert Score.failed("too slow", under).isolation == under
    else:
        with pytest.raises(ValueError, match="an isolation is a line"):
            Score.undecided("cannot tell", under)
