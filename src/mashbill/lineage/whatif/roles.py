"""The roles in which things are served, which are lost, and what cannot be made again for it.

A role is a channel: who writes text, judges, or is the base. Data in between hand on what serves
them; a model in between does not, since it is made again itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit.arrays import CHANNEL_OF, Circuit

SUBSTANCE = (Channel.CONTENT, Channel.LOGITS, Channel.WEIGHTS, Channel.TRANSFORM)
CHANNELS = tuple(Channel)
SERVES = {
    Channel.CONTENT: "writes text",
    Channel.LOGITS: "gives token targets",
    Channel.WEIGHTS: "is the base",
    Channel.JUDGEMENT: "judges or labels",
    Channel.SELECTION: "selects",
    Channel.TRANSFORM: "rewrites or reads",
    Channel.PROMPT: "asks",
}
"""role in which a source serves, by its channel"""

BIT = np.left_shift(np.uint32(1), CHANNEL_OF.astype(np.uint32))
"""bit of a label's channel, uint32, shape (labels,)"""
_CONTENT = np.uint32(1 << CHANNELS.index(Channel.CONTENT))
_BYTE = np.uint32(255)
_PLACES = (np.uint32(0), np.uint32(8), np.uint32(16), np.uint32(24))


@dataclass(frozen=True)
class Served:
    """Roles of every node as bits of channels, each uint8, shape (n,)."""

    used: np.ndarray
    """in which it is served directly, whatever goes"""
    lost: np.ndarray
    """of these, lost"""
    unfitted: np.ndarray
    """of the lost, where nothing that is known to fit could take the place"""
    unserved: np.ndarray
    """of those, where nothing that might fit could"""


def uses_of(circuit: Circuit) -> np.ndarray:
    """Return how often each node serves in each role, shape (n, channels).

    A role is a column that lies by itself; int16 if none serves more than 32,767 times, else int32.
    """
    channel = CHANNEL_OF[circuit.label]
    most = int(np.bincount(circuit.to).max()) if len(circuit.to) else 0
    kind = np.int16 if most <= np.iinfo(np.int16).max else np.int32
    counted = np.zeros((circuit.size, len(CHANNELS)), kind, order="F")
    for place in range(len(CHANNELS)):
        to = circuit.to[channel == place]
        if len(to):
            counted[:, place] = np.bincount(to, minlength=circuit.size)
    return counted


def ends_of(circuit: Circuit) -> np.ndarray:
    """Return what serves by itself: models, and data whose making is not recorded."""
    ends: np.ndarray = circuit.is_model() | (np.diff(circuit.start) == 0)
    return ends


def roles(
    circuit: Circuit, removed: np.ndarray, no_fit: np.ndarray, no_might: np.ndarray
) -> Served:
    """Return the roles in which each node is served directly, and what becomes of them.

    With data that go, everything is lost that they hand on; who served through them may do so
    again, if it stays.

    Args:
        circuit: the graph.
        removed: bool, shape (n,): what goes.
        no_fit: uint8, shape (n,): roles of a node in which nothing known to fit could follow it.
        no_might: uint8, shape (n,): roles in which nothing that might fit could.
    """
    # All four in one number, a byte each: used, lost, unfitted, unserved.
    found = np.zeros(circuit.size, np.uint32)
    ends = ends_of(circuit)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        to, own = circuit.to[begin:end], BIT[circuit.label[begin:end]]
        below = found[to]
        gone = removed[to]
        with_it = (gone & ~ends[to]).nonzero()[0]
        below[with_it] |= (below[with_it] & _BYTE) << _PLACES[1]
        # By another channel than content, all that lies behind serves by that channel.
        changed = ((own != _CONTENT) & (below > 0)).nonzero()[0]
        below[changed] = own[changed] * _any_of_each(below[changed])
        at = ends[to].nonzero()[0]
        bits, which, lost = own[at], to[at], gone[at]
        flags = np.uint32(1) + (lost.astype(np.uint32) << _PLACES[1])
        for place, lacking in ((_PLACES[2], no_fit), (_PLACES[3], no_might)):
            flags += (lost & (lacking[which] & bits > 0)).astype(np.uint32) << place
        below[at] = bits * flags
        found[first:last] = np.bitwise_or.reduceat(below, circuit.start[first:last] - begin)
    return Served(*((found >> place & _BYTE).astype(np.uint8) for place in _PLACES))


def _any_of_each(bytes_: np.ndarray) -> np.ndarray:
    """Return 1 in each byte that is not 0."""
    found = np.zeros_like(bytes_)
    for place in _PLACES:
        found |= (bytes_ >> place & _BYTE > 0).astype(np.uint32) << place
    return found


def cannot_be_made(
    circuit: Circuit, removed: np.ndarray, loses: np.ndarray, lacking: np.ndarray
) -> np.ndarray:
    """Return which nodes that lose an ancestor cannot be made again, bool, shape (n,).

    A role is to be had from whoever serves in it now and can be made again, or from a substitute.

    Args:
        circuit: the graph.
        removed: bool, shape (n,).
        loses: bool, shape (n,).
        lacking: uint8, shape (n,): roles of a node in which nothing could follow it.
    """
    out = removed.copy()  # and then models that cannot be made again, a level at a time
    missing = np.zeros(circuit.size, np.uint8)
    ends, models = ends_of(circuit), circuit.is_model()
    bit, content = BIT.astype(np.uint8), np.uint8(_CONTENT)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        to, own = circuit.to[begin:end], bit[circuit.label[begin:end]]
        below = missing[to]
        below = np.where(own == content, below, own * (below > 0))
        below = np.where(ends[to], (own & lacking[to]) * out[to], below)
        met = np.bitwise_or.reduceat(below, circuit.start[first:last] - begin)
        missing[first:last] = met
        out[first:last] |= models[first:last] & loses[first:last] & (met > 0)
    found: np.ndarray = loses & (missing > 0)
    return found


def chain(circuit: Circuit, own: np.ndarray) -> np.ndarray:
    """Return the heaviest line that ends at each node, of the type of ``own``.

    Args:
        circuit: the graph.
        own: what each node weighs, shape (n,); none weighs less than 0.
    """
    found = own.copy()
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        below = np.maximum.reduceat(found[circuit.to[begin:end]], circuit.start[first:last] - begin)
        found[first:last] += below
    return found
