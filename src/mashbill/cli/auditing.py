"""The command ``audit``: a store, or a proof of one record."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    app,
    err,
    out,
    print_json,
)
from mashbill.cli.show import print_bill, print_verdicts
from mashbill.core.errors import InputError
from mashbill.core.witness import WitnessKey
from mashbill.lineage.bills.telling import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mashbill.lineage.evidence.finding import AuditResult
    from mashbill.workspace.audited import Audited
    from mashbill.workspace.proven import ProvenRow

_WHAT_TO_DO = (
    "What to do where a finding does not say it: compare with a copy that was kept elsewhere, and "
    "go on from one that holds."
)
_NAMED = 4  # artifacts that a line names

SignerOption = Annotated[str | None, typer.Option(help="Only what this key id signed is accepted.")]


@app.command()
def audit(
    store: StoreOption = DEFAULT_STORE,
    signer: SignerOption = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint kept elsewhere; the ledger must go on from it."),
    ] = None,
    witness_key: Annotated[
        list[str] | None,
        typer.Option(help="A witness whose signature each given checkpoint must bear."),
    ] = None,
    proof: Annotated[
        Path | None, typer.Option(help="Check this proof of a record, without any store.")
    ] = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Make rows of deterministic stages again and compare them."),
    ] = False,
    sample: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="With --deep: the share of shards to make again."),
    ] = 1.0,
    as_json: JsonOption = False,
) -> None:
    """Check that everything in a store agrees with its ledger, or that a proof holds.

    Lineage is composed again from the inputs of each artifact. What could not be derived again is
    told as such: of it an audit says only that its bytes are those that were committed.
    """
    space = workspace(store)
    if proof is not None:
        proven = space.audit_proof(proof, signer=signer)
        if as_json:
            print_json(proven.as_json())
        else:
            _print_proven(proven)
        return
    if witness_key and not checkpoint:
        for text in witness_key:
            WitnessKey.parse(text)  # one that is none is told first
        msg = "--witness-key says who signed a checkpoint; give it with --checkpoint FILE"
        raise InputError(msg)
    with auditing(store) as progress:
        audited = space.audit(
            signer=signer,
            checkpoints=checkpoint or (),
            witness_keys=witness_key or (),
            deep=deep,
            sample=sample,
            progress=progress,
        )
    if as_json:
        print_json(audited.as_json())
    else:
        _print(audited)
    if not audited.holds:
        raise typer.Exit(1)


def _print(audited: Audited) -> None:
    """Print what was found, what was not judged, and how much was looked at."""
    result = audited.result
    for item in result.findings:
        out.say(("✗", "red"), f" {item}")
    for item in result.removed:
        out.say("removed: ", f"{item.file} (entry {item.entry}) was {item.what}")
    for item in result.given_up:
        out.say("given up: ", str(item))
    for line in (*audited.seen, *_newer(result), *_not_derived(result, deep=audited.is_deep)):
        out.say(str(line))
    checked = counted(audited.checkpoints, "checkpoint")
    anew = f", {counted(result.derived_rows, 'row')} made again" if audited.is_deep else ""
    out.say(
        f"{'holds' if result.holds else f'{len(result.findings)} found'}: "
        f"{counted(result.entries, 'entry', 'entries')}, {counted(result.files, 'file')}, "
        f"{counted(result.records, 'record')}, {counted(result.calls, 'teacher call')}; "
        f"lineage of {result.composed:,} composed again{anew}; signed by "
        f"{', '.join(key[:16] for key in result.signers) or 'nobody'}; "
        f"{checked} compared with"
    )
    if not result.holds:
        out.say(_WHAT_TO_DO)


def _newer(result: AuditResult) -> list[str]:
    """Say what an audit did not judge, since it came about beside it."""
    lines = []
    if result.later:
        more = "entry was" if result.later == 1 else "entries were"
        lines.append(f"newer than this audit: {result.later:,} {more} appended since it began")
    for what, count in Counter(item.what for item in result.newer).items():
        first = next(item.file for item in result.newer if item.what == what)
        others = f" and {count - 1:,} more" if count > 1 else ""
        lines.append(f"newer than this audit: {first}{others}: {what}")
    return lines


def _not_derived(result: AuditResult, *, deep: bool) -> list[str]:
    """Say what was not derived again, each reason once with the artifacts that it is told of."""
    about: dict[str, list[str]] = {}
    for item in result.not_derived:
        name = item.file.partition("/")[2] or f"entry {item.entry}"
        about.setdefault(item.what, []).append(name)
    lines = [
        f"not derived again: {', '.join(names[:_NAMED])}"
        f"{f' and {len(names) - _NAMED:,} more' if len(names) > _NAMED else ''}: {what}"
        for what, names in about.items()
    ]
    if not deep:
        lines.append("not derived again: rows were not made again (--deep makes those it can)")
    return lines


def _print_proven(row: ProvenRow) -> None:
    proven = row.proven
    out.say(
        f"holds: {row.name} was committed at {proven.at}, in a ledger of "
        f"{counted(proven.size, 'entry', 'entries')} signed by {proven.signer[:16]}"
    )
    print_bill(row.lines, row.name)
    print_verdicts(row.verdicts, row.name)


@contextmanager
def auditing(store: Path) -> Iterator[Callable[[int, int], None]]:
    """Show how far an audit has come, where somebody looks."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(f"audit of {store.name}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
