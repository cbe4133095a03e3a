"""Texts of Parquet and Arrow files that are no UTF-8, which their writers did not check."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from mashbill.core.errors import InputError

TEXT_MARK = {b"mashbill.text": b"1"}
"""metadata of a column of binary that its file calls text, and whose bytes are not all UTF-8"""


def is_bad_text(field: pa.Field) -> bool:
    """Return whether a column is one of text whose bytes are not all UTF-8."""
    return bool(field.metadata and field.metadata.get(b"mashbill.text"))


def checked_texts(batch: pa.RecordBatch, shown: str, number: int) -> pa.RecordBatch:
    """Return a batch whose texts are sound; a column of text that is not comes as marked binary.

    Args:
        batch: rows as they were read.
        shown: how errors name the file.
        number: rows of the file before them.

    Raises:
        ArrowInvalid: if something else of it is damaged.
        InputError: naming row and column, where a text within a list or object is no UTF-8.
    """
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        fields, columns = [], []
        for field, column in zip(batch.schema, batch.columns, strict=True):
            new = _as_bytes(column)
            if new is None or _is_sound(column):
                if not _is_sound(column):
                    raise _within(batch, field.name, column, shown, number) from None
                fields.append(field)
                columns.append(column)
            else:
                fields.append(pa.field(field.name, new.type, metadata=TEXT_MARK))
                columns.append(new)
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    return batch


def decoded(column: Any) -> tuple[list[str | None], list[int]]:
    """Return the texts of a marked column, U+FFFD for what is no UTF-8, and where that is."""
    texts: list[str | None] = []
    bad = []
    for row, value in enumerate(column.to_pylist()):
        try:
            texts.append(None if value is None else value.decode())
        except UnicodeDecodeError:
            texts.append(value.decode("utf-8", "replace"))
            bad.append(row)
    return texts, bad


def _is_sound(column: Any) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _as_bytes(column: Any) -> Any:
    """Return a column of text as bytes; None if it is none."""
    kind = column.type
    if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
        values = _bytes(column.dictionary)
        return values.take(column.indices)
    return _bytes(column) if _is_text(kind) else None


def _bytes(column: Any) -> Any:
    large = pa.types.is_large_string(column.type)
    if pa.types.is_string_view(column.type):
        return column.cast(pa.binary_view()).cast(pa.binary())
    return column.view(pa.large_binary() if large else pa.binary())


def _is_text(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _within(batch: pa.RecordBatch, name: str, column: Any, shown: str, number: int) -> Exception:
    """Return the error about a column in which a row is damaged, or holds what is no UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error) and "UTF-8" not in str(error):
            return ValueError(str(error))
    row = next((i for i in range(batch.num_rows) if not _is_sound(column.take(pa.array([i])))), 0)
    return InputError(
        f"{shown}: row {number + row}: a text in column {name!r} is not UTF-8; write the column "
        "again as UTF-8, or leave it out"
    )
