"""Lists and objects of a row, as a prompt meets them: values to go into, written as their JSON.

In a dataset they are JSON in a column of text that is marked (:mod:`mashbill.core.json_fields`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_WORDS = frozenset(
    {
        "true", "false", "none", "True", "False", "None", "not", "self", "super", "caller", "loop",
        "row",
    }
)  # fmt: skip
"""what means something else in a template, whatever columns there are"""
ROW = "row"
"""what a template calls all columns of a row"""
_SHOWN = 12  # keys of an object that an error names


class Cell:
    """A cell that is a value: how it is written, and the column that it is of."""

    text: str
    place: str


class CellObject(dict[str, Any], Cell):
    """An object of a row."""


class CellList(list[Any], Cell):
    """A list of a row."""


class CellMissing(str, Cell):  # noqa: SLOT000 - Cell has attributes
    """A cell that is missing, in a column of lists and objects: empty text."""


class Row(dict[str, Any]):
    """All columns of a row by their names, those too that a template could not write."""


def value_of(text: str | None, place: str) -> Any:
    """Return the value of a cell of a marked column.

    Args:
        text: its JSON; None if it is missing.
        place: the column, for errors.

    Raises:
        InputError: if it begins and ends as a list or an object does, and cannot be read. Other
            text that is no JSON is returned as it is.
    """
    value: Any
    if text is None:
        value, text = CellMissing(), ""
    else:
        try:
            # Not a number of JSON, but what Python writes for one, and so has written here.
            value = json_value(text, f"column {place!r}", constants=True)
        except InputError:
            if text.strip()[:1] + text.strip()[-1:] not in ("{}", "[]"):
                return text
            raise
        if isinstance(value, dict):
            value = CellObject(value)
        elif isinstance(value, list):
            value = CellList(value)
        else:
            return value
    value.text, value.place = text, place
    return value


def read_cells(
    row: Mapping[str, Any], marked: Collection[str], names: Collection[str]
) -> dict[str, Any]:
    """Return a row with the cells of marked columns read, of those that are asked for.

    Args:
        row: its columns.
        marked: which of them are JSON.
        names: which of them are wanted.

    Raises:
        InputError: naming the column, if its JSON cannot be read.
    """
    return {
        name: value_of(value, name) if name in marked and name in names else value
        for name, value in row.items()
    }


def read_again(value: Any, place: str) -> Any:
    """Return what a stage took from a cell of a marked column, or from several, as values."""
    if isinstance(value, list):
        return [value_of(each, place) if isinstance(each, str) else each for each in value]
    return value_of(value, place) if value is None or isinstance(value, str) else value


def spelled(name: str) -> str:
    """Return how a template writes a column."""
    return name if name.isidentifier() and name not in _WORDS else f"row[{json.dumps(name)}]"


def lacks(value: Any, name: Any) -> str:
    """Return what an error says of something that a value does not have."""
    if isinstance(value, CellMissing):
        place = spelled(value.place)
        there = f"{place} is missing in this row, and so is its {name}"
        return f"{there}; put {{% if {place} %}} around"
    shown = repr(name) if isinstance(name, str | int) else f"a {type(name).__name__}"
    if isinstance(value, Row):
        return f"row has no column {shown}; it has {_listed(value)}"
    what = spelled(value.place) if isinstance(value, Cell) else "it"
    if isinstance(value, dict):
        return f"{what} has no key {shown}; it has {_listed(value) or 'none'}"
    if isinstance(name, int):
        return f"{what} has {len(value)} items, and so no {shown}; the first is 0"
    return f"{what} is a list of {len(value)} items, and has no {shown}; go over it"


def _listed(table: Mapping[str, Any]) -> str:
    names = sorted(map(str, table))
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
