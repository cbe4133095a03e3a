"""Rows that hold parts of texts which a store holds: cut, split, joined, or put into other words.

A text counts if enough of its passages (:mod:`mashbill.stages.marks.passages`) are those of texts
that speak against the declared origin: so many of all that is not known as one's own. As whole
texts do,
a passage belongs to the artifact that was committed first; a formula belongs to nobody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mashbill.stages.marks.passages import PASSAGES, formulas, passages, thinned
from mashbill.stages.marks.texts import FEW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mashbill.stages.marks.answers import Answers
    from mashbill.stages.marks.index import Hashes, Held, Writer
    from mashbill.stages.marks.texts import Keyed

LEAST, SHARE = 3, 0.4
"""passages of a text that must be met (or all of a short one), and part of those that are not known
as one's own"""
STRONG = 8
"""passages, of 70 bytes or more, that two people hardly ever write alike"""
MANY = 60
"""passages that count in a text of any length: about 500 bytes"""
DISTINCT = 12
"""different passages of an artifact that must be met in all"""
_KEPT = 10_000
"""different passages that are counted"""


@dataclass
class Met:
    """Rows that hold parts of texts of one artifact, or of one teacher's answers."""

    rows: int = 0
    strong: int = 0
    """rows that hold so much of them that it is no chance"""
    passages: set[int] = field(default_factory=set)
    """hashes, some"""
    nodes: Counter[int] = field(default_factory=Counter)
    """number of a node -> rows"""

    def is_enough(self, total: int, enough: int, part: float) -> bool:
        """Return whether it is so much that it is no chance."""
        if len(self.passages) < DISTINCT:
            return False
        weak = self.rows >= max(enough, FEW * total)  # what people write alike, in many rows
        return self.strong >= enough or weak or self.rows >= part * total


class Partly:
    """Looks for parts of texts, some rows at a time."""

    def __init__(
        self,
        held: Sequence[Held],
        answers: Answers | None,
        speaks: Callable[[Sequence[Writer]], bool],
    ) -> None:
        """Begin.

        Args:
            held: texts of the store, in the order of their commits.
            answers: those of its journal.
            speaks: whether writers of a text speak against what is declared.
        """
        self._held, self._answers, self._speaks = held, answers, speaks
        self.of_artifacts: dict[str, Met] = {}
        self.of_teachers: dict[str, Met] = {}

    def see(self, keys: Iterable[Keyed]) -> None:
        """Look at the texts of some rows."""
        found, rows = _numbered(keys)
        if not len(found):
            return
        found = np.unique(found[~formulas(found, len(rows))])
        left = _Left(found, rows)
        for held in self._held:
            nodes, is_there = _at(held.passages, left.found)
            against = [
                n
                for n in np.unique(nodes[is_there]).tolist()
                if n >= 0 and self._speaks(held.writers(n))
            ]
            hits = is_there & np.isin(nodes, against)
            self._count(self.of_artifacts, held.name, left, (hits, nodes), held.passages.shift)
            left.take(is_there, is_there & ~hits)
        if self._answers is None:
            return
        who, is_there = _at(self._answers.passages, left.found)
        shift = self._answers.passages.shift
        for number, teacher in enumerate(self._answers.teachers):
            hits = is_there & (who == number)
            self._count(self.of_teachers, teacher, left, (hits, who), shift)

    @staticmethod
    def _count(
        where: dict[str, Met],
        name: str,
        left: _Left,
        met: tuple[np.ndarray, np.ndarray],
        shift: int,
    ) -> None:
        hits, nodes = met
        if not hits.any():
            return
        texts = left.found["text"][hits]
        counts = np.bincount(texts, minlength=len(left.rows))
        sizes = left.sizes(shift)
        least = np.maximum(SHARE * sizes, np.clip(sizes, min(2, LEAST >> shift), LEAST >> shift))
        enough = counts >= np.maximum(np.minimum(least, MANY), 1)
        kept = enough[texts]
        if not kept.any():
            return
        found = where.setdefault(name, Met())
        rows, first = np.unique(left.rows[texts[kept]], return_index=True)
        found.rows += len(rows)
        strong = kept & (counts[texts] >= max(2, STRONG >> shift))
        found.strong += len(np.unique(left.rows[texts[strong]]))
        if len(found.passages) < _KEPT:
            found.passages.update(left.found["hash"][hits][kept].tolist())
        of = nodes[hits][kept][first]
        for node, count in zip(*np.unique(of, return_counts=True), strict=True):
            found.nodes[int(node)] += int(count)


class _Left:
    """Passages of some texts of which nothing is known yet."""

    def __init__(self, found: np.ndarray, rows: np.ndarray) -> None:
        self.found, self.rows = found, rows
        self._all, self._own = found, found[:0]
        self._sizes: dict[int, np.ndarray] = {}

    def take(self, known: np.ndarray, own: np.ndarray) -> None:
        """Take out what is known, some of it as one's own, or as nobody's."""
        self._own = np.concatenate([self._own, self.found[own]])
        self.found = self.found[~known]
        self._sizes.clear()

    def sizes(self, shift: int) -> np.ndarray:
        """Return how many passages of each text are not one's own, of those that are kept."""
        if shift not in self._sizes:
            every, own = (
                np.bincount(each["text"][thinned(each["hash"], shift)], minlength=len(self.rows))
                for each in (self._all, self._own)
            )
            self._sizes[shift] = every - own
        return self._sizes[shift]


def _numbered(keys: Iterable[Keyed]) -> tuple[np.ndarray, np.ndarray]:
    """Return the passages of all texts, and the row of each text."""
    pieces, rows, count = [np.empty(0, PASSAGES)], [np.empty(0, np.int64)], 0
    for each in keys:
        piece = passages(each)
        piece["text"] += count
        pieces.append(piece)
        rows.append(each.rows)
        count += len(each.rows)
    return np.concatenate(pieces), np.concatenate(rows)


def _at(held: Hashes, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each passage that is held, and which are, shape (found,)."""
    at, is_there = held.at(found["hash"])
    nodes = np.full(len(found), -2, np.int64)
    nodes[is_there] = np.asarray(held.nodes[at[is_there]])
    return nodes, is_there
