"""The command that puts results side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    AllowOption,
    JsonOption,
    StoreOption,
    app,
    print_json,
)


@app.command()
def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Evaluations, or models with one evaluation each; with --recipe, arms of it.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(help="Recipe with \\[arms], whose arms are compared: all, or those named."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put results side by side: arms of a recipe, evaluations, models; paired intervals.

    What they were made from otherwise is told first: keys, lineage, bills.
    """
    found = workspace(store).compare(*(names or ()), recipe=recipe, allow=allow or ())
    if as_json:
        print_json(found.as_json())
        return
    from mashbill.cli.show_compared import print_apart, print_compared

    print_apart(found.apart)
    print_compared(found.found)
