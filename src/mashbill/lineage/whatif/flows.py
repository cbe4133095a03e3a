"""Who goes, in which role they served, and who loses: for a drawing, in one pass.

A node's direct losses are 63 bits: nine providers of what goes, the last of them all others, in
each of seven roles. So it is a pass like any other, however many sources a model has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit.arrays import CHANNEL_OF
from mashbill.lineage.whatif.foremost import foremost
from mashbill.lineage.whatif.roles import CHANNELS, SERVES, ends_of

if TYPE_CHECKING:
    from mashbill.lineage.whatif.passes import Outcome
    from mashbill.lineage.whatif.things import Things

SLOTS = 9
"""providers that are told apart, the others as one"""
OTHERS = "others"
THROUGH = "through others"
BUILT_ON = "what was built on them"
_GROUPS = 12

_Flow = tuple[str, str, str, int]


def flows_of(things: Things, outcome: Outcome) -> list[_Flow]:
    """Return (provider of what goes, role, provider of who loses, artifacts).

    The roles of an affected artifact are those that it loses directly; where it loses none, as only
    what it was built on does, the role is THROUGH. A provider is counted once for each artifact and
    role. With a dataset that goes, it is its provider that takes away what others serve through
    it.
    """
    slot, who = _slots(things, outcome.removed)
    direct = _direct(things, outcome, slot)
    nodes = np.flatnonzero(outcome.affected & things.thing)
    group, names = _groups(things, nodes)
    mine, found = direct[nodes], []
    for place, channel in enumerate(CHANNELS):
        for at, provider in enumerate(who):
            bit = np.uint64(1) << np.uint64(place * SLOTS + at)
            counts = np.bincount(group[mine & bit > 0], minlength=len(names))
            found += [
                (provider, SERVES[channel], names[g], int(counts[g]))
                for g in np.flatnonzero(counts).tolist()
            ]
    counts = np.bincount(group[mine == 0], minlength=len(names))
    found += [
        (BUILT_ON, THROUGH, names[g], int(counts[g])) for g in np.flatnonzero(counts).tolist()
    ]
    return sorted(found, key=lambda flow: (-flow[3], flow))


def _slots(things: Things, removed: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the slot of each node's provider, uint64, shape (n,), and the providers of slots."""
    column = things.columns["provider"]
    counted = np.bincount(column.code[removed & things.thing], minlength=len(column.values))
    some = np.flatnonzero(counted)
    apart = foremost(some, [counted], column.values, _apart(len(some), SLOTS))
    slot = np.full(len(column.values), SLOTS - 1, np.uint64)
    slot[apart] = np.arange(len(apart))
    names = [column.values[code] or "not recorded" for code in apart]
    return slot[column.code], [*names, *([OTHERS] if len(some) > SLOTS else [])]


def _groups(things: Things, nodes: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return the group of each of some nodes by provider, and the groups' names."""
    column = things.columns["provider"]
    counted = np.bincount(column.code[nodes], minlength=len(column.values))
    some = np.flatnonzero(counted)
    apart = foremost(some, [counted], column.values, _apart(len(some), _GROUPS))
    group = np.full(len(column.values), len(apart), np.int64)
    group[apart] = np.arange(len(apart))
    return group[column.code[nodes]], [
        *(column.values[code] or "not recorded" for code in apart),
        OTHERS,
    ]


def _apart(count: int, most: int) -> int:
    """Return how many of some are told apart, if at most so many are told, others as one."""
    return count if count <= most else most - 1


def _direct(things: Things, outcome: Outcome, slot: np.ndarray) -> np.ndarray:
    """Return what each node loses directly: a bit for each role and slot, uint64, shape (n,)."""
    circuit, removed, used = things.circuit, outcome.removed, outcome.used
    found = np.zeros(circuit.size, np.uint64)
    ends = ends_of(circuit)
    one, wide = np.uint64(1), np.uint64(SLOTS)
    mask = np.uint64((1 << SLOTS) - 1)
    content = CHANNELS.index(Channel.CONTENT)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        to = circuit.to[begin:end]
        channel = CHANNEL_OF[circuit.label[begin:end]]
        below, gone = found[to], removed[to]
        taken = np.flatnonzero(gone & ~ends[to])
        for place in range(len(CHANNELS)):
            some = taken[used[to[taken]] >> place & 1 > 0]
            below[some] |= one << (np.uint64(place) * wide + slot[to[some]])
        changed = np.flatnonzero((channel != content) & (below > 0))
        any_role = np.zeros(len(changed), np.uint64)
        for place in range(len(CHANNELS)):
            any_role |= below[changed] >> (np.uint64(place) * wide) & mask
        below[changed] = any_role << (channel[changed].astype(np.uint64) * wide)
        below[ends[to]] = 0
        at = np.flatnonzero(ends[to] & gone)
        below[at] = one << (channel[at].astype(np.uint64) * wide + slot[to[at]])
        found[first:last] = np.bitwise_or.reduceat(below, circuit.start[first:last] - begin)
    return found
