"""``split``: keep the rows whose text falls in a range of a hash.

Ranges that do not overlap share no text, duplicates included, and a row keeps its side however
the corpus grows, so that a rerun on a larger corpus labels only what is new.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import model_validator

from mashbill.core.errors import InputError
from mashbill.core.missing import missing_in, missing_reasons
from mashbill.core.record import FROM, one_batch, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.files.rows.text import place
from mashbill.stages.judging import marks, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


class SplitSpec(StageSpec):
    """``kind = "split"``."""

    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    kind: Literal["split"] = "split"
    input: str
    """dataset to take from"""
    range: tuple[float, float]
    """rows whose hash is at or above the first and below the second; the whole is 0 to 1"""
    gold: Literal["drop", "require"] = "drop"
    """drop the human labels (what later steps learn from), or keep only rows that have one"""

    @model_validator(mode="after")
    def _is_a_range(self) -> SplitSpec:
        low, high = self.range
        if not 0 <= low < high <= 1:
            msg = f"range {[low, high]} must rise within 0 to 1"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows."""
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """The share of the input that the range is."""
        return round(inputs[self.input] * (self.range[1] - self.range[0]))

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the range; one without a text has no place, and is rejected."""
        low, high = self.range
        start = 0
        for batch in records:
            texts = texts_of(batch, "text", self.input)
            reasons = missing_reasons(batch, ["text"])
            if self.gold == "require" and "gold" not in batch.schema.names:
                msg = f"{self.input} has no column 'gold', which gold = 'require' asks for"
                raise InputError(msg)
            has_gold = "gold" in batch.schema.names
            labelled = (
                ~missing_in(batch.column("gold"), blank=True)
                if has_gold
                else np.zeros(len(texts), bool)
            )
            kept = [
                i
                for i, text in enumerate(texts)
                if reasons[i] is not None
                or ((self.gold == "drop" or labelled[i]) and low <= place(text, ctx.seed) < high)
            ]
            columns = [
                name
                for name in user_columns(batch.schema.names)
                if name != "gold" or self.gold == "require"
            ]
            rows = pa.table(batch.select(columns)).take(pa.array(kept, pa.int64()))
            rows = rows.append_column(FROM, pa.array([start + i for i in kept], pa.int64()))
            for name, column in marks("split", [reasons[i] for i in kept]).items():
                rows = rows.append_column(name, column)
            yield one_batch(rows)
            start += batch.num_rows
