"""Reading a committed dataset by row position, without reading more of it than is needed."""

from __future__ import annotations

import bisect
from collections import OrderedDict
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.errors import InputError, StoreError
from mashbill.core.missing import lacking
from mashbill.core.parsing import check_regular
from mashbill.core.record import FROM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.core.artifact import Manifest

ROW_GROUP = 2048
"""Rows a Parquet row group holds, so that reading one row decodes few others."""


_CHUNK = 1 << 16
"""rows that are in memory at once, where a few are drawn from all"""
_OPEN = 256  # files kept open at most


class Dataset:
    """The records of one committed dataset; rows are numbered over all its shards from 0."""

    def __init__(self, path: Path, manifest: Manifest, keeps_open: int = _OPEN) -> None:
        self._keeps_open = keeps_open
        self.path = path
        self.manifest = manifest
        self._ends = list(accumulate(shard.rows for shard in manifest.shards))
        self._parts: OrderedDict[str, _Part] = OrderedDict()

    @property
    def num_rows(self) -> int:
        """Records kept."""
        return self.manifest.rows

    @cached_property
    def columns(self) -> list[str]:
        """Column names, the user's first."""
        if not self.manifest.shards:
            return []
        return list(self._part(self.manifest.shards[0].file).schema.names)

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types and marks, as the first shard has them."""
        shards = self.manifest.shards
        return self._part(shards[0].file).schema if shards else pa.schema([])

    def _part(self, file: str) -> _Part:
        """Open a shard, once: its footer is read and parsed a single time."""
        part = self._parts.get(file)
        if part is None:
            part = self._parts[file] = _Part(self.path / file)
            if len(self._parts) > self._keeps_open:
                self._parts.popitem(last=False)[1].close()
        self._parts.move_to_end(file)
        return part

    def read(self, start: int, stop: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Return rows ``start`` up to ``stop`` as a table.

        Raises:
            InputError: if a wanted column is not there.
        """
        missing = self.manifest.shards and [
            name for name in columns or () if name not in self.columns
        ]
        if missing:
            msg = (
                f"{self.manifest.ref} has no column {missing[0]!r}; it has "
                f"{', '.join(self.columns)}; correct the column name in the recipe"
            )
            raise InputError(msg)
        if not self.manifest.shards:
            msg = f"{self.manifest.ref} has no records, so there is nothing to go on with"
            raise InputError(msg)
        pieces = []
        first = bisect.bisect_right(self._ends, start)
        for shard, end in zip(self.manifest.shards[first:], self._ends[first:], strict=True):
            begin = end - shard.rows
            if begin >= stop:
                break
            wanted = list(columns) if columns is not None else None
            pieces.append(self._part(shard.file).rows(max(start - begin, 0), stop - begin, wanted))
        if not pieces:
            schema = self._part(self.manifest.shards[0].file).schema
            return schema.empty_table().select(list(columns) if columns else schema.names)
        return pa.concat_tables(pieces)

    def chunks(
        self, rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[int, pa.Table]]:
        """Yield (position of the first row, rows) in order, ``rows`` at a time.

        Files are read by another opening of them, which lets each go once it is behind: who goes
        through all rows does not end with all of them mapped.
        """
        own = Dataset(self.path, self.manifest, keeps_open=2)
        for start in range(0, self.num_rows, rows):
            yield start, own.read(start, min(start + rows, self.num_rows), columns)

    def sample(self, count: int, columns: Sequence[str]) -> pa.Table:
        """Return ``count`` rows at even distances over the dataset, or all if it has fewer.

        Rows that have no value in one of the columns are none of them.
        """
        places = self.sampled(count, columns)
        pieces = [self.read(0, 0, columns)]
        for start, piece in self.chunks(_CHUNK, columns):
            own = places[(places >= start) & (places < start + piece.num_rows)] - start
            if len(own):
                pieces.append(piece.take(pa.array(own)))
        return pa.concat_tables(pieces)

    def sampled(self, count: int, columns: Sequence[str]) -> np.ndarray:
        """Return the positions of the rows that :meth:`sample` gives, shape (rows,)."""
        if not self.num_rows:
            self.read(0, 0, columns)  # which says what is wrong with it
        there = [
            start + np.flatnonzero([name is None for name in lacking(piece, columns)])
            for start, piece in self.chunks(_CHUNK, columns)
        ]
        return _evenly(np.concatenate([np.empty(0, np.int64), *there]), count)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one whole column."""
        return self.read(0, self.num_rows, [name]).column(name)

    def row(self, position: int) -> dict[str, Any]:
        """Return one record.

        Raises:
            InputError: if there is no such row.
        """
        if not 0 <= position < self.num_rows:
            msg = (
                f"{self.manifest.ref} has rows 0 to {self.num_rows - 1}; row {position} is not "
                "one of them"
            )
            raise InputError(msg)
        return dict(self.read(position, position + 1).to_pylist()[0])

    def made_of(self, position: int) -> list[int]:
        """Return the rows whose ``_from`` names a position, in order.

        Row groups whose statistics rule it out are not read: where a step keeps the order, that
        leaves one or two.
        """
        found: list[int] = []
        for shard, end in zip(self.manifest.shards, self._ends, strict=True):
            begin = end - shard.rows
            found += [begin + row for row in self._part(shard.file).made_of(position)]
        return found


def _evenly(there: np.ndarray, count: int) -> np.ndarray:
    """Return so many of these positions, at even distances."""
    taken = min(count, len(there))
    places: np.ndarray = there[np.arange(taken) * len(there) // max(taken, 1)]
    return places


class _Part:
    """One Parquet file, kept open, of which only the row groups that are needed are decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        check_regular(path)
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except Exception as error:
            raise self._damaged(error) from error
        meta = self._file.metadata
        sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
        self._group_ends = list(accumulate(sizes))
        self._bounds: list[tuple[int, int] | None] | None = None
        self.schema: pa.Schema = self._file.schema_arrow

    def _damaged(self, error: Exception) -> StoreError:
        if not self._path.exists():
            what = "is not there: it was removed since this began, or is lost"
            what += "; run the same command again, and `mashbill audit` if it says so again"
            return StoreError(f"{self._path} {what}")
        return StoreError(f"{self._path} is damaged: {error}; run `mashbill audit`")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def rows(self, start: int, stop: int, columns: list[str] | None) -> pa.Table:
        """Return rows ``start`` up to ``stop``."""
        first = bisect.bisect_right(self._group_ends, start)
        last = bisect.bisect_left(self._group_ends, stop) + 1
        skipped = self._group_ends[first - 1] if first else 0
        groups = list(range(first, min(last, len(self._group_ends))))
        try:
            table = self._file.read_row_groups(groups, columns=columns, use_threads=len(groups) > 4)
            table.validate(full=True)  # Parquet takes any bytes for a text
        except Exception as error:
            raise self._damaged(error) from error
        return table.slice(start - skipped, stop - start)

    def made_of(self, position: int) -> list[int]:
        """Return the rows of this file whose ``_from`` names a position."""
        if self._bounds is None:
            self._bounds = self._from_bounds()
        found: list[int] = []
        for group, bounds in enumerate(self._bounds):
            if bounds is not None and not bounds[0] <= position <= bounds[1]:
                continue
            try:
                column = self._file.read_row_group(group, columns=[FROM]).column(0).combine_chunks()
            except Exception as error:
                raise self._damaged(error) from error
            first = self._group_ends[group - 1] if group else 0
            if pa.types.is_list(column.type):
                hits = pc.list_parent_indices(column).filter(pc.equal(column.flatten(), position))
                found += [first + row for row in dict.fromkeys(hits.to_pylist())]
            else:
                hits = pc.indices_nonzero(pc.equal(column, position))
                found += [first + row for row in hits.to_pylist()]
        return found

    def _from_bounds(self) -> list[tuple[int, int] | None]:
        """Return the least and largest ``_from`` of each row group; None if it does not say."""
        meta = self._file.metadata
        at = [
            i for i in range(meta.num_columns) if meta.schema.column(i).path.split(".")[0] == FROM
        ]
        bounds: list[tuple[int, int] | None] = []
        for group in range(meta.num_row_groups):
            stats = meta.row_group(group).column(at[0]).statistics if at else None
            if stats is None or not stats.has_min_max:
                bounds.append(None)
            else:
                bounds.append((stats.min, stats.max))
        return bounds
