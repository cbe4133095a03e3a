"""Commands that say where something came from: bill and trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mashbill.cli.opening import workspace
from mashbill.cli.options import (
    COUNTED_CLAIMS,
    DEFAULT_STORE,
    CatalogueOption,
    ClaimsOption,
    JsonOption,
    NameArgument,
    StoreOption,
    app,
    out,
    parse_claims,
    print_json,
)
from mashbill.cli.show import (
    hop_tree,
    print_bill,
    print_contradicted,
    print_difference,
    print_learned,
    print_verdicts,
)
from mashbill.lineage.bills.definitions import SHIPPED, is_definition
from mashbill.lineage.bills.telling import open_ends

if TYPE_CHECKING:
    from mashbill.workspace.billed import Billed

DefinitionOption = Annotated[
    list[str] | None,
    typer.Option(help="A, B, C, EU-2.5, HR8283, all, or a TOML file; may be given more than once."),
]


@app.command("bill")
def bill_command(
    name: NameArgument,
    store: StoreOption = DEFAULT_STORE,
    definition: DefinitionOption = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another artifact, or a definition: print only how the two differ."),
    ] = None,
    paths: Annotated[int, typer.Option(help="Paths to show for a verdict.", min=1)] = 1,
    catalogue: CatalogueOption = None,
    claims: ClaimsOption = COUNTED_CLAIMS,
    through: Annotated[
        bool,
        typer.Option(
            "--through-catalogue", help="Go on from one's own teachers by the catalogue's claims."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print what an artifact was distilled from, and what each definition concludes.

    hf:OWNER/NAME is a public model or dataset, by the claims of the catalogue.
    """
    wanted = SHIPPED if not definition or definition == ["all"] else tuple(definition)
    statuses, space = parse_claims(claims), workspace(store, catalogue=catalogue)

    def billed(text: str, paths: int = 1) -> Billed:
        return space.bill(text, wanted, claims=statuses, through=through, paths=paths)

    if against is not None:
        difference = billed(name).against(against if is_definition(against) else billed(against))
        if as_json:
            print_json(difference.as_json())
        else:
            print_difference(difference)
        return
    found = billed(name, paths)
    if as_json:
        print_json(found.as_json())
        return
    _print(found, claims)


def _print(found: Billed, claims: str) -> None:
    """Print a bill, what speaks against it, and what definitions conclude."""
    asked = found.subject
    if asked.entity is None:
        print_bill(found.lines, asked.name, found.coverage)
        print_learned(found)
    else:
        if asked.resolved:
            out.say(f"Name: {asked.resolved}")
        recorded = [line for line in found.lines if line.source.what != "unknown"]
        print_bill(recorded, f"{asked.name}, by {claims} claims", found.coverage)
        out.say(open_ends(found.lines, asked.entity.making_looked))
    print_contradicted(asked.contradicted)
    if asked.prompted is not None and asked.prompted.undeclared:
        out.say(f"Prompts: {asked.prompted}.")
    print_verdicts(found.verdicts, asked.name)
    for doubt in found.unsettled:
        out.say(f"Unsettled: {doubt}")


@app.command()
def trace(
    name: NameArgument,
    row: Annotated[int, typer.Option(help="Row, from 0; of a model, of its training set.")],
    store: StoreOption = DEFAULT_STORE,
    forward: Annotated[
        bool, typer.Option("--forward", help="On, to everything that was made of it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Walk from one record back to the teacher's call and the human text."""
    hop = workspace(store).trace(name, row, forward=forward)
    if as_json:
        print_json(hop.as_json())
    else:
        out.print(hop_tree(hop))
