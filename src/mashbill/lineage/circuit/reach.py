"""What every node rests on, source by source: sparse passes over the circuit.

:mod:`mashbill.lineage.circuit.semirings` answers for one set of sources at every node; here each
node carries an entry for each source that reaches it, so that a bill of thousands of sources is one
pass and not thousands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit.arrays import CHANNEL_OF, MADE, Circuit
from mashbill.lineage.circuit.levels import ragged

SETS = 2 ** len(Channel)
"""sets of channels; a set is a number with a bit for each, content's being :data:`WRITTEN`"""
WRITTEN = SETS // 2
"""bit of a set: somewhere on the way text was learned that a model wrote. It tells the text of a
model that started from a source's weights from these weights themselves. Bills leave it out: they
tell content only where there is no other channel"""


@dataclass(frozen=True)
class Reach:
    """What each node rests on: entries, those of a node side by side and sorted by key."""

    start: np.ndarray
    """int64, shape (n + 1,): entries of node i are ``start[i]`` up to ``start[i + 1]``"""
    key: np.ndarray
    """int64, shape (entries,): place among the sources times SETS, plus the set of channels"""
    depth: np.ndarray
    """int32, shape (entries,): fewest models on the way, source included"""


def reach(circuit: Circuit) -> Reach:
    """Return every node's sources with the channels on the way, and at which depth.

    A source reached by different sets of channels has an entry for each; at most sources times
    128 a node, and few in practice. One pass, a level at a time.
    """
    sources = circuit.sources()
    hop = circuit.is_model().astype(np.int32)
    # Reaching a model is a hop; a dataset stands at depth 1 where it was read.
    own = np.where(hop[sources], 0, 1).astype(np.int32)
    pool = _Pool(circuit, sources, np.arange(len(sources)) * SETS, own)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        edges = np.arange(circuit.start[first], circuit.start[last])
        parent = np.repeat(np.arange(first, last), np.diff(circuit.start[first : last + 1]))
        to = circuit.to[edges]
        edge, entry = pool.of(to)
        key = pool.columns[0][entry] | channel_mask(circuit, edges)[edge]
        depth = pool.columns[1][entry] + hop[to][edge]
        inner = slice(*np.searchsorted(sources, (first, last)))
        node = np.concatenate([parent[edge], sources[inner]])
        key = np.concatenate([key, np.arange(inner.start, inner.stop) * SETS])
        pool.append(first, last, *_least(node, key, np.concatenate([depth, own[inner]])))
    _, order = pool.of(np.arange(circuit.size))
    start = np.concatenate([[0], np.cumsum(pool.size)])
    return Reach(start, pool.columns[0][order], pool.columns[1][order])


def channel_mask(circuit: Circuit, edges: np.ndarray) -> np.ndarray:
    """Return the set that holds an edge's channel alone, int64; that of content into data is 0.

    Args:
        circuit: the graph.
        edges: numbers of edges.
    """
    bit = CHANNEL_OF[circuit.label[edges]].astype(np.int64) - 1
    written = np.where(circuit.is_model()[circuit.to[edges]], WRITTEN, 0)
    mask: np.ndarray = np.where(bit < 0, written, np.left_shift(1, np.maximum(bit, 0)))
    return mask


def by_weights_alone(circuit: Circuit) -> np.ndarray:
    """Return the nodes under the root whose weights it is built on, however many models back.

    Returns:
        bool, shape (n,): those that edges of weights alone lead to, from model to model.
    """
    counts = CHANNEL_OF[circuit.label] == list(Channel).index(Channel.WEIGHTS)
    return under(circuit, counts, np.ones(circuit.size, bool))


