"""The completions that ``prefer`` compares: rows of several datasets, counted one behind the other.

What is read of them is read for the rows that are asked about, so that millions of completions of
which few are compared cost no more than their keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.missing import Numbers, is_text, missing_in, numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class Completions:
    """See the module."""

    def __init__(
        self,
        tables: Sequence[pa.Table],
        names: Sequence[str],
        rows: Sequence[np.ndarray] | None = None,
        sizes: Sequence[int] | None = None,
    ) -> None:
        """Take the datasets.

        Args:
            tables: their completions, a row each.
            names: of the datasets, in the same order.
            rows: of each dataset, the row that each completion was in; None if it is its own.
            sizes: rows of each dataset, where that is said.
        """
        self.tables = tables
        self.names = names
        sizes = [table.num_rows for table in tables]
        self.begins = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.inputs = np.repeat(np.arange(len(tables)), sizes)
        """number of each row's dataset, int64, shape (rows,)"""
        self.positions = np.arange(len(self))
        """row of the inputs, one behind the other, that each completion is in"""
        if rows is not None and sizes is not None:
            before = np.concatenate([[0], np.cumsum(sizes)])
            moved = [own + begin for own, begin in zip(rows, before, strict=False)]
            self.positions = np.concatenate([*moved, np.zeros(0, np.int64)]).astype(np.int64)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self.begins[-1])

    def of(self, row: int) -> str:
        """Return the name of a row's dataset."""
        return self.names[int(self.inputs[row])]

    def check(self, column: str, what: str) -> None:
        """See that all datasets have a column.

        Raises:
            InputError: naming the dataset that does not.
        """
        for name, table in zip(self.names, self.tables, strict=True):
            if column not in table.column_names:
                there = near(column, table.column_names) or (
                    f"; it has {', '.join(table.column_names)}"
                )
                msg = f"{name} has no column {column!r}, which {what}{there}"
                raise InputError(msg)

    def texts(self, rows: np.ndarray, column: str) -> list[str | None]:
        """Return the texts of some rows, in their order; None where one is missing.

        Raises:
            InputError: if there is no such column, or it holds no text.
        """
        found: list[str | None] = [None] * len(rows)
        of = self.inputs[rows]
        for number in np.unique(of).tolist():
            texts = self._texts_of(number, column)
            at = np.flatnonzero(of == number)
            taken = texts.take(pa.array(rows[at] - self.begins[number]))
            for place, text in zip(at.tolist(), taken.to_pylist(), strict=True):
                found[place] = text
        return found

    def _texts_of(self, number: int, column: str) -> pa.ChunkedArray:
        table, name = self.tables[number], self.names[number]
        self.check(column, "is to be read")
        kind = table.schema.field(column).type
        if not is_text(kind) and not pa.types.is_null(kind):
            msg = f"{name}: column {column!r} holds {kind}; text is needed"
            raise InputError(msg)
        return table.column(column)

    def columns(self, column: str) -> list[pa.ChunkedArray]:
        """Return a column of texts of each dataset.

        Raises:
            InputError: as :meth:`texts` does.
        """
        return [self._texts_of(number, column) for number in range(len(self.tables))]

    def has(self, column: str) -> np.ndarray:
        """Return which rows have a value there, bool, shape (rows,)."""
        parts = [missing_in(table.column(column)) for table in self.tables]
        return ~np.concatenate(parts) if parts else np.zeros(0, bool)

    def numbers(self, column: str) -> np.ndarray:
        """Return a column as numbers over all rows, float64; NaN where there is none.

        Raises:
            InputError: if there is no such column, or it holds something else.
        """
        self.check(column, "is to hold numbers")
        parts = []
        for name, table in zip(self.names, self.tables, strict=True):
            own = self._as_numbers(table.column(column))
            if own is None or own.wrong.any():
                what = table.schema.field(column).type
                if own is not None:
                    what = f"{own.column[int(np.flatnonzero(own.wrong)[0])].as_py()!r:.60}"
                msg = f"{name}: column {column!r} holds {what}; numbers are needed"
                raise InputError(msg)
            parts.append(own.about)
        return np.concatenate(parts) if parts else np.zeros(0)

    def _as_numbers(self, column: Any) -> Numbers | None:
        if pa.types.is_boolean(column.type):
            column = pc.cast(column, pa.int8())
        return numbers_of(column)

    def preferred(self, column: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return which of two completions people, or whoever else, prefer, by a column.

        The column holds a number a completion, the better one's larger; or the name of the
        preferred dataset, or "tie", in a row of either completion.

        Returns:
            1 for the first, -1 for the second, 0 for a tie; NaN where it does not say.

        Raises:
            InputError: if there is no such column, or it holds neither.
        """
        self.check(column, "is to say which is preferred")
        texts = [is_text(table.schema.field(column).type) for table in self.tables]
        if not any(texts) or all(self._writes_numbers(table, column) for table in self.tables):
            values = self.numbers(column)
            signs: np.ndarray = np.sign(values[first] - values[second])
            return signs
        words = [self.texts(rows, column) for rows in (first, second)]
        found = np.full(len(first), np.nan)
        for at, (one, two) in enumerate(zip(*words, strict=True)):
            said = {word.strip() for word in (one, two) if word and word.strip()}
            if len(said) != 1:
                continue  # nothing, or two different things
            (word,) = said
            sides = {self.of(int(second[at])): -1.0, self.of(int(first[at])): 1.0, "tie": 0.0}
            if word not in sides:
                known = ", ".join([*self.names, "tie"])
                if word in self.names:
                    continue  # of another pair
                msg = f"column {column!r} says {word!r:.60}; it may say a number, or {known}"
                raise InputError(msg)
            found[at] = sides[word]
        return found

    def _writes_numbers(self, table: pa.Table, column: str) -> bool:
        own = self._as_numbers(table.column(column))
        return own is not None and not own.wrong.any()
