"""Logs in Parquet: events as they are, or the columns of the small log in plain words.

A file of events has the columns of :data:`mashbill.conduct.events.SCHEMA` and names in its metadata
the key of its hashes (:data:`KEYID`); one of another key is refused. Any other file is one of plain
words, with the keys of :mod:`mashbill.conduct.logs.native` as columns; messages may be structures
or JSON texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.conduct import sketching
from mashbill.conduct.events import KINDS, SCHEMA
from mashbill.conduct.logs import blobs, native
from mashbill.core.errors import InputError
from mashbill.core.parsing import foreign
from mashbill.files.tables import parquet_batches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEYID = b"mashbill.conduct.keyid"
"""key of the file's metadata that names the key of the hashes"""
MAGIC = b"PAR1"
_COLUMNS = 10_000


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of a Parquet file.

    Raises:
        InputError: if it is none.
    """
    with foreign(path, "a Parquet file"):
        found = pq.read_schema(path)
    if len(found) > _COLUMNS:
        msg = f"{path} has {len(found):,} columns; no log has more than {_COLUMNS:,}"
        raise InputError(msg)
    return found


def is_of_events(schema: pa.Schema, path: Path, keyid: str) -> bool:
    """Return whether a file is one of events, hashed by this key.

    Raises:
        InputError: if it is one of another key, or lacks columns of events.
    """
    said = (schema.metadata or {}).get(KEYID)
    if said is None:
        return False
    if said != keyid.encode():
        shown = said[:32].decode("ascii", "replace")
        msg = (
            f"{path} was hashed by the key {shown!r}, and this is {keyid!r}, so that nothing in it "
            "could be compared; read it with the key that made it"
        )
        raise InputError(msg)
    lacking = [name for name in ("id", "time", "kind", "account") if name not in schema.names]
    if lacking:
        msg = f"{path}: it says that it holds events, and lacks {', '.join(lacking)}"
        raise InputError(msg)
    return True


def known_columns(schema: pa.Schema, *, of_events: bool) -> tuple[list[str], set[str]]:
    """Return the columns that are read, and the others."""
    wanted = set(SCHEMA.names) if of_events else native.KNOWN
    names = [name for name in schema.names if name in wanted]
    return names, set(schema.names) - wanted


def tables(path: Path, names: list[str], begin: int, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file from one on, at most so many at a time.

    Raises:
        InputError: if the file is damaged, or would unpack to more than it may.
    """
    left = begin
    for batch in parquet_batches(path, str(path), names):
        if left >= batch.num_rows:
            left -= batch.num_rows
            continue
        for start in range(left, batch.num_rows, rows):
            yield batch.slice(start, rows)
        left = 0


def events_of(batch: pa.RecordBatch, shown: object) -> tuple[pa.RecordBatch, list[str | None]]:
    """Return rows of a file of events as :data:`SCHEMA` has them, without those that are none.

    Args:
        batch: rows.
        shown: the file, for the message.

    Returns:
        the rows that are left, and of each row that was there the reason why it is none, or None.

    Raises:
        InputError: if a column is of another type.
    """
    arrays = []
    for each in SCHEMA:
        if each.name not in batch.schema.names:
            arrays.append(pa.nulls(batch.num_rows, each.type))
            continue
        column = batch.column(each.name)
        with foreign(
            f"{shown}: column {each.name!r}", f"a column of {each.type}", remedy="write it anew"
        ):
            arrays.append(column.cast(each.type))
    reasons = _reasons(dict(zip(SCHEMA.names, arrays, strict=True)))
    keep = pa.array([reason is None for reason in reasons], pa.bool_())
    kept = [array.filter(keep) for array in arrays]
    return pa.RecordBatch.from_arrays(kept, schema=SCHEMA), reasons


def _reasons(columns: dict[str, Any]) -> list[str | None]:
    reasons: list[str | None] = [None] * len(columns["id"])

    def refuse(mask: np.ndarray, reason: str) -> None:
        for row in np.flatnonzero(mask):
            reasons[row] = reasons[row] or reason

    for name in ("id", "time", "kind", "account"):
        refuse(_plain(columns[name].is_null(), fill=True), f"{name} is not there")
    known = pc.is_in(columns["kind"], pa.array(KINDS))
    refuse(~_plain(known, fill=True), f"kind is none of {', '.join(KINDS)}")
    for name in ("blobs_in", "blobs_out"):
        blobs_of = pc.fill_null(pc.list_value_length(columns[name]), 0)
        many = blobs_of.to_numpy(zero_copy_only=False) > blobs.MOST
        refuse(many, f"{name} has more than {blobs.MOST} hashes")
    for name in ("jailbreak", "extraction"):
        odds = pc.fill_null(columns[name], 0.0).to_numpy(zero_copy_only=False)
        refuse(~(np.abs(odds) < native.MOST_ODDS), f"{name} is no log10 odds")
    skeleton = columns["skeleton"]
    lengths = pc.fill_null(pc.list_value_length(skeleton), 0).to_numpy(zero_copy_only=False)
    refuse(lengths > sketching.LONGEST, f"skeleton has more than {sketching.LONGEST} hashes")
    owners = np.repeat(np.arange(len(lengths)), lengths)
    values = skeleton.flatten()
    refuse(_has_null(values, owners, len(lengths)), "skeleton has a null")
    flat = pc.fill_null(values, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    falls = (np.diff(flat) <= 0) & (owners[1:] == owners[:-1])
    wrong = np.zeros(len(lengths), bool)
    wrong[owners[1:][falls]] = True
    refuse(wrong, "skeleton is not ascending")
    return reasons


def _plain(mask: Any, *, fill: bool) -> np.ndarray:
    found: np.ndarray = pc.fill_null(mask, fill).to_numpy(zero_copy_only=False)
    return found


def _has_null(values: Any, owners: np.ndarray, rows: int) -> np.ndarray:
    found = np.zeros(rows, bool)
    found[owners[values.is_null().to_numpy(zero_copy_only=False)]] = True
    return found


def write_columns(batches: Iterable[pa.RecordBatch], path: Path, keyid: str) -> int:
    """Write events into a Parquet file that :func:`mashbill.conduct.logs.reading.open_log` reads.

    Args:
        batches: of :data:`mashbill.conduct.events.SCHEMA`.
        path: is replaced if it is there.
        keyid: of the hashes that made them.

    Returns:
        how many there were.
    """
    count = 0
    schema = SCHEMA.with_metadata({KEYID: keyid.encode()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
            count += batch.num_rows
    return count
