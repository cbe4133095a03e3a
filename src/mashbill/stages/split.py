"""``split``: keep the rows whose text, or whose group, falls in a range of a hash.

Ranges that do not overlap share no text, duplicates included, and a row keeps its side however
the corpus grows, so that a rerun on a larger corpus labels only what is new.

By ``by`` they share no group (:mod:`mashbill.stages.grouping`): no prompt, document, user, nor
cluster of near duplicates. Splits that are to be apart have the same ``by``, in one recipe or with
one seed; `mashbill overlap` checks what came of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import model_validator

from mashbill.core.errors import InputError
from mashbill.core.explaining import check_columns
from mashbill.core.missing import missing_in, missing_reasons
from mashbill.core.record import FROM, ID, one_batch, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.texts import texts_of
from mashbill.files.rows.text import place, place_of_key
from mashbill.stages.grouping import Groups, group_keys, hashed
from mashbill.stages.judging import marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext


class SplitSpec(StageSpec):
    """``kind = "split"``."""

    keeps_columns: ClassVar[bool] = True
    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    added: ClassVar[frozenset[str]] = frozenset({"by", "ungrouped"})

    kind: Literal["split"] = "split"
    input: str
    """dataset to take from"""
    range: tuple[float, float]
    """rows whose hash is at or above the first and below the second; the whole is 0 to 1"""
    gold: Literal["drop", "require"] = "drop"
    """drop the human labels (what later steps learn from), or keep only rows that have one"""

    by: tuple[str, ...] = ()
    """columns whose values are never divided, such as prompt, document, user or a cluster of near
    duplicates; by several, rows that any of them ties together are not. The text if not said"""
    ungrouped: Literal["reject", "alone"] = "reject"
    """a row without a value in any of these is rejected, or a group of its own with its copies"""

    @model_validator(mode="after")
    def _is_a_range(self) -> SplitSpec:
        low, high = self.range
        if not 0 <= low < high <= 1:
            msg = f"range {[low, high]} must rise within 0 to 1"
            raise ValueError(msg)
        if len(set(self.by)) < len(self.by):
            msg = f"by names a column twice: {', '.join(self.by)}"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows."""
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """The share of the input that the range is."""
        return round(inputs[self.input] * (self.range[1] - self.range[0]))

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the columns that it groups by are there, where they are known."""
        del folder
        check_columns([("by", name) for name in self.by], columns.get(self.input), self.input)

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of its input, without the human labels where it drops them."""
        del files
        known = inputs.get(self.input)
        if known is None or self.gold == "require":
            return known
        return tuple(name for name in known if name != "gold")

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the range; one without a text or group has no place: a reject."""
        low, high = self.range
        start = 0
        for batch in records:
            if self.gold == "require" and "gold" not in batch.schema.names:
                msg = f"{self.input} has no column 'gold', which gold = 'require' asks for"
                raise InputError(msg)
            has_gold = "gold" in batch.schema.names
            labelled = (
                ~missing_in(batch.column("gold"), blank=True)
                if has_gold
                else np.zeros(batch.num_rows, bool)
            )
            places, reasons = self._places(batch, ctx)
            kept = [
                i
                for i, at in enumerate(places)
                if reasons[i] is not None
                or ((self.gold == "drop" or labelled[i]) and low <= at < high)
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

    def _places(
        self, batch: pa.RecordBatch, ctx: StageContext
    ) -> tuple[list[float], list[str | None]]:
        """Return where each row falls in [0, 1), and why it has no place."""
        if not self.by:
            texts = texts_of(batch, "text", self.input)
            reasons = missing_reasons(batch, ["text"])
            return [place(text, ctx.seed) for text in texts], reasons
        keys = [group_keys(batch, name, self.input) for name in self.by]
        found: list[str | None]
        if len(self.by) == 1:
            (found,) = keys
        else:
            groups: Groups = ctx.once("groups", lambda: Groups(ctx.input(self.input), self.by))
            ctx.overall |= {"groups": groups.count, "rows_of_largest_group": groups.largest}
            rows = ctx.input(self.input).num_rows
            if groups.largest == rows > 1 and self.range != (0, 1):
                msg = (
                    f"{self.input}: {' and '.join(self.by)} tie all {rows:,} rows together into "
                    "one group, which no split may divide; group by fewer columns"
                )
                raise InputError(msg)
            if groups.largest * 2 > rows:
                ctx.warn(
                    f"{groups.largest:,} of {rows:,} rows are one group by {', '.join(self.by)}, "
                    "so that the shares of splits cannot be those of their ranges"
                )
            hashes = [hashed(each, name) for each, name in zip(keys, self.by, strict=True)]
            found = [f"{group:016x}" if group else None for group in groups.of(hashes).tolist()]
        if self.ungrouped == "alone":
            own = batch.column(ID).to_pylist()
            found = [key or row.hex() for key, row in zip(found, own, strict=True)]
        lacks = f"{' and '.join(self.by)} {'are' if len(self.by) > 1 else 'is'} missing"
        return (
            [place_of_key(key or "", ctx.seed) for key in found],
            [None if key else lacks for key in found],
        )
