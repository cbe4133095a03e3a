"""The command whatif: what breaks if some sources go, or if terms change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mashbill.cli.catalogue import opened
from mashbill.cli.opening import open_store
from mashbill.cli.options import (
    COUNTED_CLAIMS,
    AsOfOption,
    CatalogueOption,
    ClaimsOption,
    JsonOption,
    TermsOption,
    app,
    out,
    parse_claims,
    parse_day,
    print_json,
)
from mashbill.cli.show_whatif import print_whatif
from mashbill.core.errors import InputError
from mashbill.lineage.bills.definitions import load_definitions
from mashbill.lineage.whatif import lead, population
from mashbill.lineage.whatif.hub_facts import things_of_index
from mashbill.lineage.whatif.scenarios import Scenario, forbidding, removing, tell
from mashbill.lineage.whatif.summary import ARTIFACTS_TOLD, counted_over
from mashbill.lineage.whatif.things import things_of_store
from mashbill.policy.documents import load_registry
from mashbill.policy.index import Names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from mashbill.lineage.whatif.things import Things
    from mashbill.policy.documents import Registry


RemoveOption = Annotated[
    list[str] | None,
    typer.Option(
        help="What goes: CEL over name, what, provider, country, kind, license, route, "
        "released. Each --remove or --terms is a scenario of its own."
    ),
]
NewTermsOption = Annotated[
    list[str] | None,
    typer.Option(help="'PROVIDER forbids training from YYYY-MM-DD': its API is closed off."),
]
TitleOption = Annotated[
    list[str] | None,
    typer.Option(help="A scenario in words; the first belongs to the first --remove."),
]
DefinitionsOption = Annotated[
    list[str] | None, typer.Option(help="A, B, C, EU-2.5, or a TOML file; A, B, C if absent.")
]
LeadOption = Annotated[
    int | None,
    typer.Option(help="Months that every rebuild takes; by step and size if absent.", min=0),
]
PopulationOption = Annotated[
    Path | None,
    typer.Option(
        "--population",
        help="CSV of the names over which the score is told; the shipped list if absent.",
    ),
]
MostOption = Annotated[
    int, typer.Option("--most", help="Artifacts that are told; counts are over all.", min=1)
]


@app.command("whatif")
def whatif_command(
    remove: RemoveOption = None,
    terms: NewTermsOption = None,
    title: TitleOption = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Ask about this store; about the catalogue if absent."),
    ] = None,
    definition: DefinitionsOption = None,
    lead_months: LeadOption = None,
    population_file: PopulationOption = None,
    most: MostOption = ARTIFACTS_TOLD,
    as_of: AsOfOption = None,
    catalogue: CatalogueOption = None,
    claims: ClaimsOption = COUNTED_CLAIMS,
    terms_file: TermsOption = None,
    to: Annotated[Path | None, typer.Option(help="Also write one HTML page.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what breaks if some sources go: losses, substitutes, earliest rebuilds, impact."""
    if not remove and not terms:
        msg = "say what goes: --remove 'country == \"XX\"', or --terms 'P forbids training from D'"
        raise InputError(msg)
    day = parse_day(as_of)
    registry = load_registry(terms_file or ())
    listed = population.read_population(population_file) if population_file else None
    things, ids, counted = _asked_about(store, catalogue, claims)
    if store is None:
        listed = listed or population.shipped()
    definitions = load_definitions(definition or ("A", "B", "C"))
    times = lead.shipped() if lead_months is None else lead.every_step(lead_months)
    told = [
        tell(things, scenario, definitions, registry, day, lead=times, population=listed, ids=ids)
        for scenario in _scenarios(things, registry, remove or (), terms or (), title or (), day)
    ]
    facts = [item.as_json(most) for item in told]
    if to is not None:
        from mashbill.report.whatif import write_whatif

        write_whatif(facts, [item.flows() for item in told], to, as_of=day, counted=counted)
    if as_json:
        print_json({"as_of": day.isoformat(), "counted": counted, "scenarios": facts})
        return
    print_whatif(facts, counted)
    if to is not None:
        out.say(f"Page: {to}")


def _asked_about(
    store: Path | None, catalogue: list[Path] | None, claims: str
) -> tuple[Things, Mapping[str, str], str]:
    """Return what scenarios are put to, ids by lower-case name, and a sentence that counts it."""
    if store is not None:
        things = things_of_store(open_store(store))
        return things, {}, counted_over(things, f"the store {store}", "its own records")
    statuses = parse_claims(claims)
    index = opened(catalogue)
    things = things_of_index(index, statuses)
    by = f"{', '.join(statuses)} claims"
    return things, Names(index), counted_over(things, "the catalogue", by)


def _scenarios(
    things: Things,
    registry: Registry,
    remove: list[str] | tuple[str, ...],
    terms: list[str] | tuple[str, ...],
    titles: list[str] | tuple[str, ...],
    day: date,
) -> list[Scenario]:
    if len(titles) > len(remove):
        msg = f"--title: there are {len(titles)} for {len(remove)} of --remove; give one for each"
        raise InputError(msg)
    named = [*titles, *[""] * (len(remove) - len(titles))]
    scenarios = [
        removing(things, text, day, name) for text, name in zip(remove, named, strict=True)
    ]
    return scenarios + [forbidding(things, text, registry) for text in terms]
