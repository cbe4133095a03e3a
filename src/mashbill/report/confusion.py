"""Confusion matrices as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.evals.remarks import remarks
from mashbill.report.scores import (
    Scores,
    difference,
    levels,
    overlaps,
    retention,
    scores,
    win_rate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.evaluation import Evaluation, Result

MOST_LABELS = 30
"""Matrices of more labels than this are shown as their commonest mistakes."""
MISTAKES = 20
_PLAIN = 4  # columns of a table of accuracies


@dataclass(frozen=True)
class Cell:
    """One count of a matrix."""

    count: int
    share: float
    """of its row, 0 to 1"""
    is_right: bool


@dataclass(frozen=True)
class Row:
    """What a system said of the rows that humans gave one label."""

    label: str
    cells: tuple[Cell, ...]
    score: Mapping[str, Any]
    """precision (None if never said), recall, f1, gold, said"""


@dataclass(frozen=True)
class Matrix:
    """One system's matrix, and what has to be said of it."""

    system: str
    result: Result
    columns: tuple[tuple[str, bool], ...]
    """(what was said, whether humans use that label)"""
    rows: tuple[Row, ...]
    mistakes: tuple[tuple[str, str, int], ...]
    """(human label, what was said, rows), the commonest first"""

    @property
    def is_large(self) -> bool:
        """Whether there are too many labels for a matrix that can be read."""
        return max(len(self.rows), len(self.columns)) > MOST_LABELS

    @property
    def all_mistakes(self) -> int:
        """Rows that were got wrong."""
        return sum(c.count for row in self.rows for c in row.cells if not c.is_right)


@dataclass(frozen=True)
class Shown:
    """One evaluation of the store, and what a page or a terminal makes of it."""

    name: str
    found: Evaluation

    @property
    def measures(self) -> Mapping[str, Any]:
        """All that was measured, as the manifest has it."""
        return self.found.measures

    @property
    def remarks(self) -> list[tuple[str, str]]:
        """(system, what has to be said of it)."""
        return [(remark.system, remark.text) for remark in remarks(self.found)]

    @property
    def scores(self) -> Scores:
        """What each system is worth, as a table."""
        return scores(self.found)

    @property
    def differences(self) -> list[str]:
        """How pairs of systems differ, a line each."""
        return [difference(pair) for pair in self.found.compare]

    @property
    def retained(self) -> list[str]:
        """How much of its teacher's score each student has, a line each."""
        return [line for pair in self.found.retention if (line := retention(pair))]

    @property
    def overlaps(self) -> list[str]:
        """Each system without the rows that stand in what it learned from, a line each."""
        return overlaps(self.found)

    @property
    def levels(self) -> list[str]:
        """Each system's scores by level, a line each."""
        return levels(self.found)

    @property
    def lines(self) -> list[str]:
        """What a page tells in sentences."""
        return [*self.levels, *self.retained, *self.overlaps]

    @property
    def has_more(self) -> bool:
        """Whether the table of systems says more than the drawing."""
        return len(self.scores.head) > _PLAIN

    @property
    def tells_p(self) -> bool:
        """Whether it was reckoned how probable differences are by chance."""
        return any("p" in pair for pair in self.found.compare)

    @property
    def win_rates(self) -> list[str]:
        """How often the first of each pair is above, in words; none where no pair tells it."""
        rates = [win_rate(pair) for pair in self.found.compare]
        return rates if any(rates) else []

    @property
    def matrices(self) -> list[Matrix]:
        """A matrix for each system that has one; those of older versions have none."""
        return [
            matrix(system, result)
            for system, result in self.found.by_value()
            if "confusion" in result.facts
        ]


NO_LABEL = "(no label)"


def matrix(system: str, result: Result) -> Matrix:
    """Return a system's matrix."""
    confusion = result.facts["confusion"]
    names, said = confusion["rows"], confusion["columns"]
    spoken = [NO_LABEL if label is None else label for label in said]
    rows, mistakes = [], []
    for at, (label, counts) in enumerate(zip(names, confusion["counts"], strict=True)):
        total = sum(counts)
        cells = tuple(Cell(n, n / total if total else 0.0, i == at) for i, n in enumerate(counts))
        rows.append(Row(label, cells, result.facts["labels"][label]))
        mistakes += [(label, spoken[i], n) for i, n in enumerate(counts) if n and i != at]
    mistakes.sort(key=lambda one: (-one[2], one[0], one[1]))
    columns = tuple((name, i < len(names)) for i, name in enumerate(spoken))
    return Matrix(system, result, columns, tuple(rows), tuple(mistakes[:MISTAKES]))
