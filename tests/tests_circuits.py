"""Random circuits, and an oracle that walks every path of them."""

from __future__ import annotations

from hypothesis import strategies as st

from mashbill import Source
from mashbill.core.source import parse_via
from mashbill.lineage.circuit.arrays import LABELS
from mashbill.lineage.circuit.nodes import NodeTable, edges

KINDS = ["open-weights", "closed-api", "unknown"]


def source(number, kind="open-weights", what="model"):
    return Source(name=f"s{number}", what=what, kind=kind, route="weights")


@st.composite
def circuits(draw, labels=LABELS):
    """A random circuit of every type of node; its root is a model or a dataset."""
    table = NodeTable()
    whats = ["model", "model", "dataset", "unknown"]
    nodes = [
        table.add_source(source(i, draw(st.sampled_from(KINDS)), draw(st.sampled_from(whats))))
        for i in range(draw(st.integers(1, 4)))
    ]
    tokens = st.one_of(st.none(), st.integers(1, 9))
    for i in range(draw(st.integers(1, 8))):
        parts = draw(
            st.lists(
                st.tuples(st.sampled_from(labels), st.sampled_from(nodes)),
                min_size=1,
                max_size=3,
                unique=True,
            )
        )
        match draw(st.sampled_from(["made", "made", "model", "dataset"])):
            case "made":
                nodes.append(table.add_made(parts))
            case "model":
                members = [[how, part, draw(tokens)] for how, part in parts]
                body = {"artifact": f"m{i}@1", "files": str(i), "members": members}
                nodes.append(table.add({"type": "model", **body}))
            case _:
                members = [[part, 1, draw(st.integers(1, 9))] for part in {p for _, p in parts}]
                nodes.append(
                    table.add({"type": "dataset", "artifact": f"d{i}", "members": members})
                )
    last = draw(st.sampled_from(nodes))
    members = [["content", nodes[-1], 5], ["content", last, 3]][: 1 if last == nodes[-1] else 2]
    if draw(st.booleans()):
        table.root = table.add({"type": "model", "artifact": "r", "files": "", "members": members})
    else:
        members = [[node, 2, tokens] for _, node, tokens in members]
        table.root = table.add({"type": "dataset", "artifact": "r", "members": members})
    return table


def is_model(body):
    return body["type"] == "model" or (body["type"] == "source" and body["what"] != "dataset")


def paths(table, name, hops=0, labels=()):
    """Yield (source, hops, labels) of every path down from a node."""
    body = table.bodies[name]
    if body["type"] == "source":
        yield name, hops, labels
    for how, part, _, _ in edges(body):
        yield from paths(table, part, hops + is_model(table.bodies[part]), (*labels, how))


def counted(definition, labels):
    """Whether every step of a path is one that a definition counts."""
    parsed = [parse_via(label) for label in labels]
    out = set(definition.leaves_out)
    return all(channel in definition.channels and why not in out for channel, why in parsed)
