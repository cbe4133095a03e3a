"""Commands about the journal of teacher calls: size, prune, export, import."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mashbill.calls import upkeep as keeping
from mashbill.cli.opening import workspace
from mashbill.cli.options import DEFAULT_STORE, JsonOption, StoreOption, app, out, print_json
from mashbill.core.errors import InputError
from mashbill.core.ledger import Signer
from mashbill.core.store import CALLS, Store
from mashbill.lineage.bills.telling import counted

journal_app = typer.Typer(help="The journal of teacher calls.", no_args_is_help=True)
app.add_typer(journal_app, name="journal")


def _journal(store: Path) -> Path:
    return workspace(store).journal()


@journal_app.command("size")
def size_command(store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Show what the journal holds, and what it takes."""
    found = keeping.size(_journal(store))
    if as_json:
        print_json({**vars(found), "by_teacher": [list(row) for row in found.by_teacher]})
        return
    pruned = f" ({found.pruned:,} more pruned)" if found.pruned else ""
    out.say(
        f"{counted(found.bought, 'call')} to services{pruned}, {counted(found.calls, 'call')} to "
        f"teachers here, {counted(found.events, 'event')}, {counted(found.runs, 'run')}; "
        f"{found.bytes / 1e6:.2f} MB"
    )
    for teacher, calls, size, usd in found.by_teacher:
        name = json.loads(teacher).get("model", teacher)
        out.say(f"  {name}: {counted(calls, 'call')}, {size / 1e6:.2f} MB, ${usd:.4f}")


@journal_app.command("prune")
def prune_command(
    before: Annotated[str, typer.Option(help="Calls before this day, YYYY-MM-DD.")] = "",
    run: Annotated[
        str, typer.Option(help="Calls of this run: its id, its beginning, or `latest`.")
    ] = "",
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take texts out and keep what an audit needs; what is asked again is bought again."""
    if not before and not run:
        msg = "say which calls: --before DAY or --run RUN"
        raise InputError(msg)
    path = _journal(store)
    if run:
        run = workspace(store).service_run(run)
    had = keeping.size(path).bytes
    count = keeping.prune(path, before=before, run=run)
    left = keeping.size(path).bytes
    out.say(f"{counted(count, 'call')} pruned; {had / 1e6:.2f} MB before, {left / 1e6:.2f} MB now")


@journal_app.command("export")
def export_command(
    to: Annotated[Path, typer.Option(help="File of JSON lines to write.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write all calls as JSON lines, to be replayed or taken in elsewhere."""
    out.say(f"{counted(keeping.export(_journal(store), to), 'call')} in {to}")


@journal_app.command("import")
def import_command(
    file: Annotated[Path, typer.Argument(help="What `mashbill journal export` wrote.")],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Take calls in: what they answer is not bought again. Each is checked against its key."""
    opened = Store(store, Signer.default())
    taken, there = keeping.take_in(opened.root / CALLS, file)
    already = f"; {there:,} {'was' if there == 1 else 'were'} there already" if there else ""
    out.say(f"{counted(taken, 'call')} taken in{already}")
