"""An artifact that was checked, and of its rows what lineage is composed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.record import BILL, FROM
from mashbill.core.weights import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.lineage.circuit.nodes import NodeTable


@dataclass(frozen=True)
class Rows:
    """What lineage is composed from, of the rows of one shard."""

    bills: np.ndarray
    """number of each row's node, int32, shape (rows,)"""
    words: np.ndarray
    """what each row weighs, int64, shape (rows,)"""
    origins: np.ndarray | None = None
    """positions that the rows came from, those of the first row first; None if they say none"""
    ends: np.ndarray | None = None
    """how many positions stand before the end of each row's; None if each row has one"""

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """Read them from records."""
        bills = np.asarray(table.column(BILL), np.int32)
        words = words_of(table)
        if FROM not in table.column_names:
            return cls(bills, words)
        column = table.column(FROM).combine_chunks()
        if pa.types.is_list(column.type):
            begins = np.asarray(column.offsets)
            flat = np.asarray(column.flatten(), np.int64)
            return cls(bills, words, flat, begins[1:] - begins[0])
        return cls(bills, words, np.asarray(column, np.int64))


@dataclass(frozen=True)
class Made:
    """A dataset or model that was checked, for what is made of it."""

    manifest: Manifest
    table: NodeTable
    kept: Sequence[Rows] = ()
    removed: str = ""
    """how its rows were removed; empty if they are there"""

    @property
    def bills(self) -> np.ndarray:
        """Number of the node of each row that was kept, over all shards."""
        return np.concatenate([np.empty(0, np.int32), *(rows.bills for rows in self.kept)])
