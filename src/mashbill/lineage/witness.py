"""Why-provenance: the shortest paths from an artifact to what decides a verdict."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.source import Channel
from mashbill.lineage.circuit import CHANNEL_OF, MODEL, SOURCE, Circuit
from mashbill.lineage.evaluate import FAR

if TYPE_CHECKING:
    import numpy as np

_CHANNELS = tuple(Channel)
_MOST_STEPS = 20_000  # of search: paths that read alike are passed over, and there may be many


@dataclass(frozen=True)
class Step:
    """One step of a path: what was reached, and through which channel."""

    channel: Channel
    what: str


@dataclass(frozen=True)
class Witness:
    """One path, from the artifact to a source."""

    hops: int
    """models on it, the source included"""
    steps: tuple[Step, ...]
    node: int
    """the node that it ends at"""


def witnesses(
    circuit: Circuit,
    matched: np.ndarray,
    nearest: np.ndarray,
    hop: np.ndarray,
    counts: np.ndarray,
    most: int = 1,
    root: int | None = None,
) -> list[Witness]:
    """Return up to ``most`` paths that read differently, shortest first.

    Best-first search guided by the exact distance that is left (``nearest``), so that paths come
    in order of hops and nothing is opened that leads nowhere.

    Args:
        circuit: the graph.
        matched: bool, shape (n,): the nodes that end a path.
        nearest: int32, shape (n,): fewest hops from each node to one that matches, itself 0.
        hop: int32, shape (n,): what reaching a node costs.
        counts: labels whose edges count, bool, shape (labels,).
        most: paths wanted.
        root: where they begin; the circuit's if None.
    """
    start = circuit.root if root is None else root
    waiting: list[tuple[int, int, tuple[int, ...], int, int, tuple[Step, ...], Channel]] = [
        (0, 0, (), start, 0, (), Channel.CONTENT)
    ]
    found: dict[tuple[Step, ...], Witness] = {}
    for _ in range(_MOST_STEPS):
        if not waiting or len(found) == most:
            break
        _, length, way, node, hops, steps, channel = heapq.heappop(waiting)
        if matched[node] and way:
            found.setdefault(steps, Witness(hops, steps, node))
            continue
        for edge in range(int(circuit.start[node]), int(circuit.start[node + 1])):
            to = int(circuit.to[edge])
            label = int(circuit.label[edge])
            if not counts[label] or nearest[to] >= FAR:
                continue
            through = _CHANNELS[CHANNEL_OF[label]]
            through = channel if through is Channel.CONTENT else through
            cost = hops + int(hop[to])
            told, left = steps, through
            if circuit.type[to] in (MODEL, SOURCE):
                told, left = (*steps, Step(through, circuit.title(to))), Channel.CONTENT
            item = (cost + int(nearest[to]), length - 1, (*way, edge), to, cost, told, left)
            heapq.heappush(waiting, item)
    return list(found.values())
