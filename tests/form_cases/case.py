"""One form of training data: what a file of it holds, and what ``import`` makes of it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests_support import rows_of, run_stages

from mashbill import InputError, RecipeError
from mashbill.core.record import BILL, OURS
from mashbill.lineage.circuit.nodes import NodeTable, source_of

if TYPE_CHECKING:
    from collections.abc import Callable

NONE = 'generator = "none"'


@dataclass(frozen=True)
class Case:
    """A row of docs/formats.md, with rows of our own words in that form."""

    name: str
    """first cell of its row in docs/formats.md"""
    data: list[Any] | bytes | Callable[[Path], None]
    """rows, written as JSON lines; or the file's bytes; or what writes it to a path"""
    becomes: list[dict[str, Any]] = field(default_factory=list)
    """all columns of each row, ours aside; what is no text may stand there as JSON"""
    keys: str = NONE
    """lines of the recipe"""
    source: str = "set.jsonl"
    rejected: tuple[str, ...] = ()
    """all reasons"""
    error: str = ""
    """what the error says, if nothing comes of it"""
    by: tuple[str, ...] = ()
    """who wrote each row, where the form says it"""

    def __str__(self) -> str:
        return self.name


def user(text, **more):
    return {"role": "user", "content": text, **more}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


def said(who, text, **more):
    return {"from": who, "value": text, **more}


def stays(row, *without, **new):
    """Return a row whose other columns stay: what it becomes in most forms."""
    return {**{name: value for name, value in row.items() if name not in without}, **new}


def check(case: Case, folder: Path) -> None:
    """Run the import through the real runner, and hold all of its columns to what is expected."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / case.source
    if callable(case.data):
        case.data(path)
    elif isinstance(case.data, bytes):
        path.write_bytes(case.data)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in case.data))
    stage = f'[stages.got]\nkind = "import"\ntitle = "Set"\nsource = "{case.source}"\n{case.keys}\n'
    if case.error:
        with pytest.raises((InputError, RecipeError)) as raised:
            run_stages(folder, stage, {})
        assert re.search(case.error, str(raised.value)), str(raised.value)
        return
    store = run_stages(folder, stage, {})
    kept, gone = rows_of(store, "got"), rows_of(store, "got", "rejected")
    found = [{name: cell for name, cell in row.items() if name not in OURS} for row in kept]
    assert len(found) == len(case.becomes), found
    for row, wanted in zip(found, case.becomes, strict=True):
        assert {name: _as(cell, wanted.get(name)) for name, cell in row.items()} == wanted
    assert tuple(row["_reason"] for row in gone) == case.rejected
    if case.by:
        table = NodeTable.of(store, store.find("got"))
        assert tuple(_named(table, table.numbered[row[BILL]]) for row in kept) == case.by


def _named(table: NodeTable, node: str) -> str:
    """Return who made a row; of several, all, by name."""
    body = table.bodies[node]
    if body["type"] == "source":
        return source_of(body).name
    return " + ".join(sorted(source_of(table.bodies[part]).name for _, part in body["parts"]))


def _as(cell: Any, wanted: Any) -> Any:
    """Return a cell, decoded if it is JSON and what is wanted is no text."""
    is_json = isinstance(cell, str) and wanted is not None and not isinstance(wanted, str)
    return json.loads(cell) if is_json else cell
