"""What breaks if some sources go: one scenario over a whole catalogue, store or hub.

Everything is a pass over the circuit. An artifact *loses an ancestor* if a source that goes reaches
it; under a definition, if it reaches it by the definition's channels and hops. Whether somebody may
rebuild it, and when, follows from what else could serve in the roles that are lost.

Impact score of an artifact, 0 to 100, an interval where the share is one:

    100 x (0.40 x channel + 0.30 x share + 0.15 x nearness + 0.15 x without substitute)

* channel: 1 if what goes reaches it as text, logits, weights or rewriting all the way; 0.5 if as
  judgement at best; 0.25 if only by selecting or asking.
* share: part of its tokens in what they reached, through any channel.
* nearness: 1 over the models from it to the nearest of them.
* without substitute: of the roles that others serve for it directly, the part that is lost and that
  nothing left in the catalogue serves.

What goes itself scores 100; the scenario's score is the mean over all artifacts whose making is
recorded.

What more going can do to what stays is one way only, whether datasets go or models:

* what is affected stays affected, and what reaches it by a definition stays as near or comes
  nearer;
* a role that is lost stays lost, and without substitute if it was; what cannot be made again still
  cannot; a path that was not kept is not kept;
* no part of an impact score falls, nor either end of a share, so no score does.

For that, the roles in which others serve an artifact do not depend on what goes, and a dataset that
goes hides nothing behind it: whoever served through it is lost with it. Not so for what is counted
over what stays (how many lose an ancestor or a role, or lack a substitute), since what goes leaves
it; nor for how many are rebuilt in a row, since what goes is not rebuilt. What goes and what is
affected never become fewer together.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit import CHANNEL_OF, LABELS, Circuit
from mashbill.lineage.definitions import decide
from mashbill.lineage.evaluate import (
    FAR,
    FEWEST_HOPS,
    REACHABLE,
    allowed,
    evaluate,
    touched,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.lineage.definitions import Definition
    from mashbill.lineage.evaluate import Shares
    from mashbill.lineage.things import Things

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

WEIGHTS = {"channel": 0.40, "share": 0.30, "nearness": 0.15, "without substitute": 0.15}
"""parts of the impact score"""

_EVERY = np.ones(len(LABELS), bool)


@dataclass(frozen=True)
class UnderDefinition:
    """What one definition says, each shape (n,)."""

    definition: Definition
    reached: np.ndarray
    """bool: loses an ancestor under it"""
    hops: np.ndarray
    """int32: models to the nearest that goes; FAR if none"""
    low: np.ndarray
    """float64: share of tokens, lower end"""
    high: np.ndarray


@dataclass(frozen=True)
class Impact:
    """Score and its parts, each shape (n,), parts 0 to 1."""

    channel: np.ndarray
    share_low: np.ndarray
    share_high: np.ndarray
    nearness: np.ndarray
    without: np.ndarray
    low: np.ndarray
    """score, 0 to 100, with the lower end of the share"""
    high: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What becomes of everything under one scenario."""

    removed: np.ndarray
    """bool, shape (n,): what goes"""
    affected: np.ndarray
    """bool, shape (n,): made, stays, and loses an ancestor by some channel"""
    definitions: tuple[UnderDefinition, ...]
    keeps: np.ndarray
    """bool, shape (n,): affected, and keeps a model that is not, in each kind of role it loses"""
    lost: np.ndarray
    """uint8, shape (n,): channels in which what goes, or what goes with a dataset, serves it
    directly, a bit each"""
    used: np.ndarray
    """uint8, shape (n,): channels in which models, and data whose making is not recorded, serve it
    directly, a bit each; the same whatever goes"""
    steps: np.ndarray
    """int32, shape (n,): artifacts to rebuild in a row, this one last; 0 if not affected"""
    blocked: np.ndarray
    """bool, shape (n,): it loses a role that nothing left serves, or has one from a model that
    cannot be rebuilt either"""
    substitutes: dict[Channel, np.ndarray]
    """models that could serve in a role that is lost, most used in it first; nodes"""
    uses: np.ndarray
    """int64, shape (n, channels): how often a node serves in each role"""
    impact: Impact
    score: tuple[float, float]
    """mean impact over all that is made"""


