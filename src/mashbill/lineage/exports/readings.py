"""Bills under a definition's readings: what part of the tokens is left if only some steps count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mashbill.core.source import Channel, Purpose, Source, parse_via
from mashbill.lineage.bills.bill import Line, bill
from mashbill.lineage.circuit.nodes import NodeTable, supposing

if TYPE_CHECKING:
    from mashbill.lineage.bills.definitions import Definition

Counts = Callable[[Channel, Purpose], bool]
"""whether a step from a thing to what it rests on counts"""

_CUT = Source(name="left out", what="unknown", kind="unknown", route="none")
"""stands where a step does not count, so that the tokens beside it keep their weight"""


@dataclass(frozen=True)
class Use:
    """One model by one route, and the part of the tokens under each reading; 0 to 1."""

    source: Source
    channels: tuple[Channel, ...]
    depth: int
    recorded: tuple[float, float] | None
    """whatever it was for; None if only its weights came"""
    strict: tuple[float, float] | None
    """verifiers not counted; None if nothing is left"""
    wide: tuple[float, float] | None
    """verifiers counted"""


def masked(table: NodeTable, counts: Counts) -> NodeTable:
    """Return the table with every step that does not count cut off.

    The tokens of a step keep their weight. One that does not count and has no known weight, as
    weights that training started from, is dropped: it would blur the part of all others.
    """
    cut = NodeTable()
    node = cut.add_source(_CUT)
    bodies = {node: cut.bodies[node]}
    for name, body in table.bodies.items():
        key = {"made": "parts", "model": "members"}.get(body["type"])
        bodies[name] = body
        if key:
            edges = []
            for via, part, *tokens in body[key]:
                if counts(*parse_via(via)):
                    edges.append([via, part, *tokens])
                elif tokens != [None]:
                    edges.append([via, node, *tokens])
            bodies[name] = {**body, key: edges}
    return replace(table, bodies=bodies)


def readings_of(definition: Definition) -> dict[str, Counts]:
    """Return what counts: all outputs and judgements, with verifiers, and without them."""

    def wide(channel: Channel, purpose: Purpose) -> bool:
        return channel in definition.channels and purpose not in definition.leaves_out

    def strict(channel: Channel, purpose: Purpose) -> bool:
        return wide(channel, purpose) and purpose is not Purpose.VERIFYING

    def outputs(channel: Channel, _purpose: Purpose) -> bool:
        return channel is not Channel.WEIGHTS

    return {"outputs": outputs, "wide": wide, "strict": strict}


def uses(table: NodeTable, readings: dict[str, Counts], leaf: Source | None = None) -> list[Use]:
    """Return the models of a table by route, or one of them, with their part in each reading."""

    def by_route(of: NodeTable) -> dict[tuple[Source, tuple[Channel, ...]], Line]:
        return {
            (line.source, line.channels): line
            for line in bill(of)
            if (line.source == leaf if leaf else line.source.what == "model")
        }

    found = {name: by_route(masked(table, counts)) for name, counts in readings.items()}
    return [
        Use(
            line.source,
            line.channels,
            found["wide"].get(key, line).depth,  # a shorter way may be one that does not count
            _share(found["outputs"].get(key)),
            _share(found["strict"].get(key)),
            _share(found["wide"].get(key)),
        )
        for key, line in by_route(table).items()
    ]


def _share(line: Line | None) -> tuple[float, float] | None:
    return line.share if line else None


def own_models(table: NodeTable, readings: dict[str, Counts]) -> list[Use]:
    """Return the uses of models that were trained here, each taken as where lineage ends."""
    found = []
    for name, body in sorted(table.bodies.items()):
        if body["type"] == "model" and name != table.root:
            leaf = Source(
                name=body["artifact"],
                what="model",
                kind="open-weights",
                route="trained here",
                provider="the provider itself",
            )
            found += uses(supposing(table, {name: leaf}), readings, leaf)
    return sorted(found, key=lambda use: (use.depth, use.source.name))
