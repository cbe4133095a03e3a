"""Which completions are compared: those of one prompt, by the keys of a recipe.

Rows are counted over all inputs, one behind the other. A row that lacks a key, its text or, where
pairs go by it, its score is in no pair; ``prefer`` counts and tells these.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.missing import missing_in
from mashbill.stages.joining import has_key, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Rule = Literal["best-worst", "best-rest", "all", "across"]
"""the best against the worst of a group; the best against each other; each two; each two of
different inputs"""
_MOST = 20_000_000  # pairs


@dataclass(frozen=True)
class Pairs:
    """Completions to be compared, two and two."""

    first: np.ndarray
    """row of the one, over all inputs, int64, shape (pairs,)"""
    second: np.ndarray
    """row of the other"""
    group: np.ndarray
    """number of the prompt that both are of, int64; a pair of one prompt stands by its others"""

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.first)

    def __getitem__(self, part: slice) -> Pairs:
        """Return some of them."""
        return Pairs(self.first[part], self.second[part], self.group[part])

    @property
    def rows(self) -> np.ndarray:
        """The rows that are in some pair, each once."""
        return np.unique(np.concatenate([self.first, self.second]))


def matched(one: pa.Table, other: pa.Table, on: Sequence[str], names: tuple[str, str]) -> Pairs:
    """Return the pairs of two datasets whose keys are equal, in the order of the first.

    Raises:
        InputError: if a key is no column, or its types differ.
    """
    first, second = matches(one, other, on, names)
    groups = np.cumsum(np.diff(first, prepend=-1) != 0) - 1 if len(first) else first
    return Pairs(first, one.num_rows + second, groups.astype(np.int64))


def groups_of(tables: Sequence[pa.Table], names: Sequence[str], on: Sequence[str]) -> np.ndarray:
    """Return the group of each row over all tables, int64; -1 where a key is missing.

    Groups are numbered in the order in which their first rows come.

    Args:
        tables: completions, by input.
        names: of the inputs, for errors.
        on: key columns.

    Raises:
        InputError: naming the table and column, if a key is missing or its types differ.
    """
    codes = np.zeros(sum(table.num_rows for table in tables), np.int64)
    for column in on:
        kinds = []
        for name, table in zip(names, tables, strict=True):
            if column not in table.column_names:
                msg = (
                    f"{name} has no column {column!r}; it has {', '.join(table.column_names)}; "
                    "correct 'group' in the recipe"
                )
                raise InputError(msg)
            kinds.append(table.schema.field(column).type)
        there = [kind for kind in kinds if not pa.types.is_null(kind)]
        if len(set(there)) > 1:
            msg = (
                f"key {column!r} is {there[0]} in {names[0]} and "
                f"{next(kind for kind in there if kind != there[0])} in another input; make them "
                "one type"
            )
            raise InputError(msg)
        if not there:
            continue  # all rows lack it
        chunks = [c for t in tables for c in t.column(column).cast(there[0]).chunks]
        whole = pa.chunked_array(chunks, there[0]).dictionary_encode().unify_dictionaries()
        own = np.concatenate(
            [np.asarray(pc.fill_null(chunk.indices, 0), np.int64) for chunk in whole.chunks]
            or [np.zeros(0, np.int64)]
        )
        codes = np.unique(codes * (own.max(initial=0) + 1) + own, return_inverse=True)[1]
    lacks = ~np.concatenate([has_key(table, on) for table in tables])
    found = np.full(len(codes), -1, np.int64)
    known = np.flatnonzero(~lacks)
    _, begin, inverse = np.unique(codes[known], return_index=True, return_inverse=True)
    rank = np.empty(len(begin), np.int64)
    rank[np.argsort(begin)] = np.arange(len(begin))
    found[known] = rank[inverse]
    return found


def within(
    groups: np.ndarray,
    usable: np.ndarray,
    rule: Rule,
    inputs: np.ndarray,
    scores: np.ndarray | None = None,
    texts: Sequence[pa.ChunkedArray] = (),
) -> Pairs:
    """Return the pairs within groups.

    Among several that are best, or worst, by score, the one is taken whose text has the smaller
    SHA-256, so that it does not depend on which input is named first.

    Args:
        groups: of each row, -1 for none, shape (rows,).
        usable: rows that may be in a pair, bool, shape (rows,).
        rule: which two of a group.
        inputs: number of each row's input, shape (rows,).
        scores: of each row, for rules that go by it; NaN where there is none.
        texts: of each row, by input: what equal scores are told apart by.

    Raises:
        InputError: if there are more than 20 million.
    """
    by_score = rule in {"best-worst", "best-rest"}
    if by_score and scores is not None:
        usable = usable & np.isfinite(scores)
    rows = np.flatnonzero(usable & (groups >= 0))
    rows = rows[np.argsort(groups[rows], kind="stable")]
    ends = np.flatnonzero(np.diff(groups[rows])) + 1
    ends = ends[:-1] if len(rows) == 0 else ends
    ordered = _Ordered(scores, texts, inputs) if by_score and scores is not None else None
    found: list[tuple[int, int]] = []
    for part in np.split(rows, ends):
        own = part.tolist()
        if len(own) < 2:
            continue
        if ordered is not None:
            best, *rest = ordered(own)
            chosen = rest[-1:] if rule == "best-worst" else rest
            found += [(best, other) for other in chosen]
        else:
            pairs: Iterable[tuple[int, int]] = combinations(own, 2)
            if rule == "across":
                pairs = ((a, b) for a, b in pairs if inputs[a] != inputs[b])
            found += pairs
        if len(found) > _MOST:
            msg = (
                f"there are more than {_MOST:,} pairs, the last of a prompt with {len(own):,} "
                'completions; set pairs = "best-worst", or group by more columns'
            )
            raise InputError(msg)
    both = np.array(found, np.int64).reshape(-1, 2)
    return Pairs(both[:, 0], both[:, 1], groups[both[:, 0]])


class _Ordered:
    """Orders rows from the best score to the worst; equal ones by their texts' digests."""

    def __init__(
        self, scores: np.ndarray, texts: Sequence[pa.ChunkedArray], inputs: np.ndarray
    ) -> None:
        self._scores = scores
        self._texts = texts
        self._inputs = inputs
        self._begin = np.concatenate([[0], np.cumsum([len(text) for text in texts])])

    def __call__(self, rows: list[int]) -> list[int]:
        scores = [float(self._scores[row]) for row in rows]
        if len(set(scores)) == len(scores):
            order = sorted(zip(scores, rows, strict=True), reverse=True)
            return [row for _, row in order]
        keys = [(-score, self._digest(row)) for score, row in zip(scores, rows, strict=True)]
        return [row for _, row in sorted(zip(keys, rows, strict=True))]

    def _digest(self, row: int) -> bytes:
        of = int(self._inputs[row])
        text = self._texts[of][row - int(self._begin[of])].as_py() if self._texts else ""
        return hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).digest()


def with_text(tables: Sequence[pa.Table], column: str) -> np.ndarray:
    """Return which rows over all tables have a text there, bool, shape (rows,)."""
    return ~np.concatenate([missing_in(table.column(column)) for table in tables])
