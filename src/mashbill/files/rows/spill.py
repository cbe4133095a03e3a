"""Rows laid down on disk to be read again: what a stage holds grows no more with its input.

A file is read once as columns of cells, laid down here, and read again when types and duplicates
are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import pyarrow as pa

from mashbill.files.rows.cells import JSON_MARK, Cells, Kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Spill:
    """A file of chunks of rows, each with columns of its own; written once, then read in order.

    Each chunk is a stream of Arrow IPC by itself, one behind the other, since a column that holds
    numbers in one may hold texts in the next.
    """

    def __init__(self, path: Path) -> None:
        """Begin the file; one that a run left which was killed is written over."""
        self._path = path
        self._sink = pa.OSFile(str(path), "wb")
        self.kinds: dict[str, Kinds] = {}
        """column -> what was met in it, in the order in which columns came"""
        self._numbers: dict[str, int] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        """Remove the file."""
        self._sink.close()
        self._path.unlink(missing_ok=True)

    def add(self, columns: Mapping[str, Cells]) -> None:
        """Write a chunk; columns may be others than those of the chunk before."""
        fields, arrays = [], []
        for name, cells in columns.items():
            self.kinds[name] = self.kinds.get(name, Kinds()) | cells.kinds
            mark = JSON_MARK if cells.is_json else None
            # A name may be no Unicode, or hold what Arrow ends names at: it is told by its number.
            number = self._numbers.setdefault(name, len(self._numbers))
            fields.append(pa.field(str(number), cells.array.type, metadata=mark))
            arrays.append(cells.array)
        batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
        with pa.ipc.new_stream(self._sink, batch.schema) as writer:
            writer.write_batch(batch)
        self.rows += batch.num_rows

    def chunks(self) -> Iterator[dict[str, Cells]]:
        """Yield the chunks as they were added. Nothing may be added from now on."""
        self._sink.close()
        names = list(self._numbers)
        with pa.OSFile(str(self._path), "rb") as source:
            while source.tell() < source.size():
                with pa.ipc.open_stream(source) as reader:
                    batch = reader.read_next_batch()
                    for _ in reader:
                        pass
                found = {}
                for i, field in enumerate(batch.schema):
                    name = names[int(field.name)]
                    is_json = bool(field.metadata)
                    found[name] = Cells(batch.column(i), self.kinds[name], is_json=is_json)
                yield found

    def is_nested(self, name: str) -> bool:
        """Return whether every cell of a column that is there is a list or an object."""
        return self.kinds[name].is_nested

    def final(self, name: str, chunk: Mapping[str, Cells], rows: int) -> pa.Array:
        """Return a column of a chunk as part of the whole column; missing cells if it has none."""
        kinds = self.kinds[name]
        return chunk[name].final(kinds) if name in chunk else pa.nulls(rows, kinds.type)
