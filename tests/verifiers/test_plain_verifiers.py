"""``numeric``, ``form``, ``schema`` and ``grounding``: what is right is paid, and nothing else."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mashbill.core.errors import InputError
from mashbill.core.verifier import Case, VerifierSession
from mashbill.verifiers.exact import ExactSpec
from mashbill.verifiers.form import FormSpec
from mashbill.verifiers.grounding import GroundingSpec, leaves
from mashbill.verifiers.numeric import NumericSpec
from mashbill.verifiers.schema import SchemaSpec

JUNK = ["", " ", "asdf", "I don't know", "{", "null", "\u0000", "ö" * 500, "1/0", "9" * 400]


def scored(spec, output, reference=None, folder=None, **row):
    session = VerifierSession("v", spec, lambda: spec.load(folder, None, 1))
    (score,) = session.score([Case(output, reference, row)])
    return score


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0), (" - * 🙂 ---", 0), ("one", 1), ("one two\nthree", 3), ("猫", 1),
        ("日本語です", 5), ("don't e-mail me-now U.S.A. 3.14 1,000", 6), ("so <<0*3=0>> it is", 4),
        ("Python3を使う", 4), ("ภาษาไทย", 7), ("ก็ดี", 2), ("हिन्दी में", 2), ("한국어 단어", 2),
        ("cafe\u0301 اللغة العربية", 3), ("猫 and 犬。", 3), ("x " * 1000, 1000),
    ],
)  # fmt: skip
def test_a_word_is_counted_once(text, count):
    assert scored(FormSpec(min_words=count, max_words=count), text).value == 1
    assert scored(FormSpec(max_words=count), text + " 猫").value == 0


@given(st.text("日本語ですก", max_size=30))
def test_each_letter_of_a_script_without_spaces_is_a_word(text):
    assert scored(FormSpec(min_words=len(text), max_words=len(text)), text).value == 1


NUMBERS = [
    ("12", "12", {}, 1), ("12.0", "12", {}, 1), ("the answer is 12.", "12", {}, 1),
    ("1.5e3", "1500", {}, 1), ("1,500", "1500", {}, 1), ("5 cm", "0.05 m", {}, 1),
    ("5 cm", "5 km", {}, 0), ("5", "5 km", {}, 1), ("5", "5 km", {"unit": "required"}, 0),
    ("5 kg", "5 m", {}, 0), ("3.14", r"\pi", {}, 0), ("3.14", r"\pi", {"relative": 0.001}, 1),
    ("101", "100", {"absolute": 1}, 1), ("101.01", "100", {"absolute": 1}, 0),
    ("99", "100", {"relative": 0.01}, 1), ("-100", "100", {"relative": 0.01}, 0),
    ("1.2 km", "1200 m", {"absolute": 0}, 1), ("60 minutes", "1 hour", {}, 1),
    ("50%", "50%", {}, 1),
    (r"\frac{1}{3}", "0.3333", {"relative": 0.001}, 1), ("2i", "2", {}, 0), ("x", "2", {}, 0),
]  # fmt: skip


def test_numbers_are_compared_within_what_is_allowed():
    found = [
        (output, known, keys)
        for output, known, keys, value in NUMBERS
        if scored(NumericSpec(**keys), output, known).value != value
    ]
    assert not found


def test_no_junk_is_a_number_and_no_reference_is_undecided():
    for text in JUNK:
        assert scored(NumericSpec(), text, "17").value == 0
        assert scored(NumericSpec(), "17", text).outcome == "undecided", text
    assert scored(NumericSpec(), "17").outcome == "undecided"


@given(st.floats(-1e9, 1e9), st.floats(0, 0.5))
def test_what_is_within_a_tolerance_is_right(number, relative):
    spec = NumericSpec(relative=relative)
    assert scored(spec, repr(number), repr(number)).value == 1
    beyond = number * (1 + 3 * relative) + 1
    assert scored(spec, repr(beyond), repr(number)).value == 0 or number < 0


FORMS = [
    ({"max_chars": 5}, "abcde", 1), ({"max_chars": 5}, "abcdef", 0), ({"min_words": 2}, "one", 0),
    ({"min_words": 2}, "one two", 1), ({"match": ["^Dear "]}, "Dear you", 1),
    ({"match": ["^Dear "]}, "Hi", 0), ({"refuse": ["sorry"]}, "I am sorry", 0),
    ({"refuse": ["sorry"], "max_words": 9}, "I am sorry", 0.5), ({"min_chars": 1}, "", 0),
]  # fmt: skip


def test_a_form_is_paid_by_the_demands_that_are_met():
    assert not [each for each in FORMS if scored(FormSpec(**each[0]), each[1]).value != each[2]]


def test_a_form_that_demands_nothing_or_what_cannot_be_is_refused():
    for keys in ({}, {"min_chars": 5, "max_chars": 4}, {"match": ["("]}, {"match": ["(?=a)"]}):
        with pytest.raises((ValidationError, InputError)):
            FormSpec(**keys)


@pytest.fixture
def schema(tmp_path):
    text = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
    (tmp_path / "s.json").write_text(json.dumps(text))
    return SchemaSpec(file="s.json"), tmp_path


def test_json_that_fits_is_paid_and_nothing_else(schema):
    spec, folder = schema
    assert spec.files() == ("s.json",)
    assert scored(spec, '{"n": 3}', folder=folder).value == 1
    for text in [*JUNK, '{"n": "3"}', "[]", '{"n": 3', '{"n": 3} and more', "```json\n{}\n```"]:
        assert scored(spec, text, folder=folder).value == 0, text


TEXT = "Ada Lovelace was born on 10 December 1815; the machine had 1,200 wheels, 3.5 m high."


def test_values_that_stand_in_the_text_are_paid():
    spec = GroundingSpec()
    assert spec.reads() == ("text",)
    good = json.dumps(
        {"name": "ada  lovelace", "wheels": 1200, "when": ["10 December 1815"], "m": 3.5}
    )
    assert scored(spec, good, text=TEXT).value == 1
    half = json.dumps({"name": "Ada Lovelace", "wheels": 1201})
    assert scored(spec, half, text=TEXT).value == 0.5
    assert scored(spec, "December 1815", text=TEXT).value == 1
    for text in ("Charles", "love", "181", "{}", "", json.dumps({"a": "Babbage"})):
        assert scored(spec, text, text=TEXT).value == 0, text
    for row in ({}, {"text": None}, {"text": " "}, {"text": 3}):
        assert scored(spec, "x", **row).outcome == "undecided"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3)
    ),
)


@given(JSON)
def test_all_texts_and_numbers_of_json_are_its_values(value):
    def count(part):
        if isinstance(part, dict):
            return sum(map(count, part.values()))
        if isinstance(part, list):
            return sum(map(count, part))
        return int(isinstance(part, str | int) and not isinstance(part, bool))

    assert len(leaves(json.dumps(value))) == count(value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_none_raises_for_any_text(output, other):
    for spec in (NumericSpec(), FormSpec(max_words=3), GroundingSpec()):
        score = scored(spec, output, other, text=other)
        assert score.reason
        assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301 - our own


FIELDS = '{"who": "Ann", "price": 40, "tags": ["a", "b"], "none": null, "名": "猫"}'


@pytest.mark.parametrize(
    ("field", "output", "value"),
    [
        ("who", '{"who": "Ann"}', 1), ("who", ' {"who": " Ann ", "x": 1}\n', 1),
        ("who", '{"who": "ann"}', 0), ("who", '{"price": "Ann"}', 0), ("who", "Ann", 0),
        ("who", '["who", "Ann"]', 0), ("who", '{"who": null}', 0), ("who", "{" * 9999, 0),
        ("price", '{"price": 40}', 1), ("price", '{"price": "40"}', 1),
        ("price", '{"price": 40.5}', 0), ("tags", '{"tags":["a","b"]}', 1),
        ("tags", '{"tags": ["b", "a"]}', 0), ("名", '{"名": "猫"}', 1), ("名", '{"名": "犬"}', 0),
        ("none", '{"none": null}', None), ("missing", '{"missing": 1}', None),
        *(("who", junk, 0) for junk in JUNK),
    ],
)  # fmt: skip
def test_a_field_of_what_is_written_as_json_is_compared_by_itself(field, output, value):
    assert scored(ExactSpec(field=field), output, FIELDS).value == value
    assert scored(ExactSpec(field=field), output, "no JSON").value is None
    assert scored(ExactSpec(field=field), FIELDS, output).value in (
        {1, None} if value else {0, None}
    )


def test_an_older_exact_is_what_it_was():
    assert "field" not in ExactSpec().model_dump()
