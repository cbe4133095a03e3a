"""Batches of Parquet and Arrow files, bounded: a file of a kilobyte can declare a billion rows.

What a file says of itself is looked at before anything is unpacked, a value that is stored once and
repeated is not written out more often than fits, and all is counted as it comes out
(:mod:`mashbill.files.opening`). What a file's pages hold is what their own headers say: a page
whose header says other than its file is bounded by the format alone, at 2 GiB.
"""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.errors import InputError
from mashbill.files.bad_texts import TEXT_MARK, checked_texts, is_bad_text
from mashbill.files.opening import ELEMENT, Meter, most_of_row, open_file, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ROWS = 65_536
_PIECE = 16 << 20  # bytes of a batch that is given out
_BATCH = 64 << 20  # bytes that a batch may take of one column as its file holds it
_DECODED = 256 << 20  # bytes that a batch may take where its values are told by their difference
_NESTED = 100  # types in one another, as many as pyarrow reads of a Parquet file
_HEADERS = 1 << 20  # bytes that a column's pages may have besides
_VALUE = 8  # bytes that a value counts at least, however it is packed
_DIFFERENCES = "DELTA_BYTE_ARRAY"
_FOLDED = (OSError, pa.ArrowException, ValueError, struct.error, LookupError, OverflowError)
"""what pyarrow raises for a file that is damaged, cut or none at all, and reading its headers"""


def parquet_batches(
    data: Path | bytes, shown: str, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file in batches of 16 MiB or so; none holds dictionaries.

    Args:
        data: where it lies, or its bytes.
        shown: how errors name it.
        columns: those to read; all if None.

    Raises:
        InputError: naming the file and the remedy, if it is none, is damaged, or more would come
            out than may.
    """
    number = 0
    size = _size_of(data, shown)
    meter = Meter(shown, size)
    try:
        opened = pq.ParquetFile(io.BytesIO(data) if isinstance(data, bytes) else data)
        _check_facts(opened.metadata, size)
        _check_values(opened.metadata, shown)
        repeated, rows = _looked_at(opened, meter)
        if repeated:
            opened = pq.ParquetFile(
                io.BytesIO(data) if isinstance(data, bytes) else data, read_dictionary=repeated
            )
        every = list(range(opened.metadata.num_row_groups))
        # Across groups, dictionaries in lists differ, which pyarrow does not put together; and of
        # large rows those of one group are enough to hold.
        apart = rows < _ROWS or any("." in path for path in repeated)
        parts = [[i] for i in every] if apart else [every]
        for part in parts:
            for batch in opened.iter_batches(rows, part, columns, use_threads=False):
                sound = checked_texts(batch, shown, number)
                for piece in _pieces(sound, meter, f"{shown}: row", number):
                    yield piece
                    number += piece.num_rows
    except _FOLDED as error:
        raise _not_whole(shown, "Parquet", number, error) from error


class _Closed(io.RawIOBase):
    """A file of this size, none of whose bytes can be read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._at = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence, self._size)
        return self._at

    def read(self, size: int = -1) -> bytes:
        del size
        raise _ClosedError


class _ClosedError(Exception):
    pass


def _check_facts(facts: pq.FileMetaData, size: int) -> None:
    """Raise what pyarrow raises if what a file says of its columns contradicts itself.

    To ask for a column's facts would end the process (pyarrow 26: an exception of C++ that nobody
    catches). To begin to read does the same within what catches it, and gets no further here.
    """
    every = list(range(facts.num_row_groups))
    if not every:
        return
    closed = pq.ParquetFile(_Closed(size), metadata=facts, pre_buffer=True)
    with suppress(_ClosedError):
        next(closed.iter_batches(1, every, use_threads=False), None)


def _check_values(facts: pq.FileMetaData, shown: str) -> None:
    """Raise InputError if values are larger than they may be, on an average of a column's."""
    most = most_of_row()
    number = 0
    for group in range(facts.num_row_groups):
        chunks = facts.row_group(group)
        for i in range(chunks.num_columns):
            chunk = chunks.column(i)
            if chunk.total_uncompressed_size > most * max(chunk.num_values, 1) + _HEADERS:
                msg = f"{shown}: row {number} {too_large(most, f' in {chunk.path_in_schema!r}')}"
                raise InputError(msg)
        number += chunks.num_rows


