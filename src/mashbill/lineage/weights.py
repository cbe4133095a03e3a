"""What the edges of a circuit weigh in tokens, as every share needs it; made once for many passes.

In a catalogue hardly a claim states figures: what has none has no share to sum, so that only the
edges of nodes with some known weight are kept, and of the others whether they have one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mashbill.lineage.circuit.arrays import Circuit

_ALL = slice(None)


@dataclass(frozen=True)
class Weights:
    """Weights of m edges, and what they are for the nodes above the leaves."""

    total: np.ndarray
    """float64, shape (above,): known tokens of each node's edges, summed"""
    unknown: np.ndarray | None
    """bool, shape (m,): edges without a known weight; None if all have one"""
    node: np.ndarray | slice
    """places of the nodes with a known token among those above the leaves; or all of these"""
    edge: np.ndarray | slice
    """their edges"""
    tokens: np.ndarray
    """float64: tokens of these edges, 0 where not known"""
    start: np.ndarray
    """int64: where in ``tokens`` those of each such node begin"""

    @classmethod
    def of(cls, circuit: Circuit) -> Weights:
        """Return the weights of a circuit."""
        begin = circuit.start[circuit.leaves : -1]
        if not len(begin):
            return cls(np.empty(0), None, _ALL, _ALL, np.empty(0), begin)
        blank = np.isnan(circuit.tokens)
        known = np.where(blank, 0.0, circuit.tokens)
        total = np.add.reduceat(known, begin)
        unknown = blank if blank.any() else None
        some = total > 0
        if 2 * np.count_nonzero(some) > len(total):
            return cls(total, unknown, _ALL, _ALL, known, begin)
        sizes = np.diff(circuit.start[circuit.leaves :])
        edge = np.flatnonzero(np.repeat(some, sizes)) + int(begin[0])
        start = np.cumsum(sizes[some]) - sizes[some]
        return cls(total, unknown, np.flatnonzero(some), edge, known[edge], start)

    def parts(self, hit: np.ndarray) -> np.ndarray:
        """Return which part of each node's known tokens stands in edges that are hit.

        Args:
            hit: bool, shape (m,).

        Returns:
            float64, shape (above,); 0 where no token is known.
        """
        share = np.zeros(len(self.total))
        if len(self.start):
            part = np.add.reduceat(self.tokens * hit[self.edge], self.start)
            total = self.total[self.node]
            share[self.node] = np.divide(part, total, out=part, where=total > 0)
        return share
