"""Which texts are nearly a known one as a whole, though words are changed all over them.

Known texts are signed once (:mod:`mashbill.files.rows.minhash`); a text that shares a band with one
is compared by the exact Jaccard similarity of their shingles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.files.rows.minhash import band_keys, bands_for, jaccard, signatures
from mashbill.files.rows.tokens import Runs, runs_of, sets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SHINGLE = 3  # tokens
_PLACES = 128
_RECALL = 0.95


class Nearly:
    """Known texts, signed."""

    def __init__(self, tokens: Runs, known: np.ndarray, least: float) -> None:
        """Sign them.

        Args:
            tokens: of texts.
            known: which of them are looked for, shape (known,).
            least: Jaccard similarity.

        Raises:
            RecipeError: if the similarity is too small to be found by.
        """
        self.least = least
        self.cut = bands_for(least, _PLACES, _RECALL)
        self._known = known
        runs = runs_of(taken(tokens, known), SHINGLE)
        self._sets = sets_of(runs, np.arange(len(known)))
        self._longest = max(map(len, self._sets), default=0)
        keys = band_keys(signatures(runs, self.cut.places), self.cut).ravel()
        order = np.argsort(keys, kind="stable")
        self._keys, self._of = keys[order], order // self.cut.bands

    def found(self, tokens: Runs) -> Iterator[tuple[int, int, float]]:
        """Yield (text, known text, similarity) of texts that are nearly a known one.

        Args:
            tokens: of texts.
        """
        # A text of many more shingles has too few in common; one may stand several times in it.
        some = np.flatnonzero(
            (tokens.counts >= SHINGLE) & (tokens.counts <= 2 * self._longest / self.least)
        )
        if not len(some) or not len(self._known):
            return
        runs = runs_of(taken(tokens, some), SHINGLE)
        keys = band_keys(signatures(runs, self.cut.places), self.cut).ravel()
        low = np.searchsorted(self._keys, keys)
        low[low == len(self._keys)] = 0
        pairs = set()
        for hit in np.flatnonzero(self._keys[low] == keys).tolist():
            end = int(np.searchsorted(self._keys, keys[hit], side="right"))
            others = self._of[low[hit] : end].tolist()
            pairs |= {(hit // self.cut.bands, other) for other in others}
        for text, other in sorted(pairs):
            (own,) = sets_of(runs, np.array([text]))
            likeness = jaccard(own, self._sets[other])
            if likeness >= self.least:
                yield int(some[text]), int(self._known[other]), likeness


def taken(tokens: Runs, rows: np.ndarray) -> Runs:
    """Return the tokens of some rows."""
    counts = tokens.counts[rows]
    ends = np.cumsum(counts)
    at = np.arange(int(counts.sum())) + np.repeat(tokens.starts[rows] - (ends - counts), counts)
    return Runs(tokens.numbers[at], ends)
