"""Which rows belong together, so that a split leaks nothing: by columns, and through each other.

Rows are of one group if they say the same in a column that they are grouped by. By several columns,
rows are of one group too if others lead from one to the other: two users who asked one prompt, and
all that either asked, are one. For one column a group's place rests on its value alone, so that it
stays where it is however the data grow. For several, all rows are looked at once, and a row that
comes later may join two groups, of which one then moves.

Texts are the same as :func:`mashbill.files.rows.text.place` has it, with case, punctuation and
signs aside. That, and two values with one hash of 64 bits, can only put more rows together.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.missing import is_text, missing_in
from mashbill.core.rowbytes import row_bytes
from mashbill.files.rows.text import placed_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.dataset import Dataset

_ROWS = 65536  # that are read at once
NOTHING = np.uint64(0)
"""stands for a missing value"""


def group_keys(rows: pa.RecordBatch | pa.Table, column: str, of: str) -> list[str | None]:
    """Return what decides the place of each row by a column; None where it says nothing.

    Raises:
        InputError: if there is no such column.
    """
    texts = texts_in(rows, column, of)
    return [None if text is None else placed_by(text) for text in texts.to_pylist()]


def texts_in(rows: pa.RecordBatch | pa.Table, column: str, of: str) -> pa.Array:
    """Return the cells of a column as texts, shape (rows,); missing ones and blank ones are null.

    Numbers are as texts write them, 1.0 as 1, since files of one kind have the one and files of
    another the other. Lists and objects are their canonical JSON.

    Args:
        rows: rows.
        column: of any type.
        of: what they are rows of, for errors.

    Raises:
        InputError: if there is no such column.
    """
    if column not in rows.schema.names:
        msg = (
            f"{of} has no column {column!r}; it has {', '.join(rows.schema.names)}; correct the "
            "column name"
        )
        raise InputError(msg)
    cells = rows.column(column)
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    kind = cells.type
    missing = pa.array(missing_in(cells, blank=True))
    if (
        is_text(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_null(kind)
    ):
        texts = cells.cast(pa.large_string())
    elif pa.types.is_floating(kind):
        numbers = [_number(value) for value in cells.to_pylist()]
        texts = pa.array(numbers, pa.large_string())
    else:
        texts = row_bytes({"": cells})
    return pc.if_else(missing, pa.scalar(None, pa.large_string()), texts)


def _number(value: float | None) -> str | None:
    if value is None:
        return None
    return str(int(value)) if value.is_integer() else repr(value)


def hashed(keys: Sequence[str | None], column: str) -> np.ndarray:
    """Return a hash of each key of a column, uint64, shape (rows,); 0 where there is none."""
    head = f"{column}\n".encode("utf-8", "surrogatepass")
    found = np.zeros(len(keys), np.uint64)
    for row, key in enumerate(keys):
        if key is not None:
            data = head + key.encode("utf-8", "surrogatepass")
            found[row] = int.from_bytes(hashlib.sha256(data).digest()[:8], "big") | 1
    return found


class Groups:
    """Groups of the rows of a dataset by several columns."""

    def __init__(self, data: Dataset, columns: Sequence[str]) -> None:
        """Look at all rows; memory is some 60 bytes a value.

        Args:
            data: the rows.
            columns: by which they are grouped.
        """
        name = str(data.manifest.ref)
        hashes = [
            [hashed(group_keys(rows, column, name), column) for column in columns]
            for _, rows in data.chunks(_ROWS, list(columns))
        ]
        whole = [np.concatenate([piece[at] for piece in hashes] or [np.zeros(0, np.uint64)])
                 for at in range(len(columns))]  # fmt: skip
        self._values = np.unique(np.concatenate(whole))
        labels = np.arange(len(self._values))
        links = []
        for at, one in enumerate(whole):
            for other in whole[at + 1 :]:
                both = (one != NOTHING) & (other != NOTHING)
                links.append(np.stack([one[both], other[both]]))
        pairs = np.concatenate(links, axis=1) if links else np.zeros((2, 0), np.uint64)
        self._first = joined(labels, np.searchsorted(self._values, pairs))
        rows = self.of(whole)
        _, sizes = np.unique(rows[rows != NOTHING], return_counts=True)
        self.count = len(sizes)
        """groups"""
        self.largest = int(sizes.max(initial=0))
        """rows of the largest"""

    def of(self, hashes: Sequence[np.ndarray]) -> np.ndarray:
        """Return a value that stands for each row's group, uint64; 0 where it has no value.

        Args:
            hashes: of each column, shape (rows,).
        """
        found = np.zeros(len(hashes[0]), np.uint64)
        for column in reversed(hashes):
            there = column != NOTHING
            places = np.searchsorted(self._values, column[there])
            found[there] = self._values[self._first[places]]
        return found


def joined(labels: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Return for each node the least that links lead to, int64, shape (nodes,).

    Each round hangs the roots of linked nodes below the lesser one and then shortens all ways to a
    root, so that rounds grow with the logarithm of a chain's length.

    Args:
        labels: 0 up to the number of nodes.
        links: pairs of nodes, shape (2, links).
    """
    labels = labels.copy()
    one, other = links
    while True:
        first, second = labels[one], labels[other]
        apart = first != second
        if not apart.any():
            return labels
        one, other = one[apart], other[apart]
        first, second = first[apart], second[apart]
        least = np.minimum(first, second)
        np.minimum.at(labels, first, least)
        np.minimum.at(labels, second, least)
        while True:
            shorter = labels[labels]
            if np.array_equal(shorter, labels):
                break
            labels = shorter
