"""What of a prompt the model of texts looks at, summed up under its weights as it is read.

The features are rule 3 of linear classifiers (:mod:`mashbill.models.letter_features`), which is
where the trainer takes them from. A text's score is a sum over its distinct words, their letters
and pairs, so that a word is looked up once and remembered with what it adds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.models.letter_features import SHAPE, Letters, ends, units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_AT_ONCE = 512  # texts


class Summed(Letters):
    """Scores of texts under linear weights of several heads."""

    def __init__(self, weights: np.ndarray, bias: np.ndarray, letters: np.ndarray) -> None:
        """Take weights, shape (buckets, heads), bias, shape (heads,), and the model of letters."""
        super().__init__(len(weights), letters)
        self.weights = weights.astype(np.float64)
        self.bias = bias.astype(np.float64)
        self._added = np.zeros((1024, weights.shape[1]))
        self._spelt = np.zeros(1024, bool)

    def learn(self, word: str, number: int) -> None:
        """Remember what a word and its letters add."""
        if number >= len(self._added):
            self._added = np.concatenate([self._added, np.zeros_like(self._added)])
            self._spelt = np.concatenate([self._spelt, np.zeros_like(self._spelt)])
        found = self.buckets_of_pieces(word)
        self._spelt[number] = len(found) > 0
        self._added[number] = self.weights[self.bucket_of(np.array([number]))[0]]
        if len(found):
            self._added[number] += self.weights[found].sum(axis=0) / np.sqrt(len(found))

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return what the heads say of texts, float64, shape (texts, heads)."""
        made = [
            self._scores([ends(text) for text in texts[at : at + _AT_ONCE]])
            for at in range(0, len(texts), _AT_ONCE)
        ]
        return np.concatenate(made) if made else np.zeros((0, len(self.bias)))

    def _scores(self, texts: list[str]) -> np.ndarray:
        taken = self.take(texts)
        word, text = self.once(taken)
        pair, pair_text = self.pairs(taken)
        units = units_of(len(texts), text, pair_text, text[self._spelt[word]])
        made: np.ndarray = self.shape(texts) @ self.weights[-SHAPE:] + self.bias
        for head in range(made.shape[1]):
            total = np.bincount(text, self._added[word, head], len(texts))
            total += np.bincount(pair_text, self.weights[pair, head], len(texts))
            made[:, head] += total / units
        return made
