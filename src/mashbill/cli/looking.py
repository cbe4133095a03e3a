"""The commands that show what is in a store, and what is in an artifact of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.filesize import decimal

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    NameArgument,
    StoreOption,
    app,
    out,
    print_json,
)
from mashbill.cli.printing import table
from mashbill.cli.show_evaluation import print_evaluation
from mashbill.cli.show_judges import print_judged
from mashbill.core.errors import InputError
from mashbill.core.evaluation import evaluation_of
from mashbill.core.parsing import json_value
from mashbill.core.plain import counted
from mashbill.core.store import LEDGER
from mashbill.workspace.contents import MOST, listed, shown

if TYPE_CHECKING:
    from collections.abc import Collection

    from mashbill.lineage.described import Described
    from mashbill.workspace.contents import Row, Shown

_LONGEST = 600  # letters of a value
_NESTED = 1 << 20  # letters of JSON that are read for the sake of looks
_TURN = ("role", "content")
_LEFT = "its manifest and nodes are there, and what was made of it can be asked for as before"


@app.command("ls")
def ls_command(store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """List what is in a store: datasets and models, oldest first."""
    found = listed(workspace(store)) if (store / LEDGER).exists() or store.is_file() else []
    if as_json:
        print_json([vars(one) for one in found])
        return
    if not found:
        out.say(f"nothing is in {store} yet: `mashbill run RECIPE --store {store}` makes something")
        return
    told = table("name", "is", "made by", "rows", "rejected", "size", "made")
    for one in found:
        is_model = one.kind == "model"
        told.add_row(
            one.name, one.kind, one.made_by, "" if is_model else f"{one.rows:,}",
            f"{one.rejected:,}" if one.rejected else "",
            f"removed {one.removed_on}" if one.removed_on else decimal(one.bytes), one.made[:16],
        )  # fmt: skip
    out.print(told)
    for one in found:
        if one.removed:
            out.say(f"{one.name} was {one.removed}: {_LEFT}")
    out.say("`mashbill show NAME` shows one, `mashbill bill NAME` says what it was distilled from")


@app.command("show")
def show_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    rows: Annotated[int, typer.Option(min=0, max=MOST, help="How many rows.")] = 5,
    start: Annotated[
        int, typer.Option("--from", help="Row to begin at; -5 are the last five.")
    ] = 0,
    rejects: Annotated[
        bool, typer.Option("--rejects", help="Rows that were rejected, each with its reason.")
    ] = False,
    column: Annotated[
        list[str] | None, typer.Option(help="Column to show; repeat for several.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show long values whole.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show an artifact: rows, what was rejected and why; of a model its labels and measures."""
    artifact = workspace(store)[name]
    found = shown(artifact, start=start, rows=rows, rejects=rejects, columns=column or ())
    if as_json:
        print_json(found.told())
        return
    _head(found)
    for row in found.rows:
        _row(row, found.nested, full=full)
    if found.columns and not found.rows:
        out.say("no such rows")


def _head(found: Shown) -> None:
    manifest = found.artifact.manifest
    made_of = ", ".join(one.name for one in manifest.inputs)
    made = f": {manifest.kind}, made by {manifest.stage['kind']}"
    made += f" of {made_of}" if made_of else ""
    out.say((found.artifact.name, "bold"), made)
    removal = found.artifact.removal
    if removal is not None:
        out.say(("removed", "yellow"), f"{str(removal).removeprefix('removed')}: {_LEFT}")
    if manifest.kind == "dataset":
        out.say(f"{counted(manifest.rows, 'row')}, {manifest.rejected_rows:,} rejected")
        for reason in found.reasons[:8]:
            out.say(f"  rejected {reason}")
        for column, kind in found.columns.items():
            out.say((f"  {column}", "cyan"), f": {kind}")
        measured = evaluation_of(manifest.measures)
        if measured is not None:
            print_evaluation(measured)
        print_judged([manifest])
        return
    if found.described is not None:
        _described(found.described)
    for one in manifest.files:
        if removal is None:
            size = (Path(found.artifact.folder) / one.file).stat().st_size
            out.say(f"  {one.file}, {decimal(size)}")
    if removal is not None:
        return
    out.say("`mashbill predict` asks it; `mashbill report` makes a page of it")


def _described(one: Described) -> None:
    """Print what a model is, how good it was found to be, and where it ends."""
    what = one.what()
    out.say(f"{what[0].upper()}{what[1:]}.")
    if one.labels:
        out.say(f"labels: {', '.join(label.name for label in one.labels)}")
    for name, value in one.facts():
        out.say((f"  {name}", "cyan"), f": {value}")
    for each in one.own:
        for system, result in each.results():
            of = f"{each.name}, {system}" if len(each.own) > 1 else each.name
            out.say((f"  {of}", "cyan"), f": {each.sentence(result)}")
    for text in one.limits:
        out.say(f"  {text}")


def _row(row: Row, nested: Collection[str], *, full: bool) -> None:
    out.say((f"row {row.number:,}", "bold"), f"  rejected: {row.reason}" if row.reason else "")
    for column, value in row.values.items():
        lines = _lines(_parsed(column, value) if column in nested else value)
        text = "\n".join(lines)
        if not full and len(text) > _LONGEST:
            text = f"{text[:_LONGEST]} … ({len(text):,} letters; --full shows all)"
        first, *rest = text.split("\n")
        out.say((f"  {column}", "cyan"), f": {first}")
        for line in rest:
            out.say(f"    {line}")


def _parsed(column: str, value: Any) -> Any:
    """Return the list or the table that a text of JSON stands for; a very long one as it is."""
    if isinstance(value, str) and len(value) < _NESTED:
        try:
            return json_value(value, f"column {column}")
        except InputError:
            return value
    return value


def _lines(value: Any) -> list[str]:
    """Return a value as lines: a chat turn by turn, anything else that is nested as JSON."""
    if value is None:
        return ["(nothing)"]
    if (
        isinstance(value, list)
        and value
        and all(isinstance(one, dict) and _TURN[0] in one for one in value)
    ):
        return ["", *(line for one in value for line in _turn(one))]
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, indent=2, default=str).split("\n")
    return str(value).split("\n")


def _turn(turn: dict[str, Any]) -> list[str]:
    said = turn.get("content")
    text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, default=str)
    first, *rest = text.split("\n")
    more = {key: one for key, one in turn.items() if key not in _TURN and one}
    return [
        f"{turn['role']}: {first}", *rest,
        *([json.dumps(more, ensure_ascii=False, default=str)] if more else []),
    ]  # fmt: skip
