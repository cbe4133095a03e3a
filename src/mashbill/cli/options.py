"""What the commands share: the application, the consoles, options that mean the same everywhere."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any

import typer

from mashbill.cli import printing
from mashbill.cli.commands import Commands
from mashbill.core.errors import InputError
from mashbill.core.installed import NAME
from mashbill.policy.statuses import COUNTED, STATUSES, Status

app = typer.Typer(
    cls=Commands,
    help="Distil language models, and say what each was distilled from.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
out, err = printing.out, printing.err


def _tell_version(asked: bool) -> None:
    if asked:
        out.say(f"{NAME} {installed_version(NAME)}")
        raise typer.Exit


@app.callback()
def _program(
    *,
    version: Annotated[  # noqa: ARG001 - it answers before
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_tell_version),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks, as MASHBILL_DEBUG=1 does.")
    ] = False,
) -> None:
    if debug:
        os.environ["MASHBILL_DEBUG"] = "1"


StoreOption = Annotated[
    Path, typer.Option("--store", envvar="MASHBILL_STORE", help="Directory of the store.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
RecipeArgument = Annotated[str, typer.Argument(help="Recipe file, or the name of a shipped one.")]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="PATH",
        help="File or folder outside of the recipe's folder that it may read, or a Python file of "
        "it that may be executed; repeat for several.",
    ),
]
NameArgument = Annotated[str, typer.Argument(help="NAME or NAME@VERSION.")]
DEFAULT_STORE = Path("store")

AsOfOption = Annotated[
    str | None, typer.Option("--as-of", help="Day whose terms count, YYYY-MM-DD; today if absent.")
]
TermsOption = Annotated[
    list[Path] | None,
    typer.Option("--terms-file", help="Terms of one's own: a TOML file, or a folder of them."),
]
RulesOption = Annotated[
    list[Path] | None, typer.Option("--policy", help="House rules: a TOML file.")
]
CatalogueOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--catalogue",
        envvar="MASHBILL_CATALOGUE",
        help="Claims of one's own: a folder or CSV file.",
    ),
]
ClaimsOption = Annotated[
    str,
    typer.Option(
        "--claims", help="Claims that count, divided by commas: stated, derived, sworn, alleged."
    ),
]
COUNTED_CLAIMS = ",".join(COUNTED)


def parse_day(text: str | None) -> date:
    """Return a day that an option names, or today.

    Raises:
        InputError: if it is none.
    """
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is not a day; write YYYY-MM-DD"
        raise InputError(msg) from error


def parse_claims(text: str) -> tuple[Status, ...]:
    """Return the statuses of claims that an option names.

    Raises:
        InputError: if one is unknown.
    """
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    unknown = [part for part in wanted if part not in STATUSES]
    if unknown or not wanted:
        msg = f"--claims {text!r}: choose of {', '.join(STATUSES)}"
        raise InputError(msg)
    return tuple(status for status in STATUSES if status in wanted)


def print_json(value: Any) -> None:
    """Print a value for a program."""
    out.json(value)
