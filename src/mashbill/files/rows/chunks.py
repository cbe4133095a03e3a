"""Reading the rows of a file, some thousands at a time, as columns of cells.

JSON, Parquet, Arrow IPC, CSV, TSV and WebDataset, compressed or not, and files of text that are
one row each. A line that is no row is told
with its reason, and so is, if that is wanted, one whose bytes are not of the file's encoding.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Literal

import pyarrow as pa

from mashbill.core.errors import InputError
from mashbill.files.bad_texts import decoded, is_bad_text
from mashbill.files.opening import ELEMENT, most_of_row, open_text_stream, too_large
from mashbill.files.rows.cells import Cells
from mashbill.files.rows.encodings import reading_name, where_undecodable
from mashbill.files.rows.formats import Format, format_of, named_once
from mashbill.files.rows.json_rows import TEXT, json_rows
from mashbill.files.rows.tars import webdataset_rows
from mashbill.files.tables import arrow_batches, parquet_batches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OnBadBytes = Literal["stop", "reject", "replace"]

_JSON = frozenset({"jsonl", "json"})
_ROWS = 4096
_BYTES = 64 << 20  # of text or of a column chunk: what is held at once, whatever the rows are
_UNDECODED = re.compile("[\udc80-\udcff]")
_BOM = "\ufeff"
_NAMES_TOLD = 30


@dataclass
class Chunk:
    """Some rows of one file."""

    unit: str
    """line or row: what ``places`` count"""
    places: Sequence[int]
    """where each row stands in the file"""
    columns: dict[str, Cells]
    """cells by column, in the order in which columns came; a cell that a row lacks is missing"""
    absent: dict[str, int] = field(default_factory=dict)
    """column -> first row of the chunk that has no such key, where one lacks it"""
    bad: dict[int, tuple[str, str]] = field(default_factory=dict)
    """row of the chunk that is no row -> (its text, the reason)"""

    @property
    def rows(self) -> int:
        """Rows of the chunk, bad ones included."""
        return len(self.places)

    def where(self, row: int) -> str:
        """Return where a row of the chunk stands in the file."""
        return f"{self.unit} {self.places[row]}"


@dataclass(frozen=True)
class Manner:
    """How a file is to be read."""

    format: Format = "auto"
    """by the file's ending if auto"""
    encoding: str = "utf-8"
    """of text files"""
    columns: tuple[str, ...] = ()
    """names of columns, for csv and tsv files without a header line"""
    on_bad_bytes: OnBadBytes = "stop"
    """what becomes of bytes that are not of the encoding"""
    delimiter: str = ","
    """what divides the fields of csv files"""


def read_chunks(data: bytes | Path, name: str, manner: Manner) -> Iterator[Chunk]:
    """Yield the rows of a file in order.

    Args:
        data: its bytes, or where they lie.
        name: how errors name it.
        manner: format, encoding, columns.

    Raises:
        InputError: naming the file, the place and the remedy, if it cannot be read as a whole.
    """
    kind = manner.format
    if kind == "auto":
        known = format_of(name)
        if known is None:
            msg = (
                f"{name}: the ending does not say the format; set format in the recipe to jsonl, "
                "csv, tsv, json, parquet, arrow, webdataset or text (then the file is one row), or "
                "write the rows as one of these"
            )
            raise InputError(msg)
        kind = known
    if kind in ("parquet", "arrow"):
        yield from _columnar(data, name, kind, manner)
        return
    if kind == "webdataset":
        for where, rows in webdataset_rows(data, name, manner.encoding):
            yield _of_dicts(rows, where, {}, "sample")
        return
    encoding = reading_name(manner.encoding, name)
    errors = {"stop": "strict", "reject": "surrogateescape", "replace": "replace"}
    try:
        with open_text_stream(data, name) as raw:
            # JSON is cut at "\n" alone: a JSON string may hold line separators of Unicode.
            newline = "\n" if kind in _JSON else ""
            text = io.TextIOWrapper(raw, encoding, errors[manner.on_bad_bytes], newline=newline)
            if kind in _JSON:
                yield from _json(text, name, manner.encoding)
            elif kind == "text":
                yield _document(text, name, manner.encoding)
            else:
                yield from _separated(text, name, kind, manner)
    except UnicodeError as error:  # of UTF-16 without its mark, too
        raise where_undecodable(data, name, manner.encoding) from error


