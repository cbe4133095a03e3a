"""Whether two datasets share a group: a prompt, a document, a user, or any text at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.explaining import near
from mashbill.core.record import user_columns
from mashbill.files.rows.text import matching_keys
from mashbill.stages.grouping import NOTHING, hashed, texts_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.dataset import Dataset
    from mashbill.core.store import Store

_ROWS = 65536  # that are read at once
_SHOWN = 5  # pairs of rows that are shown of a column


@dataclass(frozen=True)
class Shared:
    """What two datasets share by one column."""

    column: str
    groups: int
    """values that both have"""
    rows: tuple[int, int]
    """rows of each that have one of them"""
    missing: tuple[int, int]
    """rows of each without a value there, of which nothing can be said"""
    examples: tuple[tuple[int, int], ...]
    """positions of some pairs of rows with one value"""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "column": self.column, "groups": self.groups, "rows": list(self.rows),
            "missing": list(self.missing), "examples": [list(pair) for pair in self.examples],
        }  # fmt: skip


@dataclass(frozen=True)
class Overlap:
    """What two datasets share, by column."""

    names: tuple[str, str]
    columns: tuple[Shared, ...]

    @property
    def is_apart(self) -> bool:
        """Whether they share no value of any of the columns."""
        return not any(each.groups for each in self.columns)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "datasets": list(self.names), "is_apart": self.is_apart,
            "columns": [each.as_json() for each in self.columns],
        }  # fmt: skip


def overlap(store: Store, names: tuple[str, str], columns: Sequence[str]) -> Overlap:
    """Return what two datasets share; memory is 8 bytes a row and column.

    Values are the same if they differ only in case, punctuation and spacing.

    Args:
        store: that holds both.
        names: of the two.
        columns: by which rows are grouped.

    Raises:
        InputError: if one is no dataset, or lacks a column.
    """
    manifests = [store.find(name) for name in names]
    for manifest in manifests:
        if manifest.kind != "dataset":
            msg = f"{manifest.ref} is a model, and has no rows to share"
            raise InputError(msg)
    one, other = (store.dataset(manifest.ref) for manifest in manifests)
    for data in (one, other):
        known = user_columns(data.columns)
        for column in columns:
            if column not in known:
                there = near(column, known) or f"; it has {', '.join(known)}"
                msg = f"by = {column!r} is no column of {data.manifest.ref}{there}"
                raise InputError(msg)
    found = tuple(_shared(column, _hashes(one, column), _hashes(other, column))
                  for column in dict.fromkeys(columns))  # fmt: skip
    return Overlap((str(manifests[0].ref), str(manifests[1].ref)), found)


def _hashes(data: Dataset, column: str) -> np.ndarray:
    """Return a hash of each row's value, uint64, shape (rows,); 0 where it has none."""
    of = str(data.manifest.ref)
    pieces = [np.zeros(0, np.uint64)]
    for _, rows in data.chunks(_ROWS, [column]):
        keys = matching_keys(texts_in(rows, column, of))
        pieces.append(hashed(keys.to_pylist(), column))
    return np.concatenate(pieces)


def _shared(column: str, one: np.ndarray, other: np.ndarray) -> Shared:
    values = np.intersect1d(one[one != NOTHING], other[other != NOTHING])
    mine, its = np.isin(one, values), np.isin(other, values)
    examples = [
        (int(np.flatnonzero(one == value)[0]), int(np.flatnonzero(other == value)[0]))
        for value in values[:_SHOWN]
    ]
    return Shared(
        column,
        len(values),
        (int(mine.sum()), int(its.sum())),
        (int((one == NOTHING).sum()), int((other == NOTHING).sum())),
        tuple(sorted(examples)),
    )
