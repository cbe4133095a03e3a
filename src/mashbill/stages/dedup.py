"""``dedup``: rows that say the same become one, made of all of them.

Any of them may be where the text came from, so the row that stays names them all in ``_from``: to
keep only the first one's origin would be laundering. The input is read twice, and memory does not
grow with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.missing import is_text, missing_in
from mashbill.core.record import FROM, one_batch, user_columns
from mashbill.core.rowbytes import row_bytes
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.files.rows.same import Same
from mashbill.files.rows.text import matching_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


_ROWS = 4096


class DedupSpec(StageSpec):
    """``kind = "dedup"``."""

    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    streams = False
    merges = True
    references: ClassVar[tuple[str, ...]] = ("input",)

    kind: Literal["dedup"] = "dedup"
    input: str
    """dataset to merge duplicates of"""
    column: str = "text"
    """rows with the same value here are one; a missing value, or an empty text, equals no other"""
    exact: bool = True
    """false: texts that differ only in case, punctuation and spacing are one too (slower)"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows."""
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the first row of each group, in order, with the positions of all its rows."""
        data = ctx.input(self.input)
        with Same(ctx.work / "same") as same:
            done = 0
            for batch in records:
                same.add(self._keys(batch))
                done += batch.num_rows
                ctx.progress(done, 0, "comparing")
            same.settle()
            ctx.measures |= {"rows": done, "merged_away": same.repeated}
            for start, piece in data.chunks(_ROWS):
                yield self._merged(piece, start, same)

    def _keys(self, batch: pa.RecordBatch) -> pa.Array:
        """Return what rows are compared by, shape (rows,); a missing value is a missing key."""
        if self.column not in batch.schema.names:
            msg = (
                f"{self.input} has no column {self.column!r}; it has "
                f"{', '.join(batch.schema.names)}; correct the column name in the recipe"
            )
            raise InputError(msg)
        values = batch.column(self.column)
        missing = pa.array(missing_in(values, blank=True))
        if is_text(values.type):
            keys = values if self.exact else matching_keys(values)
            return pc.if_else(missing, pa.scalar(None, keys.type), keys)
        if pa.types.is_null(values.type):
            return values
        if not self.exact:
            msg = f"{self.input}: column {self.column!r} holds {values.type}; text is needed"
            raise InputError(msg)
        return pc.if_else(missing, None, row_bytes({"": values}))

    def _merged(self, piece: pa.Table, start: int, same: Same) -> pa.RecordBatch:
        stop = start + piece.num_rows
        rows = np.arange(start, stop)
        kept = np.flatnonzero(same.firsts(start, stop) == rows)
        positions, ends = same.groups(start, stop)
        made_of = pa.ListArray.from_arrays(
            pa.array(np.concatenate([[0], ends]), pa.int32()), pa.array(positions, pa.int64())
        )
        table = piece.select(user_columns(piece.column_names)).take(pa.array(kept))
        return one_batch(table.append_column(FROM, made_of))
