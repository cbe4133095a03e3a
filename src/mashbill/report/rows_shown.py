"""Rows that a page shows, for people: of a dataset some, of an evaluation right and wrong ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import MashbillError
from mashbill.core.json_fields import json_columns
from mashbill.core.parsing import json_value
from mashbill.core.record import user_columns
from mashbill.core.shown import json_text
from mashbill.report.data.columns import main_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

ROWS = 8
"""of a dataset that are shown"""
_COLUMNS = 6
_WRONG, _RIGHT = 6, 4
_LOOKED = 100_000  # rows of an evaluation that are looked through
_LONGEST = 400  # characters of a cell
_NESTED = 1 << 18  # characters of JSON that are read for the sake of looks
_TURNS = 6
_ROLES = (("role", "content"), ("from", "value"))


@dataclass(frozen=True)
class SampleRows:
    """Some rows of a dataset."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """(number of the row, cells)"""
    left_out: tuple[str, ...] = ()
    """columns that there is no room for"""
    withheld: str = ""
    """why none is shown; empty if they are"""


@dataclass(frozen=True)
class Example:
    """A held-out row, and what was said of it."""

    row: int
    text: str
    gold: str
    said: str


@dataclass(frozen=True)
class Examples:
    """Held-out rows that a system got wrong, and right."""

    system: str
    wrong: tuple[Example, ...] = ()
    right: tuple[Example, ...] = ()
    all_wrong: int = 0
    all_right: int = 0
    looked: int = 0
    """rows that were looked through"""
    withheld: str = ""
    """why none is shown; empty if they are"""


def sample_rows(store: Store, manifest: Manifest, withheld: str = "") -> SampleRows:
    """Return rows of a dataset at even distances, their main column first.

    Args:
        store: where it lies.
        manifest: of a dataset.
        withheld: why its texts are not shown; empty if they may be.
    """
    name = str(manifest.ref)
    if (removal := store.removal(manifest.ref)) is not None:
        withheld = f"not shown: it was {removal}"
    if withheld or not manifest.rows:
        return SampleRows(name, (), (), withheld=withheld)
    data = store.dataset(manifest.ref)
    names = user_columns(data.columns)
    main = main_column(data)
    ordered = sorted(names, key=lambda column: column != main)
    shown = ordered[:_COLUMNS]
    nested = json_columns(data.schema)
    rows = []
    for number in _evenly(manifest.rows, ROWS):
        values = data.read(number, number + 1, shown).to_pylist()[0]
        cells = tuple(readable(values[one], nested=one in nested) for one in shown)
        rows.append((number, cells))
    return SampleRows(name, tuple(shown), tuple(rows), tuple(ordered[_COLUMNS:]))


def examples_of(
    store: Store, evaluation: Manifest, system: str, withheld: str = ""
) -> Examples | None:
    """Return held-out rows on which a system said what humans said, and where it did not.

    Args:
        store: where it lies.
        evaluation: what a stage ``evaluate`` made.
        system: a column of it.
        withheld: why its texts are not shown; empty if they may be.

    Returns:
        None where the evaluation does not hold labels against human ones, or its rows were removed.
    """
    if store.removal(evaluation.ref) is not None:
        return None
    data = store.dataset(evaluation.ref)
    if not {"gold", system} <= set(data.columns):
        return None
    looked = min(data.num_rows, _LOOKED)
    table = data.read(0, looked, ["gold", system])
    pairs = list(zip(table["gold"].to_pylist(), table[system].to_pylist(), strict=True))
    known = [at for at, (gold, _) in enumerate(pairs) if gold is not None]
    wrong = [at for at in known if pairs[at][0] != pairs[at][1]]
    right = [at for at in known if pairs[at][0] == pairs[at][1]]
    if withheld:
        return Examples(system, (), (), len(wrong), len(right), looked, withheld)
    others = set(evaluation.measures.get("systems", ())) | {"gold"}
    texts = [name for name in user_columns(data.columns) if name not in others]
    main = main_column(data)
    column = main if main in texts else texts[0] if texts else None
    nested = json_columns(data.schema)

    def told(places: Sequence[int], most: int) -> tuple[Example, ...]:
        found = []
        for at in (places[one] for one in _evenly(len(places), most)):
            cell = data.read(at, at + 1, [column]).column(0)[0].as_py() if column else ""
            gold, said = pairs[at]
            text = readable(cell, nested=column in nested)
            found.append(Example(at, text, readable(gold), readable(said) or "(no label)"))
        return tuple(found)

    return Examples(
        system, told(wrong, _WRONG), told(right, _RIGHT), len(wrong), len(right), looked
    )


def readable(value: Any, *, nested: bool = False) -> str:
    """Return a cell for people: turns of a conversation a line each, and no more than a glance.

    Args:
        value: of a cell.
        nested: whether it is a text of JSON.
    """
    if nested and isinstance(value, str) and len(value) <= _NESTED:
        try:
            value = json_value(value, "a cell")
        except MashbillError:
            return _cut(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, list) and (turns := _turns(value)):
        return "\n".join(turns)
    return _cut(json_text(value, indent=None) if isinstance(value, list | dict) else str(value))


def _turns(value: list[Any]) -> list[str]:
    """Return a line a turn; nothing if it is no conversation."""
    for role, said in _ROLES:
        if all(isinstance(turn, dict) and role in turn and said in turn for turn in value):
            lines = [f"{turn[role]}: {_cut(str(turn[said] or ''))}" for turn in value[:_TURNS]]
            more = len(value) - _TURNS
            return [*lines, f"… {more:,} more"] if more > 0 else lines
    return []


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _evenly(total: int, most: int) -> list[int]:
    count = min(total, most)
    return [number * total // count for number in range(count)]
