"""The bill: which sources, through which channels, at which share and depth.

Two shares stand side by side, both intervals of tokens. *Touched*: the part that sits in records
which the source reached, by whatever route the line names; such shares overlap. *Proportional*:
the part that is owed to the source when every mixture on the way is split by its weights; a record
made of several parts owes each between nothing and all of itself, as that is not recorded. Depth
counts models from the artifact to the source: 1 is direct.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mashbill.core.source import Channel, Source
from mashbill.lineage.circuit import CHANNEL_OF, DATASET, Circuit, ragged
from mashbill.lineage.evaluate import REACHABLE, allowed, evaluate, proportional, touched
from mashbill.lineage.nodes import NodeTable

SUBSTANCE = (Channel.CONTENT, Channel.LOGITS, Channel.WEIGHTS, Channel.TRANSFORM)
"""channels through which text or weights come, so that a part of them can be owed to a source"""
_CHANNELS = tuple(Channel)
_SETS = 2 ** (len(_CHANNELS) - 1)
"""sets of channels other than content; a set is a number with a bit for each"""


@dataclass(frozen=True)
class Line:
    """One line of a bill."""

    source: Source
    channels: tuple[Channel, ...]
    """channels on the way; ``content`` only if there is no other"""
    share: tuple[float, float]
    """touched: of tokens, 0 to 1, lowest and highest"""
    records: int | None
    """records reached, for a dataset; None for a model"""
    depth: int
    """models from the artifact to the source; 1 is direct"""
    owed: tuple[float, float] = (0.0, 1.0)
    """proportional: of tokens, for the source over all its routes of substance"""

    def as_json(self) -> dict[str, Any]:
        """Return the line for a program."""
        return {
            "source": self.source.model_dump(mode="json"),
            "channels": [channel.value for channel in self.channels],
            "share": list(self.share),
            "proportional": list(self.owed),
            "records": self.records,
            "depth": self.depth,
        }


@dataclass(frozen=True)
class Summary:
    """Lines of one source at one depth and share, for people: routes side by side."""

    line: Line
    routes: tuple[str, ...]


def summarised(lines: list[Line]) -> list[Summary]:
    """Return lines with those that differ only in their channels told once."""
    groups: dict[tuple[Source, int, tuple[float, float]], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.source, line.depth, line.share), []).append(line)
    return [
        Summary(group[0], tuple(" + ".join(line.channels) for line in group))
        for group in groups.values()
    ]


@dataclass(frozen=True)
class Reach:
    """What each node rests on: entries, those of a node side by side and sorted by key."""

    start: np.ndarray
    """int64, shape (n + 1,): entries of node i are ``start[i]`` up to ``start[i + 1]``"""
    key: np.ndarray
    """int64, shape (entries,): place among the sources times sets of channels, plus the set"""
    depth: np.ndarray
    """int32, shape (entries,): fewest models on the way, source included"""


def reach(circuit: Circuit) -> Reach:
    """Return every node's sources with the channels on the way, and at which depth.

    A source reached by different sets of channels has an entry for each; at most sources times
    64 a node, and few in practice. One pass, a level at a time.
    """
    leaves = circuit.leaves()
    hop = circuit.is_model().astype(np.int32)
    place = np.full(circuit.size, -1, np.int64)
    place[leaves] = np.arange(len(leaves))
    size = np.zeros(circuit.size, np.int64)
    begin = np.zeros(circuit.size, np.int64)
    size[leaves], begin[leaves] = 1, np.arange(len(leaves))
    filled = len(leaves)
    pool_key = place[leaves] * _SETS
    pool_depth = np.where(hop[leaves], 0, 1).astype(np.int32)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        at = np.arange(circuit.start[first], circuit.start[last])
        node, key, depth = _through(circuit, at, hop, size, begin, pool_key, pool_depth)
        node, key, depth = _least(node, key, depth)
        level = np.arange(first, last)
        size[level] = np.bincount(node - first, minlength=last - first)
        begin[level] = filled + np.concatenate([[0], np.cumsum(size[level])[:-1]])
        filled += len(key)
        pool_key, pool_depth = _grown(pool_key, key, filled), _grown(pool_depth, depth, filled)
    order = ragged(begin, begin + size)
    start = np.concatenate([[0], np.cumsum(size)])
    return Reach(start, pool_key[order], pool_depth[order])


def _grown(pool: np.ndarray, more: np.ndarray, filled: int) -> np.ndarray:
    """Append to a pool that doubles, so that many levels cost no more than their entries."""
    if len(pool) < filled:
        pool = np.concatenate([pool, np.empty(max(filled, 2 * len(pool)) - len(pool), pool.dtype)])
    pool[filled - len(more) : filled] = more
    return pool


def _through(
    circuit: Circuit,
    at: np.ndarray,
    hop: np.ndarray,
    size: np.ndarray,
    begin: np.ndarray,
    keys: np.ndarray,
    depths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (node above, key, depth) of what comes up through these edges, not yet merged."""
    to = circuit.to[at]
    parent = np.searchsorted(circuit.start, at, side="right") - 1
    entries = ragged(begin[to], begin[to] + size[to])
    edge = np.repeat(np.arange(len(at)), size[to])
    bit = CHANNEL_OF[circuit.label[at]].astype(np.int64) - 1
    mask = np.where(bit < 0, 0, np.left_shift(1, np.maximum(bit, 0)))
    return (
        parent[edge],
        keys[entries] | mask[edge],
        depths[entries] + hop[to][edge],
    )


