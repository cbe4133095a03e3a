"""Commands about public models: catalogue list, show, disputes and import."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from mashbill.cli.catalogue import stream_json
from mashbill.cli.ending import EXIT
from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    CatalogueOption,
    JsonOption,
    app,
    out,
    print_json,
)
from mashbill.cli.printing import table
from mashbill.cli.show_import import import_json, print_import
from mashbill.cli.show_public import print_entity, print_sources
from mashbill.core.errors import InputError
from mashbill.policy.catalogue_sources import standing_of_sources
from mashbill.policy.claims import load_catalogue
from mashbill.policy.importers import (
    KINDS,
    Imported,
    Origin,
    add_csv,
    add_to,
    import_all,
    import_claims,
    read_repository,
    rejected,
    together,
)
from mashbill.policy.model_names import find_named

catalogue_app = typer.Typer(
    help="What public models were made of, as claims.", no_args_is_help=True
)
app.add_typer(catalogue_app, name="catalogue")

DEFAULT_CATALOGUE = Path("catalogue")
SHOWN = 200
"""rows that a terminal is shown, unless --limit says otherwise"""
LimitOption = Annotated[
    int | None,
    typer.Option(help=f"Rows to tell at most; {SHOWN} if absent, all of them with --json.", min=1),
]


@catalogue_app.command("list")
def list_command(
    text: Annotated[str, typer.Argument(help="Part of a name, provider or country.")] = "",
    catalogue: CatalogueOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """List models and datasets."""
    index = workspace(catalogue=catalogue).index()
    rows, count = index.listed(text, None if as_json and limit is None else limit or SHOWN)
    found = index.batches(rows)
    if as_json:
        stream_json({**e.model_dump(mode="json"), "making_claimed": n > 0} for e, n in found)
        return
    listing = table(
        "name", "what", "provider", "country", "kind", "licence", "released", "claims",
        title=f"{count:,} of {index.size:,}",
    )  # fmt: skip
    for item, claims in found:
        listing.add_row(item.id, item.what, item.provider, item.country, item.kind,
                     item.license or "not recorded", item.released, str(claims or ""))  # fmt: skip
    out.print(listing)
    if count > len(rows):
        out.say(f"and {count - len(rows):,} more, told by --json or a larger --limit")


@catalogue_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="OWNER/NAME, or a part that fits one only.")],
    catalogue: CatalogueOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a model or dataset: its facts, and every claim about it, contradictions beside."""
    index = workspace(catalogue=catalogue).index()
    entity, how = find_named(name, index)
    most = None if as_json and limit is None else limit or SHOWN
    about, made_from = index.about(entity.id, most)
    used, used_in = index.uses(entity.id, most)
    if as_json:
        print_json(
            {
                "entity": entity.model_dump(mode="json"),
                "resolved": how,
                "made_from": [claim.model_dump(mode="json") for claim in about],
                "used_in": [claim.model_dump(mode="json") for claim in used],
                "claims_in_all": {"made_from": made_from, "used_in": used_in},
            }
        )
        return
    if how:
        out.say(f"Name: {how}")
    disputes = index.disputes() if any(claim.dispute for claim in about) else {}
    print_entity(entity, about, used, disputes, made_from=made_from, used_in=used_in)


@catalogue_app.command("sources")
def sources_command(catalogue: CatalogueOption = None, as_json: JsonOption = False) -> None:
    """Count what claims and facts rest on: who stands behind them, and what can be opened again."""
    claims = load_catalogue(catalogue or ())
    told = standing_of_sources(claims)
    if as_json:
        print_json(told)
        return
    print_sources(told)


@catalogue_app.command("disputes")
def disputes_command(catalogue: CatalogueOption = None, as_json: JsonOption = False) -> None:
    """Show claims that contradict each other; none is resolved by hand."""
    disputes = workspace(catalogue=catalogue).index().disputes()
    if as_json:
        print_json(
            {key: [c.model_dump(mode="json") for c in sides] for key, sides in disputes.items()}
        )
        return
    listing = table("dispute", "child", "parent", "as", "status", "source")
    for key, sides in disputes.items():
        for claim in sides:
            mark = ", second-hand" if claim.second_hand else ""
            listing.add_row(
                key, claim.child, claim.parent, claim.relation, claim.status + mark, claim.source
            )
    out.print(listing)


@catalogue_app.command("import")
def import_command(
    format: Annotated[  # noqa: A002
        str, typer.Argument(help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")
    ],
    what: Annotated[list[str], typer.Argument(help="Files or folders; for hub: OWNER/NAME ...")],
    to: Annotated[
        Path, typer.Option(help="Folder of claims to add to.", envvar="MASHBILL_CATALOGUE")
    ] = DEFAULT_CATALOGUE,
    entity: Annotated[str, typer.Option(help="Of a single card: whose it is, OWNER/NAME.")] = "",
    of: Annotated[str, typer.Option(help="Of a repository: OWNER/REPO.")] = "",
    commit: Annotated[str, typer.Option(help="Of a repository: the commit checked out.")] = "",
    makes: Annotated[
        list[str] | None,
        typer.Option(help="Of a repository: FILE=OWNER/NAME, which model a recipe makes."),
    ] = None,
    hub_owner: Annotated[
        str, typer.Option(help="Of a repository: who owns what recipes name without an owner.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Add claims from cards, recipes, a graph, a collection or CSV; nothing is overwritten."""
    folders = [to] if to.exists() else []
    if format == "csv" and len(what) == 1 and Path(what[0]).exists() and not entity:
        quick = add_csv(to, Path(what[0]), workspace(catalogue=folders).index())
        if quick is not None:
            told = Imported((), (), (), "csv")
            if as_json:
                print_json(import_json(to, told, quick[0]))
            else:
                print_import(to, told, *quick)
            return
    catalogue = load_catalogue(folders)
    if format == "hub":
        imported = _from_hub(what)
    elif format == "repository":
        if len(what) > 1:
            msg = f"import {format}: give one file or folder, not {len(what)}"
            raise InputError(msg)
        pairs = [pair.partition("=") for pair in makes or ()]
        made = {pattern: name for pattern, _, name in pairs}
        imported = read_repository(Path(what[0]), Origin(of, commit, made, hub_owner))
    else:
        imported = import_all(format, [Path(item) for item in what], entity=entity)
    added = add_to(to, imported, catalogue)
    if as_json:
        print_json(import_json(to, imported, added))
    else:
        print_import(to, imported, added)
    if imported.rejected:
        raise typer.Exit(EXIT["review"])


def _from_hub(names: list[str]) -> Imported:
    """Fetch cards and read them; of many, one that cannot be had is a reject."""
    from mashbill.files.hub_cards import fetch_cards

    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        got = fetch_cards(names, Path(folder), failed if len(names) > 1 else None)
        if not got:
            first = next(iter(failed.values()))
            msg = f"import hub: none of the {len(names)} cards could be had; the first: {first}"
            raise InputError(msg)
        imported = import_claims("card", Path(folder))
    return together([imported], [rejected(name, flaw) for name, flaw in failed.items()])
