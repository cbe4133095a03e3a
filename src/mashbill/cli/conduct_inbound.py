"""Commands for whoever serves a model: scan a log, show a case, serve a gateway, simulate."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mashbill.cli.conduct import conduct_app
from mashbill.cli.options import JsonOption, err, out, print_json
from mashbill.cli.printing import table
from mashbill.core.errors import InputError
from mashbill.core.ledger import Signer
from mashbill.lineage.bills.telling import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.conduct.evidence.case import Case
    from mashbill.conduct.logs.forms import Form
    from mashbill.workspace.conduct import Scanned

FolderOption = Annotated[
    Path,
    typer.Option(
        "--folder", help="Where the key of hashes, the state, the cases and their ledger lie."
    ),
]
StateOption = Annotated[
    str,
    typer.Option("--state", help="URL of a database of Postgres that several processes share."),
]
KeyOption = Annotated[
    Path | None, typer.Option("--key", help="File with the key of hashes, if it is another.")
]
FormOption = Annotated[
    str | None, typer.Option("--form", help="native, litellm, otel or parquet; told if absent.")
]
AccountByOption = Annotated[
    str, typer.Option("--account-by", help="Which field or attribute of the log is the account.")
]
_FOLDER = Path("conduct")
_COLOURS = {"act": "red", "review": "yellow", "note": "cyan"}


@conduct_app.command("scan")
def scan_command(
    log: Annotated[Path, typer.Argument(help="Log of model calls: JSON lines or Parquet.")],
    folder: FolderOption = _FOLDER,
    state: StateOption = "",
    key: KeyOption = None,
    form: FormOption = None,
    account_by: AccountByOption = "",
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is written to it, until Ctrl-C.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Look in a log for jailbreaks, extraction, false identities and evaded limits.

    Goes on where an earlier scan into the same folder stopped. Volume, narrow subjects and
    templates are never held against anybody. Exit 3 if something is to be reviewed or acted on.
    """
    from mashbill.conduct.logs.gathering import Options
    from mashbill.workspace import conduct

    with _stopping(wanted=follow) as stop, _progress(log, quiet=as_json) as tell:
        found = conduct.scan(
            log,
            folder,
            state=state,
            key=key,
            form=cast("Form | None", form),  # open_log says which there are
            options=Options(account_by=account_by),
            follow=stop,
            tell=tell,
        )
    if as_json:
        print_json(_scanned(found))
    else:
        _tell(found, folder)
    raise typer.Exit(3 if found.tiers["review"] + found.tiers["act"] else 0)


def _scanned(found: Scanned) -> dict[str, Any]:
    return {
        "rows": found.rows,
        "refused": found.refused,
        "refused_rows": [{"line": line, "why": why} for line, why in found.first_refused],
        "seconds": round(found.seconds, 3),
        "cases": {tier: found.tiers[tier] for tier in ("act", "review", "note")},
        "files": [str(path) for path in found.files],
    }


def _tell(found: Scanned, folder: Path) -> None:
    rate = found.rows / found.seconds if found.seconds else 0
    out.say(f"{counted(found.rows, 'row')} in {found.seconds:.1f} s ({rate:,.0f}/s)")
    if found.refused:
        err.say(("warning:", "yellow"), f" {counted(found.refused, 'row')} could not be read:")
        for line, why in found.first_refused[:5]:
            err.say(f"  line {line}: {why}")
    for tier in ("act", "review", "note"):
        if found.tiers[tier]:
            out.say((tier, _COLOURS[tier]), f": {counted(found.tiers[tier], 'case')}")
    if found.files:
        out.say(f"mashbill conduct cases --folder {folder} lists them")
    elif not found.held:
        out.say("nothing is held against anybody; docs/conduct.md says what a scan cannot see")


@conduct_app.command("cases")
def cases_command(folder: FolderOption = _FOLDER, as_json: JsonOption = False) -> None:
    """List the cases of a folder, the strongest first."""
    from mashbill.report.conduct_words import headline
    from mashbill.workspace import conduct

    found = conduct.cases(folder)
    if as_json:
        print_json(
            [
                {
                    "id": case.id, "file": str(path), "finding": case.finding, "tier": case.tier,
                    "accounts": len(case.subject.accounts), "exchanges": case.exchanges,
                    "log10_e": case.log10_e, "found": _moment(case.found),
                }
                for path, case in found
            ]
        )  # fmt: skip
        return
    listing = table("case", "finding", "tier", "accounts", "exchanges", "found", "in words")
    for _, case in found:
        listing.add_row(
            case.id, case.finding, case.tier, f"{len(case.subject.accounts):,}",
            f"{case.exchanges:,}", _moment(case.found)[:16], headline(case),
        )  # fmt: skip
    out.print(listing)


@conduct_app.command("case")
def case_command(
    name: Annotated[str, typer.Argument(help="Id of a case, its beginning, or its file.")],
    folder: FolderOption = _FOLDER,
    to: Annotated[
        Path | None, typer.Option(help="HTML file to write; beside the case if absent.")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Log to take the sample rows' texts from; else none.")
    ] = None,
    key: KeyOption = None,
    account_by: AccountByOption = "",
    contact: Annotated[str, typer.Option(help="Where an account may object.")] = "",
) -> None:
    """Write the page of a case: who, why, when, what would clear it. It opens offline."""
    from mashbill.conduct.logs.gathering import Options
    from mashbill.report.conduct_case import write_case_page
    from mashbill.workspace import conduct

    path, case = conduct.case_named(folder, name)
    if log is not None:
        options = Options(account_by=account_by)
        case = conduct.with_texts(case, log, folder, key=key, options=options)
    made = write_case_page(case, to or path.with_suffix(".html"), contact=contact)
    out.say(f"{made}: {_said(case)}")