def _columnar(data: bytes | Path, name: str, kind: str, manner: Manner) -> Iterator[Chunk]:
    number = 0
    batches = parquet_batches(data, name) if kind == "parquet" else arrow_batches(data, name)
    for batch in batches:
        named_once(batch.schema.names, name)
        for start in range(0, max(batch.num_rows, 1), _ROWS):
            part = batch.slice(start, _ROWS)
            columns: dict[str, Cells] = {}
            bad: dict[int, tuple[str, str]] = {}
            for i, column in enumerate(part.schema.names):
                if is_bad_text(part.schema.field(i)):
                    columns[column] = _mended(part, i, name, number, manner.on_bad_bytes, bad)
                    continue
                where = f"{name}: rows from {number} on, {column!r}"
                columns[column] = _cells(part.column(i), where)
            yield Chunk("row", range(number, number + part.num_rows), columns, bad=bad)
            number += part.num_rows


def _mended(
    part: pa.RecordBatch,
    place: int,
    name: str,
    number: int,
    on_bad_bytes: OnBadBytes,
    bad: dict[int, tuple[str, str]],
) -> Cells:
    """Return a column of text, some of which is no UTF-8, as the recipe wants it.

    Raises:
        InputError: naming file, row and column, where it wants to stop.
    """
    column = part.schema.field(place).name
    texts, wrong = decoded(part.column(place))
    if on_bad_bytes == "stop" and wrong:
        said = (texts[wrong[0]] or "")[:60]
        msg = (
            f"{name}: row {number + wrong[0]}: column {column!r} is not UTF-8 ({said!r}); write it "
            'again as UTF-8, or set on_bad_bytes = "reject" or "replace" in the recipe'
        )
        raise InputError(msg)
    for row in wrong if on_bad_bytes == "reject" else ():
        bad.setdefault(row, ("", f"column {column!r} is not UTF-8"))
    return Cells.of(texts)


def _cells(array: pa.Array, where: str) -> Cells:
    """Return a column as cells.

    Raises:
        InputError: if Python cannot hold a value of it: a day beyond year 9999, a time between two
            microseconds, text that is no UTF-8.
    """
    try:
        return Cells.of_arrow(array)
    except (ValueError, ArithmeticError, pa.ArrowException) as error:
        msg = (
            f"{where} ({array.type}) cannot be read: {error!s:.200}; write that column as text, "
            "or leave it out"
        )
        raise InputError(msg) from error


def _json(text: IO[str], name: str, encoding: str) -> Iterator[Chunk]:
    unit, lines = json_rows(text, name, encoding)
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    bad: dict[int, tuple[str, str]] = {}
    size = 0
    for place, row, flaw, counted in lines:
        if flaw is not None:
            bad[len(rows)] = flaw
        rows.append(row)
        places.append(place)
        size += counted
        if len(rows) == _ROWS or size > _BYTES:
            yield _of_dicts(rows, places, bad, unit)
            rows, places, bad, size = [], [], {}, 0
    if rows:
        yield _of_dicts(rows, places, bad, unit)


def _document(text: IO[str], name: str, encoding: str) -> Chunk:
    """Return a file as the one row that it is, of one column.

    Raises:
        InputError: if it is longer than a row may be.
    """
    most = most_of_row()
    found = text.read(most + 1).removeprefix(_BOM)
    if len(found) > most:
        msg = f"{name}: it {too_large(most)}"
        raise InputError(msg)
    found = found.replace("\r\n", "\n")
    bad = {}
    if not found.isascii() and _UNDECODED.search(found):
        found = _readable(found)
        bad[0] = (found, f"is not {encoding}")
    return Chunk("row", [1], {TEXT: Cells.of([found])}, bad=bad)


class _Rows:
    """The lines of a file, which says where a row becomes longer than one may be."""

    def __init__(self, text: IO[str], name: str, mark: str) -> None:
        self._text, self._name, self._mark = text, name, mark
        self._most = most_of_row()
        self._line, self._size, self._marks = 0, 0, 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.__next__, "")

    def __next__(self) -> str:
        line = self._text.readline(self._most + 1)
        self._line += 1
        self._size += len(line)
        self._marks += line.count(self._mark)
        if self._size > self._most or self._marks > self._most // ELEMENT:
            msg = f"{self._name}: line {self._line}: its row {too_large(self._most)}"
            raise InputError(msg)
        return line

    def begin(self) -> None:
        """Begin a row."""
        self._size = self._marks = 0


def _of_dicts(
    rows: list[dict[str, Any]], places: list[int], bad: dict[int, tuple[str, str]], unit: str
) -> Chunk:
    first = rows[0].keys()
    if not bad and all(row.keys() == first for row in rows):
        columns = {name: Cells.of([row[name] for row in rows]) for name in rows[0]}
        return Chunk(unit, places, columns)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: Cells.of([row.get(name) for row in rows]) for name in names}
    absent = {}
    for name in names:
        lacks = (i for i, row in enumerate(rows) if i not in bad and name not in row)
        if (at := next(lacks, None)) is not None:
            absent[name] = at
    return Chunk(unit, places, columns, absent, bad)


