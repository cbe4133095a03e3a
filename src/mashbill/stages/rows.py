"""Reading the rows of a file: JSONL, Parquet, Arrow IPC, CSV and TSV, compressed or not."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zlib
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Format = Literal["auto", "jsonl", "parquet", "arrow", "csv", "tsv"]
_ENDINGS: dict[str, Format] = {
    "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet", "csv": "csv", "tsv": "tsv",
    "arrow": "arrow", "arrows": "arrow", "feather": "arrow", "ipc": "arrow",
}  # fmt: skip
_PACKED = ("gz", "zst")
_PIECE = 1 << 20


def format_of(name: str) -> Format | None:
    """Return the format that a file's ending says, ``.gz`` and ``.zst`` aside; None if none."""
    parts = name.lower().split(".")
    if len(parts) > 2 and parts[-1] in _PACKED:
        parts.pop()
    return _ENDINGS.get(parts[-1]) if len(parts) > 1 else None


def choose(names: Sequence[str], kind: Format, address: str) -> list[str]:
    """Return those files of a folder that hold its rows: all of one format.

    Raises:
        InputError: naming the folder, what it has and the remedy, if there is no file of this
            format, or with auto files of several.
    """
    kinds = {name: format_of(name) for name in names}
    found = Counter(each for each in kinds.values() if each is not None)
    have = ", ".join(f"{count} {each}" for each, count in found.items())
    if kind == "auto" and len(found) > 1:
        msg = (
            f"{address} holds files of several formats ({have}), which may be the same rows twice; "
            "set format in the recipe, or name the files with a glob, such as *.parquet"
        )
        raise InputError(msg)
    chosen = [name for name in names if kinds[name] and kind in ("auto", kinds[name])]
    if not chosen:
        has = have or ", ".join(names[:5]) or "nothing"
        wanted = "Parquet, JSONL, Arrow, CSV or TSV" if kind == "auto" else kind
        msg = (
            f"{address} holds no file whose ending says {wanted} (it has {has}); correct the "
            "address, or name the files with a glob and set format in the recipe"
        )
        raise InputError(msg)
    return chosen


