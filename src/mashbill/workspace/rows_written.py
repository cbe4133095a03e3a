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
    parts: Iterable[list[dict[str, Any]]], to: Path, added: Sequence[str], divider: str = ","
) -> tuple[int, int]:
    """Write rows to a file, in the format of its ending; memory does not grow with them.

    Args:
        parts: rows, some at a time, as the first has columns.
        to: file that ends in one of :data:`ENDINGS`.
        added: columns that rows may have in addition, the last of those that failed.
        divider: between the fields of a CSV file.

    Returns:
        rows, and those of them that have the last column.

    Raises:
        InputError: if columns of a Parquet file change their type from row to row.
    """
    number = failed = 0
    with _replaced(to) as temporary:
        take = _WRITERS[to.suffix.lower()](temporary, added, divider)
        next(take)
        for part in parts:
            take.send(part)
            number += len(part)
            failed += sum(added[-1] in row for row in part)
        if not number:  # a file of no rows has its columns
            take.send([])
        take.close()
    return number, failed


def check_free(to: Path, source: Path | None, *, replace: bool) -> None:
    """See that writing a file destroys nothing that was not meant.

    Args:
        to: file to write.
        source: file whose rows are read, if any.
        replace: whether a file that is there may be written over.

    Raises:
        InputError: if it is the source, however its path is spelt, or there already.
    """
    if not os.path.lexists(to):
        return
    if source is not None and to.exists() and source.exists() and to.samefile(source):
        msg = f"--to {to} is the file that is read; name another, so that its rows stay"
        raise InputError(msg)
    if to.is_dir():
        msg = f"{to} is a folder; name a file"
        raise InputError(msg)
    if to.exists() and not to.is_file():
        msg = f"{to} is a device or a pipe, and no file; name a file"
        raise InputError(msg)
    if not replace:
        msg = f"{to} is there already; name another file, or write over it with --replace"
        raise InputError(msg)


@contextmanager
def _replaced(to: Path) -> Iterator[Path]:
    if not to.parent.is_dir() or to.is_dir():
        what = "is a folder" if to.is_dir() else f"is in {to.parent}, which is no folder"
        msg = f"{to} {what}; name a file in a folder that is there"
        raise InputError(msg)
    temporary = to.with_name(f".{to.name}.{os.getpid()}")
    try:
        yield temporary
        if temporary.exists():
            publish(temporary, to)
    finally:
        temporary.unlink(missing_ok=True)


def _names(part: list[dict[str, Any]], added: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*(name for row in part for name in row), *added]))


def _jsonl(to: Path, added: Sequence[str], divider: str) -> Writing:
    del added, divider
    with to.open("w", encoding="utf-8", errors="replace") as file:
        while True:
            for row in (yield):
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _csv(to: Path, added: Sequence[str], divider: str) -> Writing:
    with to.open("w", encoding="utf-8", errors="replace", newline="") as file:
        part = yield
        names = _names(part, added)
        made = csv.DictWriter(file, names, delimiter=divider)
        made.writeheader()
        while True:
            _check_names(part, names, to)
            made.writerows({name: _cell(value) for name, value in row.items()} for row in part)
            part = yield


def _parquet(to: Path, added: Sequence[str], divider: str) -> Writing:
    del divider
    part = yield
    names = _names(part, added)
    if not part:
        fields = [pa.field(name, _kind(pa.field(name, pa.null()), added)) for name in names]
        pq.write_table(pa.schema(fields).empty_table(), to)
        yield
        return
    whole = [{name: row.get(name) for name in names} for row in part]
    table = _table(whole, None, to)
    schema = pa.schema([pa.field(one.name, _kind(one, added)) for one in table.schema])
    with pq.ParquetWriter(to, schema, compression="zstd") as file:
        while True:
            _check_names(part, names, to)
            file.write_table(_table(part, schema, to))
            part = yield


def _table(rows: list[dict[str, Any]], schema: pa.Schema | None, to: Path) -> pa.Table:
    try:
        return pa.Table.from_pylist(rows, schema)
    except (pa.ArrowException, OverflowError) as error:
        msg = f"{to.name}: a column's values are of several types ({error}); write a .jsonl"
        raise InputError(msg) from error


def _check_names(part: list[dict[str, Any]], names: Sequence[str], to: Path) -> None:
    late = next((name for row in part for name in row if name not in names), None)
    if late is not None:
        msg = f"{to.name}: column {late!r} begins after the first rows; write a .jsonl"
        raise InputError(msg)


def _cell(value: Any) -> Any:
    nested = isinstance(value, (dict, list))
    return json.dumps(value, ensure_ascii=False, default=str) if nested else value


def _kind(field: pa.Field, added: Sequence[str]) -> pa.DataType:
    """Return the type of a column; of one that is empty in the first rows what it will be."""
    if not pa.types.is_null(field.type):
        return field.type
    is_number = field.name in added and field.name.startswith(_NUMBERS)
    return pa.float64() if is_number else pa.string()


_WRITERS = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}
