"""Why-provenance: the shortest paths from an artifact to what decides a verdict."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit.arrays import CHANNEL_OF, MODEL, Circuit
from mashbill.lineage.circuit.semirings import FAR

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
    count = 0
    # (length by its end, -steps, age): the shortest first, among these the furthest on.
    waiting: list[tuple[int, int, int, _Way]] = []

    def push(way: _Way) -> None:
        """Put in the best of a way's next edges that has not been tried."""
        nonlocal count
        if way.tried < len(way.edges):
            edge = way.edges[way.tried]
            length = way.hops + int(hop[circuit.to[edge]]) + int(nearest[circuit.to[edge]])
            heapq.heappush(waiting, (length, -way.steps, count, way))
            count += 1

    def open_node(node: int, hops: int, steps: int, told: tuple[Step, ...], left: Channel) -> None:
        at = np.arange(circuit.start[node], circuit.start[node + 1])
        to = circuit.to[at]
        at = at[counts[circuit.label[at]] & (nearest[to] < FAR)]
        to = circuit.to[at]
        order = np.argsort(hop[to].astype(np.int64) + nearest[to], kind="stable")
        push(_Way(at[order].tolist(), 0, hops, steps, told, left))

    open_node(start, 0, 0, (), Channel.CONTENT)
    found: dict[tuple[Step, ...], Witness] = {}
    for _ in range(_MOST_STEPS):
        if not waiting or len(found) == most:
            break
        _, _, _, way = heapq.heappop(waiting)
        edge = way.edges[way.tried]
        way.tried += 1
        push(way)
        to = int(circuit.to[edge])
        through = _CHANNELS[CHANNEL_OF[circuit.label[edge]]]
        through = way.channel if through is Channel.CONTENT else through
        told, left = way.told, through
        if circuit.described[to] or circuit.type[to] == MODEL:
            told, left = (*told, Step(through, circuit.title(to))), Channel.CONTENT
        hops = way.hops + int(hop[to])
        if matched[to]:
            found.setdefault(told, Witness(hops, told, to))
        else:
            open_node(to, hops, way.steps + 1, told, left)
    return list(found.values())


@dataclass
class _Way:
    """A node that a path has come to, and the edges that lead on from it, best first."""

    edges: list[int]
    tried: int
    hops: int
    steps: int
    told: tuple[Step, ...]
    channel: Channel
