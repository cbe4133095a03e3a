"""What a system said of each human label: the counts, and the scores that follow from them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: a row for each human label, a column for each thing that was said."""

    rows: tuple[str, ...]
    """the human labels, sorted"""
    columns: tuple[str | None, ...]
    """the same labels in the same order; then, sorted, what else the system said; then None, if it
    left rows without a label"""
    counts: np.ndarray
    """shape (rows, columns)"""

    @classmethod
    def of(cls, gold: Sequence[str], said: Sequence[str | None]) -> Confusion:
        """Count.

        Args:
            gold: the human label of each row.
            said: the system's label of each row; None where it gave none.
        """
        pairs = Counter(zip(gold, said, strict=True))
        rows = tuple(sorted({label for label, _ in pairs}))
        spoken = {label for _, label in pairs}
        others = sorted(label for label in spoken if label is not None and label not in rows)
        silent = (None,) if None in spoken else ()
        columns = (*rows, *others, *silent)
        return cls(rows, columns, np.array([[pairs[r, c] for c in columns] for r in rows]))

    @property
    def right(self) -> int:
        """Rows on which the system said what humans said."""
        return int(np.trace(self.counts))

    @property
    def total(self) -> int:
        """Rows in all."""
        return int(self.counts.sum())

    @property
    def unanswered(self) -> int:
        """Rows that the system gave no label."""
        return int(self.counts[:, -1].sum()) if None in self.columns else 0

    @property
    def only(self) -> str | None:
        """The one label that it gave to all rows that it labelled, where it gave no other."""
        given = self.counts.sum(axis=0)
        spoken = [
            label
            for label, count in zip(self.columns, given, strict=True)
            if count and label is not None
        ]
        return spoken[0] if len(spoken) == 1 else None

    def by_label(self) -> dict[str, dict[str, int | float | None]]:
        """Return precision, recall, F1, and how often humans and the system said it, of each label.

        The precision of a label that the system never says is None; its F1 is 0.
        """
        places = len(self.rows)
        hits = np.diagonal(self.counts).tolist()
        gold = self.counts.sum(axis=1).tolist()
        said = self.counts.sum(axis=0)[:places].tolist()
        return {
            label: {
                "precision": hit / named if named else None,
                "recall": hit / there,
                "f1": 2 * hit / (named + there),
                "gold": there,
                "said": named,
            }
            for label, hit, there, named in zip(self.rows, hits, gold, said, strict=True)
        }

    def macro_f1(self) -> float:
        """Return the F1 score averaged over the human labels."""
        return float(np.mean([score["f1"] for score in self.by_label().values()]))

    def as_json(self) -> dict[str, Any]:
        """Return the matrix as JSON has it; a column null counts rows without a label."""
        return {
            "rows": list(self.rows),
            "columns": list(self.columns),
            "counts": self.counts.tolist(),
        }
