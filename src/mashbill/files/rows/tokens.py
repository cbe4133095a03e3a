"""The words of many texts as numbers, and runs of them: what overlaps of texts are reckoned from.

A token is a word, without case and in one canonical spelling; a sign, alone; or, where a script
sets no space between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), a single letter. What
is a word and what a sign, :mod:`mashbill.core.letters` says. Punctuation and space only set apart,
so that texts which differ in case, punctuation or spacing have the same tokens; but an apostrophe
within a word and a comma before three digits of a number are passed over, since many leave them
out: don't is dont, and 1,000 is 1000.

A token's number is a polynomial of its letters modulo 2**64, mixed; a run's is a polynomial of its
tokens' numbers. So two different runs get one number with a chance of about 2**-64. Whoever sets
out to can make such words: what follows from numbers decides which rows stay, and proves nothing.

All is done by numpy over many texts at once. Letters of ASCII are told apart by arithmetic on their
bytes; others by tables that learn each character when it is first met.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.letters import UNSPACED, folded, kind
from mashbill.files.rows.text import matching_key

if TYPE_CHECKING:
    from collections.abc import Iterator

By = Literal["words", "characters"]

_AT_ONCE = 1 << 16  # letters: what numpy makes of them stays in the processor's cache
_LETTER = 0x9E3779B97F4A7C15  # odd, so that its powers have inverses modulo 2**64
_TOKEN = np.uint64(0xD6E8FEB86659FD93)
_SIGNS = ((35, 4), (42, 2), (47, 1), (60, 3), (64, 1), (92, 1), (94, 1), (124, 1), (126, 1))
"""of ASCII, as (first, how many): # $ % & * + / < = > @ \\ ^ | ~"""
_APOSTROPHE, _CURLED, _COMMA = 0x27, 0x2019, 0x2C
_BETWEEN, _WORD, _ALONE = 0, 1, 2
_UNMET, _HARD = 255, np.uint32(0xFFFFFFFF)


@dataclass(frozen=True)
class Runs:
    """Numbers of several rows, one row behind the other."""

    numbers: np.ndarray
    """uint64, shape (numbers,)"""
    ends: np.ndarray
    """how many of them stand before the end of each row's, int64, shape (rows,)"""

    @cached_property
    def starts(self) -> np.ndarray:
        """How many stand before each row's, int64, shape (rows,)."""
        found: np.ndarray = self.ends - self.counts
        return found

    @cached_property
    def counts(self) -> np.ndarray:
        """How many each row has, int64, shape (rows,)."""
        return np.diff(self.ends, prepend=0)


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Return numbers whose bits all depend on all bits: the finaliser of splitmix64."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: np.ndarray = numbers ^ (numbers >> np.uint64(31))
    return result


def tokens_of(texts: pa.Array, by: By = "words") -> Runs:
    """Return the tokens of texts.

    Args:
        texts: shape (rows,); a missing one has none.
        by: ``characters`` makes each letter a token, whatever the script.
    """
    numbers, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for piece in pieces(texts):
        found = _tokens(*_letters(piece), by)
        numbers.append(found.numbers)
        counts.append(found.counts)
    return Runs(np.concatenate(numbers), np.cumsum(np.concatenate(counts)))


def runs_of(tokens: Runs, length: int) -> Runs:
    """Return each row's runs of so many tokens; a row that has fewer is one run."""
    numbers = tokens.numbers
    counts, ends = tokens.counts, tokens.ends
    short = np.flatnonzero((counts < length) & (counts > 0))
    whole = np.maximum(counts - length + 1, 0)
    if len(numbers) < length:
        runs = np.empty(0, np.uint64)
    else:
        last = len(numbers) - length + 1
        made = numbers[:last]
        for place in range(1, length):
            made = made * _TOKEN + numbers[place : place + last]
        inside = np.ones(len(numbers), bool)
        for back in range(1, length):
            inside[(ends - back)[counts >= back]] = False
        runs = made[inside[:last]]
    if len(short):
        before = (np.cumsum(whole) - whole)[short]
        runs = np.insert(runs, before, _wholes(tokens, short))
        whole[short] = 1
    return Runs(mixed(runs), np.cumsum(whole))


