"""How an artifact came about, for ``bill.json``: its lineage graph, thing by thing.

A bill's lines tell what reached it, and their shares overlap, so that nobody can put them together
again. This is what they were derived from: whoever reads it answers every definition as the store
does (:mod:`mashbill.policy.importers.card_making` makes claims of it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.lineage.circuit.nodes import edges, source_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from mashbill.lineage.circuit.nodes import NodeTable

MOST = 5_000
"""things that are written; of a larger graph the lines alone are told"""
MOST_PARTS = 50_000


def making(table: NodeTable, asked: Collection[str] = ()) -> list[dict[str, Any]] | None:
    """Return what an artifact rests on, parts before what is made of them, itself last.

    Args:
        table: its nodes.
        asked: digests of nodes that a teacher was asked for in words of which nobody says who
            wrote them.

    Returns:
        each thing as ``{"is": "source", "source": {...}}``, or ``{"is": "made" | "dataset" |
        "model", "name": ..., "parts": [[how, place, tokens or None], ...]}``, where a place is that
        of an earlier thing in the list; with ``"words": "not recorded"`` what was asked for so.
        None if there are more than are told.
    """
    place: dict[str, int] = {}
    found: list[dict[str, Any]] = []
    waiting, parts = [table.root], 0
    while waiting:
        node = waiting[-1]
        if node in place:
            waiting.pop()
            continue
        body = table.bodies[node]
        below = edges(body)
        missing = [part for _, part, _, _ in below if part not in place]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        place[node] = len(found)
        if body["type"] == "source":
            found.append({"is": "source", "source": source_of(body).model_dump(mode="json")})
        else:
            told = [[how, place[part], tokens] for how, part, _, tokens in below]
            parts += len(told)
            name = str(body.get("artifact", ""))
            words = {"words": "not recorded"} if node in asked else {}
            found.append({"is": body["type"], "name": name, "parts": told, **words})
        if len(found) > MOST or parts > MOST_PARTS:
            return None
    return found
