"""The words of a text: what a classifier learns from, and what texts are compared by."""

import re
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.letters import folded, is_word, kind
from mashbill.core.words import words
from mashbill.models.linear import features, first_features

PLAIN = st.text([chr(code) for code in range(128) if chr(code) not in "#$%&*+/<=>@\\^|~-."])


@given(PLAIN)
@law(200)
def test_english_has_the_features_that_it_had(text):
    assert features(text) == first_features(text)


@given(st.text(max_size=20))
@law(300)
def test_every_letter_and_sign_is_in_some_word(text):
    found = set("".join(words(text)))
    assert {each for each in folded(text) if kind(each) in ("word", "sign")} <= found | {"\ufe0f"}


@given(st.text(max_size=20))
@law(200)
def test_words_do_not_depend_on_case_or_spelling(text):
    assert words(unicodedata.normalize("NFD", text)) == words(text) == words(text.lower())


def test_no_letter_is_taken_from_its_marks():
    for word in ("लड़का", "ছেলে", "கொடி", "బాలుడు", "ילדָּה", "وَلَد", "བོད", "សិស្ស", "é́", "क्\u200dष"):
        assert is_word(word)
        for part in words(word):
            assert unicodedata.category(part[0])[0] != "M", (word, part)
    assert not is_word("x!")
    assert not is_word("a b")
    assert not is_word("")


def test_signs_and_emoji_are_words():
    assert words("C++, C# and .NET: 7 - 5 < 3%") == (
        ["c", "++", "c", "#", "and", ".", "net", "7", "-", "5", "<", "3", "%"]
    )
    assert words("well-known COVID-19") == ["well", "known", "covid", "19"]
    assert words("👍🏽👎") == ["👍🏽", "👍", "👎"]
    assert words("🇩🇪🇫🇷")[0] == "🇩🇪"
    assert "👨\u200d👩" in words("a 👨\u200d👩!")
    assert words("我有 Python") == ["我", "有", "我有", "python"]
    assert words("Great!! :)", marks=True) == ["great", "!!", ":)"]


def test_old_classifiers_are_asked_by_their_own_rule():
    """As release 0.1 had it."""
    text = "लड़का Straße C++ boy's 👍 good-natured !?"
    found = re.compile(r"\w+|[!?:;)(]+").findall(text.lower())
    assert first_features(text)[: len(found)] == found
    assert np.isin(["^natu", "$red", "^stra", "$aße"], first_features(text)).all()


@pytest.mark.parametrize("text", ["", " ", "...", "\u200b", "\ud800"])
def test_nothing_has_no_words_that_are_empty(text):
    assert all(words(text))
