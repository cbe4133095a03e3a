"""Passages of texts: what a text shares with another one that it was cut from, joined or wrapped.

Of every window of :data:`WIDTH` bytes of a matching key there is a hash, and of each run of
:data:`RUN` windows the least of them is kept: winnowing (Schleimer, Wilkerson, Aiken, SIGMOD 2003).
So two texts that share ``WIDTH + RUN - 1`` bytes of their keys share a passage that both keep,
wherever it stands. A passage that stands in very many texts of a set is a formula, and nobody's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.stages.marks.texts import Keyed

WIDTH, RUN = 24, 16
"""bytes of a window, and windows of which one is kept: 39 bytes that are shared are found"""
PASSAGES = np.dtype([("hash", "<u8"), ("text", "<i8")])
FORMULA, FORMULA_PART = 25, 0.05
"""texts, and part of them, beyond both of which what stands in them is a formula"""
_PIECE = 1 << 20
"""bytes of keys that are hashed at once"""
_BASE = 0x9E3779B97F4A7C15
"""an odd number, so that it has an inverse modulo 2**64"""
_INVERSE = pow(_BASE, -1, 1 << 64)


def passages(keyed: Keyed) -> np.ndarray:
    """Return the passages that are kept of some texts, of PASSAGES: each with its text's place."""
    ends = keyed.ends
    found = [
        _of_piece(keyed.data[int(ends[a]) : int(ends[b])], ends[a : b + 1] - ends[a], a)
        for a, b in _pieces(ends)
    ]
    return np.concatenate(found) if found else np.empty(0, PASSAGES)


def _pieces(ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield from which text to which: so many bytes at once, or one text that is longer."""
    cuts = [0]
    while cuts[-1] < len(ends) - 1:
        upto = int(np.searchsorted(ends, ends[cuts[-1]] + _PIECE, "right")) - 1
        cuts.append(min(max(upto, cuts[-1] + 1), len(ends) - 1))
    yield from pairwise(cuts)


def _of_piece(data: np.ndarray, ends: np.ndarray, first: int) -> np.ndarray:
    """Return the passages of texts that lie one behind the other, from the ``first`` on."""
    count = len(data) - WIDTH + 1
    if count <= 0:
        return np.empty(0, PASSAGES)
    ups, downs = _powers(len(data))
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum(_LETTERS[data] * ups[: len(data)], out=sums[1:])
    hashes = _mixed((sums[WIDTH:] - sums[:-WIDTH]) * downs[:count])
    sizes = np.diff(ends)
    of = np.repeat(np.arange(len(sizes)), sizes)[:count]
    left = ends[1:][of] - np.arange(count)  # bytes from a place to the end of its text
    hashes[left < WIDTH] = _NEVER
    least = hashes.copy()
    step = 1
    while step < RUN:  # the least of so many windows from a place on, twice as many each time
        least[:-step] = np.minimum(least[:-step], least[step:])
        step *= 2
    starts = np.zeros(count, bool)
    begins = ends[:-1][(sizes >= WIDTH)]
    starts[begins] = True
    counts = starts | (left >= WIDTH + RUN - 1)
    least, of = least[counts], of[counts]
    fresh = np.ones(len(least), bool)
    fresh[1:] = (least[1:] != least[:-1]) | (of[1:] != of[:-1])
    found = np.zeros(int(fresh.sum()), PASSAGES)
    found["hash"], found["text"] = least[fresh], of[fresh] + first
    return found


def formulas(found: np.ndarray, texts: int) -> np.ndarray:
    """Return which passages stand in so many of some texts that they are formulas, bool.

    Args:
        found: of PASSAGES.
        texts: how many there are in all.
    """
    _, inverse = np.unique(found["hash"], return_inverse=True)
    pairs = np.unique(np.stack([inverse.ravel(), found["text"]]), axis=1)
    counts = np.bincount(pairs[0], minlength=int(inverse.max(initial=-1)) + 1)
    return np.asarray(counts[inverse.ravel()] > max(FORMULA, FORMULA_PART * texts))


def thinned(hashes: np.ndarray, shift: int) -> np.ndarray:
    """Return which hashes stay where one of 2**shift is kept, bool, whatever set they are of."""
    return np.asarray((hashes & np.uint64((1 << shift) - 1)) == 0)


def _mixed(values: np.ndarray) -> np.ndarray:
    """Spread values over 64 bits (the finaliser of SplitMix64), in place."""
    for by, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(by)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values


_NEVER = np.uint64(2**64 - 1)
_LETTERS = _mixed((np.arange(1, 257, dtype=np.uint64)) * np.uint64(_BASE))
"""byte -> 64 bits"""
_kept: list[np.ndarray] = [np.empty(0, np.uint64), np.empty(0, np.uint64)]


def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the powers of the base and of its inverse, shape (count or more,)."""
    if len(_kept[0]) < count:
        size = max(count, _PIECE)
        for at, base in enumerate((_BASE, _INVERSE)):
            powers = np.full(size, base, np.uint64)
            powers[0] = 1
            _kept[at] = np.multiply.accumulate(powers)
    return _kept[0], _kept[1]
