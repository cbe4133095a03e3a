"""Commands that ask what breaks without some sources: affected and rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    DEFAULT_STORE,
    AllowOption,
    JsonOption,
    RecipeArgument,
    StoreOption,
    app,
    out,
    print_json,
)
from mashbill.cli.show import print_affected, print_rebuild
from mashbill.cli.show_plan import print_plan
from mashbill.core.errors import InputError
from mashbill.lineage.whatif.removal import Selector

SourceOption = Annotated[str | None, typer.Option(help="Name of the source, or name and version.")]
ProviderOption = Annotated[str | None, typer.Option(help="All sources of this provider.")]
CountryOption = Annotated[str | None, typer.Option(help="All sources of this country (alpha-2).")]
KindOption = Annotated[str | None, typer.Option(help="All of this kind, such as closed-api.")]
LicenseOption = Annotated[str | None, typer.Option(help="All under this licence.")]
TermsOption = Annotated[str | None, typer.Option(help="All under this document of `terms list`.")]


def selector_of(**given: Any) -> Selector:
    """Return the selector that options ask for.

    Raises:
        InputError: if none is given, or one has a value that cannot be.
    """
    wanted = {key: value for key, value in given.items() if value is not None}
    if not wanted:
        msg = "say which sources: --source, --provider, --country, --kind, --license or --terms"
        raise InputError(msg)
    try:
        return Selector.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"--{first['loc'][0]} {first['input']!r}: {first['msg']}"
        raise InputError(msg) from error


@app.command("affected")
def affected_command(
    store: StoreOption = DEFAULT_STORE,
    source: SourceOption = None,
    provider: ProviderOption = None,
    country: CountryOption = None,
    kind: KindOption = None,
    license: LicenseOption = None,  # noqa: A002 - the option's name
    terms: TermsOption = None,
    rows: Annotated[
        str | None, typer.Option(help="Print which rows of this dataset, as ranges.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show which records, datasets, models and evaluations rest on some sources."""
    space = workspace(store)
    selector = selector_of(
        source=source, provider=provider, country=country, kind=kind, license=license, terms=terms
    )
    if rows is not None:
        which = space.affected_rows(rows, selector)
        if as_json:
            print_json(which.as_json())
        else:
            for first, end in which.ranges:
                out.say(f"{first}" if end == first + 1 else f"{first} to {end - 1}")
        return
    found = space.affected(selector)
    if as_json:
        print_json(found.as_json())
        return
    print_affected(found.found, str(selector), found.in_all)


@app.command("rebuild")
def rebuild_command(
    recipe: RecipeArgument,
    without: Annotated[
        str | None, typer.Option(help="Name of the source that goes, or name and version.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    provider: ProviderOption = None,
    country: CountryOption = None,
    kind: KindOption = None,
    license: LicenseOption = None,  # noqa: A002 - the option's name
    terms: TermsOption = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="OLD=NEW: ask this teacher of the recipe in place of one that goes."),
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Recipe file to write.")] = None,
    allow: AllowOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the recipe of a rebuild without some sources, and plan it; nothing is run."""
    selector = selector_of(
        source=without, provider=provider, country=country, kind=kind, license=license, terms=terms
    )
    replace = dict(_pair(text) for text in teacher or ())
    done = workspace(store).rebuild(recipe, selector, teacher=replace, to=to, allow=allow or ())
    if as_json:
        print_json(done.as_json())
        return
    print_rebuild(done.made, str(done.recipe))
    if done.plan is not None:
        print_plan(done.plan)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        msg = f"--teacher {text!r}: write OLD=NEW, both [teachers.*] of the recipe"
        raise InputError(msg)
    return old, new
