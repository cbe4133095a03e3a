"""The command that checks whether two datasets share a group."""

from __future__ import annotations

from typing import Annotated

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import DEFAULT_STORE, JsonOption, StoreOption, app, out, print_json
from mashbill.cli.printing import table


@app.command("overlap")
def overlap_command(
    one: Annotated[str, typer.Argument(help="A dataset: NAME or NAME@VERSION.")],
    other: Annotated[str, typer.Argument(help="Another one.")],
    by: Annotated[
        list[str] | None,
        typer.Option(help="Column whose values are not to be in both; repeat for several."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Say whether two datasets share a text, a prompt, a user. Exit 0 no, 1 yes."""
    found = workspace(store).overlap(one, other, by or ["text"])
    if as_json:
        print_json(found.as_json())
    else:
        listing = table(
            "column", "values in both", f"rows of {found.names[0]}", f"rows of {found.names[1]}",
            "rows without a value", "such as rows",
        )  # fmt: skip
        for each in found.columns:
            listing.add_row(
                each.column,
                f"{each.groups:,}",
                *(f"{rows:,}" for rows in each.rows),
                " and ".join(f"{rows:,}" for rows in each.missing),
                ", ".join(f"{a} and {b}" for a, b in each.examples),
            )
        out.print(listing)
        out.say("They share nothing there." if found.is_apart else "They are not apart.")
    if not found.is_apart:
        raise typer.Exit(1)
