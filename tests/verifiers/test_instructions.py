"""``instructions``: every demand tells what keeps it from what does not, and none always passes."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from mashbill.core.controls import JUNK, check
from mashbill.core.errors import RecipeError
from mashbill.core.verifier import Case, VerifierSession
from mashbill.verifiers.instructions.demands import DEMANDS, UNTOLD
from mashbill.verifiers.instructions.ifeval import IFEVAL
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
    # a letter is looked for as it stands, whatever it is
    ("keywords:letter_frequency",
     {"letter": "!", "let_frequency": 2, "let_relation": "at least"}, "a!!", "a! Ii 11"),
    ("keywords:letter_frequency",
     {"letter": "#", "let_frequency": 2, "let_relation": "at least"}, "# #", "# a b"),
    # whole words, in any script
    ("keywords:frequency", {"keyword": "art", "frequency": 1, "relation": "at least"}, "Art.",
     "start apart smart arts"),
    ("keywords:existence", {"keywords": ["河"]}, "大河很长", "大山很长"),
    ("keywords:existence", {"keywords": ["caf\u00e9"]}, "the cafe\u0301", "the cafe"),
    ("length_constraints:number_words", {"num_words": 4, "relation": "at least"}, "大河很长",
     "大河很"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"},
     "大河很长。山高。", "Mr. J. Smith met Dr. Who, e.g. here."),
    ("count:keywords_multiple",
     {f"keyword{n}": word for n, word in enumerate(["art", "b", "c", "d", "e"], 1)},
     "art b b c c c d d d d d e e e e e e e", "start b b c c c d d d d d e e e e e e e"),
    ("count:person_names", {"N": 1.0}, "Ava!", "Available in Miami, Norah and Leonardo"),
    ("ratio:overlap", {"reference_text": "one two three four", "percentage": 100},
     "Two three four", "four three two one"),
    ("ratio:overlap", {"reference_text": "aaaa bbbb", "percentage": 0}, "aaaa bbbb cccc",
     "bbbb"),
    ("count:conjunctions", {"small_n": 2}, "a and b, or", "And and, AND (and) so-so"),
    ("count:numbers", {"N": 0}, "none", "1"),
    ("format:options", {"options": "I know or I don't know"}, "I don't know", "I know all"),
    ("format:options", {"options": "a), b), c), d)"}, "b)", "b"),
    ("format:parentheses", {}, "([{([x])}])", "((((((x"),
    ("format:sub-bullets", {}, "Well-known:\n* a\n- b", "no bullets - none"),
    ("format:list", {"sep": "..."}, "... a\n... b", "well... yes... no"),
    ("format:emoji", {}, "Hello! 😀 Bye. 👋🏽", "Hello! 😀 Bye."),
    ("format:emoji", {}, '"So it is." 🤔\n"Yes"! 🛡️', '"So it is." 🤔\n"Yes"!'),
    ("format:list", {"sep": "SEPARATOR"}, "SEPARATOR a SEPARATOR b", "a SEPARATOR b"),
    ("format:sub-bullets", {}, "* **a**\n  - b *c* d\n* **e**\n  - f", "* a\n* **b**\n  - c"),
    ("format:quotes", {}, """He said "I heard 'she said "no" to it' once".""",
     """"We 'trust the process' and 'are reborn'" and "more"."""),
    ("custom:date_format_list", {}, "1805-12-02", "1805-12-2"),
    ("custom:date_format_list", {}, "1804-02-29", "1805-02-29"),
    ("words:alphabet", {}, "Yes, zebras always bite", "123 4"),
    ("words:last_first", {}, "Go home. Home is here.", "Only one sentence here."),
    ("sentence:increment", {"small_n": 1}, "a b. c d e.", "a b c."),
]  # fmt: skip


def scored(name, arguments, output, **keys):
    spec = InstructionsSpec(**keys)
    session = VerifierSession("v", spec, lambda: spec.load(None, None, 1))
    row = {"instruction_id_list": [name], "kwargs": [arguments]}
    (score,) = session.score([Case(output, row=row)])
    return score


def test_each_demand_holds_to_its_controls():
    spec = InstructionsSpec()
    assert (len(IFEVAL), len(DEMANDS)) == (24, 79)
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
    "change_case:capital_word_frequency", "count:unique_word_count", "ratio:stop_words",
    "words:vowel", "words:consonants", "words:prime_lengths", "words:repeats", "count:pronouns",
    "words:paragraph_last_first", "words:no_consecutive",
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


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("name", DEMANDS)
def test_a_check_that_always_says_the_same_is_refused_by_name(name, always, monkeypatch):
    dull = dataclasses.replace(DEMANDS[name], check=lambda text, given: always)  # noqa: ARG005
    monkeypatch.setitem(DEMANDS, name, dull)
    spec = InstructionsSpec()
    what = "does not keep" if always else "keeps"
    with pytest.raises(RecipeError, match=rf"pays \d\.00 for what {what} {name}"):
        check("v", VerifierSession("v", spec, lambda: spec.load(None, None, 1)), spec.controls())


@pytest.mark.parametrize("keys", [{"loose": True}, {"strict": False}, {"demands": "d"}])
def test_controls_hold_whatever_the_keys(keys):
    spec = InstructionsSpec(**keys)
    check("v", VerifierSession("v", spec, lambda: spec.load(None, None, 1)), spec.controls())


def test_a_demand_that_comes_twice_is_held_to_both_of_its_arguments():
    row = {
        "instruction_id_list": ["keywords:existence", "keywords:existence"],
        "kwargs": [{"keywords": ["sea"]}, {"keywords": ["boat"]}],
    }
    verifier = InstructionsSpec().load(None, None, 1)
    cases = [Case(text, row=row) for text in ("the sea", "a boat", "a boat at sea")]
    assert [score.value for score in verifier.score(cases)] == [0.0, 0.0, 1.0]


VACUOUS = [
    ("length_constraints:number_words", {"num_words": 0, "relation": "at least"}),
    ("keywords:letter_frequency", {"letter": "a", "let_frequency": 0, "let_relation": "less than"}),
    ("keywords:existence", {"keywords": [" "]}), ("count:unique_word_count", {"N": 0}),
    ("keywords:forbidden_words", {"forbidden_words": ["", "a"]}),
    ("detectable_content:number_placeholders", {"num_placeholders": 0}),
    ("ratio:stop_words", {"percentage": 100}), ("count:pronouns", {"N": 0.0}),
    ("count:word_count_range", {"min_words": 5, "max_words": 4}),
    ("repeat:repeat_span", {"prompt_to_repeat": "abc", "n_start": 9, "n_end": 12}),
]  # fmt: skip


def test_a_demand_that_all_or_nothing_keeps_is_undecided():
    told = {name: scored(name, given, "x").outcome for name, given in VACUOUS}
    assert set(told.values()) == {"undecided"}, told
    assert {scored(name, given, "").outcome for name, given in VACUOUS} == {"undecided"}


def test_what_no_rule_tells_is_undecided_and_says_why():
    assert len(UNTOLD) == 4
    for name, why in UNTOLD.items():
        told = scored(name, {}, "anything")
        assert (told.outcome, why in told.reason) == ("undecided", True)


FRAME = st.sampled_from(["", "Sure!\n", "Here it is:\n\n", "*", "**"])


@drawn(st.sampled_from(sorted(DEMANDS)), st.text(max_size=60), FRAME, FRAME)
def test_loose_never_pays_less_and_a_share_never_less_than_all(name, text, before, behind):
    demand = DEMANDS[name]
    for output in (text, before + demand.good + behind, before + demand.bad + behind):
        strict = scored(name, demand.given, output)
        loose = scored(name, demand.given, output, loose=True)
        share = scored(name, demand.given, output, strict=False)
        assert strict.value <= loose.value
        assert strict.value <= share.value


def test_loose_takes_a_line_around_and_asterisks_away():
    wrapped = "Sure, here it is:\n**ALL OF IT**\nHope this helps!"
    assert scored("change_case:english_capital", {}, wrapped).value == 0
    assert scored("change_case:english_capital", {}, wrapped, loose=True).value == 1
