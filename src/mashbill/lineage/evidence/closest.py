"""Which row of a dataset is closest to a text by words: it stands for all on a page.

A model learned from all of its rows. The measure is Jaccard's index with inverse document
frequencies for weights.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from mashbill.core.record import user_columns
from mashbill.core.words import words

if TYPE_CHECKING:
    from mashbill.core.dataset import Dataset

_SHOWN = 5  # words that they share


class Closest:
    """The rows of one dataset, as their words."""

    def __init__(self, data: Dataset) -> None:
        """Take the words of each row: of its text, or of all its texts where it has no such."""
        self._rows = [frozenset(words(text)) for text in _texts(data)]
        counts = Counter(word for row in self._rows for word in row)
        self._rarity = {
            word: math.log((1 + len(self._rows)) / count) for word, count in counts.items()
        }

    def to(self, text: str) -> tuple[int, list[str]]:
        """Return the place of the row that shares most words, rare ones weighing more, and those.

        Args:
            text: what a row is to be close to.
        """
        own = frozenset(words(text))

        def closeness(place: int) -> float:
            shared = sum(self._rarity[word] for word in own & self._rows[place])
            alone = sum(self._rarity[word] for word in self._rows[place] - own)
            return shared / (1 + shared + alone)

        best = max(range(len(self._rows)), key=closeness)
        shared = sorted(own & self._rows[best], key=lambda word: (-self._rarity[word], word))
        return best, shared[:_SHOWN]


def _texts(data: Dataset) -> list[str]:
    """Return a text for each row; conversations are texts in JSON here."""
    names = ["text"] if "text" in data.columns else user_columns(data.columns)
    found = [""] * data.num_rows
    for name in names:
        column = data.column(name)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            for at, value in enumerate(column.to_pylist()):
                found[at] += f" {value}" if value else ""
    return found
