"""The command ``audit``: a store, or a proof of one record."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

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
from mashbill.core import checkpoint as checkpoints
from mashbill.core import parsing
from mashbill.core.errors import AuditError, InputError, MashbillError
from mashbill.core.store import LEDGER, Store
from mashbill.core.witness import WitnessKey, seen_at
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import judge_all
from mashbill.lineage.bills.telling import counted
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.lineage.evidence.proven import Proven, check_proof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.lineage.evidence.finding import AuditResult
    from mashbill.run.rederiving import Rederiver

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
    if proof is not None:
        _audit_proof(proof, signer, as_json)
        return
    known = [checkpoints.parse(parsing.read_text(path)) for path in checkpoint or ()]
    witnesses = [WitnessKey.parse(text) for text in witness_key or ()]
    seen = _witnessed(known, witnesses)
    kept = checkpoints.kept(store) if (store / LEDGER).exists() else None
    again = rederiver(store, sample) if deep else None
    with auditing(store) as progress:
        result = Auditor(
            store, signer, progress, [*known, *([kept] if kept else [])], rederive=again
        ).run()
    if as_json:
        _audit_json(result)
    else:
        for item in result.findings:
            out.say(("✗", "red"), f" {item}")
        for item in result.given_up:
            out.say("given up: ", str(item))
        for line in (*seen, *_newer(result), *_not_derived(result, deep=deep)):
            out.say(line)
        checked = counted(len(known) + (kept is not None), "checkpoint")
        anew = f", {counted(result.derived_rows, 'row')} made again" if deep else ""
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
    if not result.holds:
        raise typer.Exit(1)


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


def _witnessed(notes: Sequence[Checkpoint], witnesses: Sequence[WitnessKey]) -> list[str]:
    """Say when each witness signed the checkpoints that were given.

    Raises:
        AuditError: if one did not sign one of them.
        InputError: if no checkpoint is given that it could have signed.
    """
    if witnesses and not notes:
        msg = "--witness-key says who signed a checkpoint; give it with --checkpoint FILE"
        raise InputError(msg)
    lines = []
    for note in notes:
        for key in witnesses:
            at = seen_at(note, key)
            if at is None:
                msg = f"the checkpoint of {note.size} entries bears no signature by {key.name}"
                raise AuditError(msg)
            when = datetime.fromtimestamp(at, UTC).isoformat()
            lines.append(f"the checkpoint of {note.size:,} entries was seen by {key.name}: {when}")
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


def _audit_json(result: AuditResult) -> None:
    findings, newer, not_derived, given_up = (
        [{"file": item.file, "entry": item.entry, "what": item.what} for item in items]
        for items in (result.findings, result.newer, result.not_derived, result.given_up)
    )
    print_json({"holds": result.holds, "findings": findings, "not_derived": not_derived,
                "given_up": given_up,
                "entries": result.entries, "records": result.records, "calls": result.calls,
                "composed": result.composed, "derived_rows": result.derived_rows,
                "signers": result.signers, "newer": newer,
                "later_entries": result.later})  # fmt: skip


def _audit_proof(path: Path, signer: str | None, as_json: bool) -> None:
    data = parsing.json_object(path, what="a proof", most=parsing.PROOF_BYTES)
    proven: Proven = check_proof(data, signer)
    circuit = Circuit.of(proven.as_dataset())
    lines, verdicts = bill(circuit), judge_all(circuit)
    name = f"{proven.artifact} row {proven.row}"
    if as_json:
        print_json(
            {
                "holds": True,
                "artifact": proven.artifact,
                "row": proven.row,
                "record": proven.record,
                "signer": proven.signer,
                "entries": proven.size,
                "at": proven.at,
                "bill": [line.as_json() for line in lines],
                "verdicts": [verdict.as_json() for pair in verdicts for verdict in pair],
            }
        )
        return
    out.say(
        f"holds: {name} was committed at {proven.at}, in a ledger of "
        f"{counted(proven.size, 'entry', 'entries')} signed by {proven.signer[:16]}"
    )
    print_bill(lines, name)
    print_verdicts(verdicts, name)


def rederiver(store: Path, share: float) -> Rederiver | None:
    """Return what makes a store's rows again; None if its ledger cannot be read, as audits say."""
    from mashbill.run.rederiving import Rederiver

    try:
        return Rederiver(Store(store), share) if (store / LEDGER).is_file() else None
    except MashbillError:
        return None


@contextmanager
def auditing(store: Path) -> Iterator[Callable[[int, int], None]]:
    """Show how far an audit has come, where somebody looks."""
    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(f"audit of {store.name}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
