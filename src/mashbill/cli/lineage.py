"""Commands that say where something came from: bill and trace."""

from __future__ import annotations

from typing import Annotated

import typer

from mashbill.calls.journal import Journal
from mashbill.cli.opening import open_store
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
    print_verdicts,
)
from mashbill.cli.subjects import Subject, subject_of, through_catalogue
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.bills.definitions import SHIPPED, is_definition, judge_all
from mashbill.lineage.bills.difference import compare_bills, compare_verdicts
from mashbill.lineage.bills.prompted import covered_with
from mashbill.lineage.bills.summary import summary
from mashbill.lineage.bills.telling import open_ends
from mashbill.lineage.catalogue.unsettled import unsettled
from mashbill.lineage.evidence.trace import Tracer

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

    def subject(text: str) -> Subject:
        found = subject_of(text, store, parse_claims(claims), catalogue or ())
        if found.store is None or not through:
            return found
        return through_catalogue(found, parse_claims(claims), catalogue or ())

    asked = subject(name)
    if against is not None:
        other = None if is_definition(against) else subject(against)
        _against(asked, other, against, wanted, as_json)
        return
    circuit = asked.circuit
    lines, verdicts = bill(circuit), judge_all(circuit, wanted, paths=paths)
    covered = covered_with(circuit, asked.prompted)
    doubts = []
    if asked.entity is not None and asked.lineage is not None:
        doubts = unsettled(asked.lineage.catalogue, asked.entity, wanted, parse_claims(claims))
    if as_json:
        digest = asked.manifest.digest if asked.manifest else None
        print_json(
            {
                **summary(
                    asked.name,
                    digest,
                    lines,
                    verdicts,
                    covered,
                    asked.contradicted,
                    asked.prompted,
                ),
                "unsettled": [vars(doubt) for doubt in doubts],
            }
        )
        return
    if asked.entity is None:
        print_bill(lines, asked.name, covered)
    else:
        if asked.resolved:
            out.say(f"Name: {asked.resolved}")
        recorded = [line for line in lines if line.source.what != "unknown"]
        print_bill(recorded, f"{asked.name}, by {claims} claims", covered)
        out.say(open_ends(lines, asked.entity.making_looked))
    print_contradicted(asked.contradicted)
    if asked.prompted is not None and asked.prompted.undeclared:
        out.say(f"Prompts: {asked.prompted}.")
    print_verdicts(verdicts, asked.name)
    for doubt in doubts:
        out.say(f"Unsettled: {doubt}")


def _against(
    first: Subject, second: Subject | None, other: str, wanted: tuple[str, ...], as_json: bool
) -> None:
    """Print how an artifact differs from another, or how two definitions differ on it."""
    circuit = first.circuit
    if second is None:
        pairs = []
        one, two = "/".join(wanted), other
        verdicts = compare_verdicts(
            judge_all(circuit, wanted), judge_all(circuit, (other,) * len(wanted))
        )
    else:
        one, two = first.name, second.name
        pairs = compare_bills(bill(circuit), bill(second.circuit))
        verdicts = compare_verdicts(judge_all(circuit, wanted), judge_all(second.circuit, wanted))
    if as_json:
        print_json(
            {
                "first": one,
                "second": two,
                "lines": [pair.as_json() for pair in pairs],
                "verdicts": [[a.as_json(), b.as_json()] for a, b in verdicts],
            }
        )
        return
    print_difference(pairs, verdicts, one, two)


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
    opened = open_store(store)
    tracer = Tracer(opened, Journal.of(opened))
    hop = tracer.forward(name, row) if forward else tracer.trace(name, row)
    if as_json:
        print_json(hop.as_json())
    else:
        out.print(hop_tree(hop))
