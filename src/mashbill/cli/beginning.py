"""The command that writes a first recipe for a person's own file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mashbill.cli.options import DEFAULT_STORE, JsonOption, app, out, print_json
from mashbill.core.errors import InputError
from mashbill.core.plain import counted
from mashbill.workspace.begun import Wish, begin
from mashbill.workspace.first_documents import begin_documents
from mashbill.workspace.own_file import look

if TYPE_CHECKING:
    from mashbill.workspace.begun import Begun
    from mashbill.workspace.own_file import Looked


@app.command("init")
def init_command(
    file: Annotated[
        Path,
        typer.Argument(help="Your rows: .csv, .tsv, .jsonl, .parquet; or a folder of documents."),
    ],
    text: Annotated[str, typer.Option(help="Column of the text; asked, or found.")] = "",
    labels: Annotated[
        str, typer.Option(help="Labels that texts are sorted into, with commas: angry,calm.")
    ] = "",
    gold: Annotated[
        str, typer.Option(help="Column of labels that people gave: says how good the result is.")
    ] = "",
    task: Annotated[
        str, typer.Option(help="Or what the teacher is to write of each text, in a sentence.")
    ] = "",
    teacher: Annotated[
        str,
        typer.Option(help="smollm2 (runs here), fake, PROVIDER:MODEL, or MODEL@http://SERVER/v1."),
    ] = "smollm2",
    license: Annotated[  # noqa: A002 - the option's name
        str, typer.Option("--license", help="Of the weights of a server: an SPDX identifier.")
    ] = "",
    name: Annotated[str, typer.Option(help="Of the recipe; the file's if absent.")] = "",
    delimiter: Annotated[
        str, typer.Option(help="Between the fields of a csv file; found if absent. tab is one.")
    ] = "",
    encoding: Annotated[str, typer.Option(help="Of a file of text; found if absent.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Write a recipe that is there anew.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a first recipe for a file of your own, with a comment at what may be changed.

    What is not given is asked for at a terminal.
    """
    if file.is_dir():
        wish = Wish(text, _named(labels), gold, task, teacher, name, license)
        begun = begin_documents(file, wish, replace=replace)
        _tell(begun, f"{file}: {counted(begun.rows, 'document')}", as_json=as_json)
        return
    looked = look(file, delimiter=delimiter, encoding=encoding)
    asks = sys.stdin.isatty() and not as_json
    text = text or (_ask_text(looked, gold) if asks else looked.likely_text(gold))
    if not (labels or gold or task):
        if not asks:
            there = ", ".join(looked.columns[:20])
            msg = (
                "say what is to be made: --labels angry,calm, or --gold COLUMN with what people "
                f"said, or --task TEXT; {file} has the columns {there}"
            )
            raise InputError(msg)
        labels, gold, task = _ask_what(looked, text)
    made = begin(
        looked, Wish(text, _named(labels), gold, task, teacher, name, license), replace=replace
    )
    whole = counted(looked.rows, "row") if looked.is_whole else f"about {looked.rows:,} rows"
    head = f"{file}: {whole}, the text is in column {text!r}"
    _tell(made, head, as_json=as_json, text=text)


def _named(labels: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in labels.split(",") if one.strip())


def _tell(made: Begun, head: str, *, as_json: bool, text: str = "") -> None:
    """Say what was written, and what is next."""
    if as_json:
        prompt = None if made.prompt is None else str(made.prompt)
        files = {"recipe": str(made.recipe), "prompt": prompt}
        print_json({**files, "text": text, "labels": list(made.labels), "told": list(made.told)})
        return
    out.say(head)
    if made.labels:
        out.say(f"labels: {', '.join(made.labels)}")
    out.say(f"wrote {made.recipe}{f' and {made.prompt}' if made.prompt is not None else ''}")
    for line in made.told:
        out.say(line)
    recipe, at = shlex.quote(str(made.recipe)), _store_of_its_own(made.recipe.stem)
    out.say(f"next: `mashbill plan {recipe}{at}`, then `mashbill run {recipe}{at}`")


def _store_of_its_own(name: str) -> str:
    """Return the option that names another store, where the usual one has other rows."""
    if not any((DEFAULT_STORE / "datasets").glob("*@*")):
        return ""
    return f" --store {shlex.quote(f'{name}-store')}"


def _ask_text(looked: Looked, gold: str) -> str:
    out.say(f"{looked.path} has the columns {', '.join(looked.columns[:30])}")
    return str(typer.prompt("Which column is the text", default=looked.likely_text(gold) or None))


def _ask_what(looked: Looked, text: str) -> tuple[str, str, str]:
    """Ask for labels, a column of labels, or a task."""
    columns = [name for name in looked.values if name != text and len(looked.values[name]) > 1]
    if columns:
        out.say(f"columns that may be labels: {', '.join(columns[:10])}")
        gold = str(typer.prompt("Column of labels that people gave, or nothing", default=""))
        if gold:
            return "", gold, ""
    labels = str(typer.prompt("Labels to sort texts into, with commas, or nothing", default=""))
    if labels:
        return labels, "", ""
    return "", "", str(typer.prompt("What is the teacher to write of each text"))
