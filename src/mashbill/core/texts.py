"""Columns of rows as texts, for whoever asks or scores them, and the calls that they rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.missing import is_text, lacking

if TYPE_CHECKING:
    from collections.abc import Sequence


def texts_of(batch: pa.RecordBatch | pa.Table, column: str, of: str) -> list[str]:
    """Return a column of texts; one that is missing in a row is empty.

    Raises:
        InputError: if there is no such column, or it holds no text.
    """
    names = batch.schema.names
    if column not in names:
        msg = (
            f"{of} has no column {column!r}; it has {', '.join(names)}; correct the column name "
            "in the recipe"
        )
        raise InputError(msg)
    kind = batch.schema.field(column).type
    if not is_text(kind) and not pa.types.is_null(kind):
        msg = f"{of}: column {column!r} holds {kind}; text is needed"
        raise InputError(msg)
    return [text or "" for text in batch.column(column).to_pylist()]


def empty_among(batch: pa.RecordBatch | pa.Table, columns: Sequence[str]) -> list[str | None]:
    """Return for each row why it is not asked about: which of these columns has no value."""
    found = lacking(batch, columns)
    return [None if column is None else f"its column {column} is empty" for column in found]


def calls_column(calls: Sequence[str | None]) -> pa.Array:
    """Return digests of teacher calls, hexadecimal, as a column; None where none was made."""
    return pa.array([bytes.fromhex(call) if call else None for call in calls], pa.binary(32))
