"""Rows of a dataset as others read them: Parquet, JSONL, CSV or Arrow IPC, a batch at a time."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError, StoreError
from mashbill.core.record import BILL, FROM, ID, REASON, REJECTED_BY, user_columns
from mashbill.core.shown import FORMULA

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DataFormat = Literal["parquet", "jsonl", "csv", "arrow"]
DATA_FORMATS: tuple[DataFormat, ...] = get_args(DataFormat)
_BATCH = 8192
_QUOTE = "'"
"""put before such a text, it makes a spreadsheet take it for what it is"""


@dataclass
class Formulas:
    """Texts of CSV files that a spreadsheet may run as formulas, and what is done about them.

    Other formats hold texts as texts, so nothing is counted or changed there.
    """

    escape: bool = False
    """whether they get a quote in front"""
    cells: Counter[str] = field(default_factory=Counter)
    """column, as the dataset names it -> how many of its cells"""
    headers: set[str] = field(default_factory=set)
    """columns whose own names are such"""

    def header(self, names: Sequence[str]) -> list[str]:
        """Count such names, and return the names to write; no two of them become one."""
        found = [name for name in names if pc.match_substring_regex(name, FORMULA).as_py()]
        self.headers.update(found)
        written = {name: name for name in names}
        for name in found if self.escape else ():
            while written[name] in {*names, *(new for old, new in written.items() if old != name)}:
                written[name] = _QUOTE + written[name]
        return list(written.values())

    def column(self, name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """Count such cells of a column of texts, and return the column to write."""
        starts = pc.fill_null(pc.match_substring_regex(texts, FORMULA), fill_value=False)
        count = pc.sum(starts).as_py() or 0
        if not count:
            return texts
        self.cells[name] += count
        quoted = pc.binary_join_element_wise(_QUOTE, texts, "")
        return pc.if_else(starts, quoted, texts) if self.escape else texts


class _Writer(Protocol):
    def write(self, table: Any) -> None:
        """Write some rows."""
        ...


def write_rows(
    shard: Path,
    to: Path,
    kind: DataFormat,
    nodes: Sequence[str],
    *,
    receipts: bool,
    formulas: Formulas | None = None,
) -> None:
    """Write the rows of a store's shard into a file of a format: the user's columns first.

    Args:
        shard: Parquet file of a store.
        to: file to write.
        kind: its format.
        nodes: digest of each node, by number.
        receipts: whether to write ``_id``, ``_bill`` and ``_from``.
        formulas: what to do about texts that a spreadsheet may run, and where to count them.

    Raises:
        InputError: if the format has no word for a value.
        StoreError: if the shard cannot be read.
    """
    pool = pa.array(nodes, pa.string())
    try:
        with pq.ParquetFile(shard) as opened:
            empty = _shown(opened.schema_arrow.empty_table(), pool, receipts=receipts)
            with _writer(to, kind, empty, formulas or Formulas()) as writer:
                for batch in opened.iter_batches(_BATCH):
                    table = _shown(pa.Table.from_batches([batch]), pool, receipts=receipts)
                    writer.write(table)
    except (pa.ArrowException, OSError) as error:
        msg = f"{shard} could not be written as {kind} to {to}: {error}; run `mashbill audit`"
        raise StoreError(msg) from error


def _shown(table: pa.Table, pool: pa.Array, *, receipts: bool) -> pa.Table:
    """Return the columns that are published, with digests as text; why rows were rejected stays."""
    names = user_columns(table.column_names)
    columns = {name: table.column(name) for name in names}
    if receipts:
        digests = [value.hex() for value in table.column(ID).to_pylist()]
        columns[ID] = pa.array(digests, pa.string())
        columns[BILL] = pool.take(table.column(BILL).combine_chunks())
        if FROM in table.column_names:
            columns[FROM] = table.column(FROM)
    for name in (REJECTED_BY, REASON):
        if name in table.column_names:
            columns[name] = table.column(name)
    return pa.table(columns)


@contextmanager
def _writer(to: Path, kind: DataFormat, empty: pa.Table, formulas: Formulas) -> Iterator[_Writer]:
    """Yield what takes tables like this one and writes them to a file."""
    if kind == "parquet":
        with pq.ParquetWriter(to, empty.schema, compression="zstd") as parquet:
            yield parquet
    elif kind == "arrow":
        with pa.ipc.new_file(to, empty.schema) as arrow:
            yield arrow
    elif kind == "csv":
        header = formulas.header(empty.column_names)
        schema = _flat(empty, formulas).rename_columns(header).schema
        with pa_csv.CSVWriter(to, schema) as separated:
            yield _Csv(separated, header, formulas)
    else:
        with to.open("wb") as stream:
            yield _Jsonl(stream)


class _Csv:
    """Writes CSV; lists become JSON text, binary hexadecimal text; null and NaN are empty."""

    def __init__(self, writer: Any, header: list[str], formulas: Formulas) -> None:
        self._writer = writer
        self._header = header
        self._formulas = formulas

    def write(self, table: pa.Table) -> None:
        self._writer.write(_flat(table, self._formulas).rename_columns(self._header))


def _flat(table: pa.Table, formulas: Formulas) -> pa.Table:
    """Return the table with what CSV has no word for as text."""
    columns = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            texts = [None if v is None else _text(v) for v in column.to_pylist()]
            column = pa.chunked_array([pa.array(texts, pa.string())])
        elif pa.types.is_floating(column.type):
            none = pa.scalar(None, column.type)
            column = pc.if_else(pc.is_null(column, nan_is_null=True), none, column)
        elif _is_text(column.type):
            column = formulas.column(name, column.cast(pa.string()))
        if table.num_columns == 1:
            column = column.cast(pa.string()).fill_null("")  # else its row would be an empty line
        columns[name] = column
    return pa.table(columns)


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else json.dumps(_plain(value))


class _Jsonl:
    """Writes a JSON object a line; NaN, which JSON has no word for, is null as what is missing."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            self._stream.write(self._line(row).encode() + b"\n")
            self._rows += 1

    def _line(self, row: dict[str, Any]) -> str:
        try:
            return json.dumps(_plain(row), ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            bad = next(name for name, value in row.items() if _has_no_json(value))
            msg = (
                f"row {self._rows} of the shard holds {row[bad]!r:.60} in column {bad!r}, which "
                "JSON has no word for; publish with --format parquet or arrow"
            )
            raise InputError(msg) from error


_NESTED = 100  # levels of lists and records in one value; readers of JSON follow few more


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a value with binary as hexadecimal text, and NaN as what is missing.

    Raises:
        ValueError: if lists and records stand too deep inside each other.
    """
    if depth > _NESTED:
        msg = f"it has more than {_NESTED} levels"
        raise ValueError(msg)
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    return None if is_missing(value) else value


def _has_no_json(value: Any) -> bool:
    try:
        json.dumps(_plain(value), allow_nan=False)
    except ValueError:
        return True
    return False
