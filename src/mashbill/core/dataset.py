"""Reading a committed dataset by row position, without reading more of it than is needed."""

from __future__ import annotations

import bisect
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.core.artifact import Manifest

ROW_GROUP = 2048
"""Rows a Parquet row group holds, so that reading one row decodes few others."""


class Dataset:
    """The records of one committed dataset; rows are numbered over all its shards from 0."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self._ends = list(accumulate(shard.rows for shard in manifest.shards))

    @property
    def num_rows(self) -> int:
        """Records kept."""
        return self.manifest.rows

    @cached_property
    def columns(self) -> list[str]:
        """Column names, the user's first."""
        if not self.manifest.shards:
            return []
        return list(_rows(self.path / self.manifest.shards[0].file, 0, 0, None).column_names)

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
            pieces.append(
                _rows(self.path / shard.file, max(start - begin, 0), stop - begin, wanted)
            )
        if not pieces:
            schema = pq.read_schema(self.path / self.manifest.shards[0].file)
            return schema.empty_table().select(list(columns) if columns else schema.names)
        return pa.concat_tables(pieces)

    def chunks(self, rows: int) -> Iterator[tuple[int, pa.Table]]:
        """Yield (position of the first row, rows) in order, ``rows`` at a time."""
        for start in range(0, self.num_rows, rows):
            yield start, self.read(start, min(start + rows, self.num_rows))

    def sample(self, count: int, columns: Sequence[str]) -> pa.Table:
        """Return ``count`` rows at even distances over the dataset, or all if it has fewer."""
        taken = min(count, self.num_rows)
        positions = [i * self.num_rows // taken for i in range(taken)]
        return self.read(0, self.num_rows, columns).take(positions)

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


def _rows(path: Path, start: int, stop: int, columns: list[str] | None) -> pa.Table:
    """Read rows of one file, decoding only the row groups that hold them."""
    try:
        return _decode(path, start, stop, columns)
    except (pa.ArrowException, OSError) as error:
        msg = f"{path} is damaged or not there: {error}; run `mashbill audit`"
        raise StoreError(msg) from error


def _decode(path: Path, start: int, stop: int, columns: list[str] | None) -> pa.Table:
    with pq.ParquetFile(path) as file:
        groups, begin, skipped = [], 0, None
        for index in range(file.metadata.num_row_groups):
            end = begin + file.metadata.row_group(index).num_rows
            if end > start and begin < stop:
                groups.append(index)
                skipped = begin if skipped is None else skipped
            begin = end
        table = file.read_row_groups(groups, columns=columns)
    return table.slice(start - (skipped or 0), stop - start)
