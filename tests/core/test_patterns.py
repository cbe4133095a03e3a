"""Patterns mean what they mean to ``re``, and take no longer than a text is long."""

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.patterns import Pattern, PatternError, found

_CHARACTERS = "abAB é_ß1٣²\n\r İıſK語\u00a0-."
_LETTERS = st.sampled_from(_CHARACTERS)
_ATOMS = st.one_of(
    _LETTERS.map(re.escape),
    st.sampled_from([".", r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", "[a-c]", "[^aé]", r"[\W\d]"]),
    st.lists(_LETTERS, min_size=1, max_size=3).map(
        lambda each: f"[{''.join(map(re.escape, each))}]"
    ),
)
_PLACES = st.sampled_from(["^", "$", r"\A", r"\Z", r"\b", r"\B"])
_TIMES = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}", "*?", "+?", "{0,2}?"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    # What repeats takes a character at least: re itself stops early where a turn takes none.
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{'|'.join(pair)})"),
        st.tuples(inner, _ATOMS, _TIMES).map(lambda each: f"({each[0]}{each[1]}){each[2]}"),
        st.tuples(st.sampled_from(["(?i:", "(?s:", "(?-i:"]), inner).map(
            lambda e: f"{e[0]}{e[1]})"
        ),
    )


_PATTERNS = st.tuples(
    st.sampled_from(["", "", "", "(?i)", "(?m)", "(?s)", "(?a)", "(?ai)", "(?im)"]),
    st.recursive(st.one_of(st.tuples(_ATOMS, _TIMES).map("".join), _PLACES), _grown, max_leaves=6),
).map("".join)


@law(800)
@given(_PATTERNS, st.lists(st.text(_LETTERS, max_size=8), min_size=1, max_size=4))
def test_a_pattern_finds_what_re_finds(text, within):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, theirs = Pattern(text), re.compile(text)
    for each in ("", *within):
        for one in (each, f"{each}\n"):
            assert ours.found_in(one) is (theirs.search(one) is not None), (text, one)


@law(300)
@given(st.sampled_from([r"\b\w+\b", r"\bé", r"(?i)k", r"\W", r"\s$", "[^a]", r"\d\B"]), st.text())
def test_it_does_so_over_all_of_unicode(text, within):
    assert found(text, within) is (re.search(text, within) is not None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a{99999999999999}", "repetition number is too large"),
        ("((((a{100}){100}){100}){100})", "20,000 parts"),
        (r"(a)\1", "going back to a group"),
        ("(?P<x>a)(?P=x)", "going back to a group"),
        ("a(?=b)", "looking around"),
        ("(?<!a)b", "looking around"),
        ("(?>a+)b", "atomic group"),
        ("a*+b", "possessive"),
        ("(a)?(?(1)b|c)", "condition"),
        ("[", "unterminated character set"),
        ("(" * 1000 + ")" * 1000, "nested too deeply"),
        ("a" * 5000, "4,096 at most"),
        ("(?m:$)a$", "in one pattern"),
        ("\\b" + "".join(chr(0x410 + n) for n in range(64)), "letters apart"),
        (r"\p{L}", "bad escape"),
    ],
)
def test_what_cannot_be_used_is_told_with_why(text, says):
    with pytest.raises(PatternError, match=re.escape(says)):
        Pattern(text)


@pytest.mark.parametrize(
    "text", ["^(a+)+$", "(a|aa)+$", "(.*)*x", "(a?){300}a{300}b", "(\\s|a)*$c"]
)
def test_no_pattern_takes_for_ever(text):
    # With re the first of these takes longer than the universe has been there.
    assert found(text, "a" * 20_000 + "!") is False


def test_a_text_that_would_take_minutes_is_refused():
    with pytest.raises(Exception, match="shorten one of them"):
        Pattern("(a|b)*a(a|b){9000}").found_in("ab" * 500_000)


@pytest.mark.parametrize("size", [1, 999, 1000, 1001, 2500])
def test_repeats_beyond_what_the_engine_takes_in_one_go(size):
    assert [found(f"^x{{{size}}}$", "x" * n) for n in (size - 1, size, size + 1)] == [
        False,
        True,
        False,
    ]
    assert found(f"^x{{1,{size}}}$", "x" * size)
    assert not found(f"^x{{1,{size}}}$", "x" * (size + 1))
