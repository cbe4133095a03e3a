"""Reading the catalogue's CSV by column, so that millions of rows take seconds.

A file goes to Arrow's reader only if its quotes stand as the row reader takes them; then each
distinct value of a column is put to the same validator as a row's cell is. Whatever is unusual or
wrong goes to :func:`mashbill.policy.claims.read_rows`, which alone decides and says why: what it
refuses is refused here, in its words.

Cells are kept as texts in one spelling, so that equal texts are equal values: blank where a field
has its default, the shortest digits for a number.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from pydantic import BaseModel, ValidationError

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.parsing import MARK, as_text, read_bytes
from mashbill.policy.claim_rows import CELL_CHARS, CSV_BYTES, read_rows
from mashbill.policy.claims import Claim, Entity

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.resources.abc import Traversable
    from pathlib import Path

TEXT = pa.dictionary(pa.int32(), pa.string())
"""type of every column: a number for each row, a text for each number"""
_EXAMPLE: dict[type[BaseModel], dict[str, str]] = {
    Entity: {"id": "an id", "what": "model", "downloads_on": "2025-01-01",
             "downloads_source": "here"},
    Claim: {"child": "a child", "parent": "a parent", "relation": "trained-on", "source": "here"},
}  # fmt: skip
"""a valid row beside whose cells every other value of one cell is tried"""
ROW_RULES = {
    Entity: frozenset({"_is_not_both", "_says_who_counted"}),
    Claim: frozenset({"_is_about_two"}),
}
"""validators of a whole row for which :func:`_doubtful` finds the rows that may break them"""
_QUOTE, _COMMA, _LINE = b'",\n'
_BLOCK = 1 << 22  # bytes of a file that are looked at together


@dataclass(frozen=True)
class Read:
    """One file by column."""

    table: pa.Table
    """one column of TEXT for each field of the model, in the order of rows"""
    digest: str
    """SHA-256 of the bytes that were read"""


def read_columns(file: Path | Traversable, model: type[BaseModel]) -> Read:
    """Read a CSV file with a header.

    Raises:
        InputError: naming file, line, column and value, as :func:`read_rows` does.
    """
    data = read_bytes(file, most=CSV_BYTES)
    digest = digest_bytes(data)
    table = quickly(data, model)
    if table is None:
        table = table_of(read_rows(file, model), model)
    return Read(table, digest)


def table_of(rows: Iterable[BaseModel], model: type[BaseModel]) -> pa.Table:
    """Return rows that are valid as columns of TEXT."""
    rows = list(rows)
    columns = {
        name: pa.array(
            [_spelt(model, name, getattr(row, name)) for row in rows], pa.string()
        ).dictionary_encode()
        for name in model.model_fields
    }
    return pa.table(columns, schema=schema_of(model))


def schema_of(model: type[BaseModel]) -> pa.Schema:
    """Return the columns of a model."""
    return pa.schema([(name, TEXT) for name in model.model_fields])


def rows_of(table: pa.Table, model: type[BaseModel]) -> list[Any]:
    """Return the rows of a table of TEXT, read by the validator that reads files."""
    names = table.column_names
    columns = [table.column(name).to_pylist() for name in names]
    return [
        model.model_validate(
            {name: cell for name, cell in zip(names, row, strict=True) if cell != ""}
        )
        for row in zip(*columns, strict=True)
    ]


def quickly(data: bytes, model: type[BaseModel]) -> pa.Table | None:
    """Return the table of a file that has nothing unusual and nothing wrong, else None."""
    if model.__pydantic_decorators__.model_validators.keys() - ROW_RULES[model]:
        return None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    mark = MARK.encode()
    while data.startswith(mark):
        data = data[len(mark) :]
    end = data.find(b"\n")
    names = _header(data if end < 0 else data[:end], model)
    if names is None or not _quotes_are_plain(data):
        return None
    if end < 0 or not data[end : end + 2].strip(b"\n"):
        is_empty = end < 0 or not data[end:].strip(b"\n")
        # Blank lines before rows are for the other reader, which counts them.
        return schema_of(model).empty_table() if is_empty else None
    try:
        read = pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(data)),
            read_options=pa_csv.ReadOptions(
                column_names=names, skip_rows=1, block_size=_BLOCK, use_threads=len(data) > _BLOCK
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(names, TEXT), strings_can_be_null=False, null_values=[]
            ),
        )
        read = read.unify_dictionaries().combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowCapacityError):
        return None
    if read.num_rows == 0:
        return schema_of(model).empty_table()
    columns = {name: read.column(name).chunk(0) for name in names}
    tried = {name: _tried(model, name, column) for name, column in columns.items()}
    if not all(_fits(column) for column in columns.values()):
        return None
    doubted = _doubtful(columns, model)
    for name, (_, flaws) in tried.items():
        if flaws:
            doubted |= np.isin(np.from_dlpack(columns[name].indices), flaws)
    if not _stand(read, model, np.flatnonzero(doubted), columns, tried):
        return None
    spelt = {
        name: _respelt(columns[name], tried[name][0]) if name in columns else _blank(read.num_rows)
        for name in model.model_fields
    }
    return pa.table(spelt, schema=schema_of(model))


def _header(line: bytes, model: type[BaseModel]) -> list[str] | None:
    """Return the names of columns, or None if they want a second look."""
    try:
        names = next(csv.reader(io.StringIO(as_text(line, "header")), strict=True), [])
    except (csv.Error, InputError):
        return None
    needed = {name for name, field in model.model_fields.items() if field.is_required()}
    known = len(set(names)) == len(names) and set(names) <= set(model.model_fields)
    return names if known and set(names) >= needed else None


def _quotes_are_plain(data: bytes) -> bool:
    """Return whether quotes only open and close cells, or are doubled within.

    A run of quotes opens a cell or closes one if its length is odd; between, lengths are even. Of
    any other quote the two readers may think differently.
    """
    inside = False
    view = np.frombuffer(data, np.uint8)
    start = 0
    while start < len(view):
        stop = min(start + _BLOCK, len(view))
        while stop < len(view) and view[stop - 1] == _QUOTE:  # no run is cut in two
            stop += 1
        at = np.flatnonzero(view[start:stop] == _QUOTE) + start
        start = stop
        if not len(at):
            continue
        begins = np.flatnonzero(np.diff(at, prepend=-2) != 1)
        first, length = at[begins], np.diff(begins, append=len(at))
        after = (np.cumsum(length) + inside) % 2 == 1
        before = np.concatenate([[inside], after[:-1]])
        inside = bool(after[-1])
        opening, closing = first[~before], (first + length)[~after]
        left = view[opening[opening > 0] - 1]
        right = view[closing[closing < len(view)]]
        if not (_ends_cell(left) and _ends_cell(right)):
            return False
    return not inside


def _ends_cell(letters: np.ndarray) -> bool:
    return bool(((letters == _COMMA) | (letters == _LINE)).all())


def _fits(column: pa.DictionaryArray) -> bool:
    """Return whether no text is longer than the row reader takes."""
    return (pc.max(pc.binary_length(column.dictionary)).as_py() or 0) <= CELL_CHARS


def _tried(
    model: type[BaseModel], name: str, column: pa.DictionaryArray
) -> tuple[dict[int, str], list[int]]:
    """Return what is spelt in another way, by its number, and the numbers of what is not valid."""
    texts = column.dictionary
    field = model.model_fields[name]
    if _is_free(model, name):
        default = "" if field.is_required() else field.default
        at = pc.index(texts, pa.scalar(default, pa.string())).as_py()
        if at < 0:
            return {}, []
        return ({}, [at]) if field.is_required() else ({at: ""}, [])
    spelt, flaws = {}, []
    for at, text in enumerate(texts.to_pylist()):
        try:
            row = model.model_validate({**_EXAMPLE[model], name: text})
        except ValidationError:
            flaws.append(at)
        else:
            spelt[at] = _spelt(model, name, getattr(row, name))
    return {at: told for at, told in spelt.items() if told != texts[at].as_py()}, flaws


def _doubtful(columns: dict[str, pa.DictionaryArray], model: type[BaseModel]) -> np.ndarray:
    """Return which rows may break a rule about several of their cells, bool, shape (rows,)."""
    if model is Claim:  # _is_about_two
        child, parent = columns["child"], columns["parent"]
        place = pc.fill_null(pc.index_in(child.dictionary, parent.dictionary), -1)
        same: np.ndarray = np.asarray(place)[np.from_dlpack(child.indices)] == np.from_dlpack(
            parent.indices
        )
        return same
    rows = len(columns["id"])

    def said(name: str) -> np.ndarray:
        if name not in columns:
            return np.zeros(rows, bool)
        at = pc.index(columns[name].dictionary, pa.scalar("", pa.string())).as_py()
        told: np.ndarray = np.from_dlpack(columns[name].indices) != at
        return told

    doubted: np.ndarray = said("license") & said("license_looked")  # _is_not_both
    doubted |= said("downloads") & ~(said("downloads_on") & said("downloads_source"))
    return doubted  # the second is _says_who_counted


def _stand(
    read: pa.Table,
    model: type[BaseModel],
    rows: np.ndarray,
    columns: dict[str, pa.DictionaryArray],
    tried: dict[str, tuple[dict[int, str], list[int]]],
) -> bool:
    """Return whether rows in doubt are valid as a whole, and note how they are spelt."""
    cells = read.take(pa.array(rows)).to_pylist()
    for at, row in zip(rows.tolist(), cells, strict=True):
        try:
            valid = model.model_validate(row)
        except ValidationError:
            return False
        for name, (spelt, flaws) in tried.items():
            code = columns[name].indices[at].as_py()
            if code in flaws:
                spelt[code] = _spelt(model, name, getattr(valid, name))
    return True


def _is_free(model: type[BaseModel], name: str) -> bool:
    """Return whether any text is a value of a field, as far as its own rules go."""
    field = model.model_fields[name]
    own = model.__pydantic_decorators__.field_validators.values()
    return (
        field.annotation is str
        and not field.metadata
        and not any(name in validator.info.fields for validator in own)
    )


def _respelt(column: pa.DictionaryArray, spelt: dict[int, str]) -> pa.DictionaryArray:
    """Return a column with some of its texts replaced, each text once."""
    if not spelt:
        return column
    texts = column.dictionary.to_pylist()
    for at, text in spelt.items():
        texts[at] = text
    places: dict[str, int] = {}
    code = np.array([places.setdefault(text, len(places)) for text in texts], np.int32)
    codes = code[np.from_dlpack(column.indices)]
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(places), pa.string()))


def _blank(rows: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), pa.array([""]))


def _spelt(model: type[BaseModel], name: str, value: Any) -> str:
    """Return a value as its cell is spelt: blank if it is the field's default."""
    field = model.model_fields[name]
    if not field.is_required() and value == field.get_default(call_default_factory=True):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value + 0.0)
    if isinstance(value, tuple):
        return ";".join(value)
    return str(value)
