"""Commands that say where something came from: bill and trace."""

from __future__ import annotations

from typing import Annotated

import typer

from mashbill.cli.options import (
    DEFAULT_STORE,
    JsonOption,
    NameArgument,
    StoreOption,
    app,
    out,
    print_json,
)  # fmt: skip
from mashbill.cli.show import hop_tree, print_bill, print_difference, print_verdicts
from mashbill.conduct.journal import Journal
from mashbill.core.store import Store
from mashbill.lineage.bill import bill, coverage
from mashbill.lineage.circuit import Circuit
from mashbill.lineage.definitions import SHIPPED, is_definition, judge_all
from mashbill.lineage.difference import compare_bills, compare_verdicts
from mashbill.lineage.trace import Tracer

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
    as_json: JsonOption = False,
) -> None:
    """Print what an artifact was distilled from, and what each definition concludes."""
    opened = Store(store)
    manifest = opened.find(name)
    circuit = Circuit.of_artifact(opened, manifest)
    wanted = SHIPPED if not definition or definition == ["all"] else tuple(definition)
    if against is not None:
        _against(opened, circuit, str(manifest.ref), against, wanted, as_json)
        return
    lines, verdicts = bill(circuit), judge_all(circuit, wanted, paths=paths)
    covered = coverage(circuit)
    if as_json:
        print_json(
            {
                "artifact": str(manifest.ref),
                "digest": manifest.digest,
                "bill": [line.as_json() for line in lines],
                "coverage": list(covered.recorded),
                "unknown_sources": [s.model_dump(mode="json") for s in covered.unknown],
                "verdicts": [verdict.as_json() for pair in verdicts for verdict in pair],
            }
        )
        return
    print_bill(lines, str(manifest.ref), covered)
    print_verdicts(verdicts, str(manifest.ref))


def _against(
    store: Store, circuit: Circuit, name: str, other: str, wanted: tuple[str, ...], as_json: bool
) -> None:
    """Print how an artifact differs from another, or how two definitions differ on it."""
    if is_definition(other):
        pairs = []
        one, two = "/".join(wanted), other
        verdicts = compare_verdicts(
            judge_all(circuit, wanted), judge_all(circuit, (other,) * len(wanted))
        )
    else:
        manifest = store.find(other)
        second = Circuit.of_artifact(store, manifest)
        one, two = name, str(manifest.ref)
        pairs = compare_bills(bill(circuit), bill(second))
        verdicts = compare_verdicts(judge_all(circuit, wanted), judge_all(second, wanted))
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
    opened = Store(store)
    tracer = Tracer(opened, Journal.of(opened))
    hop = tracer.forward(name, row) if forward else tracer.trace(name, row)
    if as_json:
        print_json(hop.as_json())
    else:
        out.print(hop_tree(hop))
