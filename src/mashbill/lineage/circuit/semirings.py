"""Questions over a whole circuit: a semiring, values for the leaves, one pass.

The ground is Green, Karvounarakis and Tannen, "Provenance semirings" (PODS 2007): along an edge
values are multiplied, where ways meet they are added, and what "multiply" and "add" are decides
the question. Each pass costs a gather and a ``reduceat`` over the edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.source import parse_via
from mashbill.lineage.circuit.arrays import LABELS, MADE, Circuit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mashbill.core.source import Channel, Purpose

FAR = np.int32(2**30)
"""hops to what cannot be reached"""


def allowed(channels: Collection[Channel], left_out: Collection[Purpose] = ()) -> np.ndarray:
    """Return which labels count, bool, shape (labels,)."""
    parsed = [parse_via(label) for label in LABELS]
    return np.array([channel in channels and why not in left_out for channel, why in parsed])


@dataclass(frozen=True)
class Semiring:
    """Addition over the ways into a node; multiplication is in what an edge adds to a value."""

    zero: np.generic
    """of what cannot be reached; neutral to addition"""
    plus: np.ufunc
    """associative and commutative"""
    times: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """(value below the edge, value of the edge) -> value above; keeps zero"""


REACHABLE = Semiring(np.False_, np.logical_or, np.logical_and)
"""Boolean: is there any way?"""
FEWEST_HOPS = Semiring(FAR, np.minimum, lambda below, edge: np.minimum(below + edge, FAR))
"""min-plus: how short is the shortest?"""
STRICTEST = Semiring(np.uint8(0), np.maximum, np.minimum)
"""max-min over ranks: the strictest terms that reach a node; an edge passes all of them, or none"""


def evaluate(
    circuit: Circuit,
    semiring: Semiring,
    leaves: np.ndarray,
    edge: np.ndarray,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Return the value of every node.

    A node's value is the sum of its own (``leaves``) and of its ways. Any node may have one.

    Args:
        circuit: the graph.
        semiring: what is asked.
        leaves: shape (n,), own values; ``zero`` where there is none.
        edge: shape (n,), what reaching a node costs: the value of every edge that leads to it.
        counts: labels whose edges count, bool, shape (labels,); all if None.

    Returns:
        Shape (n,), of the type of ``leaves``.
    """
    values = leaves.copy()
    passed = np.empty_like(values)
    passed[: circuit.levels[1] if len(circuit.levels) > 1 else 0] = (
        semiring.times(values[: circuit.levels[1]], edge[: circuit.levels[1]])
        if circuit.size
        else values
    )
    shut = None if counts is None or counts.all() else ~counts
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        below = passed[circuit.to[begin:end]]
        if shut is not None:
            below[shut[circuit.label[begin:end]]] = semiring.zero
        met = semiring.plus.reduceat(below, circuit.start[first:last] - begin)
        values[first:last] = semiring.plus(values[first:last], met)
        passed[first:last] = semiring.times(values[first:last], edge[first:last])
    return values


def ways_only(
    circuit: Circuit,
    semiring: Semiring,
    node: int,
    values: np.ndarray,
    edge: np.ndarray,
    counts: np.ndarray,
) -> np.generic:
    """Return one node's value by its ways alone, its own left out."""
    begin, end = circuit.start[node], circuit.start[node + 1]
    taken = np.arange(begin, end)[counts[circuit.label[begin:end]]]
    to = circuit.to[taken]
    found: np.generic = semiring.plus.reduce(
        semiring.times(values[to], edge[to]), initial=semiring.zero
    )
    return found


@dataclass(frozen=True)
class Shares:
    """An interval for every node, both shape (n,), 0 to 1."""

    low: np.ndarray
    high: np.ndarray


def touched(circuit: Circuit, reached: np.ndarray, counts: np.ndarray) -> Shares:
    """Return the part of each node's tokens that stand in what ``reached`` marks.

    Only weighted nodes (datasets, models) have parts; a made record is touched or not. A member
    of unknown weight may be all of the artifact or nothing of it.

    Args:
        circuit: the graph.
        reached: bool, shape (n,): whether the sources in question reach a node, or are it.
        counts: labels whose edges count, bool, shape (labels,).
    """
    lows = reached.astype(np.float64)
    highs = lows.copy()
    above = touched_above(circuit, reached, counts)
    first = circuit.size - len(above.low)
    lows[first:], highs[first:] = above.low, above.high
    return Shares(lows, highs)