@conduct_app.command("explain")
def explain_command(
    name: Annotated[str, typer.Argument(help="Id of a case, its beginning, or its file.")],
    folder: FolderOption = _FOLDER,
    contact: Annotated[str, typer.Option(help="Where an account may object.")] = "",
) -> None:
    """Print what an account may be told about a case, without a word about others."""
    from mashbill.conduct.evidence.explaining import explain
    from mashbill.workspace import conduct

    out.emit(explain(conduct.case_named(folder, name)[1], contact=contact))


@conduct_app.command("derive")
def derive_command(
    name: Annotated[str, typer.Argument(help="Id of a case, its beginning, or its file.")],
    log: Annotated[Path, typer.Option(help="The log that it is about.")],
    folder: FolderOption = _FOLDER,
    key: KeyOption = None,
    account_by: AccountByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Derive a case again from its log, and compare it byte for byte. Exit 1 if it differs."""
    from mashbill.conduct.logs.gathering import Options
    from mashbill.workspace import conduct

    path, _ = conduct.case_named(folder, name)
    found = conduct.derived(path, log, folder, key=key, options=Options(account_by=account_by))
    if as_json:
        print_json({"holds": found.holds, "problem": found.problem})
    elif found.holds:
        out.say(("holds", "green"), f": {path}, byte for byte")
    else:
        out.say(("does not hold:", "red"), f" {found.problem}")
    raise typer.Exit(0 if found.holds else 1)


@conduct_app.command("serve")
def serve_command(
    upstream: Annotated[str, typer.Option(help="Address of the service to pass on to.")] = "",
    settings: Annotated[
        Path | None, typer.Option(help="TOML file; what is given beside it counts first.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Where to listen.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen at.")] = None,
    folder: FolderOption = _FOLDER,
    state: StateOption = "",
    key: KeyOption = None,
) -> None:
    """Serve a gateway in front of a model API, which observes, and acts only if told to."""
    from mashbill.workspace import conduct

    whole = conduct.serve(
        upstream=upstream, settings=settings, host=host, port=port, folder=folder, state=state,
        key=key, signer=Signer.default(), told=err.say,
    )  # fmt: skip
    raise typer.Exit(0 if whole else 1)


@conduct_app.command("simulate")
def simulate_command(
    to: Annotated[Path, typer.Argument(help="Folder to write events.jsonl and truth.jsonl into.")],
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 1,
    scale: Annotated[
        float, typer.Option(help="Of the counts of accounts; 0.01: one of 100.")
    ] = 0.01,
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind or campaign; repeat for several.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="Days of traffic, if not all.")] = None,
    texts: Annotated[bool, typer.Option(help="Whether prompts are written.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Write a log with known truth: honest kinds and campaigns, from public parameters."""
    from mashbill.conduct.simulate.simulating import simulate

    made = simulate(to, seed=seed, scale=scale, kinds=kind or None, days=days, texts=texts)
    if as_json:
        print_json(
            {
                "events": str(made.events), "truth": str(made.truth), "rows": made.rows,
                "accounts": dict(made.accounts), "exchanges": dict(made.exchanges),
            }
        )  # fmt: skip
        return
    listing = table("kind", "accounts", "rows")
    for name, accounts in made.accounts.items():
        listing.add_row(name, f"{accounts:,}", f"{made.exchanges[name]:,}")
    out.print(listing)
    out.say(f"{made.events}: {counted(made.rows, 'row')}; who is who: {made.truth}")


def _said(case: Case) -> str:
    accounts = counted(len(case.subject.accounts), "account")
    return f"{case.finding}, {case.tier}, {accounts}, {counted(case.exchanges, 'exchange')}"


def _moment(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="seconds")


@contextmanager
def _stopping(*, wanted: bool) -> Iterator[threading.Event | None]:
    """Yield an event that Ctrl-C or SIGTERM sets, so that a batch that is taken is taken whole."""
    if not wanted:
        yield None
        return
    stop = threading.Event()
    before = {
        name: signal.signal(name, lambda *_: stop.set()) for name in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


@contextmanager
def _progress(log: Path, *, quiet: bool) -> Iterator[Any]:
    """Yield what is told after each batch: a line on a terminal, and nothing elsewhere."""
    if quiet or not err.is_terminal:
        yield lambda _: None
        return
    if not log.exists():
        msg = f"{log} is not there"
        raise InputError(msg)
    with err.status(f"{log.name}: reading") as status:

        def tell(found: Scanned) -> None:
            rate = found.rows / found.seconds if found.seconds else 0
            told = ", ".join(f"{number} to {tier}" for tier, number in found.tiers.items())
            status.update(
                f"{log.name}: {found.rows:,} rows, {rate:,.0f}/s, up to {_moment(found.last)[:16]}"
                + (f"; {told}" if told else "")
            )

        yield tell