def _separated(text: IO[str], name: str, kind: str, manner: Manner) -> Iterator[Chunk]:
    csv.field_size_limit(2**31 - 1)  # a document may be a field
    lines = _Rows(text, name, "\t" if kind == "tsv" else manner.delimiter)
    reader = (
        csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        if kind == "tsv"
        else csv.reader(lines, delimiter=manner.delimiter, strict=True)
    )
    names = named_once(manner.columns, name) if manner.columns else []
    rows: list[list[str]] = []
    places: list[int] = []
    size = 0
    try:
        for values in reader:
            lines.begin()
            if not values:
                continue
            if reader.line_num == 1 or not (names or rows):
                values[0] = values[0].removeprefix(_BOM)
            if not names:
                names = _header(values, name, manner.encoding)
                continue
            if len(values) != len(names):
                hint = _divided(names) if kind == "csv" and len(names) == 1 else ""
                raise _ragged(name, reader.line_num, len(values), names, hint)
            rows.append(values)
            places.append(reader.line_num)
            size += sum(map(len, values)) + len(values)
            if len(rows) == _ROWS or size > _BYTES:
                yield _of_lists(names, rows, places, manner)
                rows, places, size = [], [], 0
    except csv.Error as error:
        msg = (
            f"{name}: line {reader.line_num} is no {kind.upper()}: {error}; correct its quotes (a "
            'quote within quotes is written ""), or fetch the file again if it is cut short'
        )
        raise InputError(msg) from error
    if rows or names:
        yield _of_lists(names, rows, places, manner)


def _ragged(name: str, line: int, fields: int, names: list[str], hint: str) -> InputError:
    return InputError(
        f"{name}: line {line} has {fields} fields, {len(names)} columns are named "
        f"({told(names)}){hint}; correct the line or the columns"
    )


def _header(values: list[str], name: str, encoding: str) -> list[str]:
    """Return the names of a header line.

    Raises:
        InputError: if it is not of the file's encoding: a name cannot be rejected as a row can.
    """
    if _UNDECODED.search("".join(values)):
        msg = f"{name}: its header is not {encoding}; set encoding in the recipe"
        raise InputError(msg)
    return named_once(values, name)


def _of_lists(names: list[str], rows: list[list[str]], places: list[int], manner: Manner) -> Chunk:
    bad: dict[int, tuple[str, str]] = {}
    if manner.on_bad_bytes == "reject":
        for i, values in enumerate(rows):
            line = manner.delimiter.join(values)
            if not line.isascii() and _UNDECODED.search(line):
                bad[i] = (_readable(line), f"is not {manner.encoding}")
                rows[i] = [""] * len(names)
    values_of = list(zip(*rows, strict=True)) or [()] * len(names)
    columns = {name: Cells.of(values) for name, values in zip(names, values_of, strict=True)}
    if not rows:
        columns = {name: Cells.of([]) for name in names}
    return Chunk("line", places, columns, bad=bad)


def _readable(line: str) -> str:
    """Return a line with a replacement character for each byte that could not be decoded."""
    return _UNDECODED.sub("\ufffd", line)


def told(names: Sequence[str]) -> str:
    """Return names of columns for people, quoted, so that a space at an end is seen."""
    more = f" and {len(names) - _NAMES_TOLD} more" if len(names) > _NAMES_TOLD else ""
    return ", ".join(repr(name) for name in names[:_NAMES_TOLD]) + more


def no_column(wanted: str, names: Sequence[str]) -> str:
    """Return what to say of a column that is not there: what is, and which may be meant."""
    folded = {name.strip().casefold(): name for name in names}
    near = folded.get(wanted.strip().casefold())
    if near is None:
        found = difflib.get_close_matches(wanted, names, n=1, cutoff=0.7)
        near = found[0] if found else None
    meant = f"; did you mean {near!r}?" if near is not None else ""
    meant = (_divided(names) if len(names) == 1 else "") or meant
    return f"no column {wanted!r}; it has {told(names) or 'none'}{meant}"


def _divided(names: Sequence[str]) -> str:
    """Return what to write where a header's only name shows that another mark divides fields."""
    mark = next((mark for mark in ";\t|" if any(mark in name for name in names)), "")
    if not mark:
        return ""
    write = "format = 'tsv'" if mark == "\t" else f'delimiter = "{mark}"'
    return f"; its columns seem to be divided by {mark!r}: write {write} in the recipe"