def _least(
    node: np.ndarray, key: np.ndarray, depth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep the least depth of each (node, key), sorted by node and key."""
    if len(node) == 0:
        return node, key, depth
    order = np.lexsort((key, node))
    node, key, depth = node[order], key[order], depth[order]
    new = np.flatnonzero(np.concatenate([[True], (node[1:] != node[:-1]) | (key[1:] != key[:-1])]))
    return node[new], key[new], np.minimum.reduceat(depth, new)


def bill(of: NodeTable | Circuit, root: str | None = None) -> list[Line]:
    """Return the bill of an artifact, most direct and largest first.

    Args:
        of: its node table, or its circuit.
        root: digest of its node in a table; the table's own if None.
    """
    if isinstance(of, NodeTable) and root is not None:
        of = NodeTable(of.bodies, of.numbered, of.records, of.tokens, root)
    circuit = Circuit.of(of) if isinstance(of, NodeTable) else of
    found = reach(circuit)
    first, last = circuit.start[circuit.root], circuit.start[circuit.root + 1]
    at = np.arange(first, last)
    tokens = circuit.tokens[first:last]
    records = circuit.records[first:last]
    to = circuit.to[first:last]
    entries = ragged(found.start[to], found.start[to + 1])
    member = np.repeat(np.arange(len(at)), found.start[to + 1] - found.start[to])
    bit = CHANNEL_OF[circuit.label[at]].astype(np.int64) - 1
    mask = np.where(bit < 0, 0, np.left_shift(1, np.maximum(bit, 0)))
    key = found.key[entries] | mask[member]
    own = slice(found.start[circuit.root], found.start[circuit.root + 1])
    depth_of = dict(zip(found.key[own].tolist(), found.depth[own].tolist(), strict=True))
    pairs = np.unique(np.stack([key, member]), axis=1)
    weights = np.nan_to_num(tokens)
    total = float(weights.sum())
    blank = np.isnan(tokens)
    leaves = circuit.leaves()
    owed = _owed(circuit, leaves, {k // _SETS for k in depth_of})
    lines = []
    bounds = [*np.flatnonzero(np.diff(pairs[0], prepend=-1)).tolist(), pairs.shape[1]]
    for begin, end in pairwise(bounds):
        number = int(pairs[0][begin])
        members = pairs[1][begin:end]
        share = _interval(weights, blank, total, members)
        rows = int(records[members].sum())
        lines.append(
            Line(
                source=circuit.source(int(leaves[number // _SETS])),
                channels=_named(number % _SETS),
                share=share,
                records=rows if circuit.type[circuit.root] == DATASET else None,
                depth=depth_of[number],
                owed=owed[number // _SETS],
            )
        )
    return sorted(
        lines,
        key=lambda line: (
            line.source.what, line.depth, -line.share[1], line.source.title, line.channels,
        ),
    )  # fmt: skip


def _named(channels: int) -> tuple[Channel, ...]:
    names = sorted(channel for bit, channel in enumerate(_CHANNELS[1:]) if channels >> bit & 1)
    return tuple(names) or (Channel.CONTENT,)


def _interval(
    weights: np.ndarray, blank: np.ndarray, total: float, members: np.ndarray
) -> tuple[float, float]:
    """Return the touched share of these members; one of unknown weight may be nothing or all."""
    share = float(weights[members].sum()) / total if total else 0.0
    blanks = int(blank.sum())
    mine = int(blank[members].sum())
    if not blanks:
        return (share, share) if total else (0.0, 1.0)
    low = 0.0 if mine < blanks else share if total else 1.0
    high = 1.0 if mine else share
    return low, high


def _owed(circuit: Circuit, leaves: np.ndarray, wanted: set[int]) -> dict[int, tuple[float, float]]:
    """Return the proportional share of each source, over channels of substance."""
    counts = allowed(SUBSTANCE)
    found = {}
    for number in sorted(wanted):
        own = np.zeros(circuit.size, bool)
        own[leaves[number]] = True
        shares = proportional(circuit, own, counts)
        found[number] = (float(shares.low[circuit.root]), float(shares.high[circuit.root]))
    return found


@dataclass(frozen=True)
class Coverage:
    """How much of an artifact has a recorded origin."""

    recorded: tuple[float, float]
    """part of the tokens in records none of whose origins is unknown, lowest and highest"""
    unknown: tuple[Source, ...]
    """the origins that are not recorded"""

    def __str__(self) -> str:
        """Say it in a sentence."""
        low, high = self.recorded
        share = f"{low:.1%}" if f"{low:.1%}" == f"{high:.1%}" else f"{low:.1%} to {high:.1%}"
        return f"{share} of tokens have a recorded origin"


def coverage(circuit: Circuit) -> Coverage:
    """Return how much of an artifact has a recorded origin, through all its channels."""
    unknown = circuit.matching(lambda source: source.what == "unknown")
    every = allowed(tuple(Channel))
    reached = evaluate(circuit, REACHABLE, unknown, np.ones(circuit.size, bool))
    shares = touched(circuit, reached, every)
    low, high = float(shares.low[circuit.root]), float(shares.high[circuit.root])
    sources = tuple(circuit.source(node) for node in np.flatnonzero(unknown).tolist())
    return Coverage((1 - high, 1 - low), sources)
