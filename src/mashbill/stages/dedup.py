"""``dedup``: rows that say the same become one, made of all of them.

Any of them may be where the text came from, so the row that stays names them all in ``_from``: to
keep only the first one's origin would be laundering.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.record import FROM, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.stages.asking import texts_of
from mashbill.stages.text import matching_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


class DedupSpec(StageSpec):
    """``kind = "dedup"``."""

    streams = False
    merges = True
    references: ClassVar[tuple[str, ...]] = ("input",)

    kind: Literal["dedup"] = "dedup"
    input: str
    """dataset to merge duplicates of"""
    column: str = "text"
    """rows with the same value here are one; a missing value equals no other"""
    exact: bool = True
    """false: texts that differ only in case, punctuation and spacing are one too (slower)"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows."""
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the first row of each group, in order, with the positions of all its rows."""
        table = pa.Table.from_batches(records)
        if self.column not in table.column_names:
            msg = (
                f"{self.input} has no column {self.column!r}; it has "
                f"{', '.join(table.column_names)}; correct the column name in the recipe"
            )
            raise InputError(msg)
        keys = table.column(self.column)
        if not self.exact:
            keys = pa.chunked_array(
                [[matching_key(text) for text in texts_of(table, self.column, self.input)]],
                pa.string(),
            )
        positions, ends = groups_of(keys)
        starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        ctx.measures |= {"rows": table.num_rows, "merged_away": table.num_rows - len(ends)}
        kept = table.select(user_columns(table.column_names)).take(pa.array(positions[starts]))
        made_of = pa.LargeListArray.from_arrays(
            pa.array(np.concatenate([[0], ends]), pa.int64()), pa.array(positions, pa.int64())
        )
        yield from kept.append_column(FROM, made_of.cast(pa.list_(pa.int64()))).to_batches()


def groups_of(keys: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows put together by key, the groups in order of their first row.

    Args:
        keys: any type that has a dictionary encoding; nulls are groups of one.

    Returns:
        Row positions, int64, shape (rows,), and how many of them stand before the end of each
        group, int64, shape (groups,).
    """
    if pa.types.is_string(keys.type):
        keys = keys.cast(pa.large_string())  # 2 GiB of text in one chunk are not the limit then
    encoded = keys.combine_chunks().dictionary_encode()
    missing = np.asarray(pc.is_null(encoded.indices))
    codes = np.asarray(encoded.indices.fill_null(0), np.int64)
    if missing.any():
        codes[missing] = len(encoded.dictionary) + np.arange(int(missing.sum()))
        first = np.full(int(codes.max()) + 1, len(codes))
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # the last one written, the first row
        rank = np.empty_like(first)
        rank[np.argsort(first, kind="stable")] = np.arange(len(first))
        codes = rank[codes]
    # Codes come in order of first appearance, and a stable sort keeps the order within a group.
    sizes = np.bincount(codes)
    return np.argsort(codes, kind="stable"), np.cumsum(sizes[sizes > 0])