def read_rows(
    data: bytes | Path,
    name: str,
    kind: Format = "auto",
    *,
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    Args:
        data: its bytes, or where they lie.
        name: how errors name it.
        kind: its format, by the ending of its name if auto.
        encoding: of text files.
        columns: names of columns, for csv and tsv files without a header line.

    Raises:
        InputError: naming the file, the line and the remedy.
    """
    for where, row in rows_or_reasons(data, name, kind, encoding=encoding, columns=columns):
        if isinstance(row, BadRow):
            msg = f"{name}: {where} {row.reason}; correct the line, or fetch the file again"
            raise InputError(msg)
        yield row


class BadRow:
    """A line of a JSONL file that is no row."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason


def rows_or_reasons(
    data: bytes | Path,
    name: str,
    kind: Format = "auto",
    *,
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
) -> Iterator[tuple[str, dict[str, Any] | BadRow]]:
    """Yield (where it stands, row) as :func:`read_rows` does, and what is no row with its reason.

    Raises:
        InputError: if the file as a whole cannot be read.
    """
    if kind == "auto":
        known = format_of(name)
        if known is None:
            msg = f"{name}: the ending does not say the format; set format in the recipe"
            raise InputError(msg)
        kind = known
    if kind == "parquet":
        yield from _parquet(data, name)
    elif kind == "arrow":
        yield from _arrow(data, name)
    else:
        yield from _text_rows(data, name, kind, encoding, columns)


def _parquet(data: bytes | Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    try:
        opened = pq.ParquetFile(io.BytesIO(data) if isinstance(data, bytes) else data)
        named_once(opened.schema_arrow.names, name)
        for batch in opened.iter_batches():
            for row in batch.to_pylist():
                yield f"row {number}", row
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise _not_whole(name, "Parquet", number, error) from error


def _arrow(data: bytes | Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read either form of Arrow IPC: the file, which begins with its name, or the stream."""
    number = 0
    try:
        with pa.BufferReader(data) if isinstance(data, bytes) else pa.memory_map(str(data)) as raw:
            is_file = raw.read(6) == b"ARROW1"
            raw.seek(0)
            for batch in _batches(raw) if is_file else pa.ipc.open_stream(raw):
                named_once(batch.schema.names, name)
                batch.validate(full=True)
                for row in batch.to_pylist():
                    yield f"row {number}", row
                    number += 1
    except (pa.ArrowException, OSError) as error:
        raise _not_whole(name, "Arrow", number, error) from error


def _batches(raw: Any) -> Iterator[Any]:
    reader = pa.ipc.open_file(raw)
    return (reader.get_batch(i) for i in range(reader.num_record_batches))


def _not_whole(name: str, what: str, number: int, error: Exception) -> InputError:
    """Return the error about a file whose end is missing, or that is of another format."""
    return InputError(
        f"{name} is not {'an' if what == 'Arrow' else 'a'} {what} file, or not a whole one "
        f"(read up to row {number}): {error!s:.200}; fetch it again, or set format in the recipe"
    )


def _text_rows(
    data: bytes | Path, name: str, kind: str, encoding: str, columns: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any] | BadRow]]:
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        msg = f"{name}: {error}; correct encoding in the recipe"
        raise InputError(msg) from error
    try:
        with _opened(data, name) as raw:
            # JSONL is cut at "\n" alone: a JSON string may hold line separators of Unicode.
            text = io.TextIOWrapper(raw, encoding, newline="\n" if kind == "jsonl" else "")
            if kind != "jsonl":
                yield from _separated(text, name, kind, columns)
                return
            for number, line in enumerate(text, 1):
                if line.strip():
                    yield f"line {number}", _json_object(line.removesuffix("\n"))
    except UnicodeDecodeError as error:
        where = _where_undecodable(data, name, encoding)
        msg = f"{name} is not {encoding} at {where}; set encoding in the recipe"
        raise InputError(msg) from error


@contextmanager
def _opened(data: bytes | Path, name: str) -> Iterator[IO[bytes]]:
    """Open a file of text, unpacked as its ending says.

    Raises:
        InputError: if it cannot be unpacked, or not to its end.
    """
    ending = name.rsplit(".", 1)[-1].lower()
    plain = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
    with plain:
        if ending not in _PACKED:
            yield plain
            return
        try:
            if ending == "gz":
                with gzip.open(plain) as unpacked:
                    yield cast("IO[bytes]", unpacked)
            else:
                yield pa.CompressedInputStream(pa.PythonFile(plain, mode="r"), "zstd")
        except (OSError, EOFError, zlib.error) as error:
            msg = f"{name} is no {ending} file, or not a whole one: {error}; fetch it again"
            raise InputError(msg) from error


def _where_undecodable(data: bytes | Path, name: str, encoding: str) -> str:
    """Return the line and the byte, of what is unpacked, at which a file is not in its encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    before, line, last = 0, 1, False
    with _opened(data, name) as raw:
        while not last:
            piece = raw.read(_PIECE)
            last = not piece
            pending = len(decoder.getstate()[0])
            try:
                line += decoder.decode(piece, last).count("\n")
            except UnicodeDecodeError as error:
                good = error.object[: error.start].decode(encoding, "replace")
                return f"line {line + good.count(chr(10))}, byte {before - pending + error.start}"
            before += len(piece)
    return "an unknown place"


def _json_object(line: str) -> dict[str, Any] | BadRow:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadRow(line, f"is not JSON: {error}")
    if not isinstance(value, dict):
        return BadRow(line, f"is a {type(value).__name__}; each line must be an object")
    return value


def _separated(
    text: IO[str], name: str, kind: str, columns: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(2**31 - 1)  # a document may be a field
    reader = (
        csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
        if kind == "tsv"
        else csv.reader(text, strict=True)
    )
    names = named_once(columns, name) if columns else []
    try:
        for values in reader:
            if not names:
                names = named_once(values, name)
                continue
            if values and len(values) != len(names):
                msg = (
                    f"{name}: line {reader.line_num} has {len(values)} fields, {len(names)} "
                    f"columns are named ({', '.join(names)}); correct the line or the columns"
                )
                raise InputError(msg)
            if values:
                yield f"line {reader.line_num}", dict(zip(names, values, strict=True))
    except csv.Error as error:
        msg = (
            f"{name}: line {reader.line_num} is no {kind.upper()}: {error}; correct its quotes (a "
            'quote within quotes is written ""), or fetch the file again if it is cut short'
        )
        raise InputError(msg) from error


def named_once(columns: Sequence[str], name: str) -> list[str]:
    """Return the columns of a file.

    Raises:
        InputError: if two have one name, so that a row would keep one of them only.
    """
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        msg = f"{name}: the header names column {twice[0]!r} twice; rename one"
        raise InputError(msg)
    return list(columns)


def half_a_character(text: str) -> bool:
    """Return whether a text holds half of a surrogate pair, so that it is no valid Unicode."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def as_column(values: Sequence[Any]) -> pa.Array:
    """Return values as a column: of their own type if they share a plain one, else as text.

    What is nested, or too large a number, becomes JSON text.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    fits = kinds != {int} or all(v is None or -(2**63) <= v < 2**63 for v in values)
    if len(kinds) == 1 and fits:
        kind = _PLAIN.get(kinds.pop())
        if kind is not None:
            return pa.array(values, kind)
    return pa.array([None if value is None else _as_text(value) for value in values], pa.string())


_PLAIN = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), bytes: pa.binary()}


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode()
