"""``dedup``: rows that say the same, or nearly the same, become one, made of all of them.

Any of them may be where the text came from, so the row that stays names them all in ``_from``: to
keep only the first one's origin would be laundering. Where ``how`` is given, each row that goes is
a reject whose reason says into which row it was merged, and how like the two are. The input is read
twice or three times, and memory does not grow with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.record import FROM, one_batch, user_columns
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import StageSpec, Uses
from mashbill.files.rows.minhash import Bands, bands_for
from mashbill.files.rows.vectors import MOST
from mashbill.stages.judging import marks
from mashbill.stages.merging import by_key, by_shingles, by_vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from mashbill.core.stage import StageContext
    from mashbill.files.rows.merged import Merged
    from mashbill.files.rows.tokens import By


_ROWS = 4096
_KEYS: dict[str, tuple[str, ...]] = {
    "threshold": ("minhash", "embedding"),
    "shingle": ("minhash",),
    "shingles": ("minhash",),
    "permutations": ("minhash",),
    "recall": ("minhash",),
    "by": ("embedding",),
}
"""key -> what it is for"""
_LIKENESS = {"minhash": "Jaccard", "embedding": "cosine"}

How = Literal["exact", "normalised", "minhash", "embedding"]


class DedupSpec(StageSpec):
    """``kind = "dedup"``."""

    keeps_columns: ClassVar[bool] = True
    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    streams = False
    merges = True
    references: ClassVar[tuple[str, ...]] = ("input", "by")
    added: ClassVar[frozenset[str]] = frozenset({"how", *_KEYS})

    kind: Literal["dedup"] = "dedup"
    input: str
    """dataset to merge duplicates of"""
    column: str = "text"
    """rows with the same value here are one; a missing value, or an empty text, equals no other"""
    exact: bool = True
    """false: texts that differ only in case, punctuation and spacing are one too (slower); for
    recipes that do not say ``how``"""
    how: How | None = None
    """exact; normalised, but for case, punctuation and spacing; minhash, most of the words; or
    embedding, vectors in the column that point the same way. Rows that go become rejects, which say
    what they were merged into; if it is not said they are in ``_from`` alone"""
    threshold: float | None = Field(default=None, gt=0, le=1)
    """least likeness of rows that are merged: Jaccard of shingles, 0.8 if not said, or cosine of
    vectors, 0.95"""
    shingle: int | None = Field(default=None, ge=1, le=64)
    """tokens of a shingle: 3 words if not said, or 9 characters"""
    shingles: Literal["words", "characters"] = "words"
    """what shingles are of; in scripts without spaces each letter is a word"""
    permutations: int = Field(default=128, ge=16, le=1024)
    """places of a MinHash signature"""
    recall: float = Field(default=0.95, gt=0, lt=1)
    """least probability that two rows just at the threshold are compared"""

    by: str | None = None
    """model whose vectors they are (a stage): it selects what stays"""

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.how is not None and not self.exact:
            msg = f"how = {self.how!r} says what exact = false does; leave out exact"
            raise ValueError(msg)
        for key, of in _KEYS.items():
            if key in self.model_fields_set and self.manner not in of:
                msg = f"{key} is for how = {' or '.join(map(repr, of))}; set that, or leave it out"
                raise ValueError(msg)
        if self.manner == "minhash":
            bands_for(self.least, self.permutations, self.recall)
        return self

    @property
    def manner(self) -> How:
        """How rows are compared."""
        return self.how or ("exact" if self.exact else "normalised")

    @property
    def least(self) -> float:
        """Least likeness of rows that are merged."""
        usual = {"minhash": 0.8, "embedding": 0.95}.get(self.manner, 1.0)
        return usual if self.threshold is None else self.threshold

    @property
    def tokens(self) -> tuple[int, By]:
        """How many tokens a shingle has, and of what."""
        usual = 3 if self.shingles == "words" else 9
        return self.shingle or usual, self.shingles

    @property
    def bands(self) -> Bands:
        """How signatures are cut."""
        return bands_for(self.least, self.permutations, self.recall)

    def uses(self) -> tuple[Uses, ...]:
        """The rows, selected by the model whose vectors they have."""
        rows = Uses(self.input, "rows", Channel.CONTENT)
        if self.by is None:
            return (rows,)
        return rows, Uses(self.by, "actor", Channel.SELECTION, purpose=Purpose.CLEANING)

    def expected_seconds(self, rows: int | None) -> float | None:
        """As measured on one core: each row is compared with all that stay, where by vectors."""
        if rows is None:
            return None
        if self.manner == "embedding":
            return min(rows, MOST) ** 2 / 1e8
        return rows / (10_000 if self.manner == "minhash" else 50_000)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the first row of each group, in order, with the positions of all its rows."""
        data = ctx.input(self.input)
        with self._merging(records, ctx) as merged:
            for start, piece in data.chunks(_ROWS):
                yield self._rows(piece, start, merged)

    def _merging(
        self, records: Iterator[pa.RecordBatch], ctx: StageContext
    ) -> AbstractContextManager[Merged]:
        if self.manner == "minhash":
            length, by = self.tokens
            return by_shingles(ctx, self.input, self.column, length, by, self.bands, self.least)
        if self.manner == "embedding":
            return by_vector(ctx, self.input, self.column, self.least)
        return by_key(records, ctx, self.input, self.column, exact=self.manner == "exact")

    def _rows(self, piece: pa.Table, start: int, merged: Merged) -> pa.RecordBatch:
        stop = start + piece.num_rows
        into = merged.into(start, stop)
        stays = into == np.arange(start, stop)
        positions, ends = merged.groups(start, stop)
        table = piece.select(user_columns(piece.column_names))
        if self.how is None:
            table = table.take(pa.array(np.flatnonzero(stays)))
            return one_batch(table.append_column(FROM, _lists(positions, ends)))
        gone = np.flatnonzero(~stays)
        sizes = np.ones(piece.num_rows, np.int64)
        sizes[stays] = np.diff(ends, prepend=0)
        owners = np.concatenate([np.repeat(np.flatnonzero(stays), sizes[stays]), gone])
        order = np.argsort(owners, kind="stable")
        positions = np.concatenate([positions, start + gone])[order]
        reasons: list[str | None] = [None] * piece.num_rows
        likeness = merged.likeness(start, stop)
        for row in gone.tolist():
            reasons[row] = self._reason(int(into[row]), float(likeness[row]))
        table = table.append_column(FROM, _lists(positions, np.cumsum(sizes)))
        for name, column in marks("dedup", reasons).items():
            table = table.append_column(name, column)
        return one_batch(table)

    def _reason(self, into: int, likeness: float) -> str:
        where = f"row {into} of {self.input}, which stays for both"
        if self.manner in _LIKENESS:
            return f"is nearly the same as {where}: {_LIKENESS[self.manner]} {likeness:.4f}"
        what = "is the same as" if self.manner == "exact" else "says the same as"
        return f"{what} {where}"


def _lists(positions: np.ndarray, ends: np.ndarray) -> pa.ListArray:
    """Return ``_from`` of rows that are made of several."""
    return pa.ListArray.from_arrays(
        pa.array(np.concatenate([[0], ends]), pa.int32()), pa.array(positions, pa.int64())
    )
