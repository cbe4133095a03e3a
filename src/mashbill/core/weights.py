"""What a row weighs in shares: the words that a model would learn to write from it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.record import user_columns

_SPOKEN = ("content", "response")
"""what a message, or a completion in a list, says"""


def words_of(table: pa.Table) -> np.ndarray:
    """Return the words in each row's text, shape (rows,): the unit in which shares are weighed.

    Words separated by white space, because every step of a chain may have another tokenizer.
    """
    total = np.zeros(table.num_rows, np.int64)
    columns = weighed(table.schema)
    for name in columns:
        column = table.column(name)
        total += _words_of_lists(column) if pa.types.is_list(column.type) else _words(column)
    return total if columns else np.ones(table.num_rows, np.int64)


def _words(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    text = pc.utf8_trim_whitespace(column)
    gaps = pc.count_substring_regex(text, r"\s+")
    words = pc.if_else(pc.equal(text, ""), 0, pc.add(gaps, 1))
    return np.asarray(pc.fill_null(words, 0), np.int64)


def _words_of_lists(column: pa.ChunkedArray) -> np.ndarray:
    """Return the words in all messages, or completions, of each row, shape (rows,)."""
    total = np.zeros(len(column), np.int64)
    rows = np.asarray(pc.list_parent_indices(column), np.int64)
    said, key = pc.list_flatten(column), _spoken(column.type)
    np.add.at(total, rows, _words(pc.struct_field(said, key) if key else said))
    return total


def _spoken(kind: pa.DataType) -> str | None:
    """Return under which key a list's objects hold their text, empty if its items are texts.

    None if it is no list of such things.
    """
    if not pa.types.is_list(kind):
        return None
    if pa.types.is_string(kind.value_type):
        return ""
    if not pa.types.is_struct(kind.value_type):
        return None
    for key in _SPOKEN:
        at = kind.value_type.get_field_index(key)
        if at >= 0 and pa.types.is_string(kind.value_type.field(at).type):
            return key
    return None


def weighed(schema: pa.Schema) -> list[str]:
    """Return the columns whose words are a row's weight: what a model would learn to write."""
    own = user_columns(schema.names)
    names = [name for name in own if pa.types.is_string(schema.field(name).type)]
    lists = [name for name in own if _spoken(schema.field(name).type) is not None]
    for wanted, of_lists in (
        (["text"], []),
        (["prompt", "instruction"], ["completions", "responses"]),
        (["prompt", "chosen", "rejected"], ["prompt", "chosen", "rejected"]),
        (["completion"], []),
    ):
        there = [name for name in of_lists if name in lists]
        found = [name for name in wanted if name in names] + there
        if found and (there or not of_lists or "chosen" in wanted):
            return found
    return names[:1]
