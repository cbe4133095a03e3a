"""Commands about how access was had: runs, a statement, its audit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import DEFAULT_STORE, JsonOption, StoreOption, app, out, print_json
from mashbill.cli.printing import table
from mashbill.conduct import statement
from mashbill.core.errors import AuditError
from mashbill.core.store import write_atomically
from mashbill.lineage.bills.telling import counted

conduct_app = typer.Typer(
    help="How access was had, and is had of those who serve: proof, scans of logs, cases.",
    no_args_is_help=True,
)
app.add_typer(conduct_app, name="conduct")

RunArgument = Annotated[str, typer.Argument(help="Run id, its beginning, or `latest`.")]


@conduct_app.command("runs")
def runs_command(store: StoreOption = DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """List the runs that asked services: what they bought, and what happened to them."""
    runs = workspace(store).service_runs()
    if as_json:
        print_json(runs.as_json())
        return
    listing = table("run", "job", "calls", "tokens", "spent", "429s", "failures", "ended")
    for run in runs.runs:
        listing.add_row(
            run.run, run.job, f"{run.calls:,}", f"{run.tokens:,}", f"${run.usd:.4f}",
            str(run.rate_limited), str(run.failed), run.ended or "was killed",
        )  # fmt: skip
    out.print(listing)


@conduct_app.command("statement")
def statement_command(
    run: RunArgument = "latest",
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[
        Path | None, typer.Option(help="File to write; standard output if absent.")
    ] = None,
) -> None:
    """Write a signed statement of how a run had access, that a third party can audit."""
    made = workspace(store).statement(run)
    if to is None:
        out.emit(made.text)
        return
    write_atomically(to, made.text.encode())
    out.say(f"{to}: run {made.run}, {counted(made.calls, 'call')}")


@conduct_app.command("audit")
def audit_command(
    file: Annotated[Path, typer.Argument(help="Statement to check.")],
    key: Annotated[
        str | None, typer.Option(help="Key id, or its beginning, that must have signed it.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Store whose ledger must hold the run's entry.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Audit a statement: its signature, and all that it says computed again. Exit 1 if not."""
    try:
        checked = statement.check(file)
    except AuditError as error:
        if as_json:
            print_json({"holds": False, "problems": [str(error)], "keyid": "", "predicate": {}})
        else:
            out.say(("does not hold:", "red"), f" {error}")
        raise typer.Exit(1) from error
    problems = list(checked.problems)
    if key is not None and not checked.keyid.startswith(key):
        problems.append(f"it is signed by {checked.keyid[:16]}, and not by {key}")
    predicate = checked.predicate
    if store is not None:
        entries = {
            e.digest: e for e in workspace(store).store().ledger.accepted if e.event == "conduct"
        }
        entry = entries.get(checked.entry)
        if entry is None:
            problems.append(f"the ledger of {store} has no entry {checked.entry[:16]}")
        else:
            stated = {**predicate, "calls": predicate.get("counts", {}).get("calls")}
            problems += statement.disagreements(entry.predicate, stated)
    if as_json:
        print_json({"holds": not problems, "problems": problems, "keyid": checked.keyid,
                    "predicate": predicate})  # fmt: skip
    else:
        out.say(f"{file}: run {predicate['run']['id']}, signed by {checked.keyid[:16]}")
        for route in predicate["routes"]:
            terms = ", ".join(route["terms"]) or "none known"
            out.say(
                f"  {route['service']} at {route['host']}, {route['model']}: "
                f"{counted(route['calls'], 'call')} in {counted(route['attempts'], 'attempt')}, "
                f"account {route['account']}, {counted(route['keys'], 'key')}, terms: {terms}"
            )
        out.say(
            f"  {counted(predicate['rate_limited'], 'limit')} met, "
            f"{predicate['held_seconds']} s held back; "
            f"sent before their time: {counted(len(predicate['breaches']), 'request')}; "
            f"{counted(len(predicate['overrides']), 'prompt')} answered for by name"
        )
        for problem in problems:
            out.say(("does not hold:", "red"), f" {problem}")
        if not problems:
            out.say(("holds", "green"), ": signature, records and everything computed from them")
    raise typer.Exit(1 if problems else 0)