def _looked_at(opened: pq.ParquetFile, meter: Meter) -> tuple[list[str], int]:
    """Return which columns to read as dictionaries, and how many rows at once.

    Raises:
        InputError: if more would come out than may.
    """
    facts, schema = opened.metadata, opened.schema
    told, rows = meter.anew(), _ROWS
    repeated: dict[str, None] = {}
    dense: set[str] = set()
    maps = {field.name for field in opened.schema_arrow if _has_map(field.type)}
    for group in range(facts.num_row_groups):
        chunks = facts.row_group(group)
        for i in range(chunks.num_columns):
            chunk = chunks.column(i)
            size = max(0, chunk.total_uncompressed_size)
            told.add(max(size, _VALUE * chunk.num_values))
            # As large as rows are on an average: a batch may take those of several groups.
            rows = min(rows, max(1, _BATCH * chunks.num_rows // max(1, size)))
            if chunk.physical_type == "FIXED_LEN_BYTE_ARRAY":
                rows = min(rows, _PIECE // max(1, schema.column(i).length))
            elif chunk.physical_type == "BYTE_ARRAY":
                path = chunk.path_in_schema
                each = -(-chunk.num_values // max(1, chunks.num_rows))  # values a row
                if _DIFFERENCES in chunk.encodings or path.split(".")[0] in maps:
                    # No value is longer than all that the chunk holds.
                    fits = _DECODED // max(1, chunk.total_uncompressed_size * each)
                    rows, dense = min(rows, max(1, fits)), {*dense, path}
                elif chunk.has_dictionary_page:
                    repeated[path] = None
    return [path for path in repeated if path not in dense], max(1, rows)


def _has_map(kind: Any) -> bool:
    waiting = [kind]
    while waiting:
        part = waiting.pop()
        if pa.types.is_map(part):
            return True
        waiting += [part.field(i).type for i in range(part.num_fields)]
    return False


def arrow_batches(data: Path | bytes, shown: str) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an Arrow file, or of a stream in a file, as :func:`parquet_batches` does.

    Raises:
        InputError: as there.
    """
    number = 0
    meter = Meter(shown, _size_of(data, shown))
    try:
        with pa.BufferReader(data) if isinstance(data, bytes) else pa.memory_map(str(data)) as raw:
            buffer = raw.read_buffer()
            if buffer[:6].to_pybytes() == b"ARROW1":
                if buffer[-6:].to_pybytes() != b"ARROW1":
                    raise pa.ArrowInvalid("its end is missing")
                buffer = buffer[8:]  # the file holds the stream, and a list of its parts behind it
            told = meter.anew()
            for message in pa.ipc.MessageReader.open_stream(buffer):
                told.add(_told_by(message))
            for batch in pa.ipc.open_stream(buffer):
                sound = checked_texts(batch, shown, number)
                for piece in _pieces(sound, meter, f"{shown}: row", number):
                    yield piece
                    number += piece.num_rows
    except _FOLDED as error:
        raise _not_whole(shown, "Arrow", number, error) from error


def _told_by(message: Any) -> int:
    """Return how many bytes a message's buffers unpack to, as they say themselves."""
    header = message.metadata.to_pybytes()
    root = struct.unpack_from("<I", header)[0]
    if message.type == "schema":
        return 0
    place = _field(header, root, 2)
    table = place + struct.unpack_from("<I", header, place)[0]
    if message.type == "dictionary":
        place = _field(header, table, 1)
        table = place + struct.unpack_from("<I", header, place)[0]
    length = _field(header, table, 0)
    rows = struct.unpack_from("<q", header, length)[0] if length else 0
    vector, body = _field(header, table, 2), message.body
    total, packed = 0, bool(_field(header, table, 3))
    if vector:
        start = vector + struct.unpack_from("<I", header, vector)[0]
        for i in range(struct.unpack_from("<I", header, start)[0]):
            offset, size = struct.unpack_from("<qq", header, start + 4 + 16 * i)
            if packed and size > 8:
                size = max(size, struct.unpack("<q", body[offset : offset + 8].to_pybytes())[0])
            total += max(0, size)
    return max(total, _VALUE * rows)


def _field(data: bytes, table: int, number: int) -> int:
    """Return where a field of a flatbuffer's table lies; 0 if it is not there."""
    known = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, known)[0]
    if 4 + 2 * number >= size:
        return 0
    offset = int(struct.unpack_from("<H", data, known + 4 + 2 * number)[0])
    return table + offset if offset else 0


def _pieces(
    batch: pa.RecordBatch, meter: Meter, where: str, number: int
) -> Iterator[pa.RecordBatch]:
    """Yield a batch in parts that are not large when they are written out, and count them.

    Raises:
        InputError: naming row and column, if one row is larger than it may be.
    """
    most = most_of_row()
    schema = pa.schema(
        [
            pa.field(f.name, _plain(f.type), metadata=TEXT_MARK if is_bad_text(f) else None)
            for f in batch.schema
        ]
    )
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        sizes = [_written_out(column) for column in part.columns]
        held = [
            size + ELEMENT * _elements(column)
            for size, column in zip(sizes, part.columns, strict=True)
        ]
        size = sum(sizes)
        if sum(held) > min(_PIECE, most) and part.num_rows > 1:
            half = part.num_rows // 2
            waiting += [part.slice(half), part.slice(0, half)]
            continue
        if sum(held) > most:
            largest = part.schema.names[held.index(max(held))]
            msg = f"{where} {number} {too_large(most, f', most of it in column {largest!r}')}"
            raise InputError(msg)
        number += part.num_rows
        meter.add(max(size, _VALUE * part.num_rows))
        columns = [
            _cast(column, field.type) for column, field in zip(part.columns, schema, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: Any, kind: Any) -> Any:
    if column.type == kind:
        return column
    if pa.types.is_nested(column.type):  # a cast goes through all that a part is cut from
        column = column.take(pa.array(range(len(column)), pa.int64()))
    return column.cast(kind)


def _plain(kind: Any, depth: int = 0) -> Any:
    """Return a type without dictionaries in it.

    Raises:
        ValueError: if it is one whose rows may share what they hold unseen, or nested too deeply.
    """
    if depth > _NESTED:
        msg = f"a column's type has more than {_NESTED} others in one another"
        raise ValueError(msg)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type, depth + 1)
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type, depth + 1)
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain(f.type, depth + 1)) for f in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type, depth + 1), _plain(kind.item_type, depth + 1))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type, depth + 1), kind.list_size)
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain(kind.value_type, depth + 1))
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type, depth + 1))
    if pa.types.is_nested(kind):
        msg = f"it has a column of type {kind}, which is not read; write it as a list"
        raise ValueError(msg)
    return kind


