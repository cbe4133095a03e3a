"""Tokens, runs and MinHash signatures: against a few lines of plain Python, and as promised."""

# ruff: noqa: RUF001
from __future__ import annotations

import math
import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import RecipeError
from mashbill.core.letters import folded, kind
from mashbill.files.rows import tokens
from mashbill.files.rows.minhash import Bands, band_keys, bands_for, jaccard, signatures
from mashbill.files.rows.text import matching_key
from mashbill.files.rows.tokens import Runs, pieces, runs_of, sets_of, shingles_of, tokens_of

LETTERS = "aAbB9_ .,!+#$`é\u0301\u00adßẞİıςΣ中文字ไทยเด็ก한국ᄒ한🎉👍🏽\u200d١٢ कि\n\t\u3000"
texts = st.lists(
    st.none()
    | st.text(st.sampled_from(LETTERS + "'’"), max_size=12)
    | st.text(st.sampled_from("01,a'"), max_size=14)
    | st.text(max_size=8)
)


def plain_tokens(text: str, by: str = "words") -> list[str]:
    """Return the tokens of a text, a letter at a time."""
    found, open_ = [], False
    small = folded(text or "")
    word = [
        kind(each) in ("word", "unseen") and not tokens._IS_UNSPACED[ord(each)] for each in small
    ]
    for at, letter in enumerate(small):
        what = kind(letter)
        if letter in "'’" and open_ and by == "words" and at + 1 < len(small) and word[at + 1]:
            continue
        is_thousand = re.match(r",[0-9]{3}(?![0-9])", small[at:]) and small[:at][-1:] in set(
            "0123456789"
        )
        if by == "words" and is_thousand:
            continue
        alone = what == "sign" or tokens._IS_UNSPACED[ord(letter)] or by == "characters"
        if what in ("space", "point"):
            open_ = False
        elif alone:
            found.append(letter)
            open_ = False
        elif open_:
            found[-1] += letter
        else:
            found.append(letter)
            open_ = True
    return found


def rows_of(runs: Runs) -> list[list[int]]:
    return (
        [row.tolist() for row in np.split(runs.numbers, runs.ends[:-1])] if len(runs.ends) else []
    )


def named(rows: list[list[int]], expected: list[list[object]]) -> bool:
    """Return whether numbers stand for things one to one."""
    pairs = {
        (number, thing)
        for numbers, things in zip(rows, expected, strict=True)
        for number, thing in zip(numbers, things, strict=True)
    }
    return len({n for n, _ in pairs}) == len({t for _, t in pairs}) == len(pairs)


