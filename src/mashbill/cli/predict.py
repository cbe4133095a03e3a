"""The command that asks a trained model about the rows of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mashbill.cli.options import DEFAULT_STORE, NameArgument, StoreOption, app, err, out
from mashbill.core.errors import InputError
from mashbill.core.plain import counted
from mashbill.files.rows.chunks import Manner
from mashbill.files.rows.formats import format_of
from mashbill.workspace.own_file import divider, look, sniffed
from mashbill.workspace.predicting import FAILED, load
from mashbill.workspace.rows_written import ENDINGS, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable


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
    threads: Annotated[int, typer.Option(min=1, help="Threads that it may use.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer, if it writes.")] = 256,
) -> None:
    """Ask a trained model about the rows of a file, or about texts: labels, or what it writes.

    What it says has no receipts. A stage of kind apply, or a teacher of kind student, keeps them.
    """
    if (file is None) == (not say):
        msg = 'name a file of rows, or a text: --say "It broke after a day."'
        raise InputError(msg)
    if to is not None and to.suffix.lower() not in ENDINGS:
        msg = f"{to}: name a file that ends in {', '.join(ENDINGS)}"
        raise InputError(msg)
    model = load(name, store, threads=threads, max_tokens=max_tokens)
    if file is None:
        parts: Iterable[list[dict[str, Any]]] = [
            model.said([{"text": one} for one in say or []], "text")
        ]
    else:
        found, _, fields = sniffed(file) if file.is_file() else ("utf-8", False, ",")
        fields = divider(delimiter) or fields
        manner = Manner(encoding=encoding or found, on_bad_bytes="replace", delimiter=fields)
        text = text or _likely_text(file, fields, manner.encoding)
        parts = model.rows(file, text=text, manner=manner)
    number, failed = _print(parts) if to is None else write_rows(parts, to, model.added)
    if to is not None:
        out.say(f"{to}: {counted(number, 'row')}")
    if failed:
        err.say(f"{counted(failed, 'row')} could not be asked about; the column {FAILED} says why")


def _likely_text(file: Path, delimiter: str, encoding: str) -> str:
    """Return the column that is most likely the text, and say which, unless it is called so."""
    if format_of(file.name) in (None, "text", "webdataset") or not file.is_file():
        return "text"
    column = look(file, delimiter=delimiter, encoding=encoding).likely_text()
    if column and column != "text":
        err.say(f"the text is taken from column {column!r}; --text names another")
    return column or "text"


def _print(parts: Iterable[list[dict[str, Any]]]) -> tuple[int, int]:
    number = failed = 0
    for row in (row for part in parts for row in part):
        out.emit(json.dumps(row, ensure_ascii=False, default=str) + "\n")
        number, failed = number + 1, failed + (FAILED in row)
    return number, failed