def what_if(
    things: Things,
    removed: np.ndarray,
    definitions: Sequence[Definition],
    allowed_as_substitute: np.ndarray | None = None,
) -> Outcome:
    """Return what becomes of everything if some of it goes.

    Args:
        things: a circuit with facts.
        removed: bool, shape (n,): what goes.
        definitions: under which losses are told.
        allowed_as_substitute: bool, shape (n,): models whose terms would let them serve; all if
            None.
    """
    circuit = things.circuit
    made = things.made
    hop = circuit.is_model().astype(np.int32)
    own = np.where(removed, np.int32(0), FAR)
    hops = evaluate(circuit, FEWEST_HOPS, own, hop)
    reached = hops < FAR
    affected = made & reached & ~removed

    def under(definition: Definition) -> UnderDefinition:
        decided = decide(circuit, definition, removed, hop)
        shares = touched(circuit, decided.hops + hop <= definition.most_hops, decided.counts)
        hits = decided.reached & made & ~removed
        return UnderDefinition(definition, hits, decided.hops, shares.low, shares.high)

    _ = circuit.weights  # computed once, before several passes ask for them
    with ThreadPoolExecutor(2) as pool:  # numpy lets another pass run beside its own
        told = [pool.submit(under, definition) for definition in definitions]
        whole = pool.submit(touched, circuit, reached, _EVERY)
        class_of = pool.submit(_widest, circuit, removed)
        line = pool.submit(_chain, circuit, affected & things.thing)
        uses = _uses(circuit)
        used, lost = _roles(circuit, removed)
        lost[~affected] = 0
        keeps = pool.submit(_keeps, things, removed, affected, lost)
        could = _could_serve(things, removed | affected, uses, allowed_as_substitute)
        unserved = np.uint8(sum(1 << at for at, nodes in enumerate(could) if not len(nodes)))
        blocked = _blocked(circuit, removed, affected, used, unserved)
    impact = _impact(things, removed, affected, hops, class_of.result(), whole.result(),
                     used, lost & unserved)  # fmt: skip
    any_lost = int(np.bitwise_or.reduce(lost)) if len(lost) else 0
    count = max(int(made.sum()), 1)
    return Outcome(
        removed=removed,
        affected=affected,
        definitions=tuple(future.result() for future in told),
        keeps=keeps.result(),
        lost=lost,
        used=used,
        steps=np.where(affected, line.result(), 0),
        blocked=blocked,
        substitutes={c: could[at] for at, c in enumerate(CHANNELS) if any_lost >> at & 1},
        uses=uses,
        impact=impact,
        score=(float(impact.low[made].sum()) / count, float(impact.high[made].sum()) / count),
    )


def _uses(circuit: Circuit) -> np.ndarray:
    key = circuit.to.astype(np.int64) * len(CHANNELS) + CHANNEL_OF[circuit.label]
    counted = np.bincount(key, minlength=circuit.size * len(CHANNELS))
    return counted.reshape(circuit.size, len(CHANNELS))


_BIT = np.left_shift(np.uint16(1), CHANNEL_OF).astype(np.uint16)
"""of a label's channel"""
_CONTENT = np.uint16(1 << CHANNELS.index(Channel.CONTENT))


def _ends(circuit: Circuit) -> np.ndarray:
    """Return what serves by itself: models, and data whose making is not recorded."""
    ends: np.ndarray = circuit.is_model() | (np.diff(circuit.start) == 0)
    return ends


