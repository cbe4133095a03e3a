"""``instructions``: every demand tells what keeps it from what does not, and none always passes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from mashbill.core.controls import JUNK, check
from mashbill.core.verifier import Case, VerifierSession
from mashbill.verifiers.instructions.demands import DEMANDS
from mashbill.verifiers.instructions.spec import InstructionsSpec

LESS = [
    ("keywords:frequency", {"keyword": "a", "frequency": 2, "relation": "less than"}, "a b", "a a"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "less than"}, "a b", "a b c"),
    (
        "length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"},
        "It costs 3.50 in all.", "One. Two.",
    ),
    (
        "keywords:letter_frequency",
        {"letter": "#", "let_frequency": 1.0, "let_relation": "less than"}, "a", "#",
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 1, "capital_relation": "less than"}, "No.", "NO.",
    ),
    ("keywords:existence", {"keywords": ["c++ (new)"]}, "I like C++ (new).", "I like C."),
    ("keywords:forbidden_words", {"forbidden_words": [".*"]}, "anything", "a .* b"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "x\np. p. s. y", "P.S. y"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "**bold**\n- one", "**bold**"),
    ("detectable_format:json_format", {}, "[1]", "[1"),
    ("combination:two_responses", {}, "a****** b", "a ****** b ****** c"),
]  # fmt: skip


def scored(name, arguments, output, **keys):
    spec = InstructionsSpec(**keys)
    session = VerifierSession("v", spec, lambda: spec.load(None, None, 1))
    row = {"instruction_id_list": [name], "kwargs": [arguments]}
    (score,) = session.score([Case(output, row=row)])
    return score


def test_each_demand_holds_to_its_controls():
    spec = InstructionsSpec()
    assert len(DEMANDS) == 24
    check("v", VerifierSession("v", spec, lambda: spec.load(None, None, 1)), spec.controls())
    kept = {
        name
        for name, demand in DEMANDS.items()
        if any(scored(name, demand.given, junk).value for junk in JUNK.values())
    }
    assert kept == KEPT_BY_JUNK


KEPT_BY_JUNK = {
    "keywords:forbidden_words", "keywords:letter_frequency", "length_constraints:number_words",
    "punctuation:no_comma", "change_case:english_lowercase",
    "change_case:capital_word_frequency",
}  # fmt: skip
"""demands that words without sense may keep, too: they ask for a form and for nothing else"""


def test_what_keeps_a_demand_is_told_from_what_does_not():
    wrong = [
        (name, good, bad)
        for name, arguments, good, bad in LESS
        if (scored(name, arguments, good).value, scored(name, arguments, bad).value) != (1.0, 0.0)
    ]
    assert not wrong


@pytest.mark.parametrize("name", DEMANDS)
def test_a_demand_that_lacks_what_it_needs_is_undecided(name):
    demand = DEMANDS[name]
    for key in demand.keys:
        values = [None, "", [], -1, True]
        for value in values if isinstance(demand.given[key], str) else [*values, "many"]:
            told = scored(name, {**demand.given, key: value}, demand.good)
            assert told.outcome == "undecided", (key, value)


def test_a_share_is_paid_where_it_is_not_strict():
    spec = InstructionsSpec(strict=False, demands="ids", given="args")
    verifier = spec.load(None, None, 1)
    row = {
        "ids": json.dumps(["punctuation:no_comma", "detectable_format:title"]),
        "args": "[{}, {}]",
    }
    (score,) = verifier.score([Case("no title", row=row)])
    assert (score.value, score.reason) == (0.5, "not kept: detectable_format:title")


BROKEN = [
    {}, {"instruction_id_list": [], "kwargs": []}, {"instruction_id_list": "[", "kwargs": "[]"},
    {"instruction_id_list": ["punctuation:no_comma"], "kwargs": []},
    {"instruction_id_list": ["language:response_language"], "kwargs": [{"language": "de"}]},
    {"instruction_id_list": [3], "kwargs": [{}]},
    {"instruction_id_list": ["punctuation:no_comma"] * 99, "kwargs": [{}] * 99},
]  # fmt: skip


def test_what_cannot_be_checked_is_undecided():
    verifier = InstructionsSpec().load(None, None, 1)
    assert {score.outcome for score in verifier.score([Case("x", row=row) for row in BROKEN])} == {
        "undecided"
    }


@drawn(st.text(max_size=80) | st.text(alphabet='*-[]<>#.\n "a,P{}', max_size=60))
def test_no_output_is_too_odd(text):
    for name, demand in DEMANDS.items():
        score = scored(name, demand.given, text)
        assert score.value in {0.0, 1.0}
        if not text.strip():
            assert score.value == 0
