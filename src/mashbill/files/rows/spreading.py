"""Rows that hold several answers, as one row each: UltraFeedback's, distilabel's, Nectar's.

Nothing is lost by it: what an answer says of itself becomes columns of its row, and what the row
says of all of them stands in each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.naming import free_names
from mashbill.files.rows.cells import Cells
from mashbill.files.rows.chunks import Chunk
from mashbill.files.rows.forms import EACH, PARALLEL, TEXTS

if TYPE_CHECKING:
    from collections.abc import Mapping


def spread_column(wanted: str, text: str, chunk: Chunk) -> str:
    """Return the column of a list of answers; empty if a set has none.

    Args:
        wanted: as the recipe names it.
        text: column of the text, as the recipe names it.
        chunk: the first rows of the set.
    """
    if wanted:
        return wanted
    for name in EACH:
        if name not in chunk.columns or not _holds_answers(chunk.columns[name]):
            continue
        if text in ("", name) and not (text == "" and set(TEXTS) & set(chunk.columns)):
            return "" if name == "completions" and "labels" in chunk.columns else name
    return ""


def _holds_answers(cells: Cells) -> bool:
    lists = [value for value in cells.values() if isinstance(value, list)]
    return bool(lists) and all(isinstance(e, dict | str) or e is None for v in lists for e in v)


def spread(chunk: Chunk, column: str) -> tuple[Chunk, list[int], list[str]]:
    """Return a chunk with a row for each answer, the row that each is of, and where it stands.

    A row whose column holds no list, or an empty one, stays one row, as it is.
    """
    if not column or column not in chunk.columns:  # a column may have no name
        return chunk, list(range(chunk.rows)), [chunk.where(row) for row in range(chunk.rows)]
    lists = chunk.columns[column].values()
    of: list[int] = []
    where: list[str] = []
    own: list[Mapping[str, Any]] = []
    beside = {n: chunk.columns[n].values() for n in PARALLEL.get(column, ()) if n in chunk.columns}
    for row, value in enumerate(lists):
        place = chunk.where(row)
        if not isinstance(value, list) or not value:
            of.append(row)
            where.append(place)
            own.append({column: value, **{name: cells[row] for name, cells in beside.items()}})
            continue
        for number, answer in enumerate(value):
            of.append(row)
            where.append(f"{place}, answer {number + 1}")
            told = dict(answer) if isinstance(answer, dict) else {column: answer}
            for name, cells in beside.items():
                told[name] = _nth(cells[row], number, len(value))
            own.append(told)
    names = list(dict.fromkeys(name for told in own for name in told))
    shared = {n: cells for n, cells in chunk.columns.items() if n != column and n not in beside}
    called = free_names([name for name in shared if name in names], names)
    columns = {
        called.get(name, name): Cells.of([values[row] for row in of])
        for name, cells in shared.items()
        for values in [cells.values()]
    }
    columns |= {name: Cells.of([told.get(name) for told in own]) for name in names}
    bad = {i: chunk.bad[row] for i, row in enumerate(of) if row in chunk.bad}
    places = [chunk.places[row] for row in of]
    return Chunk(chunk.unit, places, columns, bad=bad), of, where


def _nth(values: Any, number: int, count: int) -> Any:
    """Return what a list says of an answer; all of it, where it does not go answer by answer."""
    return values[number] if isinstance(values, list) and len(values) == count else values
