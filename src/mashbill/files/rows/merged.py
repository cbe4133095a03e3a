"""Which rows were merged into which: laid down on disk, and asked about ranges of rows in order.

Each row that goes names the one row that stays for it. Memory does not grow with rows: pairs lie in
files by ranges of the rows that go, and again by ranges of those that stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

_RANGE = 1 << 20  # rows whose answers lie in one file
_PAIR = np.dtype([("row", "<i8"), ("first", "<i8"), ("likeness", "<f8")])


class Merged:
    """Pairs of a row that goes and the one that stays: all are added, then it is asked."""

    def __init__(self, folder: Path) -> None:
        """Begin in this folder, which is there."""
        self._folder = folder
        self._loaded: dict[str, tuple[int, np.ndarray]] = {}

    def add(self, rows: np.ndarray, firsts: np.ndarray, likeness: np.ndarray | float = 1.0) -> None:
        """Enter rows that go.

        Args:
            rows: positions, shape (pairs,); no row goes twice, nor stays for another and goes.
            firsts: the row that stays for each.
            likeness: how alike the two are, shape (pairs,), or one for all.
        """
        pairs = np.empty(len(rows), _PAIR)
        pairs["row"], pairs["first"], pairs["likeness"] = rows, firsts, likeness
        for by in ("row", "first"):
            part = pairs[by] // _RANGE
            for number in np.unique(part).tolist():
                with (self._folder / f"{by}-{number}").open("ab") as file:
                    file.write(pairs[part == number].tobytes())

    def _range(self, by: str, number: int) -> np.ndarray:
        """Return the pairs of a range of rows, in order; the last range is kept at hand."""
        kept = self._loaded.get(by)
        if kept is None or kept[0] != number:
            path = self._folder / f"{by}-{number}"
            pairs = np.fromfile(path, _PAIR) if path.exists() else np.empty(0, _PAIR)
            other = "first" if by == "row" else "row"
            kept = self._loaded[by] = (number, pairs[np.lexsort((pairs[other], pairs[by]))])
        return kept[1]

    def _between(self, by: str, start: int, stop: int) -> np.ndarray:
        found = []
        for number in range(start // _RANGE, (stop - 1) // _RANGE + 1):
            pairs = self._range(by, number)
            low, high = np.searchsorted(pairs[by], [start, stop])
            found.append(pairs[low:high])
        return np.concatenate(found) if found else np.empty(0, _PAIR)

    def into(self, start: int, stop: int) -> np.ndarray:
        """Return the row that stays for each of these rows, or itself, int64, shape (rows,)."""
        rows = np.arange(start, stop, dtype=np.int64)
        pairs = self._between("row", start, stop)
        rows[pairs["row"] - start] = pairs["first"]
        return rows

    def likeness(self, start: int, stop: int) -> np.ndarray:
        """Return how alike each row is to the one that stays for it, float64, shape (rows,)."""
        found = np.ones(stop - start)
        pairs = self._between("row", start, stop)
        found[pairs["row"] - start] = pairs["likeness"]
        return found

    def groups(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the groups whose row that stays is one of these.

        Returns:
            Row positions, int64, group by group in order of the row that stays, each in order; and
            how many of them stand before the end of each group, int64, shape (groups,).
        """
        rows = np.arange(start, stop, dtype=np.int64)
        firsts = rows[self.into(start, stop) == rows]
        pairs = self._between("first", start, stop)
        positions = np.concatenate([firsts, pairs["row"]])
        of = np.concatenate([firsts, pairs["first"]])
        order = np.lexsort((positions, of))
        sizes = np.bincount(of - start, minlength=stop - start)
        return positions[order], np.cumsum(sizes[sizes > 0])
