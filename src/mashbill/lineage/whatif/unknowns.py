"""What claims that are missing could change: the counts if each thing that is not known hid one.

Claims are never complete, so what is counted is the least that is recorded. The other bounds are
runs of their own: in one, everything of whose making nothing is recorded is taken to rest on what
goes; in the other, everything of whose making anything is not recorded. What came out before
anything that goes did cannot rest on it, where both days are recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.lineage.circuit.semirings import REACHABLE, evaluate
from mashbill.lineage.whatif.days import NEVER, first_day, last_day

if TYPE_CHECKING:
    from mashbill.lineage.whatif.things import Things

NO_MAKING = ("own-dataset", "human", "program", "test-double")
"""kinds of source that are where a making begins"""


@dataclass(frozen=True)
class Bounds:
    """What goes or may rest on what goes, each bool, shape (n,)."""

    if_nothing_recorded: np.ndarray
    """if each thing of whose making nothing is recorded does"""
    if_anything_missing: np.ndarray
    """if each of whose making anything is not recorded does"""
    gap: np.ndarray
    """things of whose making anything is not recorded, so that it may be hidden there"""


def bounds(things: Things, removed: np.ndarray) -> Bounds:
    """Return what may be hit, as far as nothing that is recorded speaks against it.

    Args:
        things: a circuit with facts.
        removed: bool, shape (n,): what goes.
    """
    circuit = things.circuit
    open_ = _could_rest_on(things, removed)
    blank = things.thing & ~things.made & ~_begins(things) & open_
    gaps = evaluate(circuit, REACHABLE, things.unrecorded, ~things.thing)
    every = np.ones(circuit.size, bool)
    gap = blank | (things.thing & gaps & open_)
    nothing, anything = (
        evaluate(circuit, REACHABLE, removed | hidden, every) & things.thing
        for hidden in (blank, gap)
    )
    return Bounds(nothing, anything, gap)


def _begins(things: Things) -> np.ndarray:
    kind = things.columns["kind"]
    named = np.array([value in NO_MAKING for value in kind.values], bool)
    found: np.ndarray = named[kind.code]
    return found


def _could_rest_on(things: Things, removed: np.ndarray) -> np.ndarray:
    """Return what did not come out before all that goes, bool, shape (n,)."""
    released = things.columns["released"]
    began = first_day(released)[removed & things.thing]
    earliest = int(began.min()) if len(began) else int(NEVER)
    found: np.ndarray = last_day(released) >= earliest
    return found
