"""What breaks if some sources go: one scenario over a whole catalogue, store or hub.

Everything is a pass over the circuit. An artifact *loses an ancestor* if a source that goes reaches
it, whether it goes itself or stays; under a definition, if it reaches it by the definition's
channels and hops. Whether it could be made again follows from who else could take a lost place.

What more going can do is one way only, whether datasets go or models:

* what loses an ancestor still does, by a definition too, and it stays as near or comes nearer; so
  no count of losers falls, nor of what goes;
* a role that is lost stays lost, and without substitute if it was; what cannot be made again still
  cannot; a path that was not kept is not kept;
* no part of an impact falls, nor either end of a share, so no impact and no sum of them does.

For that, the roles in which others serve an artifact do not depend on what goes, and a dataset
that goes hides nothing behind it: whoever served through it is lost with it. It is not so for what
is counted over what stays alone, nor for how many are made anew in a row, since what goes is not.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.lineage.bills.definitions import decide
from mashbill.lineage.circuit.arrays import LABELS, Circuit
from mashbill.lineage.circuit.levels import ragged
from mashbill.lineage.circuit.semirings import (
    FAR,
    FEWEST_HOPS,
    REACHABLE,
    Shares,
    allowed,
    evaluate,
    touched_above,
)
from mashbill.lineage.whatif.impact import Impact, impact_of, widest
from mashbill.lineage.whatif.roles import (
    CHANNELS,
    SUBSTANCE,
    cannot_be_made,
    chain,
    roles,
    uses_of,
)
from mashbill.lineage.whatif.sparse import Sparse
from mashbill.lineage.whatif.substitutes import Places, places_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.lineage.bills.definitions import Definition
    from mashbill.lineage.whatif.lead import LeadTimes
    from mashbill.lineage.whatif.things import Things
    from mashbill.lineage.whatif.use_terms import Asking

_EVERY = np.ones(len(LABELS), bool)


@dataclass(frozen=True)
class UnderDefinition:
    """What one definition says, each shape (n,)."""

    definition: Definition
    reached: np.ndarray
    """bool: loses an ancestor under it, whether or not it goes itself"""
    depth: np.ndarray
    """int16, or int32 in a circuit of very many levels: models to the nearest that goes, as a bill
    counts its depth; -1 if none"""
    near: np.ndarray
    """bool: leaves alone, shape (leaves,): what goes, near enough for the definition"""
    above: Shares
    """float64: shares of tokens, of the nodes above the leaves"""

    @property
    def hops(self) -> np.ndarray:
        """The depth as a pass has it, int32, shape (n,), FAR if none; made anew each time."""
        return np.where(self.depth < 0, FAR, self.depth.astype(np.int32))

    def share(self, node: int) -> tuple[float, float]:
        """Return which share of a node's tokens stands in what goes, from and to."""
        place = node - len(self.near)
        if place < 0:
            return float(self.near[node]), float(self.near[node])
        return float(self.above.low[place]), float(self.above.high[place])

    @property
    def low(self) -> np.ndarray:
        """Lower end of the share of every node, float64, shape (n,); made anew each time."""
        return np.concatenate([self.near, self.above.low])

    @property
    def high(self) -> np.ndarray:
        """The same for the upper end."""
        return np.concatenate([self.near, self.above.high])


@dataclass(frozen=True)
class Outcome:
    """What becomes of everything under one scenario; arrays have shape (n,) but for ``uses``."""

    removed: np.ndarray
    """bool: what goes"""
    loses: np.ndarray
    """bool: made, and loses an ancestor by some channel, whether or not it goes itself"""
    definitions: tuple[UnderDefinition, ...]
    keeps: np.ndarray
    """bool: affected, and keeps a model that is not, in each kind of role it loses"""
    used: np.ndarray
    """uint8: channels in which models, and data whose making is not recorded, serve it directly, a
    bit each; the same whatever goes"""
    lost: np.ndarray
    """uint8: channels in which what goes, or what goes with a dataset, serves it directly"""
    unfitted: np.ndarray
    """uint8: of the lost, those in which no model that is known to fit could take the place"""
    unserved: np.ndarray
    """uint8: of those, where none that might fit could either"""
    without: np.ndarray
    """bool: cannot be made again for want of a substitute that is known to fit, for itself or for
    what it rests on"""
    without_any: np.ndarray
    """bool: not even with what might fit"""
    in_a_row: Sparse
    """int32: artifacts to make anew in a row, this one last; 0 if not affected"""
    takes: tuple[Sparse, Sparse]
    """float32: months that takes, from and to; 0 if not affected"""
    places: Places
    """who could take which place"""
    uses: np.ndarray
    """int16 or int32, shape (n, channels): how often a node serves in each role"""
    impact: Impact

    @property
    def steps(self) -> np.ndarray:
        """Artifacts to make anew in a row, int32, shape (n,); made anew each time."""
        return self.in_a_row.whole()

    @property
    def months(self) -> tuple[np.ndarray, np.ndarray]:
        """Months that takes, from and to, float32, shape (n,); made anew each time."""
        return self.takes[0].whole(), self.takes[1].whole()

    @property
    def affected(self) -> np.ndarray:
        """Made, stays, and loses an ancestor; bool."""
        found: np.ndarray = self.loses & ~self.removed
        return found


