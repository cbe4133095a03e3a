"""Which rows of a column have no value, and which numbers a column holds.

What is missing (null, NaN) decides nothing, equals nothing, and spoils no other row: a stage asks
here which rows it has a value of, goes on with those, and says of the others what they lack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.cells import number_of, says_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

Column: TypeAlias = Any
"""an array of Arrow, chunked or not"""


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column of this type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def missing_in(column: Column, *, blank: bool = False) -> np.ndarray:
    """Return which rows have no value, bool, shape (rows,).

    Args:
        column: of any type.
        blank: whether text of nothing but space is none, either: where a key or a label is wanted.
    """
    found = pc.is_null(column, nan_is_null=True)
    if blank and is_text(column.type):
        found = pc.or_kleene(found, pc.equal(pc.utf8_trim_whitespace(column), ""))
    return np.asarray(found, bool)


def lacking(
    table: pa.RecordBatch | pa.Table, names: Sequence[str], *, blank: bool = False
) -> list[str | None]:
    """Return for each row the first of these columns that it has no value in; None if it has all.

    Args:
        table: rows.
        names: columns; one that the table has not, no row lacks.
        blank: as in :func:`missing_in`.
    """
    found: list[str | None] = [None] * table.num_rows
    for name in reversed([name for name in names if name in table.schema.names]):
        for place in np.flatnonzero(missing_in(table.column(name), blank=blank)).tolist():
            found[place] = name
    return found


def missing_reasons(
    table: pa.RecordBatch | pa.Table, names: Sequence[str], *, blank: bool = False
) -> list[str | None]:
    """Return for each row why it is rejected that lacks one of these columns; None if it has all.

    Args:
        table: rows.
        names: columns; one that the table has not, no row lacks.
        blank: as in :func:`missing_in`.
    """
    found = lacking(table, names, blank=blank)
    return [None if name is None else f"{name} is missing" for name in found]


@dataclass(frozen=True)
class Numbers:
    """A column as numbers: those of Arrow, and texts that write one."""

    column: Column
    about: np.ndarray
    """each as the nearest float, float64; NaN where there is none; shape (rows,)"""
    missing: np.ndarray
    """rows without a value, bool, shape (rows,)"""

    @property
    def known(self) -> np.ndarray:
        """Rows with a number, bool, shape (rows,)."""
        there: np.ndarray = ~np.isnan(self.about)
        return there

    @property
    def wrong(self) -> np.ndarray:
        """Rows with a value that is no number, bool, shape (rows,)."""
        none: np.ndarray = np.isnan(self.about) & ~self.missing
        return none

    def exact(self, row: int) -> Any:
        """Return a row's number itself, whatever its size; None if it has none."""
        return number_of(self.column[row].as_py())

    def nth(self, place: int) -> Any:
        """Return the number at a place of all that there are, in ascending order, from 0."""
        there = self.about[self.known]
        near = np.partition(there, place)[place]
        before = int((there < near).sum())
        # Those that are one float may still differ: whole numbers above 2**53, and texts.
        counts = pc.value_counts(self.column.filter(pa.array(self.about == near))).to_pylist()
        same = sorted((number_of(each["values"]), each["counts"]) for each in counts)
        for number, count in same:
            before += count
            if before > place:
                return number
        msg = f"there are {len(there)} numbers, and none at {place}"
        raise IndexError(msg)


def numbers_of(column: Column) -> Numbers | None:
    """Return a column as numbers; None if its type holds none, nor texts.

    A column without any value is one of numbers, all of them missing.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if is_text(kind):
        texts = column.to_pylist()
        numbers = (number_of(text) for text in texts)
        about = [np.nan if number is None else _float(number) for number in numbers]
        missing = [says_nothing(text) for text in texts]
        return Numbers(column, np.array(about, np.float64), np.array(missing, bool))
    if not any(
        test(kind)
        for test in (
            pa.types.is_null,
            pa.types.is_integer,
            pa.types.is_floating,
            pa.types.is_decimal,
        )
    ):
        return None
    near = np.asarray(pc.cast(column, pa.float64(), safe=False), np.float64)
    return Numbers(column, near, missing_in(column))


def _float(number: float | Decimal) -> float:
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def as_measure(number: Any) -> float | str:
    """Return a number as a measure holds it: a float, or its text where no float is the same."""
    near = _float(number)
    return near if near == number and np.isfinite(near) else str(number)


def told(number: Any) -> str:
    """Return a number for people, in a few characters."""
    return f"{number:.4f}" if abs(number) < 1e15 else str(number)[:40]
