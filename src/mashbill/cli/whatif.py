"""The command whatif: what breaks if some sources go, or if terms change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    COUNTED_CLAIMS,
    DEFAULT_STORE,
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
from mashbill.lineage.whatif.summary import ARTIFACTS_TOLD

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
    if len(title or ()) > len(remove or ()):
        msg = (
            f"--title: there are {len(title or ())} for {len(remove or ())} of --remove; "
            "give one for each"
        )
        raise InputError(msg)
    found = workspace(store or DEFAULT_STORE, catalogue=catalogue).whatif(
        remove=remove or (),
        terms=terms or (),
        title=title or (),
        definition=definition or ("A", "B", "C"),
        about="catalogue" if store is None else "store",
        as_of=parse_day(as_of),
        lead_months=lead_months,
        population=population_file,
        claims=parse_claims(claims),
        terms_file=tuple(terms_file or ()),
        most=most,
    )
    if to is not None:
        found.write(to)
    if as_json:
        print_json(found.as_json())
        return
    print_whatif(found.facts, found.counted)
    if to is not None:
        out.say(f"Page: {to}")
