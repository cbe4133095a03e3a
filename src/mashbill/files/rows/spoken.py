"""What the cells of a column say: texts, and of conversations what was said in them.

A list of turns, as JSON in a marked column (:mod:`mashbill.core.json_fields`) or as a list of
Arrow, says its turns, divided by empty lines; a list of texts says those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.json_fields import is_json_field
from mashbill.core.missing import is_text
from mashbill.core.parsing import json_value
from mashbill.files.rows.chat import content_of, is_chat

if TYPE_CHECKING:
    from collections.abc import Iterable


def spoken(rows: pa.RecordBatch | pa.Table, column: str, of: str) -> list[str]:
    """Return what each row says in a column; nothing where a cell is missing.

    Args:
        rows: rows.
        column: of texts, or of lists of turns or texts.
        of: what they are rows of, for errors.

    Raises:
        InputError: if there is no such column, or it holds neither.
    """
    if column not in rows.schema.names:
        msg = (
            f"{of} has no column {column!r}; it has {', '.join(rows.schema.names)}; correct the "
            "column name in the recipe"
        )
        raise InputError(msg)
    field = rows.schema.field(column)
    kind, cells = field.type, rows.column(column)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind):
        texts = cells.to_pylist()
        return [_of_json(text) for text in texts] if is_json_field(field) else _texts(texts)
    if pa.types.is_null(kind):
        return [""] * rows.num_rows
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [said(value) for value in cells.to_pylist()]
    msg = f"{of}: column {column!r} holds {field.type}; text or a list of turns is needed"
    raise InputError(msg)


def _texts(texts: Iterable[str | None]) -> list[str]:
    return [text or "" for text in texts]


def _of_json(text: str | None) -> str:
    return said(read_cell(text))


def read_cell(text: str | None) -> Any:
    """Return the value of a cell of a column of JSON; one that is none is what it says."""
    if not text:
        return ""
    try:
        return json_value(text, "a cell")
    except InputError:
        return text


def turns(value: Any) -> int | None:
    """Return how many turns a conversation has; None of what is none."""
    return len(value) if is_chat(value) else None


def said(value: Any) -> str:
    """Return what a value says: a text, the texts of a list, the turns of a conversation."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    if is_chat(value):
        return "\n\n".join(text for text, _ in map(content_of, value) if text)
    return "\n".join(each for each in value if isinstance(each, str))
