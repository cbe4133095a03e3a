"""Which rows have vectors that point the same way, found exactly, block by block.

A row is merged into the row before it that stays and whose vector is nearest in direction, if the
cosine reaches the threshold; else it stays. So each row that goes has one that stays and is as like
as was asked for, and there are no chains.

The cosine is the same on any machine: each vector's numbers are rounded to 24 bits of its largest,
and lengths and products are whole numbers then, which are exact. A library's product of matrices in
single precision, whose last bits depend on processor and threads, only says which pairs are looked
at: those within more of the threshold than it can be wrong by.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.missing import is_text
from mashbill.core.parsing import json_value
from mashbill.files.rows.merged import Merged

if TYPE_CHECKING:
    from pathlib import Path

MOST = 200_000
"""rows that are compared with each other at most"""
LONGEST = 16_384
"""numbers of a vector at most"""
_BITS = 23
_BLOCK = 512
_AT_ONCE = 8192  # rows that stay, of which a block's cosines are taken at once


class Vectors:
    """Rows merged by the direction of their vectors: blocks are added in order."""

    def __init__(self, folder: Path, least: float) -> None:
        """Begin in this folder; what a run left there which was killed is removed.

        Args:
            folder: of this alone.
            least: cosine of rows that are merged.
        """
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._folder = folder
        self._least = least
        self._rows = 0
        self._stays = np.empty(0, np.int64)
        self._whole = (folder / "whole").open("w+b")
        self._unit = (folder / "unit").open("w+b")
        self.size = 0
        """numbers of a vector; 0 as long as there was none"""
        self.merged = Merged(folder)
        self.repeated = 0
        """rows that were merged into others"""
        self.without = 0
        """rows that have no vector, or one without a direction"""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        """Remove the files."""
        self._whole.close()
        self._unit.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, vectors: np.ndarray) -> None:
        """Take the next rows.

        Args:
            vectors: float64, shape (rows, numbers); of a row that has none NaN.
        """
        for start in range(0, len(vectors), _BLOCK):
            self._block(vectors[start : start + _BLOCK])

    def _block(self, vectors: np.ndarray) -> None:
        whole = _whole(vectors)
        there = np.flatnonzero((whole != 0).any(axis=1))
        self.without += len(vectors) - len(there)
        rows, whole = self._rows + there, whole[there]
        self._rows += len(vectors)
        if not len(rows):
            return
        self.size = whole.shape[1]
        lengths = np.sqrt((whole * whole).sum(axis=1).astype(np.float64))
        unit = (whole / lengths[:, None]).astype(np.float32)
        best, into = np.zeros(len(rows)), np.full(len(rows), -1)
        for start in range(0, len(self._stays), _AT_ONCE):
            count = min(_AT_ONCE, len(self._stays) - start)
            near = unit @ self._read(self._unit, np.float32, start, count).T
            mine, its = np.nonzero(near >= self._least - self._doubt)
            if not len(mine):
                continue
            others = self._read(self._whole, np.int64, start, count)
            self._take(best, into, mine, its, whole, others, self._stays[start : start + count])
        self._within(best, into, rows, whole, unit)

    @property
    def _doubt(self) -> float:
        """How far a cosine in single precision may be off, for sure."""
        return (self.size + 8) * 2.0**-23

    def _take(
        self,
        best: np.ndarray,
        into: np.ndarray,
        mine: np.ndarray,
        its: np.ndarray,
        whole: np.ndarray,
        others: np.ndarray,
        names: np.ndarray,
    ) -> None:
        """Note for each row the one that is most like it, the first of several; in place."""
        for begin in range(0, len(mine), _BLOCK):
            some, other = mine[begin : begin + _BLOCK], its[begin : begin + _BLOCK]
            cosines = _cosines(whole[some], others[other])
            for row, cosine, name in zip(
                some.tolist(), cosines.tolist(), names[other].tolist(), strict=True
            ):
                # The rows that stay come in order, so the first of several is noted already.
                if cosine >= self._least and cosine > best[row]:
                    best[row], into[row] = cosine, name

    def _within(
        self,
        best: np.ndarray,
        into: np.ndarray,
        rows: np.ndarray,
        whole: np.ndarray,
        unit: np.ndarray,
    ) -> None:
        """Compare the rows of a block with those before them in it that stay."""
        near = np.tril(unit @ unit.T >= self._least - self._doubt, -1)
        stays = np.zeros(len(rows), bool)
        for row in range(len(rows)):
            before = np.flatnonzero(near[row] & stays)
            if len(before):
                cosines = _cosines(
                    np.repeat(whole[row : row + 1], len(before), axis=0), whole[before]
                )
                at = int(np.argmax(cosines))
                if cosines[at] >= self._least and cosines[at] > best[row]:
                    best[row], into[row] = cosines[at], rows[before[at]]
            stays[row] = into[row] < 0
        self.repeated += int((~stays).sum())
        self.merged.add(rows[~stays], into[~stays], best[~stays])
        self._stays = np.concatenate([self._stays, rows[stays]])
        self._whole.write(whole[stays].tobytes())
        self._unit.write(unit[stays].tobytes())

    def _read(self, file: Any, kind: type, start: int, count: int) -> np.ndarray:
        width = np.dtype(kind).itemsize * self.size
        file.seek(start * width)
        found: np.ndarray = np.frombuffer(file.read(count * width), kind).reshape(count, self.size)
        file.seek(0, 2)
        return found


def _whole(vectors: np.ndarray) -> np.ndarray:
    """Return vectors as whole numbers, int64; zeros for one that has no direction."""
    largest = np.abs(vectors).max(axis=1, initial=0, keepdims=True)
    good = np.isfinite(largest) & (largest > 0)
    scaled = np.where(good, vectors, 0) / np.where(good, largest, 1)
    return np.rint(np.ldexp(scaled, _BITS)).astype(np.int64)


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of vectors of whole numbers, float64, shape (pairs,)."""
    # Below 2**63 all: 46 bits of a product, and 14 of how many there are.
    products, ones, twos = (
        (a * b).sum(axis=1).astype(np.float64)
        for a, b in ((first, second), (first, first), (second, second))
    )
    found: np.ndarray = products / np.sqrt(ones * twos)
    return found


