"""Rows written to a file as they come: JSON lines, CSV or Parquet, the whole file or none."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import InputError
from mashbill.core.store import publish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

ENDINGS = (".jsonl", ".csv", ".parquet")
_NUMBERS = ("confidence", "p_")
Writing = Generator[None, list[dict[str, Any]], None]


def write_rows(
    parts: Iterable[list[dict[str, Any]]], to: Path, added: Sequence[str]
) -> tuple[int, int]:
    """Write rows to a file, in the format of its ending; memory does not grow with them.

    Args:
        parts: rows, some at a time, as the first has columns.
        to: file that ends in one of :data:`ENDINGS`.
        added: columns that rows may have in addition, the last of those that failed.

    Returns:
        rows, and those of them that have the last column.

    Raises:
        InputError: if columns of a Parquet file change their type from row to row.
    """
    number = failed = 0
    with _replaced(to) as temporary:
        take = _WRITERS[to.suffix](temporary, added)
        next(take)
        for part in parts:
            take.send(part)
            number += len(part)
            failed += sum(added[-1] in row for row in part)
        take.close()
    return number, failed


@contextmanager
def _replaced(to: Path) -> Iterator[Path]:
    temporary = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        yield temporary
        if temporary.exists():
            publish(temporary, to)
    finally:
        temporary.unlink(missing_ok=True)


def _names(part: list[dict[str, Any]], added: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*(name for row in part for name in row), *added]))


def _jsonl(to: Path, added: Sequence[str]) -> Writing:
    del added
    with to.open("w", encoding="utf-8", errors="replace") as file:
        while True:
            for row in (yield):
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _csv(to: Path, added: Sequence[str]) -> Writing:
    with to.open("w", encoding="utf-8", errors="replace", newline="") as file:
        part = yield
        made = csv.DictWriter(file, _names(part, added), extrasaction="ignore")
        made.writeheader()
        while True:
            made.writerows(part)
            part = yield


def _parquet(to: Path, added: Sequence[str]) -> Writing:
    part = yield
    names = _names(part, added)
    table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in part])
    schema = pa.schema([pa.field(one.name, _kind(one, added)) for one in table.schema])
    with pq.ParquetWriter(to, schema, compression="zstd") as file:
        while True:
            try:
                file.write_table(pa.Table.from_pylist(part, schema))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                msg = f"{to}: columns change their type from row to row ({error}); write a .jsonl"
                raise InputError(msg) from error
            part = yield


def _kind(field: pa.Field, added: Sequence[str]) -> pa.DataType:
    """Return the type of a column; of one that is empty in the first rows what it will be."""
    if not pa.types.is_null(field.type):
        return field.type
    is_number = field.name in added and field.name.startswith(_NUMBERS)
    return pa.float64() if is_number else pa.string()


_WRITERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
