"""Things as they are counted: each once, however many ways to it a circuit has.

A model that is reached as weights and through an API is two nodes, since other terms hold; it is
one model. It goes if it goes by every way, and loses an ancestor if it does by any.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mashbill.lineage.whatif.passes import Outcome
    from mashbill.lineage.whatif.things import Things


@dataclass(frozen=True)
class Roster:
    """Entries, one for each name, over the nodes of a circuit."""

    things: Things
    nodes: np.ndarray
    """int64, shape (things,): nodes, those of one name side by side"""
    first: np.ndarray
    """int64, shape (entries,): where in ``nodes`` each entry begins"""

    @classmethod
    def of(cls, things: Things) -> Roster:
        """Return the roster of a circuit with facts."""
        nodes = np.flatnonzero(things.thing)
        code = things.columns["name"].code[nodes]
        order = np.argsort(code, kind="stable")
        first = np.flatnonzero(np.diff(code[order], prepend=-1))
        return cls(things, nodes[order], first)

    def __len__(self) -> int:
        """Entries."""
        return len(self.first)

    @cached_property
    def node(self) -> np.ndarray:
        """One node of each entry, whose facts are the entry's; int64, shape (entries,)."""
        found: np.ndarray = self.nodes[self.first]
        return found

    def each(self, way: np.ufunc, values: np.ndarray) -> np.ndarray:
        """Return the values of nodes put together for each entry, shape (entries,)."""
        found: np.ndarray = values[self.node]
        entries, nodes, first = self._in_many_ways
        if len(entries):
            found[entries] = way.reduceat(values[nodes], first)
        return found

    @cached_property
    def _in_many_ways(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Entries of more than one node, these nodes, and where those of each begin."""
        sizes = np.diff(self.first, append=len(self.nodes))
        many = sizes > 1
        mine = sizes[many]
        return np.flatnonzero(many), self.nodes[np.repeat(many, sizes)], np.cumsum(mine) - mine

    @cached_property
    def is_model(self) -> np.ndarray:
        """Entries that are models, bool."""
        found: np.ndarray = self.things.is_model[self.node]
        return found

    @cached_property
    def is_data(self) -> np.ndarray:
        """Entries that are datasets, bool."""
        what = self.things.columns["what"]
        named = np.array([value == "dataset" for value in what.values], bool)
        found: np.ndarray = named[what.code[self.node]]
        return found

    @cached_property
    def recorded(self) -> np.ndarray:
        """Entries of whose making something is recorded, bool."""
        return self.each(np.logical_or, self.things.made)


@dataclass(frozen=True)
class Hit:
    """What becomes of each entry, each shape (entries,)."""

    goes: np.ndarray
    """bool"""
    partly: np.ndarray
    """bool: goes by one way, and stays by another"""
    loses: np.ndarray
    """bool: rests on what goes, whether or not it goes itself"""
    low: np.ndarray
    """float64: impact, 0 to 1"""
    high: np.ndarray

    @classmethod
    def of(cls, roster: Roster, outcome: Outcome) -> Hit:
        """Return what a scenario does to each entry."""
        goes = roster.each(np.logical_and, outcome.removed)
        return cls(
            goes,
            roster.each(np.logical_or, outcome.removed) & ~goes,
            roster.each(np.logical_or, outcome.loses),
            roster.each(np.minimum, outcome.impact.low),
            roster.each(np.minimum, outcome.impact.high),
        )

    @property
    def stays(self) -> np.ndarray:
        """Rests on what goes, and does not go itself; bool."""
        found: np.ndarray = self.loses & ~self.goes
        return found

    @property
    def any(self) -> np.ndarray:
        """Goes, or rests on what goes; bool."""
        found: np.ndarray = self.goes | self.loses
        return found
