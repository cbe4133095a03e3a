"""Reading the rows of a file: JSONL, Parquet, CSV and TSV."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Format = Literal["auto", "jsonl", "parquet", "csv", "tsv"]
_ENDINGS = {"jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet", "csv": "csv", "tsv": "tsv"}


def read_rows(
    data: bytes,
    name: str,
    kind: Format = "auto",
    *,
    encoding: str = "utf-8",
    columns: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file.

    Args:
        data: its bytes.
        name: how errors name it.
        kind: its format, by the ending of its name if auto.
        encoding: of text files.
        columns: names of columns, for csv and tsv files without a header line.

    Raises:
        InputError: naming the file, the line and the remedy.
    """
    for where, row in rows_or_reasons(data, name, kind, encoding=encoding, columns=columns):
        if isinstance(row, BadRow):
            msg = f"{name}: {where} {row.reason}"
            raise InputError(msg)
        yield row


class BadRow:
    """A line of a JSONL file that is no row."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason


def rows_or_reasons(
    data: bytes,
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
        ending = name.rsplit(".", 1)[-1].lower()
        if ending not in _ENDINGS:
            msg = f"{name}: the ending does not say the format; set format in the recipe"
            raise InputError(msg)
        kind = _ENDINGS[ending]  # type: ignore[assignment]
    if kind == "parquet":
        yield from _parquet(data, name)
        return
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        msg = f"{name} is not {encoding} at byte {error.start}; set encoding in the recipe"
        raise InputError(msg) from error
    if kind == "jsonl":
        # Not splitlines(): a JSON string may hold line separators of Unicode.
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"line {number}", _json_object(line)
    else:
        yield from _separated(text, name, kind, columns)


def _parquet(data: bytes, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    number = 0
    try:
        for batch in pq.ParquetFile(io.BytesIO(data)).iter_batches():
            for row in batch.to_pylist():
                yield f"row {number}", row
                number += 1
    except pa.ArrowInvalid as error:
        msg = f"{name} is not a Parquet file: {error}"
        raise InputError(msg) from error


def _json_object(line: str) -> dict[str, Any] | BadRow:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BadRow(line, f"is not JSON: {error}")
    if not isinstance(value, dict):
        return BadRow(line, f"is a {type(value).__name__}; each line must be an object")
    return value


def _separated(
    text: str, name: str, kind: str, columns: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = io.StringIO(text, newline="")
    reader = (
        csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        if kind == "tsv"
        else csv.reader(lines)
    )
    names = list(columns)
    for values in reader:
        if not names:
            names = values
            continue
        if values and len(values) != len(names):
            msg = (
                f"{name}: line {reader.line_num} has {len(values)} fields, {len(names)} "
                f"columns are named ({', '.join(names)}); correct the line or the columns"
            )
            raise InputError(msg)
        if values:
            yield f"line {reader.line_num}", dict(zip(names, values, strict=True))


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
