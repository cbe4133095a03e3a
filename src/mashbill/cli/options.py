"""What the commands share: the application, the consoles, options that mean the same everywhere."""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from mashbill.core.errors import RecipeError

app = typer.Typer(
    help="Distil language models, and say what each was distilled from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(width=None if sys.stdout.isatty() else 150)
err = Console(stderr=True)

StoreOption = Annotated[
    Path, typer.Option("--store", envvar="MASHBILL_STORE", help="Directory of the store.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
RecipeArgument = Annotated[str, typer.Argument(help="Recipe file, or the name of a shipped one.")]
NameArgument = Annotated[str, typer.Argument(help="NAME or NAME@VERSION.")]
DEFAULT_STORE = Path("store")


def print_json(value: Any) -> None:
    """Print a value for a program."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    if out.is_terminal:
        out.print_json(text)
    else:
        typer.echo(text)  # colouring megabytes that a program reads would take seconds


def recipe_path(text: str) -> Path:
    """Return the recipe file that an argument means: a path, or a name shipped with the package."""
    path = Path(text)
    if path.exists() or path.suffix:
        return path
    shipped = Path(str(resources.files("mashbill") / "recipes"))
    if not shipped.is_dir():
        shipped = Path(__file__).parents[3] / "recipes"  # an editable install
    found = shipped / f"{text}.toml"
    if not found.exists():
        names = ", ".join(sorted(item.stem for item in shipped.glob("*.toml")))
        msg = f"{text!r} is neither a recipe file nor a shipped recipe ({names})"
        raise RecipeError(msg)
    return found
