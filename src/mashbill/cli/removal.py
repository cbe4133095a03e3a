"""Commands that ask what breaks without some sources: affected and rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from mashbill import plan as planning
from mashbill.cli.opening import open_store
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
from mashbill.cli.show import print_affected, print_plan, print_rebuild
from mashbill.core.errors import InputError
from mashbill.core.recipe import load_recipe
from mashbill.lineage.whatif.rebuild import rebuild, write_rebuild
from mashbill.lineage.whatif.removal import Selector, affected, affected_rows
from mashbill.workspace.recipes import recipe_path

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
    opened = open_store(store)
    selector = selector_of(
        source=source, provider=provider, country=country, kind=kind, license=license, terms=terms
    )
    if rows is not None:
        manifest = opened.find(rows)
        ranges = affected_rows(opened, manifest, selector)
        if as_json:
            print_json({"artifact": str(manifest.ref), "rows": ranges})
        else:
            for first, end in ranges:
                out.say(f"{first}" if end == first + 1 else f"{first} to {end - 1}")
        return
    found = affected(opened, selector)
    if as_json:
        print_json({"without": selector.model_dump(exclude_none=True),
                    "affected": [item.as_json() for item in found]})  # fmt: skip
        return
    print_affected(found, str(selector), len({m.ref for m in opened.manifests()}))


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
    opened = open_store(store)
    selector = selector_of(
        source=without, provider=provider, country=country, kind=kind, license=license, terms=terms
    )
    path = recipe_path(recipe)
    replace = dict(_pair(text) for text in teacher or ())
    made = rebuild(path, opened, selector, replace, allow or ())
    target = to or Path(f"{path.stem}-without.toml")
    write_rebuild(made, path, target, selector, allow or ())
    stays = bool(made.data["stages"])
    plan = planning.build(load_recipe(target, allow or ()), opened) if stays else None
    if as_json:
        print_json({**made.as_json(), "recipe": str(target), "plan": plan and plan.as_json()})
        return
    print_rebuild(made, str(target))
    if plan is not None:
        print_plan(plan)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        msg = f"--teacher {text!r}: write OLD=NEW, both [teachers.*] of the recipe"
        raise InputError(msg)
    return old, new
