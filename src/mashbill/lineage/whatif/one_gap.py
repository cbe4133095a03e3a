"""How much hangs on one gap: how many more are hit if one missing claim named what goes.

If every gap hid something that goes, nearly everything would be hit, which says little. One gap at
a time says where looking is worth it: what would fall with each, on average, and with the one that
most rests on. A thing is followed upwards by a bit of its own, 64 in a pass over the circuit;
a thing that serves nobody takes nothing but itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.lineage.circuit.levels import ragged

if TYPE_CHECKING:
    from mashbill.lineage.circuit.arrays import Circuit
    from mashbill.lineage.whatif.roster import Hit, Roster

FOLLOWED = 512
"""things that serve others and are followed, the most used first; eight passes"""
_BITS = 64
_BITS_OF_A_BYTE = np.arange(256)[:, None] >> np.arange(8) & 1


@dataclass(frozen=True)
class OneGap:
    """Things with a gap that could hide what goes, and what would fall with each."""

    things: int
    """such things that are not hit as it is"""
    entry: np.ndarray
    """int64, shape (looked at,): their entries in the roster"""
    more: dict[str, np.ndarray]
    """models, datasets -> int64, shape (looked at,): how many more would be hit, itself counted"""

    def as_json(self, roster: Roster) -> dict[str, Any]:
        """Return it for a program: of models and datasets the mean, the most, and whose it is."""
        name = roster.things.columns["name"]
        told: dict[str, Any] = {"things": self.things, "looked_at": len(self.entry)}
        for key, more in self.more.items():
            most = int(more.max()) if len(more) else 0
            whose = roster.node[self.entry[more == most]].tolist() if most else []
            told[key] = {
                "mean": round(float(more.mean()), 2) if len(more) else 0.0,
                "most": most,
                "most_by": min((name[node] for node in whose), default=None),
            }
        return told


def one_gap(roster: Roster, hit: Hit, hidden: np.ndarray, kinds: dict[str, np.ndarray]) -> OneGap:
    """Return what would fall with each thing whose missing claims may name what goes.

    Args:
        roster: entries.
        hit: what becomes of each.
        hidden: bool, shape (n,): nodes with such a gap.
        kinds: models, datasets -> bool, shape (entries,).
    """
    circuit = roster.things.circuit
    found = np.flatnonzero(roster.each(np.logical_or, hidden) & ~hit.any)
    uses = roster.each(np.add, np.bincount(circuit.to, minlength=circuit.size))[found]
    order = np.argsort(-uses, kind="stable")
    serving = found[order[: int((uses > 0).sum())]][:FOLLOWED]
    alone = found[uses == 0]
    free = {key: which & ~hit.any for key, which in kinds.items()}
    parts: dict[str, list[np.ndarray]] = {
        key: [which[alone].astype(np.int64)] for key, which in free.items()
    }
    ways = _Ways.of(circuit, roster, serving)
    for begin in range(0, len(serving), _BITS):
        batch = serving[begin : begin + _BITS]
        bits = roster.each(np.bitwise_or, ways.followed(roster, batch))
        some = np.flatnonzero(bits)
        bits = bits[some]
        for key, which in free.items():
            parts[key].append(_counted(bits[which[some]])[: len(batch)])
    more = {key: np.concatenate(each) for key, each in parts.items()}
    return OneGap(len(found), np.concatenate([alone, serving]), more)


@dataclass(frozen=True)
class _Ways:
    """The part of a circuit that rests on some entries, a level at a time."""

    size: int
    steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    """nodes, ascending; what their edges lead to, of that part; where those of each node begin"""

    @classmethod
    def of(cls, circuit: Circuit, roster: Roster, entries: np.ndarray) -> _Ways:
        """Return what rests on some entries, or is one."""
        met = np.zeros(circuit.size, bool)
        met[_nodes(roster, entries)[0]] = True
        steps = []
        for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
            begin, end = circuit.start[first], circuit.start[last]
            edges = np.flatnonzero(met[circuit.to[begin:end]])
            if not len(edges):
                continue
            above = np.searchsorted(circuit.start[first : last + 1], edges + begin, "right") - 1
            start = np.flatnonzero(np.diff(above, prepend=-1))
            nodes = first + above[start]
            met[nodes] = True
            steps.append((nodes, circuit.to[begin:end][edges], start))
        return cls(circuit.size, steps)

    def followed(self, roster: Roster, batch: np.ndarray) -> np.ndarray:
        """Return which of some entries each node rests on or is, a bit each; uint64, (n,)."""
        nodes, sizes = _nodes(roster, batch)
        bit = np.left_shift(np.uint64(1), np.arange(len(batch), dtype=np.uint64))
        value = np.zeros(self.size, np.uint64)
        value[nodes] = np.repeat(bit, sizes)
        for above, to, start in self.steps:
            value[above] |= np.bitwise_or.reduceat(value[to], start)
        return value


def _nodes(roster: Roster, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes of some entries, and how many each has."""
    first = roster.first[entries]
    last = np.append(roster.first, len(roster.nodes))[entries + 1]
    return roster.nodes[ragged(first, last)], last - first


def _counted(bits: np.ndarray) -> np.ndarray:
    """Return how many of some numbers have each bit, int64, shape (64,)."""
    found = np.zeros((_BITS // 8, 8), np.int64)
    for place, byte in enumerate(bits.astype("<u8").view(np.uint8).reshape(-1, 8).T):
        found[place] = np.bincount(byte, minlength=256) @ _BITS_OF_A_BYTE
    return found.ravel()
