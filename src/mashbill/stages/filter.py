"""``filter``: keep the rows that score highest in a column; the rest are rejects with a reason.

The share to keep is that of the rows that have a score. A row without one (null, NaN, an empty
text) is rejected and decides nothing. Texts that write numbers are numbers; all are compared
exactly.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mashbill.core.cells import number_of
from mashbill.core.errors import InputError
from mashbill.core.missing import Numbers, as_measure, numbers_of, told
from mashbill.core.record import FROM, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.stages.judging import marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


class FilterSpec(StageSpec):
    """``kind = "filter"``."""

    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    kind: Literal["filter"] = "filter"
    input: str
    """dataset to filter"""
    column: str
    """column to keep the highest of: numbers, or texts that write them"""
    by: str
    """model whose score the column is (a stage), or "rule" if no model wrote it"""
    keep_top: float = Field(gt=0, le=1)
    """share of the rows with a score to keep; rows that tie with the last one kept are kept too"""

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
        """Yield all rows, those below the threshold or without a number marked as rejected."""
        # Once for all slices: it is that of the whole column.
        ctx.overall |= ctx.once("measured", lambda: self._measured(ctx))
        threshold: Any = number_of(ctx.overall["threshold"])
        start = 0
        for batch in records:
            rows = batch.select(user_columns(batch.schema.names))
            reasons = self._reasons(batch, threshold)
            columns = {
                **dict(zip(rows.schema.names, rows.columns, strict=True)),
                FROM: pa.array(np.arange(start, start + batch.num_rows), pa.int64()),
                **marks("filter", reasons),
            }
            yield pa.RecordBatch.from_pydict(columns)
            start += batch.num_rows

    def _reasons(self, batch: pa.RecordBatch, threshold: Any) -> list[str | None]:
        """Return for each row why it is not kept."""
        numbers = self._numbers(batch.column(self.column))
        reasons: list[str | None] = [None] * batch.num_rows
        # What is rounded tells which are below, but for those that round to the same.
        near = float(as_measure(threshold))
        for row in np.flatnonzero(~(numbers.about > near)).tolist():
            if numbers.missing[row]:
                reasons[row] = f"{self.column} is missing"
            elif numbers.wrong[row]:
                value = numbers.column[row].as_py()
                reasons[row] = f"{self.column} {value!r:.80} is no number"
            elif numbers.exact(row) < threshold:
                reasons[row] = f"{self.column} {told(numbers.exact(row))} below {told(threshold)}"
        return reasons

    def _numbers(self, column: Any) -> Numbers:
        """Return the column as numbers.

        Raises:
            InputError: if it holds something else than numbers and texts.
        """
        numbers = numbers_of(column)
        if numbers is None:
            msg = f"{self.input}: column {self.column!r} holds {column.type}; filter needs numbers"
            raise InputError(msg)
        return numbers

    def _measured(self, ctx: StageContext) -> dict[str, Any]:
        """Return the least score that is kept, and how many rows have one, where not all do.

        Raises:
            InputError: if no row has a number.
        """
        numbers = self._numbers(ctx.input(self.input).column(self.column))
        scored, missing = int(numbers.known.sum()), int(numbers.missing.sum())
        if not scored:
            wrong = np.flatnonzero(numbers.wrong)
            has = f" (it has {numbers.column[int(wrong[0])].as_py()!r:.80})" if len(wrong) else ""
            msg = (
                f"{self.input}: no row has a number in column {self.column!r}{has}, so there is "
                "nothing to keep the highest of; name the column that holds the scores, or score "
                "the rows first"
            )
            raise InputError(msg)
        threshold = numbers.nth(math.ceil((scored - 1) * (1 - self.keep_top)))
        found: dict[str, Any] = {"threshold": as_measure(threshold)}
        if scored < len(numbers.about):
            found |= {"scored": scored, "missing": missing}
            found |= {"no_number": int(numbers.wrong.sum())} if numbers.wrong.any() else {}
        return found
