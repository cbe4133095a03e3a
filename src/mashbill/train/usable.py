"""Which rows of a dataset a trainer can learn from: those that have all that it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.missing import missing_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext


@dataclass(frozen=True)
class Usable:
    """Rows that have a value in every column that is learned from."""

    table: pa.Table
    there: np.ndarray
    """which rows of the dataset they are, bool, shape (rows of the dataset,)"""

    @property
    def places(self) -> np.ndarray:
        """Position of each in the dataset, int64, shape (rows,)."""
        return np.flatnonzero(self.there)


def usable(
    rows: Dataset, ctx: StageContext, texts: Sequence[str], others: Sequence[str] = ()
) -> Usable:
    """Return the rows that have all of these columns; the others are told of, and left out.

    Args:
        rows: the dataset.
        ctx: its measures get ``left_out``, rows by dataset and column, where there are any.
        texts: columns of texts, beginning with the text itself, which may be empty; the others
            name labels, where an empty text says nothing.
        others: columns of numbers.

    Raises:
        InputError: if no row has all of them.
    """
    table = rows.read(0, rows.num_rows, [*texts, *others])
    there = np.ones(rows.num_rows, bool)
    lacks: dict[str, int] = {}
    for name in (*texts, *others):
        missing = missing_in(table.column(name), blank=name != texts[0]) & there
        if missing.any():
            lacks[name] = int(missing.sum())
            there &= ~missing
    if not lacks:
        return Usable(table, there)
    told = ", ".join(f"{count:,} lack {name}" for name, count in lacks.items())
    if not there.any():
        msg = (
            f"{rows.manifest.ref}: no row has all of {', '.join((*texts, *others))} ({told}), so "
            "there is nothing to learn from; label the rows, or name another dataset"
        )
        raise InputError(msg)
    ctx.measures.setdefault("left_out", {})[str(rows.manifest.ref)] = lacks
    ctx.warn(
        f"{rows.manifest.ref}: {rows.num_rows - int(there.sum()):,} of {rows.num_rows:,} rows were "
        f"not learned from ({told})"
    )
    return Usable(table.filter(pa.array(there)), there)
