"""Commands about evidence: audit, checkpoint, prove, export."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from mashbill.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    NameArgument,
    StoreOption,
    app,
    out,
    print_json,
)  # fmt: skip
from mashbill.cli.show import print_bill, print_verdicts
from mashbill.core import checkpoint as checkpoints
from mashbill.core import parsing
from mashbill.core.ledger import Signer
from mashbill.core.shown import json_text
from mashbill.core.store import LEDGER, Store, write_atomically
from mashbill.lineage.audit import Auditor, AuditResult
from mashbill.lineage.bill import bill
from mashbill.lineage.circuit import Circuit
from mashbill.lineage.definitions import judge_all
from mashbill.lineage.proof import Proven, check_proof, prove

SignerOption = Annotated[str | None, typer.Option(help="Only what this key id signed is accepted.")]


@app.command()
def audit(
    store: StoreOption = DEFAULT_STORE,
    signer: SignerOption = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(help="A checkpoint kept elsewhere; the ledger must go on from it."),
    ] = None,
    proof: Annotated[
        Path | None, typer.Option(help="Check this proof of a record, without any store.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that everything in a store agrees with its ledger, or that a proof holds."""
    if proof is not None:
        _audit_proof(proof, signer, as_json)
        return
    known = [checkpoints.parse(read_text(path)) for path in checkpoint or ()]
    kept = checkpoints.kept(store) if (store / LEDGER).exists() else None
    result = Auditor(store, signer, checkpoints=[*known, *([kept] if kept else [])]).run()
    if as_json:
        _audit_json(result)
    else:
        for item in result.findings:
            out.say(("✗", "red"), f" {item}")
        for line in _newer(result):
            out.say(line)
        checked = len(known) + (kept is not None)
        out.say(
            f"{'holds' if result.holds else f'{len(result.findings)} found'}: "
            f"{result.entries:,} entries, {result.files:,} files, {result.records:,} records, "
            f"{result.calls:,} teacher calls; signed by "
            f"{', '.join(key[:16] for key in result.signers) or 'nobody'}; "
            f"{checked or 'no'} checkpoint{'' if checked == 1 else 's'} compared with"
        )
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


def read_text(path: Path) -> str:
    """Read a file that an argument names.

    Raises:
        InputError: if it cannot be read.
    """
    return parsing.read_text(path)


def _audit_json(result: AuditResult) -> None:
    findings, newer = (
        [{"file": item.file, "entry": item.entry, "what": item.what} for item in items]
        for items in (result.findings, result.newer)
    )
    print_json({"holds": result.holds, "findings": findings, "entries": result.entries,
                "records": result.records, "calls": result.calls,
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
        f"holds: {name} was committed at {proven.at}, in a ledger of {proven.size:,} entries "
        f"signed by {proven.signer[:16]}"
    )
    print_bill(lines, name)
    print_verdicts(verdicts, name)


@app.command()
def checkpoint(
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write; printed if absent.")] = None,
) -> None:
    """Sign the state of the ledger; keep it elsewhere, and `audit --checkpoint` finds a cut."""
    opened = Store(store)
    signer = Signer.default()
    note = checkpoints.make(opened.root / LEDGER, signer)
    checkpoints.keep(opened.root, signer)
    if to is None:
        out.emit(str(note))
    else:
        write_atomically(to, str(note).encode())
        out.say(str(to))


@app.command("prove")
def prove_command(
    name: NameArgument,
    row: Annotated[int, typer.Option(help="Row of the dataset, from 0.")],
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write.")] = None,
) -> None:
    """Write a small file that proves one record, its lineage and its place in the ledger."""
    opened = Store(store)
    ref = opened.find(name).ref
    data = prove(opened, name, row, Signer.default())
    target = to or Path(f"{ref}-row-{row}.proof.json")
    write_atomically(target, (json_text(data, indent=1) + "\n").encode())
    out.say(f"{target}: {target.stat().st_size:,} bytes; `mashbill audit --proof {target}` "
            "checks it anywhere")  # fmt: skip


@app.command("export")
def export_command(
    name: NameArgument,
    format: Annotated[  # noqa: A002 - the option's name
        str,
        typer.Option(
            help="cyclonedx (1.7), cyclonedx-1.6, prov, croissant, card, eu-2.5, openlineage, spdx."
        ),
    ],
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write; printed if absent.")] = None,
) -> None:
    """Write an artifact's bill in a standard's own form (docs/exports.md)."""
    from mashbill.lineage.exports import export, gather
    from mashbill.lineage.exports.bill_file import BILL_FILE, bill_text

    opened = Store(store)
    manifest = opened.find(name)
    text = export(opened, manifest, format)
    if to is None:
        out.emit(text + "\n")
        return
    write_atomically(to, text.encode())
    out.say(str(to))
    if format == "card":  # it points to the bill by name and digest
        beside = to.parent / BILL_FILE
        write_atomically(beside, bill_text(gather(opened, manifest)).encode())
        out.say(str(beside))
