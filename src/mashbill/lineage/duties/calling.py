"""Whose calls a circuit tells of: those of whoever asks, or of makers of public things.

Terms bind whoever called, as they read on that day. Of what a run of one's own did both are
recorded. Of a public thing a claim tells that a model wrote it, and neither who called nor when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.lineage.circuit.reach import by_weights_alone, under

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
    every = np.ones(len(circuit.to), bool)
    return Calls(
        ours=_sources(circuit, under(circuit, every, ~circuit.described)),
        carried=_sources(circuit, by_weights_alone(circuit)),
    )


def _sources(circuit: Circuit, which: np.ndarray) -> frozenset[Source]:
    nodes = np.flatnonzero(which & circuit.described).tolist()
    return frozenset(map(circuit.source, nodes))
