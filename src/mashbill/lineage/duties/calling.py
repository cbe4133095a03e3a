"""Whose calls a circuit tells of: those of whoever asks, or of makers of public things.

Terms bind whoever called, as they read on that day. Of what a run of one's own did both are
recorded. Of a public thing a claim tells that a model wrote it, and neither who called nor when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.source import Channel
from mashbill.lineage.circuit.levels import ragged
from mashbill.lineage.circuit.semirings import allowed

if TYPE_CHECKING:
    from mashbill.core.source import Source
    from mashbill.lineage.circuit.arrays import Circuit


@dataclass(frozen=True)
class Calls:
    """Which sources of an artifact are reached how."""

    ours: frozenset[Source]
    """sources that a run of one's own reached by itself"""
    carried: frozenset[Source]
    """sources whose weights the artifact is built on, however many models back: what their licence
    says goes with them to whoever uses it"""


def calls_of(circuit: Circuit) -> Calls:
    """Return which sources one's own runs reached, and which are in an artifact's weights."""
    every, weights = allowed(tuple(Channel)), allowed([Channel.WEIGHTS])
    public = circuit.described
    return Calls(
        ours=_sources(circuit, _under(circuit, every, beyond=~public)),
        carried=_sources(circuit, _under(circuit, weights, beyond=np.ones(circuit.size, bool))),
    )


def _under(circuit: Circuit, counts: np.ndarray, *, beyond: np.ndarray) -> np.ndarray:
    """Return the nodes under the root by edges of labels that count, through nodes ``beyond``."""
    found = np.zeros(circuit.size, bool)
    waiting = np.array([circuit.root])
    while len(waiting):
        passed = waiting[beyond[waiting]]
        edges = ragged(circuit.start[passed], circuit.start[passed + 1])
        below = np.unique(circuit.to[edges[counts[circuit.label[edges]]]])
        waiting = below[~found[below]]
        found[waiting] = True
    return found


def _sources(circuit: Circuit, which: np.ndarray) -> frozenset[Source]:
    nodes = np.flatnonzero(which & circuit.described).tolist()
    return frozenset(map(circuit.source, nodes))
