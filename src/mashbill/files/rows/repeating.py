"""How much of a text repeats itself: lines, paragraphs, runs of words.

As table A1 of Rae et al. 2021 (arXiv 2112.11446) names them. Of what is there several times the
first is none too many; the shares are of those behind it. A run of n words that is there once is
no repetition, however short the text is.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FACTOR = np.uint64(0x100000001B3)


def repeated(parts: Sequence[str]) -> tuple[int, int]:
    """Return how many parts equal an earlier one, and how many characters those have."""
    counts = Counter(parts)
    more = [(len(part), count - 1) for part, count in counts.items() if count > 1]
    return sum(count for _, count in more), sum(size * count for size, count in more)


class Runs:
    """Runs of words of one text."""

    def __init__(self, words: Sequence[str]) -> None:
        """Number the words.

        Args:
            words: in order.
        """
        numbers: dict[str, int] = {}
        self._ids = np.array([numbers.setdefault(word, len(numbers)) for word in words], np.uint64)
        self._sizes = np.array([len(word) for word in words], np.int64)

    def _hashes(self, length: int) -> np.ndarray:
        """Return a hash of each run, shape (words - length + 1,)."""
        spread = _spread(self._ids)
        count = len(spread) - length + 1
        found = np.zeros(count, np.uint64)
        for place in range(length):
            found = _spread(found * _FACTOR + spread[place : place + count])
        return found

    def commonest(self, length: int) -> int:
        """Return the characters of the commonest run, all times that it is there without overlap.

        Spaces between its words count. Of several that are the commonest, the first is.

        Args:
            length: words of a run.
        """
        if len(self._ids) < length + 1:
            return 0
        hashes = self._hashes(length)
        _, first, inverse, counts = np.unique(
            hashes, return_index=True, return_inverse=True, return_counts=True
        )
        most = counts.max()
        if most < 2:
            return 0
        at = min(first[counts == most].tolist())
        places = np.flatnonzero(inverse == inverse[at]).tolist()
        times, free = 0, 0
        for place in places:
            if place >= free:
                times, free = times + 1, place + length
        if times < 2:
            return 0
        return times * (int(self._sizes[at : at + length].sum()) + length - 1)

    def repeated(self, length: int) -> int:
        """Return the characters of words that stand in a run which was there before.

        None is counted twice, and spaces are not.

        Args:
            length: words of a run.
        """
        if len(self._ids) < length + 1:
            return 0
        _, first, inverse = np.unique(self._hashes(length), return_index=True, return_inverse=True)
        again = np.flatnonzero(first[inverse] != np.arange(len(inverse)))
        if not len(again):
            return 0
        edges = np.zeros(len(self._ids) + 1, np.int64)
        np.add.at(edges, again, 1)
        np.add.at(edges, again + length, -1)
        return int(self._sizes[np.cumsum(edges)[:-1] > 0].sum())


def _spread(numbers: np.ndarray) -> np.ndarray:
    """Return numbers with their bits mixed (the finaliser of splitmix64)."""
    bits = numbers + _SPREAD
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed
