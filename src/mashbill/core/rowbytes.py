"""The canonical bytes of many records at once, a column at a time.

Every row of every dataset passes through here, so Arrow does the work; the bytes are those of
:func:`mashbill.core.canonical.canonical_row`, which says what they are and serves whatever a
column needs that Arrow cannot do.
"""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.canonical import plain_value, row_json
from mashbill.core.errors import CanonicalError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT = pa.large_string()
_NEEDS_ESCAPE = r'["\\\x00-\x1f]'
_SAFE = 2**53
# An empty text. pa.scalar would load pandas where it is installed: half a second for nothing.
_NOTHING = pa.Array.from_buffers(_TEXT, 1, [None, pa.py_buffer(bytes(16)), pa.py_buffer(b"")])[0]


def digests(columns: Mapping[str, Any], prefix: bytes = b"") -> list[bytes]:
    """Return the SHA-256 of each row's canonical bytes.

    Args:
        columns: name -> Arrow array, all of one length.
        prefix: put before each row's bytes.

    Raises:
        CanonicalError: if a column holds what has no canonical form.
    """
    rows = row_bytes(columns)
    data = memoryview(rows.buffers()[2] or b"")
    ends = rows.buffers()[1]
    places = memoryview(ends).cast("q")[rows.offset : rows.offset + len(rows) + 1].tolist()
    sha256 = hashlib.sha256
    if not prefix:
        return [sha256(data[a:b]).digest() for a, b in pairwise(places)]
    begun = sha256(prefix)
    found = []
    for a, b in pairwise(places):
        state = begun.copy()
        state.update(data[a:b])
        found.append(state.digest())
    return found


def row_bytes(columns: Mapping[str, Any]) -> pa.LargeStringArray:
    """Return each row's canonical text."""
    pieces: list[Any] = []
    opening = "{"
    for name in sorted(columns):
        pieces += [f"{opening}{row_json(name)}:", _texts(name, columns[name])]
        opening = ","
    pieces.append("}" if columns else "{}")
    scalars = [pa.scalar(p, _TEXT) if isinstance(p, str) else p for p in pieces]
    joined = pc.binary_join_element_wise(*scalars, pa.scalar("", _TEXT))
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _texts(name: str, column: Any) -> Any:
    """Return the JSON text of each value of a column, large_string, without nulls."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = array.type
    if pa.types.is_dictionary(kind):
        array = array.cast(kind.value_type)
        kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _strings(array.cast(_TEXT))
    if pa.types.is_boolean(kind):
        return pc.fill_null(pc.if_else(array, "true", "false").cast(_TEXT), "null")
    if pa.types.is_integer(kind):
        bounds = pc.min_max(array).as_py()
        low, high = bounds["min"], bounds["max"]
        if low is None or _fits(low, high):
            return pc.fill_null(array.cast(_TEXT), "null")
    if pa.types.is_float64(kind) and array.null_count == 0:
        return pa.array([f'"{value.hex()}"' for value in array.to_pylist()], _TEXT)
    if (pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind)) and not array.null_count:
        return pa.array([f'"{value.hex()}"' for value in array.to_pylist()], _TEXT)
    if pa.types.is_list(kind) and pa.types.is_int64(kind.value_type):
        numbers = array.flatten()
        bounds = pc.min_max(numbers).as_py()
        low, high = bounds["min"], bounds["max"]
        if not (array.null_count or numbers.null_count) and (low is None or _fits(low, high)):
            offsets = pc.subtract(array.offsets, array.offsets[0])
            joined = pc.binary_join(
                pa.ListArray.from_arrays(offsets, numbers.cast(pa.string())), ","
            )
            return pc.binary_join_element_wise(
                pa.scalar("[", _TEXT), joined.cast(_TEXT), pa.scalar("]", _TEXT), _NOTHING
            )
    try:
        return pa.array([row_json(plain_value(value)) for value in array.to_pylist()], _TEXT)
    except (TypeError, ValueError) as error:
        msg = f"column {name!r} has no canonical form: {error}"
        raise CanonicalError(msg) from error


def _fits(low: int, high: int) -> bool:
    return low > -_SAFE and high < _SAFE


def _strings(array: pa.LargeStringArray) -> Any:
    quoted = pc.binary_join_element_wise(
        pa.scalar('"', _TEXT), array, pa.scalar('"', _TEXT), pa.scalar("", _TEXT)
    )
    special = pc.match_substring_regex(array, _NEEDS_ESCAPE)
    if pc.any(special).as_py():
        wanted = pc.fill_null(special, fill_value=False)
        escaped = [row_json(text) for text in array.filter(wanted).to_pylist()]
        quoted = pc.replace_with_mask(quoted, wanted, pa.array(escaped, _TEXT))
    return pc.fill_null(quoted, "null")
