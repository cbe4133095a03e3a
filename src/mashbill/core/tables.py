"""Reading a whole Parquet file that somebody else may have written: bounded, with one outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import StoreError
from mashbill.core.parsing import Error, check_regular, foreign

if TYPE_CHECKING:
    from pathlib import Path

MOST = 8 << 30
"""bytes that a file may come to in memory"""
_ROWS = 2048  # at a time: a few bytes of a dictionary may stand for a text in each


def read_parquet(
    source: Path | pa.Buffer,
    shown: object,
    *,
    error: Error = StoreError,
    what: str = "a Parquet file",
    most: int = MOST,
    use_threads: bool = True,
) -> pa.Table:
    """Return a Parquet file as a table, counting what comes out of it and not what goes in.

    Args:
        source: the file, or its bytes.
        shown: the file, for the message.
        error: which of our errors it becomes.
        what: what it should be.
        most: bytes that it may come to.
        use_threads: whether columns may be decoded side by side.

    Raises:
        MashbillError: as ``error``, if it is none, or comes to more.
    """
    remedy = "run `mashbill audit`"
    if not isinstance(source, pa.Buffer):
        check_regular(source, error=error)
    with (
        foreign(shown, what, error=error, remedy=remedy),
        pq.ParquetFile(
            pa.BufferReader(source) if isinstance(source, pa.Buffer) else source
        ) as file,
    ):
        batches, size = [], 0
        # For a small file, threads cost more than they save.
        use_threads = use_threads and file.metadata.num_rows > _ROWS
        for batch in file.iter_batches(_ROWS, use_threads=use_threads):
            size += batch.nbytes
            if size > most:
                msg = f"{shown} comes to more than {most:,} bytes, more than it may; {remedy}"
                raise error(msg)
            batch.validate(full=True)  # Parquet takes any bytes for a text
            batches.append(batch)
        return pa.Table.from_batches(batches, file.schema_arrow)