def under(circuit: Circuit, counts: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Return the nodes under the root by some edges, through some nodes; bool, shape (n,).

    Args:
        circuit: the graph.
        counts: bool, shape (m,): edges that count.
        beyond: bool, shape (n,): nodes through which it goes on.
    """
    found = np.zeros(circuit.size, bool)
    waiting = np.array([circuit.root])
    while len(waiting):
        passed = waiting[beyond[waiting]]
        edges = ragged(circuit.start[passed], circuit.start[passed + 1])
        below = np.unique(circuit.to[edges[counts[edges]]])
        waiting = below[~found[below]]
        found[waiting] = True
    return found


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


class _Pool:
    """Entries of nodes, appended a level at a time; arrays double, so appending is cheap."""

    def __init__(self, circuit: Circuit, sources: np.ndarray, *columns: np.ndarray) -> None:
        """Begin with an entry for each source; those of inner ones are appended anew."""
        self.size = np.zeros(circuit.size, np.int64)
        self.begin = np.zeros(circuit.size, np.int64)
        self.size[sources], self.begin[sources] = 1, np.arange(len(sources))
        self.columns = list(columns)
        self._filled = len(sources)

    def append(self, first: int, last: int, node: np.ndarray, *columns: np.ndarray) -> None:
        """Append the entries of the nodes ``first`` up to ``last``, sorted by node."""
        size = np.bincount(node - first, minlength=last - first)
        self.size[first:last] = size
        self.begin[first:last] = self._filled + np.concatenate([[0], np.cumsum(size)[:-1]])
        begin, self._filled = self._filled, self._filled + len(node)
        for place, more in enumerate(columns):
            pool = self.columns[place]
            if len(pool) < self._filled:
                room = max(self._filled, 2 * len(pool)) - len(pool)
                pool = self.columns[place] = np.concatenate([pool, np.empty(room, pool.dtype)])
            pool[begin : self._filled] = more

    def of(self, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (place in ``nodes``, place in the columns) of all entries of these nodes."""
        size, begin = self.size[nodes], self.begin[nodes]
        return np.repeat(np.arange(len(nodes)), size), ragged(begin, begin + size)


def owed_at_root(circuit: Circuit, counts: np.ndarray) -> dict[int, tuple[float, float]]:
    """Return the proportional share of each source at the root, by its place among the sources.

    The rule is that of :func:`mashbill.lineage.circuit.semirings.proportional`, for all sources at
    once.

    Args:
        circuit: the graph.
        counts: labels whose edges count, bool, shape (labels,).
    """
    sources = circuit.sources()
    one = np.ones(len(sources))
    pool = _Pool(circuit, sources, np.arange(len(sources)), one, one)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        edges = np.arange(circuit.start[first], circuit.start[last])
        parent = np.repeat(np.arange(first, last), np.diff(circuit.start[first : last + 1]))
        takes = counts[circuit.label[edges]]
        weighted = circuit.type[parent] != MADE
        tokens = np.where(weighted, circuit.tokens[edges], np.nan)
        blank = np.isnan(tokens) & (weighted | takes)
        blanks = np.bincount((parent - first)[blank], minlength=last - first)
        known = np.where(np.isnan(tokens), 0.0, tokens)
        total = np.bincount(parent - first, weights=known, minlength=last - first)
        edge, entry = pool.of(circuit.to[edges[takes]])
        edge = np.flatnonzero(takes)[edge]
        key, low, high = (column[entry] for column in pool.columns)
        order = np.lexsort((key, parent[edge]))
        edge, key, low, high = edge[order], key[order], low[order], high[order]
        node = parent[edge]
        inner = slice(*np.searchsorted(sources, (first, last)))
        itself = np.arange(inner.start, inner.stop)
        if len(node) == 0:
            pool.append(first, last, sources[inner], itself, one[inner], one[inner])
            continue
        start = np.flatnonzero(
            np.concatenate([[True], (node[1:] != node[:-1]) | (key[1:] != key[:-1])])
        )
        at = node[start] - first
        low, high = _mean(start, low, high, known[edge], blank[edge], total[at], blanks[at])
        node = np.concatenate([node[start], sources[inner]])
        key = np.concatenate([key[start], itself])
        order = np.lexsort((key, node))
        both = (np.concatenate([end, one[inner]])[order] for end in (low, high))
        pool.append(first, last, node[order], key[order], *both)
    _, entry = pool.of(np.array([circuit.root]))
    key, low, high = (column[entry] for column in pool.columns)
    return {int(k): (float(a), float(b)) for k, a, b in zip(key, low, high, strict=True)}


def _mean(
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    known: np.ndarray,
    blank: np.ndarray,
    total: np.ndarray,
    blanks: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each group's mean; members that are not in the group have zero.

    Args:
        start: shape (groups,), first entry of each.
        low: shape (entries,).
        high: shape (entries,).
        known: shape (entries,), tokens, 0 where not known.
        blank: shape (entries,), whether the weight is not known.
        total: shape (groups,), known tokens of all members, in the group or not.
        blanks: shape (groups,), members of unknown weight, in the group or not.
    """
    some = total > 0
    divisor = np.where(some, total, 1.0)
    lows = np.where(some, np.add.reduceat(known * low, start) / divisor, np.inf)
    highs = np.where(some, np.add.reduceat(known * high, start) / divisor, -np.inf)
    here = np.add.reduceat(blank.astype(np.int64), start)
    least = np.minimum.reduceat(np.where(blank, low, np.inf), start)
    lows = np.minimum(lows, np.where(here < blanks, 0.0, least))
    highs = np.maximum(highs, np.maximum.reduceat(np.where(blank, high, -np.inf), start))
    return np.where(np.isinf(lows), 0.0, lows), np.where(np.isinf(highs), 1.0, highs)
