"""Rule 3 of linear classifiers: words, pairs of words, letters in a row, and how a text looks.

Needs numpy alone, so that what was trained by it can be asked without an ML stack.

* Words as :func:`mashbill.core.words.words` has them: with marks and signs, and letters in a row
  where a script sets no spaces.
* Pairs of neighbouring words.
* Of each word of a script with spaces, three to five letters in a row, its ends marked (Bojanowski
  et al., TACL 2017).
* :data:`SHAPE` measures of the text: shares of scripts, signs and digits, the longest run without
  a space, runs as of base64, capitals within words, and how surprising its letters are to a model
  of pairs of letters, in the mean and in the worst window (as a text from a search by gradient
  is: Jain et al., 2023; Alon and Kamfonas, 2023). That model is learned with the classifier.

All are hashed into buckets, the last :data:`SHAPE` of which are the measures'. A word, a pair and
the letters of a word count the same, once a text, divided by the root of their number: what a text
has is then a sum over its distinct words, which is what makes it fast to apply.
"""

from __future__ import annotations

import functools
import re
import unicodedata
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.extras import needs
from mashbill.core.words import is_unspaced, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHAPE = 24
"""measures of a text"""
READ = 4_000
"""letters of a text that are read: the first half of them and the last half"""
SYMBOLS = 128
"""of the model of pairs of letters"""
_WINDOW = 60  # letters
_UNIT = 16  # steps of a bit
_KEPT = 200_000  # words whose letters are remembered
_LONGEST = 40  # letters of a word of which rows are taken; a longer one is no word
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FINAL = np.uint64(0xD6E8FEB86659FD93)
_CODES = 0x10000
_POINTS = ((48, 33), (65, 43), (97, 69), (128, 95))
"""of ASCII: up to which code, and what is taken off to have them in a row"""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")

# Kinds of characters.
_SPACE, _LOWER, _UPPER, _DIGIT, _CASED, _UNSPACED, _RIGHT, _OTHER, _POINT, _SIGN = range(10)