def vectors_of(column: Any, what: str, start: int, size: int = 0) -> np.ndarray:
    """Return a column of vectors, float64, shape (rows, numbers); NaN for a row that has none.

    Args:
        column: lists of numbers, or their JSON.
        what: the column, for messages.
        start: its first row, for messages.
        size: numbers that the vectors before it have; 0 if there are none.

    Raises:
        InputError: naming the row, if one holds something else or is of another length.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_null(array.type):
        return np.full((len(array), 1), np.nan)
    if is_text(array.type):
        values = [_read(text, what, start + at) for at, text in enumerate(array.to_pylist())]
        array = _listed(values, what, start)
    if not (_is_list(array.type) and _is_number(array.type.value_type)):
        msg = f"{what} holds {array.type}; a list of numbers in each row is needed"
        raise InputError(msg)
    sizes = np.asarray(pc.fill_null(pc.list_value_length(array), 0), np.int64)
    there = np.flatnonzero(sizes > 0)
    size = size or (int(sizes[there[0]]) if len(there) else 1)
    for row in there[(sizes[there] != size) | (sizes[there] > LONGEST)].tolist()[:1]:
        wanted = (
            f"{size:,} as those before it have" if sizes[row] != size else f"{LONGEST:,} at most"
        )
        msg = f"{what}: row {start + row} has {sizes[row]:,} numbers, and {wanted} are needed"
        raise InputError(msg)
    found = np.full((len(array), size), np.nan)
    numbers = array.take(pa.array(there)).flatten().cast(pa.float64())
    found[there] = np.asarray(pc.fill_null(numbers, np.nan)).reshape(-1, size)
    return found


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def _read(text: str | None, what: str, row: int) -> Any:
    return None if text is None else json_value(text, f"{what}, row {row}", constants=True)


def _listed(values: list[Any], what: str, start: int) -> pa.Array:
    for row, value in enumerate(values):
        is_vector = isinstance(value, list) and all(
            each is None or (isinstance(each, int | float) and not isinstance(each, bool))
            for each in value
        )
        if value is not None and not is_vector:
            msg = (
                f"{what}: row {start + row} holds {str(value)[:40]!r}; a list of numbers is needed"
            )
            raise InputError(msg)
    return pa.array(values, pa.list_(pa.float64()))
