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
recorded. No part falls when more goes, so neither does the score.
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
    """uint8, shape (n,): channels in which what goes serves it directly, a bit each"""
    used: np.ndarray
    """uint8, shape (n,): channels in which anything serves it directly"""
    steps: np.ndarray
    """int32, shape (n,): artifacts to rebuild in a row, this one last; 0 if not affected"""
    blocked: np.ndarray
    """bool, shape (n,): it, or one to be rebuilt before it, loses a role that nothing serves"""
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
        substitutes = _substitutes(things, removed | affected, lost, uses, allowed_as_substitute)
        served = sum(1 << CHANNELS.index(c) for c, nodes in substitutes.items() if len(nodes))
        unserved = lost & ~np.uint8(served)
        # What stands between, a phase of training for instance, hands on that it cannot be made.
        passes = affected | (reached & ~things.thing)
        blocked = evaluate(circuit, REACHABLE, unserved > 0, passes) & affected
    impact = _impact(things, removed, affected, hops, class_of.result(), whole.result(),
                     used, unserved)  # fmt: skip
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
        substitutes=substitutes,
        uses=uses,
        impact=impact,
        score=(float(impact.low[made].sum()) / count, float(impact.high[made].sum()) / count),
    )


def _uses(circuit: Circuit) -> np.ndarray:
    key = circuit.to.astype(np.int64) * len(CHANNELS) + CHANNEL_OF[circuit.label]
    counted = np.bincount(key, minlength=circuit.size * len(CHANNELS))
    return counted.reshape(circuit.size, len(CHANNELS))


def _roles(circuit: Circuit, removed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the roles in which models serve each node directly, and of them those that go.

    Data in between hand on what serves them; a model in between does not: it is rebuilt itself.
    """
    # Both in one number: roles served in the lower byte, roles lost in the upper.
    found = np.zeros(circuit.size, np.uint16)
    stops = circuit.is_model() | removed
    bit = np.left_shift(np.uint16(1), CHANNEL_OF).astype(np.uint16)
    content = np.uint16(1 << CHANNELS.index(Channel.CONTENT))
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        to, own = circuit.to[begin:end], bit[circuit.label[begin:end]]
        below = found[to]
        # By another channel than content, all that lies behind serves by that channel.
        changed = (own != content).nonzero()[0]
        some = below[changed]
        below[changed] = own[changed] * ((some & 255 > 0) + np.uint16(256) * (some > 255))
        ends = stops[to].nonzero()[0]
        below[ends] = own[ends] * (np.uint16(1) + np.uint16(256) * removed[to[ends]])
        found[first:last] = np.bitwise_or.reduceat(below, circuit.start[first:last] - begin)
    return (found & 255).astype(np.uint8), (found >> 8).astype(np.uint8)


def _chain(circuit: Circuit, affected: np.ndarray) -> np.ndarray:
    """Return how many affected nodes stand in the longest line that ends at each."""
    steps = np.zeros(circuit.size, np.int32)
    own = affected.astype(np.int32)
    for first, last in zip(circuit.levels[1:-1], circuit.levels[2:], strict=True):
        begin, end = circuit.start[first], circuit.start[last]
        below = np.maximum.reduceat(steps[circuit.to[begin:end]], circuit.start[first:last] - begin)
        steps[first:last] = below + own[first:last]
    return steps


def _substitutes(
    things: Things,
    out: np.ndarray,
    lost: np.ndarray,
    uses: np.ndarray,
    may: np.ndarray | None,
) -> dict[Channel, np.ndarray]:
    """Return for each role that is lost the models that serve in it elsewhere and stay whole."""
    circuit = things.circuit
    can = things.thing & circuit.is_model() & ~out
    if may is not None:
        can &= may
    any_lost = int(np.bitwise_or.reduce(lost)) if len(lost) else 0
    found = {}
    for place, channel in enumerate(CHANNELS):
        if any_lost >> place & 1:
            nodes = np.flatnonzero(can & (uses[:, place] > 0))
            found[channel] = nodes[np.argsort(-uses[nodes, place], kind="stable")]
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