def what_if(
    things: Things,
    removed: np.ndarray,
    definitions: Sequence[Definition],
    asking: Asking | None = None,
    lead: LeadTimes | None = None,
) -> Outcome:
    """Return what becomes of everything if some of it goes.

    Args:
        things: a circuit with facts.
        removed: bool, shape (n,): what goes.
        definitions: under which losses are told.
        asking: what is asked of substitutes; terms are not, if None.
        lead: how long a step takes; no time if None.
    """
    circuit = things.circuit
    hop = circuit.is_model().astype(np.int32)
    own = np.where(removed, np.int32(0), FAR)
    hops = evaluate(circuit, FEWEST_HOPS, own, hop)
    ways = _by_ways(circuit, removed, hops, hop)
    loses = things.made & (ways < FAR)
    affected = loses & ~removed
    reached = hops < FAR

    _ = circuit.weights  # computed once, before several passes ask for them
    with ThreadPoolExecutor(2) as pool:  # numpy lets another pass run beside its own
        told = [pool.submit(_under, things, removed, definition) for definition in definitions]
        whole = pool.submit(touched_above, circuit, reached, _EVERY)
        class_of = pool.submit(widest, circuit, removed)
        line = pool.submit(chain, circuit, (affected & things.thing).astype(np.int32))
        uses = uses_of(circuit)
        places = places_of(things, removed, loses, uses, asking)
        served = roles(circuit, removed, places.no_fit, places.no_might)
        for part in (served.lost, served.unfitted, served.unserved):
            part[~loses] = 0
        keeps = pool.submit(_keeps, things, removed, affected, served.lost)
        without = pool.submit(cannot_be_made, circuit, removed, loses, places.no_fit)
        without_any = cannot_be_made(circuit, removed, loses, places.no_might)
        months = _months(things, affected, served.used, lead)
    hit = np.flatnonzero(affected)
    return Outcome(
        removed=removed,
        loses=loses,
        definitions=tuple(future.result() for future in told),
        keeps=keeps.result(),
        used=served.used,
        lost=served.lost,
        unfitted=served.unfitted,
        unserved=served.unserved,
        without=without.result(),
        without_any=without_any,
        in_a_row=Sparse.of(hit, line.result()),
        takes=months,
        places=places,
        uses=uses,
        impact=impact_of(things, removed, loses, ways, class_of.result(), whole.result()),
    )


def _under(things: Things, removed: np.ndarray, definition: Definition) -> UnderDefinition:
    circuit = things.circuit
    hop = circuit.is_model().astype(np.int32)
    decided = decide(circuit, definition, removed, hop)
    counts = decided.counts
    close = decided.hops + hop <= definition.most_hops
    shares = touched_above(circuit, close, counts)
    near = _by_ways(circuit, removed, decided.hops, hop, counts)
    hits = (near <= definition.most_hops) & things.made
    # A dataset that goes stands at depth 1 where it was read; for a definition it is no hop.
    data = removed & things.thing & (hop == 0)
    depth = near
    if data.any():
        own = np.where(removed, data.astype(np.int32), FAR)
        deep = evaluate(circuit, FEWEST_HOPS, own, hop, counts)
        depth = _by_ways(circuit, removed, deep, hop, counts)
    least = np.int16 if len(circuit.levels) < np.iinfo(np.int16).max else np.int32
    depth = np.where(depth < FAR, depth, -1).astype(least)
    return UnderDefinition(definition, hits, depth, close[: circuit.leaves], shares)


def _months(
    things: Things, affected: np.ndarray, used: np.ndarray, lead: LeadTimes | None
) -> tuple[Sparse, Sparse]:
    """Return the months until each affected node is made anew, from and to."""
    hit = np.flatnonzero(affected)
    if lead is None:
        none = Sparse(things.circuit.size, hit, np.zeros(len(hit), np.float32))
        return none, none
    ends = lead.months_of(things, used, affected)
    low, high = (Sparse.of(hit, chain(things.circuit, end)) for end in ends)
    return low, high


def _by_ways(
    circuit: Circuit,
    removed: np.ndarray,
    hops: np.ndarray,
    hop: np.ndarray,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Return how near what goes reaches each node, that it goes itself left out; shape (n,).

    Args:
        circuit: the graph.
        removed: bool, shape (n,): what goes.
        hops: int32, shape (n,): the same with its own going counted.
        hop: int32, shape (n,): what reaching a node costs.
        counts: labels whose edges count; all if None.
    """
    found = np.where(removed, FAR, hops)
    inner = np.flatnonzero(removed & (np.diff(circuit.start) > 0))
    if not len(inner):
        return found
    begin, end = circuit.start[inner], circuit.start[inner + 1]
    edges = ragged(begin, end)
    to = circuit.to[edges]
    below = np.minimum(hops[to] + hop[to], FAR)
    if counts is not None:
        below[~counts[circuit.label[edges]]] = FAR
    first = np.concatenate([[0], np.cumsum(end - begin)[:-1]])
    found[inner] = np.minimum.reduceat(below, first)
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
