"""Columns whose cells are JSON: the mark that says so, which travels with a dataset's files.

A row's lists and objects are kept as JSON in a column of text. That they are no text of their own
is said by the field's metadata, ``mashbill.json`` = ``1``. It is no part of a record: neither
``_id`` nor a leaf knows of it, and files without it are read as ever.

Stages put rows together from arrays, which know of no mark; so the executor carries marks from
inputs to outputs where it writes shards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_MARK = {b"mashbill.json": b"1"}
_KEY = b"mashbill.json"
# What a cell can be at all; whether it is JSON is seen when it is read.
_LIKE_JSON = (
    r"(?s)^\s*(?:\{.*\}|\[.*\]|\"(?:[^\"\\]|\\.)*\"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?"
    r"|true|false|null)\s*$"
)
_Rows = TypeVar("_Rows", pa.Table, pa.RecordBatch)


def json_field(name: str, kind: pa.DataType | None = None) -> pa.Field:
    """Return the field of a column of which every cell that is not missing is JSON.

    Args:
        name: of the column.
        kind: its type, text if not said.
    """
    return pa.field(name, pa.string() if kind is None else kind, metadata=_MARK)


def is_json_field(field: pa.Field) -> bool:
    """Return whether a column is marked as one of JSON."""
    return bool(field.metadata) and field.metadata.get(_KEY) == _MARK[_KEY]


def json_columns(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Return the columns that are marked, with their types."""
    return {field.name: field.type for field in schema if is_json_field(field)}


def with_json(rows: _Rows, names: Collection[str]) -> _Rows:
    """Return rows with these columns marked; those that they do not have are passed over."""
    fields = [
        json_field(field.name, field.type) if field.name in names else field
        for field in rows.schema
    ]
    return type(rows).from_arrays(rows.columns, schema=pa.schema(fields, rows.schema.metadata))


def carried(schemas: Sequence[pa.Schema]) -> dict[str, pa.DataType]:
    """Return the marked columns that what is made of several inputs' rows may have from them.

    A column is one only if all that have it say so: where one has plain text in it, a text such as
    ``007`` or ``"so"`` would be taken for JSON. One that holds nothing at all says nothing.
    """
    found: dict[str, pa.DataType] = {}
    for schema in schemas:
        found |= json_columns(schema)
    for schema in schemas:
        for field in schema:
            if not is_json_field(field) and not pa.types.is_null(field.type):
                found.pop(field.name, None)
    return found


def with_carried(table: pa.Table, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Return rows with the marks that their inputs had.

    A column of the same name may be another one, written anew: a label, a teacher's answer. So each
    cell is looked at, whether it could be JSON.

    Args:
        table: rows.
        columns: marked columns of what they were made of.
    """
    same = [
        field.name
        for field in table.schema
        if columns.get(field.name) == field.type
        and not is_json_field(field)
        and _could_be_json(table.column(field.name))
    ]
    return with_json(table, same) if same else table


def _could_be_json(column: Any) -> bool:
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return False
    # None counts for nothing: all of no cells is true, and so is all of missing ones.
    return pc.all(pc.match_substring_regex(column, _LIKE_JSON)).as_py() is not False
