"""Rows that hold whole texts of an artifact or a teacher, and when they are no chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mashbill.stages.marks.texts import FEW

ENOUGH, PART, LEAST_ROWS = 5, 0.2, 20
"""different texts that a store holds from which on it is no chance; part of all rows from which on
fewer count; rows below which short texts never count. Of those half as many must differ as there
are rows, so that labels and topics are none"""
_SHORTS = 10_000
"""different short texts that are counted"""


@dataclass
class Met:
    """Rows that hold texts of one artifact."""

    rows: int = 0
    short: int = 0
    """rows of which only short texts are there"""
    texts: set[int] = field(default_factory=set)
    """hashes of long ones, a few"""
    full: set[int] = field(default_factory=set)
    """hashes of those that two people hardly ever write alike, a few"""
    shorts: set[int] = field(default_factory=set)
    """hashes of short ones, some"""
    nodes: Counter[int] = field(default_factory=Counter)
    """number of a node -> rows"""

    def count(self, hits: np.ndarray, nodes: np.ndarray | None = None) -> None:
        """Count some rows.

        Args:
            hits: of :data:`mashbill.stages.marks.texts.HASHED`: texts that were self.
            nodes: the number of the node of each, if they are of an artifact.
        """
        rows, first = np.unique(hits["row"], return_index=True)
        longs = np.unique(hits["row"][hits["long"]])
        self.rows += len(rows)
        self.short += len(rows) - len(longs)
        if len(self.texts) < ENOUGH:
            self.texts.update(hits["hash"][hits["long"]][: ENOUGH * 4].tolist())
        if len(self.full) < ENOUGH:
            self.full.update(hits["hash"][hits["full"]][: ENOUGH * 4].tolist())
        if len(self.shorts) < _SHORTS:
            self.shorts.update(hits["hash"][~hits["long"]].tolist())
        if nodes is None:
            return
        for node, count in zip(*np.unique(nodes[first], return_counts=True), strict=True):
            self.nodes[int(node)] += int(count)

    def is_enough(self, total: int) -> bool:
        """Return whether so many rows hold texts of an artifact that it is no chance."""
        longs = self.rows - self.short
        if len(self.full) >= ENOUGH or longs >= PART * total:
            return True
        if len(self.texts) >= ENOUGH and longs >= FEW * total:
            return True
        return total >= LEAST_ROWS and len(self.shorts) >= min(total / 2, _SHORTS)
