"""Rankings that rows hold: the completions of a prompt as a list, with scores, as ``prefer`` reads.

A cell is a list of texts, or of objects each with a text; in a store lists are JSON or lists of
Arrow. Scores are a list beside it, or stand in the objects, or the list goes from best to worst.
What is no such list makes no completion, and is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.cells import number_of
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT, SCORE = "text", "score"
"""columns of what a list is laid out as"""
_TEXTS = ("response", "text", "completion", "answer", "generation", "content")
_SCORES = ("overall_score", "score", "rating", "reward")
_RANK = "rank"
_MOST = 4096  # completions of a prompt


def laid_out(
    table: pa.Table, name: str, column: str, score: str, keys: Sequence[str]
) -> tuple[pa.Table, np.ndarray]:
    """Return a row a completion, and the row that each was in.

    Args:
        table: rows, each with a list.
        name: of the dataset, for errors.
        column: with the completions.
        score: with a list of their scores; empty if objects have them, or the list is ranked.
        keys: further columns that each completion gets.

    Returns:
        a table with ``text``, ``score`` (null where there is none) and the keys; and rows of
        ``table``, int64, shape (completions,).

    Raises:
        InputError: naming dataset and column, if one is not there or holds no list at all.
    """
    for wanted in filter(None, (column, score)):
        if wanted not in table.column_names:
            msg = f"{name} has no column {wanted!r}; it has {', '.join(table.column_names)}"
            raise InputError(msg)
    cells = table.column(column).to_pylist()
    beside = table.column(score).to_pylist() if score else [None] * len(cells)
    texts: list[str] = []
    scores: list[float | None] = []
    rows: list[int] = []
    for row, (cell, other) in enumerate(zip(cells, beside, strict=True)):
        for text, value in _ranked(_list(cell), _list(other) if score else None):
            texts.append(text)
            scores.append(value)
            rows.append(row)
    if not texts and any(cell is not None for cell in cells):
        first = next(cell for cell in cells if cell is not None)
        msg = (
            f"{name}: column {column!r} holds {first!r:.60}; a list of completions is needed, of "
            f"texts or of objects with {', '.join(_TEXTS)}"
        )
        raise InputError(msg)
    at = np.array(rows, np.int64)
    kept = {key: table.column(key).take(pa.array(at)) for key in keys if key in table.column_names}
    own = {TEXT: pa.array(texts, pa.string()), SCORE: pa.array(scores, pa.float64())}
    return pa.table({**kept, **own}), at


def _list(cell: Any) -> list[Any]:
    """Return the list of a cell; an empty one if it is none."""
    if isinstance(cell, str):
        try:
            cell = json_value(cell, "it")
        except InputError:
            return []
    return cell[:_MOST] if isinstance(cell, list) else []


def _ranked(items: list[Any], beside: list[Any] | None) -> list[tuple[str, float | None]]:
    """Return the completions of a list with their scores."""
    found = []
    own = [_score(item) for item in items]
    has_own = any(value is not None for value in own)
    for place, item in enumerate(items):
        text = _text(item)
        if text is None:
            continue
        if beside is not None:
            value = _number(beside[place]) if place < len(beside) else None
        else:
            value = own[place] if has_own else float(len(items) - place)
        found.append((text, value))
    return found


def _text(item: Any) -> str | None:
    if isinstance(item, str):
        return item
    if isinstance(item, list) and item:  # a conversation: its last turn
        item = item[-1]
    if isinstance(item, dict):
        return next((item[key] for key in _TEXTS if isinstance(item.get(key), str)), None)
    return None


def _score(item: Any) -> float | None:
    if not isinstance(item, dict):
        return None
    told = next((_number(item[key]) for key in _SCORES if item.get(key) is not None), None)
    rank = _number(item.get(_RANK))
    return told if told is not None or rank is None else -rank


def _number(value: Any) -> float | None:
    number = float(value) if isinstance(value, bool) else number_of(value)
    return None if number is None else float(number)
