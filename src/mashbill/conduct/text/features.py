"""What of a prompt the model of texts looks at, summed up under its weights as it is read.

The features are rule 3 of linear classifiers (:mod:`mashbill.models.letter_features`), which is
where the trainer takes them from. A text's score is a sum over its distinct words, their letters
and pairs, so that a word is looked up once and remembered with what it adds.

A head reads the whole of a text, or each two neighbouring sentences of it as well, of which the
highest score counts: what throws rules off goes through a whole prompt, and what asks for hidden
reasoning may be one sentence of many. What was said of a window is remembered, since templates
repeat their sentences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.conduct.text.sentences import windows
from mashbill.models.letter_features import READ, SHAPE, Letters, ends, units_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT, LONGER = 250, 5.4
"""letters from which a text read whole is held to more, and what each power of ten takes off its
score: a sum over its words, by the root of their number, of a long text grows with that root
whatever the text is about"""
_AT_ONCE = 512  # texts
_REMEMBERED = 1 << 15  # windows, of some 110 letters each
WHOLE, SENTENCES = "whole", "sentences"
READS = (WHOLE, SENTENCES)
"""what of a text a head reads"""


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


def longer(texts: Sequence[str]) -> np.ndarray:
    """Return by how many powers of ten texts are longer than :data:`SHORT`, shape (texts,)."""
    letters = np.array([min(len(text), READ) for text in texts], np.float64)
    found: np.ndarray = np.log10(np.maximum(letters, SHORT) / SHORT)
    return found


class Read:
    """Scores of texts by heads of which each reads the whole, or neighbouring sentences as well."""

    def __init__(self, summed: Summed, reads: Sequence[str]) -> None:
        """Take the sums, and what each head reads.

        Raises:
            ValueError: if it is none of :data:`READS`.
        """
        if len(reads) != len(summed.bias) or not set(reads) <= set(READS):
            msg = f"heads that read {', '.join(map(repr, reads))}"
            raise ValueError(msg)
        self._summed = summed
        self._by_sentences = np.array([one == SENTENCES for one in reads])
        self._remembered: dict[str, np.ndarray] = {}

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return what the heads say of texts, float64, shape (texts, heads)."""
        made = self._summed.scores(texts)
        made[:, ~self._by_sentences] -= LONGER * longer(texts)[:, None]
        if self._by_sentences.any():
            for at in range(0, len(texts), _AT_ONCE):
                self._raise(made[at : at + _AT_ONCE], texts[at : at + _AT_ONCE])
        return made

    def _raise(self, made: np.ndarray, texts: Sequence[str]) -> None:
        """Raise scores to the highest of a window, in place."""
        of = [windows(text) for text in texts]
        known = self._remembered
        if len(known) > _REMEMBERED:
            known.clear()
        new = list(dict.fromkeys(one for each in of for one in each if one not in known))
        known.update(zip(new, self._summed.scores(new)[:, self._by_sentences], strict=True))
        for place, each in enumerate(of):
            if each:
                highest = np.max([known[one] for one in each], axis=0)
                row = made[place]
                row[self._by_sentences] = np.maximum(row[self._by_sentences], highest)
