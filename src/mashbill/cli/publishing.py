"""The command that hands an artifact on: publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    NameArgument,
    StoreOption,
    app,
    err,
    out,
    print_json,
)
from mashbill.core.errors import InputError
from mashbill.lineage.bills.telling import counted
from mashbill.publish.forms import EARLIER, ROW_FORMS
from mashbill.publish.rows import DATA_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.publish.forms import RowForm, Shaped
    from mashbill.publish.publish import Formulas
    from mashbill.publish.rows import DataFormat


@app.command("publish")
def publish_command(
    name: NameArgument,
    to: Annotated[
        str,
        typer.Option(
            help="Folder, s3://BUCKET/PATH or another address of fsspec, hf:OWNER/NAME of the hub."
        ),
    ],
    format: Annotated[  # noqa: A002 - the option's name
        str | None,
        typer.Option(
            help=f"Of a dataset's rows: {', '.join(DATA_FORMATS)}, with all their columns (parquet "
            f"if absent); or as trainers read them, in JSON lines: {', '.join(ROW_FORMS)}, and "
            "what one has no place for is told."
        ),
    ] = None,
    form: Annotated[str | None, typer.Option(hidden=True)] = None,  # as --format was split before
    receipts: Annotated[
        bool,
        typer.Option(
            "--with-receipts/--without-receipts",
            help="Keep _id, _bill (the node's digest) and _from behind the columns of each row.",
        ),
    ] = True,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Rejected rows too, in files of their own.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite files of the same name with other bytes.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="On the hub: everyone may see it.")
    ] = False,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape-formulas",
            help="In CSV: put a quote before each text that a spreadsheet may run as a formula.",
        ),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Write a dataset or a model to an address, with a card, the bill and SHA-256 digests."""
    from mashbill.publish.publish import Wish

    item = workspace(store)[name]
    manifest = item.manifest
    kind, shape = _choices(format, form, rejected=rejected)
    if manifest.kind == "model" and (format is not None or form is not None or rejected):
        msg = f"{manifest.ref} is a model and has no rows; leave out --format and --rejected"
        raise InputError(msg)
    if escape_formulas and format != "csv":
        msg = "--escape-formulas goes with --format csv; other formats hold texts as texts"
        raise InputError(msg)
    wish = Wish(
        format=kind,
        form=shape,
        receipts=receipts,
        rejected=rejected,
        replace=replace,
        public=public,
        escape_formulas=escape_formulas,
    )
    check = f"mashbill check {manifest.ref} --store {store}"
    done = item.publish(to, wish)
    if as_json:
        print_json({**done.as_json(), "check": check})
        return
    rows = f"{counted(done.rows, 'row')}, " if manifest.kind == "dataset" else ""
    became = {"written": done.written, "unchanged": done.unchanged, "removed": done.removed}
    told = ", ".join(f"{len(names):,} {what}" for what, names in became.items())
    out.say(
        f"{done.artifact} → {done.to}: {rows}{counted(len(done.sums) + 1, 'file')}; {told}"
        f"{f'; commit {done.commit}' * bool(done.commit)}"
    )
    if done.formulas.cells or done.formulas.headers:
        err.say(_told(done.formulas))
    for line in _left_out(done.shaped) if done.shaped else ():
        err.say(line)
    asked_by = manifest.stage.get("prompt")
    if done.shaped and manifest.stage.get("kind") == "generate" and isinstance(asked_by, str):
        err.say(
            f"Format {done.shaped.form}: what is asked is the row's own text; the words that "
            f"{asked_by} puts around it for the teacher are in none."
        )
    err.say(f"Terms and licences were not looked at here: `{check}` does.")


def _choices(
    format: str | None,  # noqa: A002 - the option's name
    form: str | None,
    *,
    rejected: bool,
) -> tuple[DataFormat, RowForm | None]:
    """Return the format of files and the form of rows.

    Raises:
        InputError: if one of them is none, or they do not go together.
    """
    asked = form if form is not None else format
    shape = next((one for one in ROW_FORMS if one == EARLIER.get(asked or "", asked)), None)
    if form is not None and shape is None:
        msg = f"--form {form!r}: choose of {', '.join(ROW_FORMS)}; they go by --format, too"
        raise InputError(msg)
    if shape is None:
        kind = next((one for one in DATA_FORMATS if one == (format or "parquet")), None)
        if kind is None:
            msg = f"--format {format!r}: choose of {', '.join((*DATA_FORMATS, *ROW_FORMS))}"
            raise InputError(msg)
        return kind, None
    if rejected or (form is not None and format not in (None, "jsonl")):
        msg = (
            f"--format {shape} writes JSON lines of rows that were kept; leave out --rejected and "
            "any other format"
        )
        raise InputError(msg)
    return "jsonl", shape


def _left_out(shaped: Shaped) -> Iterator[str]:
    """Say what a form had no place for."""
    left = [*map(repr, shaped.columns), *shaped.left_receipts]
    if left:
        yield f"Format {shaped.form}: it has no place for columns {', '.join(left)}, left out."
    if shaped.turns:
        told = ", ".join(f"{name} ({n:,})" for name, n in sorted(shaped.turns.items()))
        yield f"Format {shaped.form}: left out of rows that were written: {told}."
    for reason, (count, first) in shaped.unfit.items():
        rows = "row" if count == 1 else "rows"
        yield f"Format {shaped.form}: {count:,} {rows} left out, row {first} the first: {reason}."


def _told(formulas: Formulas) -> str:
    """Say which texts of a CSV file a spreadsheet may run, and what was done or can be."""
    parts = [f"{count:,} of {name!r}" for name, count in sorted(formulas.cells.items())]
    found = f"cells that begin with = + - @, a tab or a line break: {', '.join(parts) or 'none'}"
    if formulas.headers:
        found += f"; names of columns that do: {', '.join(map(repr, sorted(formulas.headers)))}"
    if formulas.escape:
        return f"Formulas: {found}. Each has a quote (') in front now."
    return (
        f"Formulas: {found}. A spreadsheet may run them; --escape-formulas puts a quote (') before "
        "each."
    )
