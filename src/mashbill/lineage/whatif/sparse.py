"""Values of the few nodes that have one, where millions have none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sparse:
    """A value of some of n nodes; 0 of all others."""

    size: int
    """nodes in all, n"""
    nodes: np.ndarray
    """int64, shape (some,), ascending"""
    values: np.ndarray
    """shape (some,)"""

    @classmethod
    def of(cls, nodes: np.ndarray, values: np.ndarray) -> Sparse:
        """Keep the values of some nodes, of values that are given for all, shape (n,)."""
        return cls(len(values), nodes, values[nodes])

    def at(self, node: int) -> float:
        """Return the value of one node."""
        place = int(np.searchsorted(self.nodes, node))
        is_there = place < len(self.nodes) and self.nodes[place] == node
        return float(self.values[place]) if is_there else 0.0

    def whole(self) -> np.ndarray:
        """Return the value of every node, shape (n,); made anew each time."""
        found = np.zeros(self.size, self.values.dtype)
        found[self.nodes] = self.values
        return found
