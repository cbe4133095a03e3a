"""A look at local files before anything runs: how many rows, which columns, how long their texts.

Small files are read whole, so that what would end a run ends the plan. Of large ones the beginning
is read, and their rows are reckoned from their size; Parquet files say how many they have.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.errors import InputError
from mashbill.core.stage import Glance
from mashbill.files.rows.chunks import Chunk, Manner, read_chunks
from mashbill.files.rows.formats import format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mashbill.files.listing import File

_ROWS = 100_000
"""rows that are read at most: a second or so"""
_BYTES = 64 << 20
"""and what they may come to, about: a chunk more is read"""


@dataclass
class _Seen:
    rows: int = 0
    columns: dict[str, None] = field(default_factory=dict)
    sizes: Counter[str] = field(default_factory=Counter)
    """bytes of text, by column"""
    size: int = 0
    """bytes of all that was read"""

    def is_enough(self) -> bool:
        """Whether no more is to be read."""
        return self.rows >= _ROWS or self.size >= _BYTES

    def take(self, chunk: Chunk) -> None:
        self.rows += chunk.rows
        for name, cells in chunk.columns.items():
            self.columns.setdefault(name)
            array = cells.array
            self.size += array.nbytes
            if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
                self.sizes[name] += pc.sum(pc.binary_length(array)).as_py() or 0


def glance_at(
    files: Sequence[File],
    manner: Manner,
    check: Callable[[Chunk, str], None],
    read: Callable[[File, Sequence[File]], Iterator[Chunk]] | None = None,
) -> Glance:
    """Look at files.

    Args:
        files: those of one set.
        manner: how they are read.
        check: raises for a chunk that cannot serve.
        read: reads a file of the set, where its name says something of its rows too.

    Raises:
        InputError: as reading them would.
    """
    seen = _Seen()
    total, is_exact = 0, True
    for file in files:
        if seen.is_enough():
            number, exact = _reckoned(file.path, file.shown, manner, seen)
            total, is_exact = total + number, is_exact and exact
            continue
        before = seen.rows
        stopped = False
        chunks = read(file, files) if read else read_chunks(file.path, file.shown, manner)
        for chunk in chunks:
            check(chunk, file.shown)
            seen.take(chunk)
            stopped = seen.is_enough()
            if stopped:
                break
        if stopped:
            number, exact = _reckoned(file.path, file.shown, manner, seen)
            number = max(number, seen.rows - before)
        else:
            number, exact = seen.rows - before, True
        total, is_exact = total + number, is_exact and exact
    rows = max(seen.rows, 1)
    return Glance(
        rows=total,
        is_exact=is_exact,
        columns=tuple(seen.columns),
        sizes={name: size / rows for name, size in seen.sizes.items()},
    )


def _reckoned(path: Path, shown: str, manner: Manner, seen: _Seen) -> tuple[int, bool]:
    """Return how many rows a file has, and whether that is counted."""
    kind = format_of(shown) if manner.format == "auto" else manner.format
    if kind == "parquet":
        try:
            return int(pq.read_metadata(path).num_rows), True
        except (pa.ArrowException, OSError) as error:
            msg = f"{shown} is not a whole Parquet file: {error!s:.200}; fetch it again"
            raise InputError(msg) from error
    each = max(sum(seen.sizes.values()) / max(seen.rows, 1), 1)
    if kind == "jsonl":
        each += sum(len(name) + 6 for name in seen.columns)
    return round(path.stat().st_size / each), False
