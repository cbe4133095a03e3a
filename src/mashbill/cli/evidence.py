"""Commands about evidence: audit, checkpoint, prove, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    NameArgument,
    StoreOption,
    app,
    err,
    out,
)
from mashbill.core.errors import InputError
from mashbill.core.store import write_atomically
from mashbill.models.quantisations import QUANTISATIONS
from mashbill.publish.model_files import MODEL_FORMATS

if TYPE_CHECKING:
    from mashbill.workspace.artifact import Artifact


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
    note = workspace(store).checkpoint(witness=witness, witness_key=witness_key)
    if to is None:
        out.emit(note)
    else:
        write_atomically(to, note.encode())
        out.say(str(to))


@app.command("prove")
def prove_command(
    name: NameArgument,
    row: Annotated[int, typer.Option(help="Row of the dataset, from 0.")],
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write.")] = None,
) -> None:
    """Write a small file that proves one record, its lineage and its place in the ledger."""
    target = workspace(store).prove(name, row, to)
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
            help="cyclonedx (1.7), cyclonedx-1.6, prov, croissant, card, eu-2.5, openlineage, "
            f"spdx; or the model itself: {', '.join(MODEL_FORMATS)}."
        ),
    ],
    store: StoreOption = DEFAULT_STORE,
    to: Annotated[Path | None, typer.Option(help="File to write; printed if absent.")] = None,
    quantise: Annotated[
        str | None,
        typer.Option(help=f"Of a GGUF file's matrices: {', '.join(QUANTISATIONS)}; f16 if absent."),
    ] = None,
) -> None:
    """Write an artifact's bill in a standard's own form, or a model as one file."""
    item = workspace(store)[name]
    if format in MODEL_FORMATS:
        _write_model(item, format, to, quantise)
        return
    if quantise is not None:
        msg = f"--quantise goes with --format gguf, and --format is {format}"
        raise InputError(msg)
    if to is None:
        out.emit(item.export(format) + "\n")
        return
    for path in item.write_export(format, to):
        out.say(str(path))


def _write_model(item: Artifact, format: str, to: Path | None, quantise: str | None) -> None:  # noqa: A002
    """Write a model as a file, and say what is in it.

    Raises:
        InputError: if no file is named, or the options do not go together.
    """
    if to is None:
        msg = f"--format {format} is a file of a model and is not printed; add --to FILE.{format}"
        raise InputError(msg)
    if quantise is not None and format != "gguf":
        msg = f"--quantise goes with --format gguf, and --format is {format}"
        raise InputError(msg)
    done = item.write_model(format, to, quantise)
    for path in done.paths:
        out.say(str(path))
    err.say(f"{item.name} → {to}: {done.told}.")
