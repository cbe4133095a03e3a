"""The commands that take something out of a store: rm and gc."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from mashbill.core.errors import InputError
from mashbill.core.plain import counted, listed
from mashbill.run.clearing import DAYS, KEEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.removals import Removal
    from mashbill.run.clearing import Item
    from mashbill.run.removing import Going

_NAMED = 10  # artifacts, and files, that are named

YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("rm")
def rm_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    reason: Annotated[
        str, typer.Option(help="Why, for whoever audits the store; it stays in the ledger.")
    ] = "",
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Remove an artifact's rows or weights; its manifest and nodes stay, and all bills hold.

    What goes and what rests on it is shown first. The removal is an entry of the ledger, signed by
    your key: `audit` says of the artifact on which day it was removed, by whom and why.
    """
    space = workspace(store)
    going = space.removing(name)
    if not as_json:
        _show(going)
    if going.removal is not None and not (going.files or going.beside):
        if as_json:
            print_json({**going.as_json(), "removed": going.removal.as_json(), "entered": False})
        return
    _ask(f"Remove the {'rows' if going.manifest.kind == 'dataset' else 'weights'} of "
         f"{going.artifact}?", yes=yes, as_json=as_json)  # fmt: skip
    removal = space.remove(going, reason)
    if as_json:
        entered = going.removal is None
        print_json({**going.as_json(), "removed": removal.as_json(), "entered": entered})
        return
    _tell(going, removal)


def _show(going: Going) -> None:
    manifest = going.manifest
    is_data = manifest.kind == "dataset"
    if going.removal is not None:
        out.say((going.artifact, "bold"), f" was {going.removal} (entry {going.removal.entry})")
        if not (going.files or going.beside):
            out.say("nothing was left of its " + ("rows" if is_data else "weights"))
            return
        is_one = len(going.files) == 1
        out.say(
            f"{counted(len(going.files), 'file')} of it {'is' if is_one else 'are'} there all the "
            f"same, and {'goes' if is_one else 'go'}:"
        )
    else:
        rows = f", {counted(manifest.rows, 'row')}" if is_data else ""
        more = f" and {manifest.rejected_rows:,} rejected" if manifest.rejected_rows else ""
        size = decimal(sum(going.files.values()))
        out.say((going.artifact, "bold"), f": {manifest.kind}, made by {manifest.stage['kind']}")
        out.say(f"goes: {counted(len(going.files), 'file')}{rows}{more}, {size}")
    for file, own in list(going.files.items())[:_NAMED]:
        out.say(f"  {file}, {decimal(own)}")
    if len(going.files) > _NAMED:
        out.say(f"  and {len(going.files) - _NAMED:,} more")
    for file, what in list(going.altered.items())[:_NAMED]:
        out.say(("not as committed: ", "yellow"), f"{file} {what}; the entry says so")
    for path, own in list(going.beside.items())[:_NAMED]:
        out.say(f"  {path}, {decimal(own)}: can be made again")
    out.say(f"stays: {listed(list(going.stay))}")
    if going.rest:
        out.say(
            f"rests on it: {listed(list(going.rest), _NAMED)}. "
            f"{'They stay' if going.rest[1:] else 'It stays'}, and bills, verdicts and audits hold"
        )
    else:
        out.say("nothing in this store was made of it")
    if going.texts:
        out.say("texts of its rows may still be in:")
        for text in going.texts:
            out.say(f"  {text}")


def _tell(going: Going, removal: Removal) -> None:
    size = decimal(going.bytes)
    if going.removal is not None:
        out.say(f"what was left of the removal of {going.artifact} is gone, {size}")
        return
    out.say(f"{going.artifact} was {removal}, {size}: entry {removal.entry} of the ledger")


def _ask(question: str, *, yes: bool, as_json: bool) -> None:
    """Ask at a terminal whether to go on.

    Raises:
        InputError: if nobody can be asked, and nobody said so.
    """
    if yes:
        return
    if as_json or not (sys.stdin.isatty() and out.is_terminal):
        msg = "nothing was removed, since nobody could be asked; say --yes to do it"
        raise InputError(msg)
    if not typer.confirm(question):
        out.say("nothing was removed")
        raise typer.Exit(1)


@app.command("gc")
def gc_command(
    store: StoreOption = DEFAULT_STORE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show it, and change nothing.")
    ] = False,
    yes: YesOption = False,
    older_than: Annotated[
        float,
        typer.Option(min=0, metavar="DAYS", help="What runs left unfinished and could go on from."),
    ] = DAYS,
    superseded: Annotated[
        bool,
        typer.Option(
            "--superseded",
            help="Versions with newer ones on which nothing rests: removed as by rm.",
        ),
    ] = False,
    keep: Annotated[
        int, typer.Option(min=1, help="With --superseded: newest versions of each that stay.")
    ] = KEEP,
    caches: Annotated[
        bool, typer.Option("--caches", help="Fetched and converted files, of all stores.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(envvar="MASHBILL_CACHE", help="Where fetched and converted files are kept."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Clear a store of what nothing needs: leftovers of runs, superseded versions, caches.

    Sizes are shown first. An artifact goes only by an entry of its own; temporary files are counted
    in one entry.
    """
    space = workspace(store, cache=cache)
    wanted = {
        "older_than": older_than, "superseded": superseded, "keep": keep, "caches": caches,
    }  # fmt: skip
    found = space.clearable(**wanted)
    going = [item for item in found if item.goes]
    if not as_json:
        _list(found)
    if dry_run or not going:
        if as_json:
            print_json(_as_json(found, went=()))
        return
    _ask(f"Clear {decimal(sum(item.bytes for item in going))} away?", yes=yes, as_json=as_json)
    went = space.clear(**wanted)
    if as_json:
        print_json(_as_json(found, went))
        return
    out.say(
        f"cleared: {counted(sum(item.files for item in went), 'file')}, "
        f"{decimal(sum(item.bytes for item in went))}"
    )


def _list(found: Sequence[Item]) -> None:
    if not found:
        out.say("nothing to clear")
        return
    told = table("", "what", "files", "size", "")
    for item in found:
        told.add_row(
            item.why, item.what, f"{item.files:,}", decimal(item.bytes),
            "goes" if item.goes else f"stays: {item.note}",
        )  # fmt: skip
    out.print(told)
    if not any(item.goes for item in found):
        out.say("nothing of it goes, as asked")


def _as_json(found: Sequence[Item], went: Sequence[Item]) -> dict[str, object]:
    return {
        "found": [item.as_json() for item in found],
        "cleared": [item.as_json() for item in went],
        "bytes": sum(item.bytes for item in went),
    }