def touched_above(circuit: Circuit, reached: np.ndarray, counts: np.ndarray) -> Shares:
    """Return the same of the nodes above the leaves alone, each shape (n - leaves,).

    A leaf is all of itself or nothing of it, as ``reached`` says.
    """
    first = circuit.leaves
    if first == circuit.size:
        return Shares(np.empty(0), np.empty(0))
    hit = reached[circuit.to]
    if not counts.all():
        hit &= counts[circuit.label]
    weights = circuit.weights
    share = weights.parts(hit)
    low, high = share, share
    nothing = weights.total == 0  # of no token at all nothing can be said
    if weights.unknown is not None:
        # 1 where a member of unknown weight is hit, 2 where one is not.
        each = (np.uint8(2) - hit) * weights.unknown
        met = np.bitwise_or.reduceat(each, circuit.start[first:-1])
        all_hit = np.where(nothing, 1.0, share)
        low = np.where(met == 0, share, np.where(met & 2 > 0, 0.0, all_hit))
        high = np.where(met & 1 > 0, 1.0, share)
        nothing &= met == 0
    made = circuit.type[first:] == MADE
    low = np.where(nothing, 0.0, low)
    high = np.where(nothing, 1.0, high)
    if made.any():
        low[made] = high[made] = reached[first:][made]
    return Shares(low, high)


def weighted_mean(
    low: np.ndarray, high: np.ndarray, tokens: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of each group's mean, weighted by tokens.

    Members of unknown weight (NaN) may have any: the mean then lies between that of the others
    and the members' own, so every concrete weighting falls inside.

    Args:
        low: shape (members,), lower ends of the members' intervals.
        high: shape (members,), their upper ends.
        tokens: shape (members,), NaN where not known.
        start: shape (groups,), first member of each group; no group is empty.
    """
    unknown = np.isnan(tokens)
    known = np.where(unknown, 0.0, tokens)
    total = np.add.reduceat(known, start)
    some = total > 0
    divisor = np.where(some, total, 1.0)
    lows = np.where(some, np.add.reduceat(known * low, start) / divisor, np.inf)
    highs = np.where(some, np.add.reduceat(known * high, start) / divisor, -np.inf)
    lows = np.minimum(lows, np.minimum.reduceat(np.where(unknown, low, np.inf), start))
    highs = np.maximum(highs, np.maximum.reduceat(np.where(unknown, high, -np.inf), start))
    # Of no known token and no unknown weight nothing can be said.
    return np.where(np.isinf(lows), 0.0, lows), np.where(np.isinf(highs), 1.0, highs)


def proportional(circuit: Circuit, own: np.ndarray, counts: np.ndarray) -> Shares:
    """Return which part of each node is owed to the sources in ``own``, split along all ways.

    A record made of several parts owes each of them between nothing and all of it, since what
    part each has in a text is not recorded; a model owes its training data in proportion to the
    tokens that it saw. Parts of a record that came through channels that do not count own nothing
    of it.

    Args:
        circuit: the graph.
        own: bool, shape (n,), the sources in question.
        counts: labels whose edges count, bool, shape (labels,).
    """
    low, high = own.astype(np.float64), own.astype(np.float64)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        counting = counts[circuit.label[begin:end]]
        parent = np.repeat(np.arange(first, last), np.diff(circuit.start[first : last + 1]))
        is_made = circuit.type[parent] == MADE
        takes = counting | ~is_made  # tokens learned from stay in the whole, whatever their channel
        parent, is_made, counting = parent[takes], is_made[takes], counting[takes]
        if len(parent) == 0:
            continue
        to = circuit.to[begin:end][takes]
        tokens = np.where(is_made, np.nan, circuit.tokens[begin:end][takes])
        start = np.flatnonzero(np.concatenate([[True], parent[1:] != parent[:-1]]))
        node = parent[start]
        lows, highs = weighted_mean(low[to] * counting, high[to] * counting, tokens, start)
        keep = ~own[node]
        low[node[keep]], high[node[keep]] = lows[keep], highs[keep]
    return Shares(low, high)
