"""Counts of columns that may be of any length, in memory that is bounded.

What is sampled is sampled by a hash, of a value or of a row's position, so that the same rows give
the same figures whatever the pieces that they come in.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Distinct:
    """How many distinct values there are, and how many rows repeat one (Gibbons, VLDB 2001).

    Of the hashes only those are kept that end in so many zeros as there is room for; each stands
    for two to the power of that many.
    """

    def __init__(self, room: int = 1 << 20) -> None:
        """Begin.

        Args:
            room: distinct values up to which they are counted exactly.
        """
        self._room = room
        self._zeros = 0
        self._values = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)
        self._waiting: list[np.ndarray] = []
        self._held = 0
        self.rows = 0
        """rows with a value"""

    def add(self, hashes: np.ndarray) -> None:
        """Count rows by the hashes of their values, uint64, shape (rows,)."""
        self.rows += len(hashes)
        kept = hashes[self._ends(hashes)]
        self._waiting.append(kept)
        self._held += len(kept)
        if self._held > self._room:
            self._settle()

    def _ends(self, hashes: np.ndarray) -> np.ndarray:
        low: np.ndarray = (hashes & np.uint64((1 << self._zeros) - 1)) == 0
        return low

    def _settle(self) -> None:
        values = np.concatenate([self._values, *self._waiting])
        counts = np.concatenate(
            [self._counts, *(np.ones(len(each), np.int64) for each in self._waiting)]
        )
        self._values, places = np.unique(values, return_inverse=True)
        self._counts = np.bincount(places, counts, len(self._values)).astype(np.int64)
        self._waiting, self._held = [], 0
        while len(self._values) > self._room:
            self._zeros += 1
            kept = self._ends(self._values)
            self._values, self._counts = self._values[kept], self._counts[kept]

    @property
    def is_exact(self) -> bool:
        """Whether nothing was sampled."""
        self._settle()
        return self._zeros == 0

    @property
    def repeated(self) -> int:
        """Rows whose value an earlier row has: where none of those kept has two, none."""
        self._settle()
        return min(int((self._counts - 1).sum()) << self._zeros, max(0, self.rows - 1))

    @property
    def count(self) -> int:
        """Distinct values."""
        return self.rows - self.repeated

    @property
    def most(self) -> int:
        """Rows of the commonest value; of those that were kept, where it is not exact."""
        self._settle()
        return int(self._counts.max(initial=0))

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "distinct": self.count, "repeated": self.repeated, "most": self.most,
            "is_exact": self.is_exact,
        }  # fmt: skip


class Sample:
    """Values of rows at random positions, which the positions decide; all while there are few."""

    def __init__(self, room: int = 1 << 15) -> None:
        """Begin.

        Args:
            room: values that are kept.
        """
        self._room = room
        self._zeros = 0
        self._places = np.zeros(0, np.uint64)
        self._values = np.zeros(0, np.float64)

    def add(self, values: np.ndarray, places: np.ndarray) -> None:
        """Offer values, float64, and the positions of their rows, both shape (rows,)."""
        spread = _mixed(places.astype(np.uint64))
        kept = self._ends(spread)
        self._places = np.concatenate([self._places, spread[kept]])
        self._values = np.concatenate([self._values, values[kept].astype(np.float64)])
        while len(self._places) > self._room:
            self._zeros += 1
            kept = self._ends(self._places)
            self._places, self._values = self._places[kept], self._values[kept]

    def _ends(self, spread: np.ndarray) -> np.ndarray:
        low: np.ndarray = (spread & np.uint64((1 << self._zeros) - 1)) == 0
        return low

    @property
    def is_exact(self) -> bool:
        """Whether it has all values."""
        return self._zeros == 0

    @property
    def values(self) -> np.ndarray:
        """The values that were kept, in ascending order."""
        return np.sort(self._values)

    def quantile(self, part: float) -> float | None:
        """Return a quantile by nearest rank; None if there are no values."""
        there = self.values
        if not len(there):
            return None
        return float(there[min(len(there) - 1, int(part * len(there)))])


class Lengths:
    """Lengths, whole numbers from 0: counts by size, each bin a half wider than the one before."""

    def __init__(self) -> None:
        self.rows = self.total = 0
        self.least: int | None = None
        self.greatest: int | None = None
        self._bins = np.zeros(0, np.int64)
        self._sample = Sample()

    def add(self, lengths: np.ndarray, places: np.ndarray) -> None:
        """Count lengths, int64, of rows at these positions, both shape (rows,)."""
        if not len(lengths):
            return
        self.rows += len(lengths)
        self.total += int(lengths.sum())
        least, greatest = int(lengths.min()), int(lengths.max())
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)
        found = np.bincount(np.searchsorted(EDGES, lengths, side="right") - 1)
        longer = max(len(found), len(self._bins))
        self._bins = np.pad(self._bins, (0, longer - len(self._bins)))
        self._bins[: len(found)] += found
        self._sample.add(lengths, places)

    @property
    def bins(self) -> list[tuple[int, int, int]]:
        """(from, up to and with, rows), from the first with rows to the last."""
        there = np.flatnonzero(self._bins)
        if not len(there):
            return []
        return [
            (int(EDGES[at]), int(EDGES[at + 1]) - 1, int(self._bins[at]))
            for at in range(there[0], there[-1] + 1)
        ]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "least": self.least, "p5": self._whole(0.05), "median": self._whole(0.5),
            "p95": self._whole(0.95), "greatest": self.greatest,
            "mean": self.total / self.rows if self.rows else None, "total": self.total,
            "is_exact": self._sample.is_exact, "bins": [list(each) for each in self.bins],
        }  # fmt: skip

    def _whole(self, part: float) -> int | None:
        found = self._sample.quantile(part)
        return None if found is None else int(found)


def _edges() -> np.ndarray:
    edges, at = [0, 1, 2, 3, 4, 6], 8
    while at < 1 << 62:
        edges += [at, at + at // 2]
        at *= 2
    return np.array(edges, np.int64)


EDGES = _edges()
"""where bins of lengths begin: 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, ..."""


class Values:
    """Counts by value, while there are few of them."""

    def __init__(self, most: int = 1000) -> None:
        """Begin.

        Args:
            most: values from which on they are no longer counted.
        """
        self._most = most
        self.counts: dict[Any, int] | None = {}
        """None once there are more"""

    def add(self, counted: Iterable[tuple[Any, int]]) -> None:
        """Count rows: (value, rows)."""
        if self.counts is None:
            return
        for value, rows in counted:
            self.counts[value] = self.counts.get(value, 0) + rows
        if len(self.counts) > self._most:
            self.counts = None


def hashes_of(texts: Iterable[str]) -> np.ndarray:
    """Return a hash of each text, uint64, shape (texts,)."""
    data = b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for text in texts
    )
    return np.frombuffer(data, "<u8").astype(np.uint64)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Return numbers with their bits mixed (the finaliser of splitmix64)."""
    bits = numbers + _SPREAD
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed
