"""A column of cells as they were read, some thousands at a time, and all of them as one column.

What kind a column is, is known only when all of it was read: a number in the first million rows and
a text behind them make a column of text. So cells are kept as they are, with the kinds that were
met, and get their final form when they are read again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

_TYPES = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bytes": pa.binary(),
    "str": pa.string(),
}
_JSON = "json"
_LEAST, _MOST = -(2**63), 2**63
_EXACT = 2**53


@dataclass(frozen=True)
class Kinds:
    """What was met in a column."""

    names: frozenset[str] = frozenset()
    """bool, int, float, bytes, str, or other: what is nested, or a day"""
    fits: bool = True
    """whether every whole number has 64 bits at most"""
    is_exact: bool = True
    """whether every whole number is one as a float, too: 2**53 at most, so that ids stay what
    they are beside a fraction or NaN"""

    def __or__(self, other: Kinds) -> Kinds:
        names, fits = self.names | other.names, self.fits and other.fits
        return Kinds(names, fits, self.is_exact and other.is_exact)

    @property
    def type(self) -> pa.DataType:
        """Type of the whole column: its own if it is of one plain kind, else text."""
        if self.names == {"int", "float"}:
            return pa.float64() if self.is_exact else pa.string()
        if len(self.names) == 1 and self.fits:
            return _TYPES.get(next(iter(self.names)), pa.string())
        return pa.string()


@dataclass(frozen=True)
class Cells:
    """Some cells of a column: as they are if they are of one plain kind, else each as JSON."""

    array: pa.Array
    kinds: Kinds
    is_json: bool = False

    @classmethod
    def of(cls, values: Sequence[Any]) -> Cells:
        """Take cells as Python has them; None is a missing one."""
        met = set(map(type, values))
        met.discard(type(None))
        names = frozenset(kind.__name__ if kind.__name__ in _TYPES else "other" for kind in met)
        fits = int not in met or all(
            _LEAST <= value < _MOST for value in values if type(value) is int
        )
        exact = int not in met or all(
            -_EXACT <= value <= _EXACT for value in values if type(value) is int
        )
        kinds = Kinds(names, fits, exact)
        if not met:
            return cls(pa.nulls(len(values)), kinds)
        if len(met) == 1 and fits and "other" not in names:
            try:
                return cls(pa.array(values, _TYPES[next(iter(names))]), kinds)
            except (UnicodeEncodeError, pa.ArrowException):
                pass  # half of a surrogate pair, or more than an array of text holds
        texts = [None if value is None else json.dumps(value, default=str) for value in values]
        return cls(pa.array(texts, pa.large_string()), kinds, is_json=True)

    @classmethod
    def of_arrow(cls, array: pa.Array) -> Cells:
        """Take a column of a Parquet or Arrow file, without a Python value for each if it can."""
        kind = array.type
        if pa.types.is_dictionary(kind):
            array, kind = array.dictionary_decode(), kind.value_type
        name = _plain_name(kind)
        if name is None:
            return cls.of(array.to_pylist())
        exact = name != "int" or _is_exact(array)
        kinds = Kinds(frozenset({name} if array.null_count < len(array) else ()), is_exact=exact)
        return cls(array.cast(_TYPES[name]) if kinds.names else pa.nulls(len(array)), kinds)

    def values(self) -> list[Any]:
        """Return the cells as Python has them."""
        if not self.is_json:
            return list(self.array.to_pylist())
        return [None if text is None else json.loads(text) for text in self.array.to_pylist()]

    def final(self, kinds: Kinds) -> pa.Array:
        """Return the cells as part of the whole column.

        Args:
            kinds: of all of the column.
        """
        wanted = kinds.type
        if self.array.type == wanted and not self.is_json:
            return self.array
        if pa.types.is_null(self.array.type):
            return pa.nulls(len(self.array), wanted)
        if wanted == pa.float64():
            return pa.array([None if v is None else float(v) for v in self.values()], wanted)
        return pa.array([None if v is None else as_text(v) for v in self.values()], wanted)


def _is_exact(array: pa.Array) -> bool:
    bounds = pc.min_max(array).as_py()
    return bounds["min"] is None or (bounds["min"] >= -_EXACT and bounds["max"] <= _EXACT)


def as_text(value: Any) -> str:
    """Return a cell as text: text as it is, all else as JSON.

    Half of a surrogate pair, which is no Unicode, becomes a question mark.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text.encode("utf-8", "replace").decode()


def _plain_name(kind: pa.DataType) -> str | None:
    """Return which plain kind an Arrow type is; None if each cell has to be looked at."""
    if pa.types.is_string(kind):
        return "str"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_signed_integer(kind) or kind in (pa.uint8(), pa.uint16(), pa.uint32()):
        return "int"
    if pa.types.is_floating(kind) and kind != pa.float16():
        return "float"
    return "bytes" if pa.types.is_binary(kind) else None


def stripped(texts: pa.Array) -> pa.Array:
    """Return texts without white space around them, as Python's own ``strip`` does it.

    Args:
        texts: strings, shape (rows,); a missing one is empty afterwards.
    """
    texts = pc.fill_null(texts, "")
    # Arrow and Python differ in what space is, beyond the common few.
    plain = pc.and_(
        pc.string_is_ascii(texts), pc.invert(pc.match_substring_regex(texts, r"[\x1c-\x1f]"))
    )
    trimmed = pc.ascii_trim_whitespace(texts)
    if pc.all(plain).as_py():
        return trimmed
    others = [text.strip() for text in texts.filter(pc.invert(plain)).to_pylist()]
    return pc.replace_with_mask(trimmed, pc.invert(plain), pa.array(others, pa.string()))


JSON_MARK = {_JSON.encode(): b"1"}
"""metadata of a field whose cells are JSON"""
