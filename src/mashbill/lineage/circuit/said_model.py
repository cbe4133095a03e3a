"""The node of a model that was trained elsewhere, from what is said of it.

It is the node that a trainer of ours would have given it, but for weights that are not known: these
are blanks, as those of bases are, and come out as intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.said_learning import OriginSize, weigh_said
from mashbill.core.source import Channel, Source
from mashbill.lineage.circuit.nodes import CONTENT, NodeTable, reachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.said_learning import SaidDataset, SaidWeights
    from mashbill.lineage.circuit.composer import Actor

PARENT_UNIT = 1_000_000
"""parts of a merge: what a parent with the coefficient 1 weighs"""
UNNAMED = Source(
    name="data that nobody names", what="unknown", kind="unknown", route="training elsewhere"
)
"""what a model learned from besides, where somebody says no more than that"""


def origins_of(table: NodeTable) -> tuple[OriginSize, ...]:
    """Return the origins within a dataset, by number."""
    return tuple(OriginSize(*row) for row in table.numbered_rows())


def close_said(
    artifact: str,
    files: str,
    said: Sequence[SaidDataset],
    tables: Mapping[str, NodeTable],
    origins: Mapping[str, tuple[OriginSize, ...]],
    bases: Sequence[tuple[Actor, float | None]],
    *,
    has_unnamed: bool,
) -> tuple[NodeTable, SaidWeights]:
    """Return the table of a model, and what its datasets weigh in it.

    Args:
        artifact: its address.
        files: digest of its files.
        said: what is said of each dataset.
        tables: nodes of each, by name.
        origins: within each, likewise.
        bases: what it was made from, each with its part of a merge where that is known.
        has_unnamed: whether it learned from data that are not named.
    """
    found = weigh_said(said, origins)
    table = NodeTable()
    weights: dict[tuple[str, str], int | None] = {}
    for one in said:
        table.absorb(tables[one.name])
        for origin, weight in zip(origins[one.name], found.by_node[one.name], strict=True):
            if weight == 0:
                continue
            node = origin.node
            before = weights.get((CONTENT, node), 0)
            weights[CONTENT, node] = None if weight is None or before is None else before + weight
    members: list[list[Any]] = [[how, node, seen] for (how, node), seen in sorted(weights.items())]
    if has_unnamed:
        members.append([CONTENT, table.add_source(UNNAMED), None])
    for (how, base), part in bases:
        if isinstance(base, Source):
            node = table.add_source(base)
        else:
            table.absorb(base)
            node = base.root
        weight = None if part is None else max(1, round(part * PARENT_UNIT))
        if all(member[:2] != [how, node] for member in members):
            members.append([how, node, weight])
    table.root = table.add(
        {"type": "model", "artifact": artifact, "files": files, "members": members}
    )
    keep = reachable(table, [table.root])
    table.bodies = {name: table.bodies[name] for name in table.bodies if name in keep}
    return table, found


def nodes_behind(table: NodeTable, origins: Sequence[OriginSize]) -> NodeTable:
    """Return the nodes of a dataset of no store, out of those of a model that learned from it.

    Args:
        table: of the model.
        origins: within the dataset.

    Raises:
        KeyError: if one of them is not among the model's.
    """
    keep = reachable(table, [one.node for one in origins])
    return NodeTable({name: table.bodies[name] for name in keep})


def names_by_weights(table: NodeTable) -> set[str]:
    """Return the names of all that a model is built on, from model to model, by weights alone."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [table.root]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        body = table.bodies[name]
        if body["type"] == "source":
            found.add(str(body["name"]))
        elif body["type"] == "model":
            found.add(str(body["artifact"]))
            waiting += [
                node for how, node, _ in body["members"] if how.startswith(Channel.WEIGHTS.value)
            ]
    return found