def shingles_of(texts: pa.Array, length: int, by: By = "words") -> Runs:
    """Return each text's runs of so many tokens, so that every text that says something has one.

    A text of fewer tokens is one run; one of none, such as ``?!``, has itself, without spaces.

    Args:
        texts: shape (rows,); a missing one, and one of nothing but space, has none.
        length: tokens of a run.
        by: see :func:`tokens_of`.
    """
    runs = runs_of(tokens_of(texts, by), length)
    none = np.flatnonzero(runs.counts == 0)
    keys = [matching_key(text or "") for text in texts.take(pa.array(none)).to_pylist()]
    there = [place for place, key in enumerate(keys) if key]
    if not there:
        return runs
    rows = none[there]
    made = [blake2b(keys[place].encode(), digest_size=8).digest() for place in there]
    numbers = np.insert(runs.numbers, runs.starts[rows], np.frombuffer(b"".join(made), "<u8"))
    counts = runs.counts.copy()
    counts[rows] = 1
    return Runs(numbers, np.cumsum(counts))


def sets_of(runs: Runs, rows: np.ndarray) -> list[np.ndarray]:
    """Return the runs of some rows, each once and in order."""
    starts, ends = runs.starts, runs.ends
    return [np.unique(runs.numbers[starts[row] : ends[row]]) for row in rows.tolist()]


def wholes_of(tokens: Runs) -> np.ndarray:
    """Return a number for all tokens of each row in their order, uint64, shape (rows,)."""
    found = np.zeros(len(tokens.ends), np.uint64)
    some = np.flatnonzero(tokens.counts)
    found[some] = mixed(_wholes(tokens, some))
    return found


def _wholes(tokens: Runs, rows: np.ndarray) -> np.ndarray:
    """Return the polynomial of all tokens of some rows, of which each has at least one."""
    counts, starts = tokens.counts[rows], tokens.starts[rows]
    found: np.ndarray = tokens.numbers[starts].copy()
    order = np.argsort(counts, kind="stable")
    begin, place = 0, 1
    sizes = counts[order]
    while True:
        begin += int(np.searchsorted(sizes[begin:], place, side="right"))
        left = order[begin:]
        if not len(left):
            return found
        found[left] = found[left] * _TOKEN + tokens.numbers[starts[left] + place]
        place += 1


def pieces(texts: pa.Array) -> Iterator[pa.LargeStringArray]:
    """Yield texts in order, so many at once as numpy works on best; a missing one is empty."""
    texts = texts.cast(pa.large_string())
    if texts.null_count:
        texts = pc.fill_null(texts, "")
    ends = _offsets(texts)
    begin = 0
    while begin < len(texts):
        stop = int(np.searchsorted(ends, ends[begin] + _AT_ONCE, side="right")) - 1
        stop = min(max(stop, begin + 1), len(texts))
        yield texts.slice(begin, stop - begin)
        begin = stop


def _offsets(texts: pa.LargeStringArray) -> np.ndarray:
    found: np.ndarray = np.frombuffer(texts.buffers()[1], np.int64)[
        texts.offset : texts.offset + len(texts) + 1
    ]
    return found


def _letters(texts: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return folded letters, what kind each is, and how many stand before each text's end."""
    ends = _offsets(texts)
    data = texts.buffers()[2]
    held = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]] if data else np.empty(0, np.uint8)
    if not len(held) or held.max() < 128:
        small, kinds = _of_ascii(held)
        return small, kinds, ends[1:] - ends[0]
    codes, lengths = _codes(held.tobytes()), np.asarray(pc.utf8_length(texts), np.int64)
    _learn(codes)
    hard = _FOLDS[codes] == _HARD
    if hard.any():
        owners = np.repeat(np.arange(len(texts)), lengths)
        told = texts.to_pylist()
        for row in np.unique(owners[hard]).tolist():
            told[row] = folded(told[row])
        codes = _codes("".join(told).encode())
        lengths = np.array([len(text) for text in told], np.int64)
        _learn(codes)
    small = _FOLDS[codes]
    # What is left that is hard is folded already: a mark, which stays itself.
    small = np.where(small == _HARD, codes, small)
    _learn(small)
    return small, _KINDS[small], np.cumsum(lengths)


def _codes(data: bytes) -> np.ndarray:
    return np.frombuffer(data.decode().encode("utf-32-le"), np.uint32)


