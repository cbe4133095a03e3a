"""Which rows of two tables share a key; ``join`` and ``prefer`` share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.core.missing import missing_in
from mashbill.core.naming import free_names

if TYPE_CHECKING:
    from collections.abc import Sequence


def matches(
    left: pa.Table, right: pa.Table, on: Sequence[str], names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of each table that go together, in the order of the left table.

    Args:
        left: one table.
        right: the other.
        on: key columns; a missing value, or an empty text, equals no other.
        names: of the two datasets, for errors.

    Returns:
        Two arrays, int64, shape (pairs,).

    Raises:
        InputError: naming the table and column, if a key is missing or its types differ.
    """
    for name, table in zip(names, (left, right), strict=True):
        for column in on:
            if column not in table.column_names:
                msg = (
                    f"{name} has no column {column!r}; it has {', '.join(table.column_names)}; "
                    "correct 'on' in the recipe"
                )
                raise InputError(msg)
    whole = [np.flatnonzero(has_key(table, on)) for table in (left, right)]
    if not all(map(len, whole)):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    for column in on:
        kinds = [table.schema.field(column).type for table in (left, right)]
        if kinds[0] != kinds[1]:
            msg = (
                f"key {column!r} is {kinds[0]} in {names[0]} and {kinds[1]} in {names[1]}; make "
                "them one type"
            )
            raise InputError(msg)
    places = list(free_names(("left", "right"), on, "row").values())
    numbered = [
        table.select(list(on)).take(pa.array(rows)).append_column(place, pa.array(rows))
        for table, rows, place in zip((left, right), whole, places, strict=True)
    ]
    pairs = numbered[0].join(numbered[1], keys=list(on), join_type="inner")
    first, second = (np.asarray(pairs.column(place)) for place in places)
    order = np.lexsort((second, first))  # a join in threads keeps no order
    return first[order], second[order]


def has_key(table: pa.Table, on: Sequence[str]) -> np.ndarray:
    """Return which rows have a value in each key column, bool, shape (rows,)."""
    there = np.ones(table.num_rows, bool)
    for column in on:
        there &= ~missing_in(table.column(column), blank=True)
    return there


def made_of(*positions: np.ndarray) -> pa.Array:
    """Return ``_from`` of rows that are made of one row of each of several inputs."""
    flat = np.stack(positions, axis=1).reshape(-1)
    ends = np.arange(len(positions[0]) + 1) * len(positions)
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(flat, pa.int64()))
