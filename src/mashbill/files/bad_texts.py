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
            if _flaw(column) is None:
                fields.append(field)
                columns.append(column)
                continue
            new = _as_bytes(column)
            if new is None:
                raise _within(field.name, column, shown, number) from None
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


def _flaw(array: Any) -> str | None:
    """Return what is wrong with an array, looking at all of it; None if nothing is."""
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        return str(error)
    return None


def _as_bytes(column: Any) -> Any:
    """Return a column of text as bytes; None if it is none.

    Nothing is read of it before it is known that its places lie in it: what is no UTF-8 may be
    damaged in other ways, too.

    Raises:
        ArrowInvalid: if it is.
    """
    kind = column.type
    if pa.types.is_dictionary(kind) and _is_text(kind.value_type):
        values = _bytes(column.dictionary)
        values.validate(full=True)
        whole = pa.DictionaryArray.from_arrays(column.indices, values, safe=True)
        whole.validate(full=True)
        return whole.dictionary_decode()
    if not _is_text(kind):
        return None
    values = _bytes(column)
    values.validate(full=True)
    return values


def _bytes(column: Any) -> Any:
    """Return texts as bytes, by the same buffers."""
    if pa.types.is_string_view(column.type):
        return column.view(pa.binary_view())
    return column.view(pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary())


def _is_text(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _within(name: str, column: Any, shown: str, number: int) -> Exception:
    """Return the error about a column that is damaged, or holds within it what is no UTF-8."""
    flaw = _flaw(column) or ""
    if "UTF8" not in flaw and "UTF-8" not in flaw:
        return ValueError(flaw)
    # Parts alone are looked at, and nothing of them is read.
    bad = [row for row in range(len(column)) if _flaw(column.slice(row, 1)) is not None]
    some = f"row {number + bad[0]}" if len(bad) == 1 else f"rows from {number} on"
    return InputError(
        f"{shown}: {some}: a text within column {name!r} is not UTF-8, which on_bad_bytes does not "
        "mend there; write the column again as UTF-8, or leave it out"
    )
