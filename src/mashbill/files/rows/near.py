"""Which rows say nearly the same, over any number of rows, in memory that does not grow with them.

A row is compared with rows before it that stay, if they share a band of their MinHash signatures
(:mod:`mashbill.files.rows.minhash`), by the exact Jaccard similarity of their sets of shingles. If
the most alike of them reaches the threshold, the row is merged into that one, and else it stays. So
each row that goes has one that stays and is as like as was asked for. There are no chains, in which
A goes for B and B for C, though A and C are little alike; and what stays would all stay in a second
run.

Keys of bands are laid down by rows, then by their first bits, so that equal ones meet in one file.
A band of very many rows that stay is a boilerplate that they share: a row is compared with the
first :data:`_LEADERS` rows of a band, and with :data:`_COMPARED` in all, those first that share
most bands with it. How often that limit was met is counted.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Self

import numpy as np

from mashbill.files.rows.merged import Merged
from mashbill.files.rows.minhash import jaccard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mashbill.files.rows.minhash import Bands

_FILES = 128
_LEADERS = 32
_COMPARED = 64
RANGE = 1 << 18  # rows whose bands lie in one file
_KEY = np.dtype([("key", "<u8"), ("row", "<i8")])
_MEETS = np.dtype([("row", "<i8"), ("band", "<i8")])


class Near:
    """Rows merged into rows that are nearly the same: keys are added, then sets are compared."""

    def __init__(self, folder: Path, cut: Bands, threshold: float) -> None:
        """Begin in this folder; keys that a run left there which was killed are still good.

        Args:
            folder: of this alone.
            cut: of signatures.
            threshold: least Jaccard similarity of rows that are merged.
        """
        self._keys, self._folder = folder / "keys", folder / "bands"
        self._keys.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        self._whole = folder
        self._cut, self._threshold = cut, threshold
        self._pieces = 0
        self._loaded: tuple[int, np.ndarray] | None = None
        self._open(np.empty(0, np.int64))
        self._sets = (self._folder / "sets").open("w+b", 0)
        self._end = 0
        self.merged = Merged(self._folder)
        self.repeated = 0
        """rows that were merged into others; known once all were compared"""
        self.compared = 0
        """pairs of rows that were compared"""
        self.bounded = 0
        """rows that were not compared with all that share a band with them"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        """Close the files; they are removed if all went well, and else serve a resume."""
        self._sets.close()
        self._open(np.empty(0, np.int64))
        shutil.rmtree(self._folder if ended[0] else self._whole, ignore_errors=True)

    def add(self, make: Callable[[], np.ndarray]) -> bool:
        """Take the keys of the next rows; return whether they were there from an earlier run.

        Args:
            make: gives the keys of bands, uint64, shape (rows, bands); all ones for a row that
                equals no other.
        """
        path = self._keys / f"{self._pieces}.keys"
        self._pieces += 1
        if path.exists():
            return True
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(make().tobytes())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        return False

    def settle(self) -> None:
        """Find which rows share a band. No keys may be added from now on."""
        self._divide()
        sizes = [np.empty(0, np.int64)]
        bands = 0
        for number in range(_FILES):
            path = self._folder / f"keys-{number}"
            if not path.exists():
                continue
            found = np.fromfile(path, _KEY)
            path.unlink()
            order = np.sort(found["key"])
            again = np.unique(order[1:][order[1:] == order[:-1]])
            found = found[np.isin(found["key"], again)]
            found = found[np.lexsort((found["row"], found["key"]))]
            _, band, count = np.unique(found["key"], return_inverse=True, return_counts=True)
            meets = np.empty(len(found), _MEETS)
            meets["row"], meets["band"] = found["row"], bands + band
            part = meets["row"] // RANGE
            for place in np.unique(part).tolist():
                with (self._folder / f"meets-{place}").open("ab") as file:
                    file.write(meets[part == place].tobytes())
            sizes.append(np.minimum(count, _LEADERS))
            bands += len(count)
        self._open(np.concatenate(sizes))

    def _divide(self) -> None:
        """Lay keys down by their first bits."""
        start = 0
        for piece in range(self._pieces):
            keys = np.fromfile(self._keys / f"{piece}.keys", "<u8").reshape(-1, self._cut.bands)
            found = np.empty(keys.size, _KEY)
            found["key"] = keys.ravel()
            found["row"] = np.repeat(np.arange(start, start + len(keys)), keys.shape[1])
            found = found[found["key"] != np.uint64(2**64 - 1)]
            start += len(keys)
            part = (found["key"] >> np.uint64(57)).astype(np.uint8)
            found = found[np.argsort(part, kind="stable")]
            ends = np.cumsum(np.bincount(part, minlength=_FILES))
            for number in range(_FILES):
                begin = ends[number - 1] if number else 0
                with (self._folder / f"keys-{number}").open("ab") as file:
                    file.write(found[begin : ends[number]].tobytes())

    def _open(self, sizes: np.ndarray) -> None:
        """Make room on disk for the rows that stay of each band that several rows share."""

        def mapped(name: str, kind: type, count: int) -> np.ndarray:
            if not count:
                return np.empty(0, kind)
            found = np.memmap(self._folder / name, kind, "w+", shape=(count,))
            return np.asarray(found)  # without what a mapped one does at each access

        self._fills = mapped("fills", np.uint8, len(sizes))
        self._rooms = mapped("rooms", np.uint8, len(sizes))
        self._rooms[:] = sizes
        self._firsts = mapped("firsts", np.int64, len(sizes))
        self._slots = mapped("slots", np.int64, int(sizes.sum()))
        self._firsts[:] = np.cumsum(sizes) - sizes

    def sharing(self, start: int, stop: int) -> np.ndarray:
        """Return which of these rows share a band with others, in order, int64."""
        meets = self._met(start, stop)
        return np.unique(meets["row"])

    def compare(self, start: int, stop: int, sets: Iterable[np.ndarray]) -> None:
        """Merge rows into rows before them, or let them stay; they come in order.

        Args:
            start: first row; a range of rows may not lie over a multiple of 2**18.
            stop: behind the last.
            sets: of each row that :meth:`sharing` gives, its shingles, each once and in order.
        """
        meets = self._met(start, stop)
        rows, begins = np.unique(meets["row"], return_index=True)
        gone: list[tuple[int, int, float]] = []
        each = np.split(meets["band"], begins[1:]) if len(rows) else []
        for row, bands, shingles in zip(rows.tolist(), each, sets, strict=True):
            into, likeness = self._nearest(bands, shingles)
            if likeness >= self._threshold:
                gone.append((row, into, likeness))
            else:
                self._stay(row, bands, shingles)
        if gone:
            self.repeated += len(gone)
            columns = (np.array(column) for column in zip(*gone, strict=True))
            self.merged.add(*columns)

    def _met(self, start: int, stop: int) -> np.ndarray:
        """Return which bands these rows share with others; a range of rows is kept at hand."""
        number = start // RANGE
        if self._loaded is None or self._loaded[0] != number:
            path = self._folder / f"meets-{number}"
            meets = np.fromfile(path, _MEETS) if path.exists() else np.empty(0, _MEETS)
            self._loaded = number, meets[np.argsort(meets["row"], kind="stable")]
        meets = self._loaded[1]
        low, high = np.searchsorted(meets["row"], [start, stop])
        return meets[low:high]

    def _nearest(self, bands: np.ndarray, shingles: np.ndarray) -> tuple[int, float]:
        """Return the row that stays and is most like, the first of several, and how like it is."""
        best, into = 0.0, -1
        for place in self._candidates(bands):
            other, its = self._read(place)
            self.compared += 1
            small, large = sorted((len(its), len(shingles)))
            if small < self._threshold * large:
                continue
            likeness = jaccard(shingles, its)
            if (likeness, -other) > (best, -into):
                best, into = likeness, other
        return into, best

    def _stay(self, row: int, bands: np.ndarray, shingles: np.ndarray) -> None:
        """Let rows to come be compared with this one."""
        fills = self._fills[bands]
        free = bands[fills < self._rooms[bands]]
        if not len(free):
            return
        data = np.array([row, len(shingles)], np.int64).tobytes() + shingles.tobytes()
        os.pwrite(self._sets.fileno(), data, self._end)
        self._slots[self._firsts[free] + self._fills[free]] = self._end
        self._fills[free] += 1
        self._end += len(data)

    def _candidates(self, bands: np.ndarray) -> list[int]:
        """Return where the sets lie of rows that stay and share a band, those of most first."""
        fills = self._fills[bands].astype(np.int64)
        begins = self._firsts[bands][fills > 0]
        fills = fills[fills > 0]
        if not len(fills):
            return []
        within = np.arange(int(fills.sum())) - np.repeat(np.cumsum(fills) - fills, fills)
        slots = self._slots[np.repeat(begins, fills) + within]
        places, shared = np.unique(slots, return_counts=True)
        self.bounded += bool((fills == _LEADERS).any() or len(places) > _COMPARED)
        found: list[int] = places[np.lexsort((places, -shared))][:_COMPARED].tolist()
        return found

    def _read(self, place: int) -> tuple[int, np.ndarray]:
        """Return a row that stays, and its set."""
        file = self._sets.fileno()
        row, count = np.frombuffer(os.pread(file, 16, place), np.int64).tolist()
        return row, np.frombuffer(os.pread(file, 8 * count, place + 16), np.uint64)
