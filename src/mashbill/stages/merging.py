"""How ``dedup`` finds which rows to merge: by a key, by most of their shingles, by vectors."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import InputError
from mashbill.core.missing import is_text, missing_in
from mashbill.core.rowbytes import row_bytes
from mashbill.files.rows.minhash import band_keys, signatures
from mashbill.files.rows.near import RANGE, Near
from mashbill.files.rows.said import whole
from mashbill.files.rows.same import Same
from mashbill.files.rows.text import matching_keys
from mashbill.files.rows.tokens import pieces, sets_of, shingles_of
from mashbill.files.rows.vectors import MOST, Vectors, vectors_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.files.rows.merged import Merged
    from mashbill.files.rows.minhash import Bands
    from mashbill.files.rows.tokens import By

_READ = 8192  # rows at once
_PIECE = 1 << 16  # rows whose signatures are kept together for a resume
_TENTHS = 20  # of the likenesses that are counted
assert RANGE % _PIECE == 0  # noqa: S101 - or rows compared at once would lie in two files


@contextmanager
def by_key(
    records: Iterator[pa.RecordBatch], ctx: StageContext, of: str, column: str, *, exact: bool
) -> Iterator[Merged]:
    """Merge rows of one value.

    Args:
        records: all rows.
        ctx: gets the measures.
        of: the input, for messages.
        column: that is compared.
        exact: whether case, punctuation and spacing count.
    """
    with Same(ctx.work / "same") as same:
        done = 0
        for batch in records:
            same.add(_keys(batch, column, of, exact=exact))
            done += batch.num_rows
            ctx.progress(done, 0, "comparing")
        same.settle()
        ctx.measures |= {"rows": done, "merged_away": same.repeated}
        yield same.merged


def _keys(batch: pa.RecordBatch, column: str, of: str, *, exact: bool) -> pa.Array:
    """Return what rows are compared by, shape (rows,); a missing value is a missing key."""
    _check_column(batch.schema.names, column, of)
    values = batch.column(column)
    missing = pa.array(missing_in(values, blank=True))
    if is_text(values.type):
        keys = values if exact else matching_keys(values)
        return pc.if_else(missing, pa.scalar(None, keys.type), keys)
    if pa.types.is_null(values.type):
        return values
    if not exact:
        msg = f"{of}: column {column!r} holds {values.type}; text is needed"
        raise InputError(msg)
    return pc.if_else(missing, None, row_bytes({"": values}))


def _check_column(names: list[str], column: str, of: str) -> None:
    if column not in names:
        msg = (
            f"{of} has no column {column!r}; it has "
            f"{', '.join(names)}; correct the column name in the recipe"
        )
        raise InputError(msg)


@contextmanager
def by_shingles(
    ctx: StageContext, of: str, column: str, length: int, by: By, cut: Bands, least: float
) -> Iterator[Merged]:
    """Merge rows that have most of their shingles in common.

    Args:
        ctx: of the stage; gets the measures.
        of: the input.
        column: texts, chats, or other lists and objects of texts.
        length: tokens of a shingle.
        by: what tokens are.
        cut: of signatures.
        least: Jaccard similarity.
    """
    data = ctx.input(of)
    _check_column(data.columns, column, of)

    def keys_of(start: int) -> np.ndarray:
        stop = min(start + _PIECE, data.num_rows)
        found = [np.empty((0, cut.bands), np.uint64)]
        for texts in _texts(data, start, stop, column, of):
            for some in pieces(texts):
                sets = shingles_of(some, length, by)
                keys = band_keys(signatures(sets, cut.places), cut)
                keys[sets.counts == 0] = np.uint64(2**64 - 1)
                found.append(keys)
        return np.concatenate(found)

    with Near(ctx.work / "near-1", cut, least) as near:
        for start in range(0, data.num_rows, _PIECE):
            near.add(lambda start=start: keys_of(start))  # type: ignore[misc]
            ctx.progress(min(start + _PIECE, data.num_rows), 2 * data.num_rows, "signing")
        near.settle()
        for start in range(0, data.num_rows, _READ):
            stop = min(start + _READ, data.num_rows)
            rows = near.sharing(start, stop)
            near.compare(start, stop, _sets(data, start, rows, column, length, by))
            ctx.progress(data.num_rows + stop, 2 * data.num_rows, "comparing")
        ctx.measures |= {
            "rows": data.num_rows,
            "merged_away": near.repeated,
            "similarity": f"exact Jaccard of shingles of {length} {by}",
            "threshold": least,
            "bands": cut.bands,
            "band_rows": cut.rows,
            "compared_at_threshold": round(cut.found(least), 4),
            "pairs_compared": near.compared,
            "rows_not_compared_with_all": near.bounded,
            **_likenesses(near.merged, data.num_rows),
        }
        yield near.merged


def _texts(data: Dataset, start: int, stop: int, column: str, of: str) -> Iterator[pa.Array]:
    for first in range(start, stop, _READ):
        values = data.read(first, min(first + _READ, stop), [column]).column(column)
        if not (is_text(values.type) or pa.types.is_null(values.type) or _may_say(values.type)):
            msg = f"{of}: column {column!r} holds {values.type}; text, or a list of it, is needed"
            raise InputError(msg)
        yield whole(values)


def _may_say(kind: pa.DataType) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_dictionary(kind))


def _sets(
    data: Dataset, start: int, rows: np.ndarray, column: str, length: int, by: By
) -> Iterator[np.ndarray]:
    """Yield the shingles of some rows, each once and in order."""
    if not len(rows):
        return
    values = data.read(start, int(rows[-1]) + 1, [column]).column(column)
    for some in pieces(whole(values.take(pa.array(rows - start)))):
        yield from sets_of(shingles_of(some, length, by), np.arange(len(some)))


@contextmanager
def by_vector(ctx: StageContext, of: str, column: str, least: float) -> Iterator[Merged]:
    """Merge rows whose vectors point the same way.

    Args:
        ctx: of the stage; gets the measures.
        of: the input.
        column: lists of numbers, all of one length.
        least: cosine.

    Raises:
        InputError: if there are more rows than are compared with each other, or no vectors.
    """
    data = ctx.input(of)
    _check_column(data.columns, column, of)
    if data.num_rows > MOST:
        msg = (
            f"{of} has {data.num_rows:,} rows; by vectors each is compared with all that stay, "
            f"and {MOST:,} are compared at most: merge with how = 'minhash' first, or divide it"
        )
        raise InputError(msg)
    with Vectors(ctx.work / "vectors", least) as vectors:
        for start in range(0, data.num_rows, _READ):
            stop = min(start + _READ, data.num_rows)
            values = data.read(start, stop, [column]).column(column)
            what = f"{of}: column {column!r}"
            vectors.add(vectors_of(values, what, start, vectors.size))
            ctx.progress(stop, data.num_rows, "comparing")
        ctx.measures |= {
            "rows": data.num_rows,
            "merged_away": vectors.repeated,
            "similarity": "cosine of vectors, each number to 24 bits of the largest",
            "threshold": least,
            "rows_without_vector": vectors.without,
            **_likenesses(vectors.merged, data.num_rows),
        }
        yield vectors.merged


def _likenesses(merged: Merged, rows: int) -> dict[str, Any]:
    """Return how many rows went at which likeness, in twentieths, and the largest group."""
    counts = np.zeros(_TENTHS + 1, np.int64)
    largest = min(rows, 1)
    for start in range(0, rows, RANGE):
        stop = min(start + RANGE, rows)
        gone = merged.into(start, stop) != np.arange(start, stop)
        counts += np.bincount(
            np.floor(merged.likeness(start, stop)[gone] * _TENTHS + 1e-9).astype(np.int64),
            minlength=_TENTHS + 1,
        )
        _, ends = merged.groups(start, stop)
        largest = max(largest, int(np.diff(ends, prepend=0).max(initial=0)))
    told = {f"{at / _TENTHS:.2f}": int(counts[at]) for at in np.flatnonzero(counts).tolist()}
    return {"merged_at": told, "largest_group": largest}