@law(200)
@given(texts, st.sampled_from(["words", "characters"]), st.integers(1, 40))
def test_tokens_are_those_of_a_letter_at_a_time(drawn, by, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_AT_ONCE", at_once)
        found = rows_of(tokens_of(pa.array(drawn, pa.string()), by))
    # As one text, none of whose words goes over its end.
    assert named(found, [plain_tokens(text, by) for text in drawn])
    alone = [rows_of(tokens_of(pa.array([text], pa.string()), by))[0] for text in drawn]
    assert found == alone, "the tokens of a text depend on nothing beside it"


def test_every_character_of_ascii_is_what_unicode_says():
    every = [chr(code) for code in range(128)]
    found = rows_of(tokens_of(pa.array([f"x{c}y" for c in every])))
    beside = rows_of(tokens_of(pa.array([f"x{c}y" for c in every] + ["é"])))[:-1]
    assert found == beside, "by arithmetic on bytes, and by the table"
    assert [len(row) for row in found] == [len(plain_tokens(f"x{c}y")) for c in every]


@law(150)
@given(texts, st.integers(1, 5))
def test_runs_are_those_of_a_loop(drawn, length):
    runs = rows_of(runs_of(tokens_of(pa.array(drawn, pa.string())), length))
    expected = []
    for text in drawn:
        own = plain_tokens(text)
        many = range(max(len(own) - length + 1, min(len(own), 1)))
        expected.append([tuple(own[at : at + length]) for at in many])
    assert named(runs, expected)


@law(150)
@given(st.lists(st.text(st.sampled_from(LETTERS), max_size=10), max_size=6), st.integers(1, 4))
def test_what_says_the_same_has_the_same_shingles_and_all_that_says_something_has_some(
    drawn, length
):
    twice = [each for text in drawn for each in (text, f"“{text.upper().lower()}” ")]
    found = rows_of(shingles_of(pa.array(twice, pa.string()), length))
    keys = [matching_key(text) for text in twice]
    for one, its in zip(keys, found, strict=True):
        assert bool(its) == bool(one)
        for other, others in zip(keys, found, strict=True):
            assert one != other or its == others, "one key, one set"


def test_an_apostrophe_within_a_word_is_passed_over():
    twice = [
        "It's Janet’s dog, isn't it? 'Quoted' o'clock''",
        "its janets dog isnt it quoted oclock",
    ]
    one, two = rows_of(tokens_of(pa.array(twice)))
    assert one == two
    assert len({tuple(row) for row in rows_of(tokens_of(pa.array(["'a", "a'", "'", "a"])))}) == 2
    assert [len(row) for row in rows_of(tokens_of(pa.array(["it's", "a'", "'b"])))] == [1, 1, 1]
    numbers = ["1,000,000 and 1,0000 or 12,34,567", "1000000 and 1 0000 or 12 34567"]
    one, two = rows_of(tokens_of(pa.array(numbers)))
    assert one == two


def test_a_long_word_and_a_long_text_are_read_whole():
    long = "x" * 300_000
    found = rows_of(tokens_of(pa.array([f"a {long} b", "a b", f"{long}x"])))
    assert [len(row) for row in found] == [3, 2, 1]
    assert found[0][1] != found[2][0]
    assert sum(1 for _ in pieces(pa.array(["a"] * 10, pa.string()))) == 1


def test_marks_that_stand_apart_are_no_easy_letters():
    composed, apart = unicodedata.normalize("NFC", "é한"), unicodedata.normalize("NFD", "é한")
    assert composed != apart
    one, two = rows_of(tokens_of(pa.array([composed, apart])))
    assert one == two


def planted(likeness: float, size: int, pairs: int, seed: int) -> tuple[Runs, float]:
    """Return pairs of sets of one size, and their Jaccard similarity, as near as sizes allow."""
    draw = np.random.default_rng(seed)
    both = round(2 * size * likeness / (1 + likeness))
    numbers = []
    for _ in range(pairs):
        made = draw.integers(0, 2**64, 2 * size - both, np.uint64)
        numbers += [made[:size], np.concatenate([made[:both], made[size:]])]
    ends = np.cumsum([len(each) for each in numbers])
    return Runs(np.concatenate(numbers), ends), both / (2 * size - both)


@pytest.mark.parametrize("size", [2, 7, 40, 200, 900])
@pytest.mark.parametrize("likeness", [0.2, 0.5, 0.9])
def test_signatures_agree_in_the_share_that_sets_have_in_common(size, likeness):
    """Item 40 of training.md: an estimator that is biased, however fast, is none."""
    sets, true = planted(likeness, size, 400, size)
    found = signatures(sets, 128)
    agree = (found[::2] == found[1::2]).mean(axis=1)
    error = agree.std() / math.sqrt(len(agree))
    assert abs(agree.mean() - true) < 4 * error + 1e-9
    # No more scattered than places that are drawn independently.
    assert agree.std() < 1.15 * math.sqrt(true * (1 - true) / 128) + 1e-9


def test_a_signature_is_one_of_the_set():
    sets, _ = planted(0.5, 60, 3, 1)
    rows = rows_of(sets)
    once = signatures(sets, 128)
    mixed_up = [row[::-1] + row[:7] for row in rows]
    ends = np.cumsum([len(row) for row in mixed_up])
    numbers = np.array([number for row in mixed_up for number in row], np.uint64)
    again = signatures(Runs(numbers, ends), 128)
    assert (once == again).all(), "neither order nor repetition counts"
    for at, row in enumerate(rows):
        alone = signatures(Runs(np.array(row, np.uint64), np.array([len(row)])), 128)
        assert (alone[0] == once[at]).all(), "nor what other sets there are"
    assert (signatures(Runs(np.empty(0, np.uint64), np.zeros(2, int)), 16) == 2**64 - 1).all()


@pytest.mark.parametrize(("threshold", "size"), [(0.8, 200), (0.8, 12), (0.6, 100), (0.9, 50)])
def test_as_many_pairs_are_compared_as_the_bands_promise(threshold, size):
    cut = bands_for(threshold, 128, 0.95)
    assert cut.found(threshold) >= 0.95
    assert (
        cut.rows == 128 or Bands(128 // (cut.rows + 1), cut.rows + 1, 128).found(threshold) < 0.95
    )
    sets, true = planted(threshold, size, 1500, 3)
    keys = band_keys(signatures(sets, cut.places), cut)
    met = (keys[::2] == keys[1::2]).any(axis=1).mean()
    assert met > cut.found(true) - 4 * math.sqrt(0.05 * 0.95 / 1500)


def test_what_is_little_alike_is_hardly_ever_compared():
    cut = bands_for(0.8, 128, 0.95)
    sets, _ = planted(0.2, 100, 2000, 4)
    keys = band_keys(signatures(sets, cut.places), cut)
    assert (keys[::2] == keys[1::2]).any(axis=1).mean() < 0.01


def test_a_recall_that_cannot_be_had_is_refused():
    with pytest.raises(
        RecipeError, match=r"find two texts of similarity 0.05 with a probability of"
    ):
        bands_for(0.05, 16, 0.95)
    with pytest.raises(RecipeError, match="permutations = 100 is no power of two"):
        bands_for(0.8, 100, 0.95)


@law(100)
@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)))
def test_jaccard_is_that_of_sets(one, other):
    arrays = [np.array(sorted(each), np.uint64) for each in (one, other)]
    either = one | other
    assert jaccard(*arrays) == (len(one & other) / len(either) if either else 0)
    runs = Runs(np.concatenate(arrays), np.cumsum([len(a) for a in arrays]))
    assert [each.tolist() for each in sets_of(runs, np.arange(2))] == [sorted(one), sorted(other)]
