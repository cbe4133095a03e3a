"""What the cells of a column say: plain texts, chats by who speaks, and other lists and objects.

A cell of plain text is one part. A chat is a part a turn, told apart by its role; of any other list
or object each text in it is one, but no key. A text that is the JSON of a list or an object is read
as one, marked or not: else its escapes would stand between its words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.missing import is_text
from mashbill.core.parsing import json_value
from mashbill.files.rows.chat import ROLES, content_of, is_chat, is_turn, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIKE_JSON = r"(?s)^\s*(?:\{.*\}|\[.*\])\s*$"
_Part = tuple[str, str]
"""(who, text)"""


@dataclass(frozen=True)
class Said:
    """The parts of a column's cells, one behind the other."""

    texts: pa.Array
    """large_string, shape (parts,)"""
    rows: np.ndarray
    """the row of each, rising, int64, shape (parts,)"""
    who: list[str] | None
    """the role of the turn that each is, empty if it is none; None if no cell is a chat"""


def said_in(column: Any) -> Said:
    """Return what a column of any type says; a cell that is missing has no part.

    Args:
        column: an array of Arrow, chunked or not.
    """
    array = _plain(column)
    if not is_text(array.type):
        if not holds_text(array.type):
            return Said(pa.array([], pa.large_string()), np.empty(0, np.int64), None)
        return _put([list(_parts(value)) for value in array.to_pylist()])
    texts = array.cast(pa.large_string())
    if not _some_json(texts):
        there = np.flatnonzero(np.asarray(pc.is_valid(texts)))
        return Said(texts.drop_null(), there, None)
    return _put([list(_parts(_read(text))) for text in texts.to_pylist()])


def whole(column: Any) -> pa.Array:
    """Return what each cell says as one text, large_string, shape (rows,); null if it is missing.

    Turns and other parts stand on lines of their own, without roles.
    """
    array = _plain(column)
    if is_text(array.type) and not _some_json(array):
        return array.cast(pa.large_string())
    said = said_in(array)
    found: list[list[str]] = [[] for _ in range(len(column))]
    for row, text in zip(said.rows.tolist(), said.texts.to_pylist(), strict=True):
        found[row].append(text)
    return pa.array(["\n".join(parts) if parts else None for parts in found], pa.large_string())


def _plain(column: Any) -> Any:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _some_json(texts: Any) -> bool:
    return bool(pc.any(pc.match_substring_regex(texts, _LIKE_JSON)).as_py())


def holds_text(held: pa.DataType) -> bool:
    """Return whether a column of this type may say something."""
    waiting = [held]
    while waiting:
        kind = waiting.pop()
        if is_text(kind):
            return True
        if pa.types.is_dictionary(kind):
            waiting.append(kind.value_type)
        elif pa.types.is_nested(kind):
            waiting += [kind.field(at).type for at in range(kind.num_fields)]
    return False


def _put(cells: list[list[_Part]]) -> Said:
    rows = np.repeat(np.arange(len(cells)), [len(parts) for parts in cells])
    parts = [part for cell in cells for part in cell]
    who = [name for name, _ in parts]
    return Said(
        pa.array([text for _, text in parts], pa.large_string()), rows, who if any(who) else None
    )


def _read(text: str | None) -> Any:
    if text is None or text.strip()[:1] + text.strip()[-1:] not in ("{}", "[]"):
        return text
    try:
        return json_value(text, "a cell", constants=True)
    except InputError:
        return text


def _parts(value: Any) -> Iterator[_Part]:
    """Yield the parts of a cell, in the order in which they stand there."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield "", part
        elif isinstance(part, list) and not is_chat(part):
            waiting += reversed(part)
        elif isinstance(part, dict) and not is_turn(part):
            waiting += reversed(list(part.values()))
        elif isinstance(part, list | dict):
            for turn in part if isinstance(part, list) else [part]:
                role = role_of(turn)
                told = ROLES.get(role, role[:40])
                if text := content_of(turn)[0]:
                    yield told, text
                for call in _calls(turn):
                    yield told, call


def _calls(turn: dict[str, Any]) -> Iterator[str]:
    """Yield the texts of a turn that stand beside what it says: arguments of calls, reasoning."""
    waiting = [
        value
        for key, value in reversed(turn.items())
        if key not in ("role", "from", "content", "value", "text", "name", "id")
    ]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            waiting += reversed(list(part.values()))
        elif isinstance(part, list):
            waiting += reversed(part)