def ends(text: str) -> str:
    """Return a text, or the beginning and the end of a long one."""
    return text if len(text) <= READ else text[: READ // 2] + "\n" + text[-READ // 2 :]


def pieces(word: str) -> list[str]:
    """Return three to five letters in a row of a word, its ends marked; none of an unspaced one."""
    if len(word) < 3 or len(word) > _LONGEST or is_unspaced(word):
        return []
    marked = f"<{word}>"
    size = len(marked)
    return [marked[at : at + n] for n in (3, 4, 5) for at in range(size - n + 1)]


@dataclass(frozen=True, slots=True)
class Taken:
    """Words of texts: numbers of a vocabulary, in order, and of which text each is."""

    word: np.ndarray
    """int64, shape (words,)"""
    text: np.ndarray
    """int64, shape (words,)"""


class Letters:
    """Turns texts into rows of hashed features; see :class:`mashbill.models.linear`."""

    def __init__(self, buckets: int, letters: np.ndarray) -> None:
        """Take the number of buckets and a model of :func:`learned_letters`."""
        if buckets <= SHAPE or letters.shape != (SYMBOLS, SYMBOLS):
            msg = f"{buckets} buckets and letters of {letters.shape} do not fit"
            raise ValueError(msg)
        self.buckets = buckets
        self.hashed = np.uint64(buckets - SHAPE)
        self._bits = letters.astype(np.float32).ravel() / _UNIT
        self._known: dict[str, int] = {}
        self.codes = np.empty(1024, np.uint64)
        """hash of each word of the vocabulary"""

    def learn(self, word: str, number: int) -> None:
        """Take a word that was not seen yet; a hook for what is to be known of it."""

    def forget(self) -> None:
        """Forget all words; done where they become too many."""
        self._known.clear()

    def take(self, texts: Sequence[str]) -> Taken:
        """Return the words of texts, each a number of this object's vocabulary."""
        if len(self._known) > _KEPT:
            self.forget()
        known, numbers, counts = self._known, [], []
        for text in texts:
            found = words(text, marks=True)
            for word in found:
                number = known.get(word)
                if number is None:
                    number = self._new(word)
                numbers.append(number)
            counts.append(len(found))
        return Taken(np.array(numbers, np.int64), np.repeat(np.arange(len(texts)), counts))

    def _new(self, word: str) -> int:
        number = self._known[word] = len(self._known)
        if number >= len(self.codes):
            self.codes = np.concatenate([self.codes, np.empty_like(self.codes)])
        self.codes[number] = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        self.learn(word, number)
        return number

    def pairs(self, taken: Taken) -> tuple[np.ndarray, np.ndarray]:
        """Return the bucket and the text of each distinct pair of neighbouring words."""
        same = taken.text[1:] == taken.text[:-1]
        code = self.codes[taken.word]
        mixed = self._buckets((code[:-1] * _MIX ^ (code[1:] + np.uint64(1)) * _FINAL)[same])
        both = np.unique(taken.text[1:][same] * self.buckets + mixed)
        return both % self.buckets, both // self.buckets

    def once(self, taken: Taken) -> tuple[np.ndarray, np.ndarray]:
        """Return the number and the text of each distinct word of each text."""
        size = max(1, len(self._known))
        both = np.unique(taken.text * size + taken.word)
        return both % size, both // size

    def bucket_of(self, word: np.ndarray) -> np.ndarray:
        """Return the buckets of words of the vocabulary."""
        return self._buckets(self.codes[word] * _MIX)

    def buckets_of_pieces(self, word: str) -> np.ndarray:
        """Return the buckets of a word's letters in a row, int64."""
        codes = (
            zlib.crc32(b"\x00" + piece.encode("utf-8", "surrogatepass")) for piece in pieces(word)
        )
        return self._buckets(np.fromiter(codes, np.uint64) * _MIX)

    def _buckets(self, mixed: np.ndarray) -> np.ndarray:
        mixed = mixed ^ (mixed >> np.uint64(29))
        mixed = (mixed * _FINAL) >> np.uint64(20)
        found: np.ndarray = (mixed % self.hashed).astype(np.int64)
        return found

    def transform(self, texts: Iterable[str]) -> Any:
        """Return a sparse matrix, float64, shape (texts, buckets)."""
        with needs("a classifier", "train"):
            from scipy.sparse import csr_matrix

        read = [ends(text) for text in texts]
        taken = self.take(read)
        word, text = self.once(taken)
        names = list(self._known)
        parts = {int(n): self.buckets_of_pieces(names[n]) for n in np.unique(word)}
        sizes = np.array([len(parts[int(n)]) for n in word], np.int64)
        pair, pair_text = self.pairs(taken)
        weight = 1 / np.sqrt(np.maximum(sizes, 1))
        columns = [self.bucket_of(word), pair, *(parts[int(n)] for n in word)]
        rows = [text, pair_text, np.repeat(text, sizes)]
        values = [np.ones(len(word)), np.ones(len(pair)), np.repeat(weight, sizes)]
        units = units_of(len(read), text, pair_text, text[sizes > 0])
        shape = self.shape(read)
        at, measure = np.nonzero(shape)
        row = np.concatenate(rows)
        made = csr_matrix(
            (
                np.concatenate([np.concatenate(values) / units[row], shape[at, measure]]),
                (
                    np.concatenate([row, at]),
                    np.concatenate([*columns, measure + self.buckets - SHAPE]),
                ),
            ),
            (len(read), self.buckets),
        )
        made.sum_duplicates()
        return made

    def shape(self, texts: Sequence[str]) -> np.ndarray:
        """Return the measures of texts, float64, shape (texts, SHAPE)."""
        return shape_of(texts, self._bits)


def units_of(texts: int, *counted: np.ndarray) -> np.ndarray:
    """Return by what the features of each text are divided: the root of how many count."""
    total = sum((np.bincount(one, minlength=texts) for one in counted), np.zeros(texts, np.int64))
    units: np.ndarray = np.sqrt(np.maximum(total, 1))
    return units


def learned_letters(texts: Iterable[str]) -> np.ndarray:
    """Return a model of pairs of letters: how surprising each is after each.

    Returns:
        Sixteenths of a bit, uint8, shape (SYMBOLS, SYMBOLS), smoothed by half a count.
    """
    counts = np.zeros(SYMBOLS * SYMBOLS, np.int64)
    for text in texts:
        symbols = _tables()[1][_codes(" " + ends(text) + " ")].astype(np.int64)
        counts += np.bincount(symbols[:-1] * SYMBOLS + symbols[1:], minlength=SYMBOLS * SYMBOLS)
    table = counts.reshape(SYMBOLS, SYMBOLS) + 0.5
    bits = -np.log2(table / table.sum(axis=1, keepdims=True))
    learned: np.ndarray = np.clip(np.rint(bits * _UNIT), 0, 255).astype(np.uint8)
    return learned


def shape_of(texts: Sequence[str], bits: np.ndarray) -> np.ndarray:
    """Return the measures of texts.

    Args:
        texts: as read.
        bits: of each pair of symbols, shape (SYMBOLS * SYMBOLS,).

    Returns:
        float64, about 0 to 1 each, shape (texts, SHAPE).
    """
    made = np.zeros((len(texts), SHAPE))
    if not len(texts):
        return made
    sizes = np.array([len(text) for text in texts]) + 1  # each with a space behind it
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    code = _codes(" ".join(texts) + " ")
    kinds, symbols = _tables()
    kind = kinds[code]

    def total(mask: np.ndarray) -> np.ndarray:
        return np.add.reduceat(mask.astype(np.float64), start)

    letters = np.maximum(total((kind != _SPACE) & (kind < _POINT) & (kind != _DIGIT)), 1)
    filled = np.maximum(total(kind != _SPACE), 1)
    made[:, 0] = total((kind == _LOWER) | (kind == _UPPER)) / letters
    for place, one in enumerate((_CASED, _UNSPACED, _RIGHT, _OTHER), 1):
        made[:, place] = total(kind == one) / letters
    made[:, 5] = np.log2(1 + _longest(~np.isin(kind, (_SPACE, _UNSPACED)), start)) / 10
    signs = kind == _SIGN
    made[:, 6] = total(signs) / filled
    made[:, 7] = _worst(signs, start, sizes)
    made[:, 8] = total(kind == _DIGIT) / filled
    made[:, 9] = [sum(map(len, _BASE64.findall(text))) / max(1, len(text)) for text in texts]
    gaps = np.maximum(total(kind == _SPACE), 1)
    before = np.concatenate([[_SPACE], kind[:-1]])
    after = np.concatenate([kind[1:], [_SPACE]])
    made[:, 10] = np.minimum(total((kind == _UPPER) & (before == _LOWER)) / gaps, 1)
    glued = signs & (before != _SPACE) & (after != _SPACE)
    made[:, 11] = np.minimum(total(glued) / gaps, 1)
    made[:, 12] = np.log2(sizes) / 12
    made[:, 13] = np.minimum(total(code == 10) * 20 / sizes, 1)
    made[:, 14] = total(kind == _UPPER) / letters
    pair = symbols[code].astype(np.int64)
    surprise = bits[np.concatenate([[0], pair[:-1]]) * SYMBOLS + pair]
    made[:, 15] = np.add.reduceat(surprise.astype(np.float64), start) / sizes / 8
    worst = _worst(surprise, start, sizes)
    made[:, 16] = worst / 8
    for place, bound in enumerate((4.0, 4.75, 5.5), 17):
        made[:, place] = np.clip((worst - bound) / 2, 0, 2)
    made[:, 20] = np.clip(made[:, 12] - 0.65, 0, None) * 2
    made[:, 21] = np.clip(made[:, 7] - 0.1, 0, None) * 2
    return made


def _longest(mask: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the longest run that holds, of each text; texts end with what does not hold."""
    at = np.arange(len(mask))
    last = np.maximum.accumulate(np.where(mask, -1, at))
    return np.maximum.reduceat(np.where(mask, at - last, 0), start)


def _worst(value: np.ndarray, start: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the highest mean over a window, of each text; a shorter text is filled with 0."""
    sums = np.concatenate([[0.0], np.cumsum(value, dtype=np.float64)])
    at = np.arange(len(value)) - np.repeat(start, sizes)
    over = sums[1:] - sums[np.maximum(np.arange(len(value)) + 1 - np.minimum(at + 1, _WINDOW), 0)]
    return np.maximum.reduceat(over, start) / _WINDOW


def _codes(text: str) -> np.ndarray:
    """Return the code points of a text; those beyond U+FFFF as one of emoji's signs, or of Han."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    if not text.isascii():
        codes = np.where(codes < _CODES, codes, np.where(codes < 0x20000, 0x2603, 0x4E00))
    return codes


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Return kind and symbol of each code point below U+10000, uint8 each."""
    kinds = np.array([_kind(chr(code), code) for code in range(_CODES)], np.uint8)
    symbols = np.array([_symbol(code, int(kinds[code])) for code in range(_CODES)], np.uint8)
    return kinds, symbols


def _kind(character: str, code: int) -> int:
    category = unicodedata.category(character)
    if code < 128:
        if character.isalpha():
            return _LOWER if character.islower() else _UPPER
        if character.isdigit():
            return _DIGIT
        if character.isspace() or category == "Cc":
            return _SPACE
        return _POINT if character in ".,'!?:;-\"" else _SIGN
    if category[0] in "ZC" and category != "Co":
        return _SPACE
    if category == "Nd":
        return _DIGIT
    if category[0] in "LM":
        if is_unspaced(character):
            return _UNSPACED
        if code < 0x250 or 0x1E00 <= code < 0x1F00:
            return _UPPER if category == "Lu" else _LOWER
        if 0x370 <= code < 0x590 or 0x1F00 <= code < 0x2000:
            return _CASED
        return _RIGHT if 0x590 <= code < 0x780 else _OTHER
    return _POINT if category[0] == "P" else _SIGN


def _symbol(code: int, kind: int) -> int:
    """Return the symbol of a code point: letters of a script have symbols of their own."""
    if kind == _SPACE:
        return 0
    if kind == _DIGIT:
        return 1
    if kind == _UNSPACED:
        return 2
    if code < 128:
        character = chr(code).lower()
        if character.isalpha():
            return 3 + ord(character) - ord("a")
        return 29 + code - next(less for end, less in _POINTS if code < end)
    if kind in (_LOWER, _UPPER):
        return 64 + code % 12
    if kind == _CASED:
        return 76 + ord(chr(code).lower()[0]) % 32
    return 108 + code % 20