def _roles(circuit: Circuit, removed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the roles in which each node is served directly, and of them those that are lost.

    Data in between hand on what serves them; a model in between does not: it is rebuilt itself.
    With data that go, everything is lost that they hand on.
    """
    # Both in one number: roles served in the lower byte, roles lost in the upper.
    found = np.zeros(circuit.size, np.uint16)
    ends = _ends(circuit)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        to, own = circuit.to[begin:end], _BIT[circuit.label[begin:end]]
        below = found[to]
        with_it = (removed[to] & ~ends[to]).nonzero()[0]
        below[with_it] = (below[with_it] & 255) * np.uint16(257)
        # By another channel than content, all that lies behind serves by that channel.
        changed = (own != _CONTENT).nonzero()[0]
        some = below[changed]
        below[changed] = own[changed] * ((some & 255 > 0) + np.uint16(256) * (some > 255))
        at = ends[to].nonzero()[0]
        below[at] = own[at] * (np.uint16(1) + np.uint16(256) * removed[to[at]])
        found[first:last] = np.bitwise_or.reduceat(below, circuit.start[first:last] - begin)
    return (found & 255).astype(np.uint8), (found >> 8).astype(np.uint8)


def _blocked(
    circuit: Circuit,
    removed: np.ndarray,
    affected: np.ndarray,
    used: np.ndarray,
    unserved: np.uint8,
) -> np.ndarray:
    """Return which affected nodes cannot be made again.

    A role is to be had from whoever serves in it now and can be made again, or from a substitute.

    Args:
        circuit: the graph.
        removed: bool, shape (n,).
        affected: bool, shape (n,).
        used: uint8, shape (n,), roles in which each node is served.
        unserved: roles for which there is no substitute.
    """
    out = removed.copy()  # and then models that cannot be made again, a level at a time
    missing = np.zeros(circuit.size, np.uint8)
    ends, models = _ends(circuit), circuit.is_model()
    bit, content = _BIT.astype(np.uint8), np.uint8(_CONTENT)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        to, own = circuit.to[begin:end], bit[circuit.label[begin:end]]
        gone = out[to]
        below = np.where(gone & ~ends[to], used[to], missing[to])
        below = np.where(own == content, below, own * (below > 0))
        below = np.where(ends[to], own * gone, below)
        met = np.bitwise_or.reduceat(below, circuit.start[first:last] - begin)
        missing[first:last] = met & unserved
        out[first:last] |= models[first:last] & affected[first:last] & (met & unserved > 0)
    blocked: np.ndarray = affected & (missing > 0)
    return blocked


def _chain(circuit: Circuit, affected: np.ndarray) -> np.ndarray:
    """Return how many affected nodes stand in the longest line that ends at each."""
    steps = np.zeros(circuit.size, np.int32)
    own = affected.astype(np.int32)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        below = np.maximum.reduceat(steps[circuit.to[begin:end]], circuit.start[first:last] - begin)
        steps[first:last] = below + own[first:last]
    return steps


def _could_serve(
    things: Things, out: np.ndarray, uses: np.ndarray, may: np.ndarray | None
) -> list[np.ndarray]:
    """Return for each channel the models that serve in it elsewhere and stay whole, as nodes."""
    can = things.thing & things.circuit.is_model() & ~out
    if may is not None:
        can &= may
    found = []
    for place in range(len(CHANNELS)):
        nodes = np.flatnonzero(can & (uses[:, place] > 0))
        found.append(nodes[np.argsort(-uses[nodes, place], kind="stable")])
    return found


def _keeps(
    things: Things, removed: np.ndarray, affected: np.ndarray, lost: np.ndarray
) -> np.ndarray:
    """Return which affected nodes keep a model that stays whole, in each kind of role they lose."""
    circuit = things.circuit
    whole = circuit.is_model() & things.thing & ~removed & ~affected
    every = ~removed  # nothing is reached through what is gone
    substance = sum(1 << CHANNELS.index(channel) for channel in SUBSTANCE)
    by_substance = evaluate(circuit, REACHABLE, whole, every, allowed(SUBSTANCE))
    by_any = evaluate(circuit, REACHABLE, whole, every)
    loses_substance = (lost & np.uint8(substance)) > 0
    return affected & np.where(loses_substance, by_substance, by_any)


def _impact(
    things: Things,
    removed: np.ndarray,
    affected: np.ndarray,
    hops: np.ndarray,
    widest: np.ndarray,
    shares: Shares,
    used: np.ndarray,
    unserved: np.ndarray,
) -> Impact:
    low, high = shares.low, shares.high
    channel = np.array([0.0, 0.25, 0.5, 1.0])[widest]
    nearness = 1.0 / np.maximum(hops, 1)
    population = np.array([int(b).bit_count() for b in range(256)])
    without = population[unserved] / np.maximum(population[used], 1)
    hit = affected & things.thing

    def scored(share: np.ndarray) -> np.ndarray:
        parts = (channel, share, nearness, without)
        total = sum(weight * part for weight, part in zip(WEIGHTS.values(), parts, strict=True))
        score: np.ndarray = np.where(hit, 100.0 * total, np.where(removed, 100.0, 0.0))
        return score

    return Impact(
        np.where(hit, channel, 0.0), np.where(hit, low, 0.0), np.where(hit, high, 0.0),
        np.where(hit, nearness, 0.0), np.where(hit, without, 0.0), scored(low), scored(high),
    )  # fmt: skip


def _widest(circuit: Circuit, removed: np.ndarray) -> np.ndarray:
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


def rebuilt_by(start: date, steps: int, months: int) -> date:
    """Return the earliest day on which a rebuild could stand.

    Args:
        start: the day from which the sources are gone.
        steps: artifacts to rebuild one after the other, this one last.
        months: lead time of each.
    """
    month = start.month - 1 + steps * months
    year, month = start.year + month // 12, month % 12 + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)).days
    return date(year, month, min(start.day, last))
