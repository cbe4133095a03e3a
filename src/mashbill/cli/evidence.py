"""Commands about evidence: audit, checkpoint, prove, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mashbill.cli.opening import open_store
from mashbill.cli.options import (
    DEFAULT_STORE,
    NameArgument,
    StoreOption,
    app,
    out,
)
from mashbill.core import checkpoint as checkpoints
from mashbill.core.errors import InputError
from mashbill.core.ledger import Signer
from mashbill.core.shown import json_text
from mashbill.core.store import LEDGER, write_atomically
from mashbill.core.witness import WitnessKey
from mashbill.lineage.evidence.proof import prove


@app.command()
def checkpoint(
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write; printed if absent.")] = None,
    witness: Annotated[
        str | None, typer.Option(help="Address of a witness that is to sign it, too.")
    ] = None,
    witness_key: Annotated[
        str | None, typer.Option(help="That witness's verifier key, NAME+HEX+BASE64.")
    ] = None,
) -> None:
    """Sign the state of the ledger; keep it elsewhere, and `audit --checkpoint` finds a cut."""
    if (witness is None) != (witness_key is None):
        msg = "--witness and --witness-key go together: the key says whose signature counts"
        raise InputError(msg)
    opened = open_store(store)
    signer = Signer.default()
    note = checkpoints.make(opened.root / LEDGER, signer)
    checkpoints.keep(opened.root, signer)
    if witness is not None and witness_key is not None:
        from mashbill.client.witnessing import cosign

        lines = checkpoints.lines_of(opened.root / LEDGER)
        note = cosign(lines, note, witness, WitnessKey.parse(witness_key))
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
    opened = open_store(store)
    ref = opened.find(name).ref
    data = prove(opened, name, row, Signer.default())
    target = to or Path(f"{ref}-row-{row}.proof.json")
    write_atomically(target, (json_text(data, indent=1) + "\n").encode())
    out.say(
        f"{target}: {target.stat().st_size:,} bytes; `mashbill audit --proof {target}` "
        "checks it anywhere"
    )


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

    opened = open_store(store)
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
