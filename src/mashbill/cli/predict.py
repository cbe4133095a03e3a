"""The command that asks a trained model about the rows of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mashbill.cli.options import DEFAULT_STORE, NameArgument, StoreOption, app, err, out
from mashbill.core.errors import InputError
from mashbill.core.plain import counted
from mashbill.files.rows.formats import format_of
from mashbill.workspace.own_file import look, manner_of
from mashbill.workspace.predicting import FAILED, load
from mashbill.workspace.rows_written import ENDINGS, check_free, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.workspace.own_file import Looked


@app.command("predict")
def predict_command(
    name: NameArgument,
    file: Annotated[
        Path | None, typer.Argument(help="Rows: .csv, .jsonl, .parquet, .txt and their like.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    text: Annotated[
        str | None, typer.Option(help="Column of the text; found, and told, if absent.")
    ] = None,
    say: Annotated[
        list[str] | None, typer.Option(help="A text, in place of a file; repeat for several.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="File to write: .jsonl, .csv or .parquet. Lines of JSON if absent."),
    ] = None,
    delimiter: Annotated[
        str, typer.Option(help="Between the fields of a csv file; found if absent. tab is one.")
    ] = "",
    encoding: Annotated[str, typer.Option(help="Of a file of text; found if absent.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Write over a file of --to.")] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads that it may use.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer, if it writes.")] = 256,
) -> None:
    """Ask a trained model about the rows of a file, or about texts: labels, or what it writes.

    A column of the file that is called as one that it adds is kept as original_NAME.
    What it says has no receipts. A stage of kind apply, or a teacher of kind student, keeps them.
    """
    if (file is None) == (not say):
        msg = 'name a file of rows, or a text: --say "It broke after a day."'
        raise InputError(msg)
    if to is not None and to.suffix.lower() not in ENDINGS:
        msg = f"{to}: name a file that ends in {', '.join(ENDINGS)}"
        raise InputError(msg)
    if to is not None:
        check_free(to, file, replace=replace)
    model = load(name, store, threads=threads, max_tokens=max_tokens)
    fields = ","
    if file is None:
        parts: Iterable[list[dict[str, Any]]] = [
            model.said([{"text": one} for one in say or []], "text")
        ]
    else:
        manner = None
        if file.is_file():
            kind = format_of(file.name)
            if text is None and kind not in (None, "text", "webdataset"):
                looked = look(file, delimiter=delimiter, encoding=encoding)
                manner, text = looked.manner, _likely_text(looked)
            else:
                manner = manner_of(file, delimiter=delimiter, encoding=encoding)
            if kind == "csv":  # what is written is to be read as it was
                fields = manner.delimiter
        parts = model.rows(file, text=text or "text", manner=manner, on_kept=_kept)
    number, failed = _print(parts) if to is None else write_rows(parts, to, model.added, fields)
    if to is not None:
        out.say(f"{to}: {counted(number, 'row')}")
    if failed:
        err.say(f"{counted(failed, 'row')} could not be asked about; the column {FAILED} says why")


def _kept(name: str, new: str) -> None:
    err.say(f"column {name!r} of the file is kept as {new!r}, since that name is taken")


def _likely_text(looked: Looked) -> str:
    """Return the column that is most likely the text, and say which, unless it is called so."""
    column = looked.likely_text()
    if column and column != "text":
        err.say(f"the text is taken from column {column!r}; --text names another")
    return column or "text"


def _print(parts: Iterable[list[dict[str, Any]]]) -> tuple[int, int]:
    number = failed = 0
    for row in (row for part in parts for row in part):
        out.emit(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        number, failed = number + 1, failed + (FAILED in row)
    return number, failed
