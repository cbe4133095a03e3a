"""Rows of the catalogue in CSV: read within bounds, each as the validator has it, and written."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from mashbill.core.errors import InputError
from mashbill.core.parsing import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from pathlib import Path


Row = TypeVar("Row", bound=BaseModel)

CELL_CHARS = 131_072
"""characters of a cell: what the csv module takes, as long as nobody raises it"""

CSV_BYTES = 1 << 30
"""largest CSV file: three million claims have half of it"""


def read_rows(
    file: Path | Traversable, model: type[Row], flaws: list[str] | None = None
) -> list[Row]:
    """Read a CSV file with a header.

    Args:
        file: the file.
        model: what a row is.
        flaws: gets what is wrong with rows that are passed over, with file and line; if None, the
            first is raised.

    Raises:
        InputError: naming file, line, column and value; with ``flaws`` only for what is wrong with
            the file as a whole.
    """
    text = read_text(file, most=CSV_BYTES)
    rows: list[Row] = []
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        unknown = set(reader.fieldnames or ()) - set(model.model_fields)
        if unknown or not reader.fieldnames:
            found = f"{', '.join(sorted(unknown)):.300}" or "no header"
            msg = f"{file}: line 1: found {found}; columns are {', '.join(model.model_fields)}"
            raise InputError(msg)
        for row in reader:
            _check_cells(row)
            flaw = _read_row(row, model, rows)
            if not flaw:
                continue
            msg = f"{file}: line {reader.line_num}: {flaw}"
            if flaws is None:
                raise InputError(msg)
            flaws.append(msg)
    except csv.Error as error:
        msg = f"{file}: cannot be read as CSV: {error}"
        if flaws is None or not reader.fieldnames:
            raise InputError(msg) from error
        flaws.append(
            f"{file}: line {reader.line_num}: cannot be read as CSV: {error}; correct it: nothing "
            "behind it is read"
        )
    return rows


def _check_cells(row: dict[str, Any]) -> None:
    # The csv module's own limit is one for the whole process, and others raise it for documents.
    if any(isinstance(cell, str) and len(cell) > CELL_CHARS for cell in row.values()):
        msg = f"a cell has more than {CELL_CHARS:,} characters"
        raise csv.Error(msg)


def _read_row(row: dict[str, Any], model: type[Row], rows: list[Row]) -> str:
    """Add a row to ``rows``, or return what is wrong with it."""
    if None in row or None in row.values():
        return "has more or fewer cells than the header"
    try:
        rows.append(model.model_validate(row))
    except ValidationError as error:
        item = error.errors()[0]
        where = ".".join(str(part) for part in item["loc"]) or "row"
        value = f" = {row.get(str(item['loc'][0]), '')!r:.60}" if item["loc"] else ""
        return f"{where}{value}: {item['msg']}"
    return ""


def write_rows(file: Path, rows: Iterable[BaseModel], columns: tuple[str, ...]) -> None:
    """Write rows as :func:`read_rows` reads them."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow([_cell(getattr(row, name)) for name in columns])


def _cell(value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return "true"
    if isinstance(value, tuple):
        return ";".join(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)
