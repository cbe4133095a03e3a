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

if TYPE_CHECKING:
    from mashbill.lineage.circuit import Circuit
    from mashbill.lineage.whatif.roster import Hit, Roster

FOLLOWED = 512
"""things that serve others and are followed, the most used first; eight passes"""
_BITS = 64


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
        """Return it for a program: of models and data sets the mean, the most, and whose it is."""
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
    parts: dict[str, list[np.ndarray]] = {key: [which[alone].astype(np.int64)]
                                          for key, which in free.items()}  # fmt: skip
    for begin in range(0, len(serving), _BITS):
        batch = serving[begin : begin + _BITS]
        bits = _followed(circuit, roster, batch)
        for key, which in free.items():
            mine = bits[which & (bits > 0)]
            counted = [
                int((mine >> np.uint64(at) & np.uint64(1)).sum()) for at in range(len(batch))
            ]
            parts[key].append(np.array(counted, np.int64))
    more = {key: np.concatenate(each) for key, each in parts.items()}
    return OneGap(len(found), np.concatenate([alone, serving]), more)


def _followed(circuit: Circuit, roster: Roster, batch: np.ndarray) -> np.ndarray:
    """Return which of some entries each entry rests on or is, a bit each; uint64, (entries,)."""
    bit = np.zeros(len(roster), np.uint64)
    bit[batch] = np.left_shift(np.uint64(1), np.arange(len(batch), dtype=np.uint64))
    size = np.diff(np.append(roster.first, len(roster.nodes)))
    value = np.zeros(circuit.size, np.uint64)
    value[roster.nodes] = np.repeat(bit, size)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        below = value[circuit.to[begin:end]]
        value[first:last] |= np.bitwise_or.reduceat(below, circuit.start[first:last] - begin)
    return roster.each(np.bitwise_or, value)