def _written_out(column: Any) -> int:
    """Return the bytes that a column's rows take when each is written out."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _written_out(column.storage)
    if pa.types.is_dictionary(kind):
        values = column.dictionary
        each = _each(values)
        taken = column.indices.drop_null().to_numpy(zero_copy_only=False)
        return int(each[taken].sum()) + 4 * len(column) if len(values) else 4 * len(column)
    if pa.types.is_struct(kind):
        return sum(_written_out(child) for child in column.flatten()) + len(column)
    if pa.types.is_map(kind):
        ends = column.offsets
        first, count = ends[0].as_py(), ends[-1].as_py() - ends[0].as_py()
        halves = (column.keys.slice(first, count), column.items.slice(first, count))
        return sum(_written_out(half) for half in halves) + 4 * len(column)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _written_out(column.flatten()) + 4 * len(column)
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        return int(_each(column).sum()) + 16 * len(column)
    return int(column.nbytes)


def _elements(column: Any) -> int:
    """Return how many elements the lists of a column have: of nulls, they take no bytes."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _elements(column.storage)
    if pa.types.is_dictionary(kind):
        return len(column) * _elements(column.dictionary)
    if pa.types.is_struct(kind):
        return sum(_elements(child) for child in column.flatten())
    if pa.types.is_map(kind):
        ends = column.offsets
        return int(ends[-1].as_py() - ends[0].as_py()) if len(ends) else 0
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = column.flatten()
        return len(inner) + _elements(inner)
    return 0


def _each(values: Any) -> np.ndarray:
    """Return the bytes of each of some values, shape (values,); those of a tree count it whole."""
    kind = values.type
    if pa.types.is_string_view(kind) or pa.types.is_binary_view(kind):
        views = values.buffers()[1]
        lengths = np.frombuffer(views, np.int32)[::4] if views is not None else np.zeros(0)
        return lengths[values.offset : values.offset + len(values)].astype(np.int64)
    if (
        pa.types.is_large_binary(kind)
        or pa.types.is_large_string(kind)
        or (pa.types.is_binary(kind) or pa.types.is_string(kind))
    ):
        return np.asarray(pc.binary_length(values).fill_null(0)).astype(np.int64)
    return np.full(len(values), _written_out(values) if pa.types.is_nested(kind) else _VALUE)


def _size_of(data: Path | bytes, shown: str) -> int:
    if isinstance(data, bytes):
        return len(data)
    with open_file(data, shown) as stream:
        return stream.seek(0, io.SEEK_END)


def _not_whole(name: str, what: str, number: int, error: Exception) -> InputError:
    """Return the error about a file whose end is missing, or that is of another format."""
    return InputError(
        f"{name} is not {'an' if what == 'Arrow' else 'a'} {what} file, or not a whole one "
        f"(read up to row {number}): {error!s:.200}; fetch it again, or set format in the recipe"
    )