def _of_ascii(held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return letters of ASCII in lower case, and what kind each is: by arithmetic alone."""
    small = held + (held - np.uint8(65) < 26).view(np.uint8) * np.uint8(32)
    words = (small - np.uint8(97) < 26) | (small - np.uint8(48) < 10) | (small == 95)
    alone = np.zeros(len(small), bool)
    for first, count in _SIGNS:
        alone |= small - np.uint8(first) < count
    kinds = words.view(np.uint8) + alone.view(np.uint8) * np.uint8(_ALONE)
    return small, kinds


_FOLDS = np.full(0x110000, _HARD, np.uint32)
"""character -> the one that it is folded to; :data:`_HARD` where only its text can be folded"""
_KINDS = np.full(0x110000, _UNMET, np.uint8)
_IS_UNSPACED = np.zeros(0x110000, bool)


def _ranges_of(inside: str) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a class of ``re`` that has no escapes, as (first, last)."""
    place = 0
    while place < len(inside):
        is_range = inside[place + 1 : place + 2] == "-"
        yield ord(inside[place]), ord(inside[place + 2 if is_range else place])
        place += 3 if is_range else 1


for _first, _last in _ranges_of(UNSPACED):
    _IS_UNSPACED[_first : _last + 1] = True


def _learn(codes: np.ndarray) -> None:
    """Enter characters that were not met before into the tables."""
    new = codes[_KINDS[codes] == _UNMET]
    for code in np.unique(new).tolist():
        letter = chr(code)
        what = kind(letter)
        # A kind is entered last: another thread that sees it finds the rest.
        small = folded(letter)
        is_easy = (
            len(small) == 1
            and what != "unseen"
            # What may come together with the letter before it: marks, and vowels of Hangul.
            and unicodedata.category(letter)[0] != "M"
            and not 0x1100 <= code <= 0x11FF
        )
        _FOLDS[code] = ord(small) if is_easy else _HARD
        alone = what == "sign" or bool(_IS_UNSPACED[code])
        _KINDS[code] = _ALONE if alone else _WORD if what in ("word", "unseen") else _BETWEEN


def _powers(base: int, count: int) -> np.ndarray:
    steps = np.full(count, base, np.uint64)
    steps[0] = 1
    return np.multiply.accumulate(steps)


_POWERS = _powers(_LETTER, 2 * _AT_ONCE)
_INVERSES = _powers(pow(_LETTER, -1, 2**64), 2 * _AT_ONCE)


def _tokens(letters: np.ndarray, kinds: np.ndarray, ends: np.ndarray, by: By) -> Runs:
    """Return the tokens of texts that stand one behind the other.

    Args:
        letters: folded, shape (letters,).
        kinds: of each.
        ends: how many letters stand before the end of each text.
        by: see :func:`tokens_of`.
    """
    if by == "characters":
        there = kinds != _BETWEEN
        before = np.concatenate([[0], np.cumsum(there)])
        return Runs(mixed(letters[there].astype(np.uint64)), before[ends])
    letters, kinds, ends = _without_points_within(letters, kinds, ends)
    word = kinds == _WORD
    begins, stops = word.copy(), word.copy()
    begins[1:] &= ~word[:-1]
    stops[:-1] &= ~word[1:]
    # A text begins anew, whatever the one before it ended with.
    edges = ends[(ends > 0) & (ends < len(letters))]
    begins[edges] = word[edges]
    stops[edges - 1] = word[edges - 1]
    alone = kinds == _ALONE
    first = np.flatnonzero(begins | alone)
    behind = np.flatnonzero(stops | alone) + 1
    powers, inverses = _POWERS, _INVERSES
    if len(letters) > len(powers):
        powers = _powers(_LETTER, len(letters))
        inverses = _powers(pow(_LETTER, -1, 2**64), len(letters))
    sums = np.zeros(len(letters) + 1, np.uint64)
    np.cumsum(letters.astype(np.uint64) * powers[: len(letters)], out=sums[1:])
    numbers = mixed((sums[behind] - sums[first]) * inverses[first])
    return Runs(numbers, np.searchsorted(first, ends))


def _without_points_within(
    letters: np.ndarray, kinds: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return letters, kinds and ends without the points in words and numbers that tell nothing."""
    points = letters == _APOSTROPHE
    points |= letters == _COMMA
    if letters.dtype != np.uint8:
        points |= letters == _CURLED
    at = np.flatnonzero(points)
    if not len(at):
        return letters, kinds, ends
    text = np.searchsorted(ends, at, side="right")
    last = ends[text] - 1
    first = np.where(text > 0, ends[text - 1], 0)
    inside = (at > first) & (at < last)
    at, last = at[inside], last[inside]
    is_comma = letters[at] == _COMMA
    word = (kinds[at - 1] == _WORD) & (kinds[at + 1] == _WORD) & ~is_comma
    # Of a comma three digits and no fourth stand behind, and one before.
    thousand = is_comma & _is_digit(letters[at - 1]) & (at + 3 <= last)
    for step in (1, 2, 3):
        thousand &= _is_digit(letters[np.minimum(at + step, last)])
    thousand &= (at + 4 > last) | ~_is_digit(letters[np.minimum(at + 4, last)])
    at = at[word | thousand]
    if not len(at):
        return letters, kinds, ends
    return np.delete(letters, at), np.delete(kinds, at), ends - np.searchsorted(at, ends)


def _is_digit(letters: np.ndarray) -> np.ndarray:
    found: np.ndarray = (letters >= 48) & (letters <= 57)
    return found
