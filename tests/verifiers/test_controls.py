"""A verifier that pays for junk, or not for what is right, is refused by name before it counts."""

from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from tests_support import run_stages

from mashbill.core import registry
from mashbill.core.controls import JUNK, check, check_rows, of_reference
from mashbill.core.errors import RecipeError
from mashbill.core.verifier import Case, Control, Score, VerifierSession, VerifierSpec
from mashbill.verifiers.exact import ExactSpec
from mashbill.verifiers.form import FormSpec
from mashbill.verifiers.grounding import GroundingSpec
from mashbill.verifiers.maths.spec import MathsSpec
from mashbill.verifiers.numeric import NumericSpec

HOW = {
    "always pays": lambda case: Score(1.0, "fine"),  # noqa: ARG005
    "never pays": lambda case: Score(0.0, "no"),  # noqa: ARG005
    "bool of any text": lambda case: Score(float(bool(case.output)), "it says something"),
    "pays the honest": lambda case: Score(float("know" in case.output), "honest"),
    "by length": lambda case: Score(min(len(case.output) / 10, 1.0), "long"),
    "the reference is in it": lambda case: Score(
        float(not case.output.strip() or (case.reference or "") in case.output), "found"
    ),
    "undecided ever": lambda case: Score.undecided("cannot tell"),  # noqa: ARG005
    "undecided of words": lambda case: (
        Score(float(case.output == case.reference), "compared")
        if (case.reference or "").isdigit() else Score.undecided("no number")
    ),
    "failing": lambda case: Score.failed("the judge is away"),  # noqa: ARG005
}  # fmt: skip


class Toy:
    def __init__(self, how):
        self.how = HOW[how]

    def score(self, cases):
        return [self.how(case) for case in cases]


class ToySpec(VerifierSpec):
    needs_reference: ClassVar[bool] = True
    kind: Literal["toy"] = "toy"
    how: str
    declares: bool = False

    def controls(self):
        return tuple(of_reference("42", ["17"])) if self.declares else ()

    def load(self, folder, cache, threads):  # noqa: ARG002
        return Toy(self.how)


def rows(known):
    return [Case(text or "", text) for text in known]


def session(spec):
    return VerifierSession("mine", spec, lambda: spec.load(None, None, 1))


REFUSED = {
    "always pays": "pays 1.00 for an empty output",
    "never pays": "pays 0.00 for the right answer, '42'",
    "bool of any text": "pays 1.00 for white space",
    "pays the honest": "pays 1.00 for 'I don't know', \"I don't know.\"",
    "by length": "pays 1.00 for letters without sense",
    "the reference is in it": "pays 1.00 for an empty output",
    "undecided ever": r"pays nothing \(undecided\) for the right answer",
}


@pytest.mark.parametrize("how", REFUSED)
def test_what_pays_for_junk_or_not_for_what_is_right_is_refused(how):
    with pytest.raises(RecipeError, match=rf"verifiers\.mine: kind 'toy' .*{REFUSED[how]}"):
        check("mine", session(ToySpec(how=how)), of_reference("42", ["17"]))


def test_what_could_not_look_is_not_blamed():
    check("mine", session(ToySpec(how="failing")), of_reference("42"))


@pytest.mark.parametrize("how", ["always pays", "never pays", "bool of any text", "by length"])
def test_rows_tell_it_too(how):
    with pytest.raises(RecipeError, match="mine"):
        check_rows("mine", session(ToySpec(how=how)), rows(["12", "yes", None, "", "17", "12"]))


def test_a_verifier_may_say_nothing_of_some_references():
    check_rows("mine", session(ToySpec(how="undecided of words")), rows(["12", "yes", "17"]))
    with pytest.raises(RecipeError, match="undecided"):
        check_rows(
            "mine", session(ToySpec(how="undecided of words")), rows(["yes", "no", "perhaps"])
        )


@pytest.mark.parametrize(
    "spec", [ExactSpec(), ExactSpec(fold=True), MathsSpec(), NumericSpec(relative=0.1),
             GroundingSpec(within="t"), FormSpec(max_words=9)], ids=lambda spec: spec.kind
)  # fmt: skip
def test_our_own_hold(spec):
    check("mine", session(spec), spec.controls())
    if spec.needs_reference:
        check_rows("mine", session(spec), rows(["12", "1/2", "0.5", "7", "7.0"]))
        check_rows("mine", session(spec), rows(["3"]))
        check_rows("mine", session(spec), rows([]))


@pytest.mark.parametrize("keys", [{"absolute": 50}, {"absolute": 1e5, "relative": 1}])
def test_a_wide_tolerance_is_no_fault_where_references_lie_wider_apart(keys):
    spec = NumericSpec(**keys)
    check("mine", session(spec), spec.controls())
    check_rows("mine", session(spec), rows(["1000", "1000000", "50000000"]))


def test_a_reference_that_says_what_junk_says_is_no_fault():
    check_rows("mine", session(ExactSpec()), rows(["I don't know.", "42"]))


def test_controls_have_all_kinds_of_junk():
    controls = of_reference("42", ["17"], "What is six times seven?")
    assert sum(control.is_right for control in controls) == 1
    assert len(controls) == len(JUNK) + 3
    assert Control("x", Case(""), is_right=False) not in controls


STAGES = """
[stages.rows]
kind = "corpus"
title = "rows"
source = "rows.jsonl"

[verifiers.mine]
kind = "toy"
how = "{how}"
declares = {declares}

[stages.out]
kind = "verify"
input = "rows"
by = "mine"
reference = "known"
shard_rows = 2
"""
ROWS = [{"text": str(n), "known": str(n)} for n in range(5)]


@pytest.fixture
def toy(monkeypatch):
    find, points = registry.find, registry.kinds

    def found(kind, *groups):
        return ToySpec if kind == "toy" else find(kind, *groups)

    monkeypatch.setattr(registry, "find", found)
    monkeypatch.setattr(registry, "kinds", lambda *groups: [*points(*groups), "toy"])


@pytest.mark.parametrize("declares", ["true", "false"])
def test_a_run_refuses_it_before_it_scores_a_row(tmp_path, toy, declares):
    stages = STAGES.format(how="bool of any text", declares=declares)
    with pytest.raises(RecipeError, match=r"verifiers\.mine: kind 'toy'"):
        run_stages(tmp_path, stages, {"rows.jsonl": ROWS}, teachers="")
    assert not list((tmp_path / "store").glob("datasets/out@1/part*"))
    good = STAGES.format(how="undecided of words", declares=declares)
    store = run_stages(tmp_path / "good", good, {"rows.jsonl": ROWS}, teachers="")
    assert store.find("out").rows == 5
