"""``filter``: keep the rows that score highest in a column; the rest are rejects with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mashbill.core.errors import InputError
from mashbill.core.record import FROM, REASON, REJECTED_BY, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


class FilterSpec(StageSpec):
    """``kind = "filter"``."""

    keeps_texts: ClassVar[bool] = True
    kind: Literal["filter"] = "filter"
    input: str
    """dataset to filter"""
    column: str
    """numeric column to keep the highest of"""
    by: str
    """model whose score the column is (a stage), or "rule" if no model wrote it"""
    keep_top: float = Field(gt=0, le=1)
    """share of the rows to keep; rows that tie with the last one kept are kept too"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows, selected by the model that scored them."""
        rows = Uses(self.input, "rows", Channel.CONTENT)
        if self.by == "rule":
            return (rows,)
        return rows, Uses(self.by, "actor", Channel.SELECTION)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """The share to keep."""
        return round(inputs[self.input] * self.keep_top)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows, those below the threshold marked as rejected."""
        threshold = ctx.measures.get("threshold")
        if threshold is None:  # once for all slices: it is that of the whole column
            threshold = ctx.measures["threshold"] = self._threshold(ctx)
        start = 0
        for batch in records:
            values = np.asarray(batch.column(self.column), np.float64)
            rows = batch.select(user_columns(batch.schema.names))
            reasons = [
                None if value >= threshold else f"{self.column} {value:.4f} below {threshold:.4f}"
                for value in values
            ]
            positions = pa.array(np.arange(start, start + batch.num_rows), pa.int64())
            marks = pa.array([None if r is None else "filter" for r in reasons], pa.string())
            yield pa.RecordBatch.from_arrays(
                [*rows.columns, positions, marks, pa.array(reasons, pa.string())],
                [*rows.schema.names, FROM, REJECTED_BY, REASON],
            )
            start += batch.num_rows

    def _threshold(self, ctx: StageContext) -> float:
        """Return the least score that is kept.

        Raises:
            InputError: if the column holds no numbers.
        """
        column = ctx.input(self.input).column(self.column)
        if not pa.types.is_floating(column.type) and not pa.types.is_integer(column.type):
            msg = f"{self.input}: column {self.column!r} holds {column.type}; filter needs numbers"
            raise InputError(msg)
        scores = np.asarray(column, np.float64)
        return float(np.quantile(scores, 1 - self.keep_top, method="higher"))
