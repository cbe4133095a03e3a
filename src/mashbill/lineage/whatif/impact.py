"""How hard something is hit: its impact, 0 to 1, from what is recorded of it and of nothing else.

Impact of an artifact that rests on what goes, an interval where the share is one:

    0.50 x channel + 0.30 x share + 0.20 x nearness

* channel: 1 if what goes reaches it as text, logits, weights or rewriting all the way; 0.5 if as
  judgement at best; 0.25 if only by selecting or asking.
* share: part of its tokens in what they reached, through any channel.
* nearness: 1 over the models from it to the nearest of them.

What goes itself has impact 1, what is not reached 0. The weights are a choice; the parts are told
beside them. Who could take a place is told apart and is no part of it, since that depends on models
that have nothing to do with what is hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit.arrays import CHANNEL_OF, Circuit
from mashbill.lineage.whatif.roles import CHANNELS, SUBSTANCE

if TYPE_CHECKING:
    from mashbill.lineage.circuit.semirings import Shares
    from mashbill.lineage.whatif.things import Things

WEIGHTS = {"channel": 0.50, "share": 0.30, "nearness": 0.20}
"""parts of the impact"""
_GRADES = np.array([0.0, 0.25, 0.5, 1.0])


@dataclass(frozen=True)
class Parts:
    """Impact and what it is made of, each float64, 0 to 1, of one node or of many."""

    channel: Any
    share_low: Any
    share_high: Any
    nearness: Any
    low: Any
    """impact, with the lower end of the share"""
    high: Any


@dataclass(frozen=True)
class Impact:
    """Impact of every node; others than those that go or lose an ancestor have none."""

    size: int
    """nodes in all, n"""
    nodes: np.ndarray
    """int64, shape (hit,), ascending"""
    parts: Parts
    """each shape (hit,)"""

    def at(self, node: int) -> Parts:
        """Return the impact of one node."""
        place = int(np.searchsorted(self.nodes, node))
        if place == len(self.nodes) or self.nodes[place] != node:
            return Parts(*[0.0] * len(vars(self.parts)))
        return Parts(*(float(part[place]) for part in vars(self.parts).values()))

    @property
    def low(self) -> np.ndarray:
        """Impact of every node with the lower end of the share, shape (n,); made anew each time."""
        return self.whole("low")

    @property
    def high(self) -> np.ndarray:
        """The same with the upper end."""
        return self.whole("high")

    def whole(self, part: str) -> np.ndarray:
        """Return one of the parts of every node, by its name in :class:`Parts`; shape (n,)."""
        found = np.zeros(self.size)
        found[self.nodes] = getattr(self.parts, part)
        return found


def impact_of(
    things: Things,
    removed: np.ndarray,
    loses: np.ndarray,
    hops: np.ndarray,
    way: np.ndarray,
    shares: Shares,
) -> Impact:
    """Return the impact of what goes on everything.

    Args:
        things: a circuit with facts.
        removed: bool, shape (n,).
        loses: bool, shape (n,): loses an ancestor.
        hops: int32, shape (n,): models to the nearest that goes.
        way: uint8, shape (n,), of :func:`widest`.
        shares: parts of tokens in what is reached, of the nodes above the leaves.
    """
    nodes = np.flatnonzero((loses | removed) & things.thing)
    hit, gone = loses[nodes], removed[nodes]
    above = np.flatnonzero(hit)  # a leaf loses nothing
    channel = np.where(hit, _GRADES[way[nodes]], 0.0)
    nearness = np.where(hit, 1.0 / np.maximum(hops[nodes], 1), 0.0)
    ends = np.zeros((2, len(nodes)))
    for end, values in zip(ends, (shares.low, shares.high), strict=True):
        end[above] = values[nodes[above] - things.circuit.leaves]

    def scored(share: np.ndarray) -> np.ndarray:
        parts = (channel, share, nearness)
        total = sum(weight * part for weight, part in zip(WEIGHTS.values(), parts, strict=True))
        found: np.ndarray = np.where(gone, 1.0, np.minimum(total, 1.0))
        return found

    low, high = ends
    parts = Parts(channel, low, high, nearness, scored(low), scored(high))
    return Impact(things.circuit.size, nodes, parts)


def widest(circuit: Circuit, removed: np.ndarray) -> np.ndarray:
    """Return how what goes reaches each node at best, uint8, shape (n,), 0 if not at all.

    A way is as good as its worst step: 3 if all are of substance, 2 if one is judgement, else 1.
    """
    grade = np.array(
        [3 if c in SUBSTANCE else 2 if c is Channel.JUDGEMENT else 1 for c in CHANNELS], np.uint8
    )[CHANNEL_OF]
    value = np.where(removed, np.uint8(3), np.uint8(0))
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        way = np.minimum(value[circuit.to[begin:end]], grade[circuit.label[begin:end]])
        met = np.maximum.reduceat(way, circuit.start[first:last] - begin)
        np.maximum(value[first:last], met, out=value[first:last])
    return value
