"""Cells of foreign rows: of which kind each is, and all of a column as one column.

A cell is a text, a list of texts, a number, true or false, bytes, a day or time, an object, a list
of others, or missing; NaN and NaT are missing, as pandas means them. What wants a text takes a
text, and no other kind's spelling in Python (:func:`texts_of`).

What kind a column is, is known only when all of it was read: a number in the first million rows and
a text behind them make a column of text. So cells are kept as they are, with the kinds that were
met, and get their final form when they are read again.
"""

from __future__ import annotations

import ast
import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.cells import is_missing

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
_NESTED = frozenset({list, dict})
_LEAST, _MOST = -(2**63), 2**63
_EXACT = 2**53
_MAY_BE_NAN = frozenset({float, Decimal})


@dataclass(frozen=True)
class Kinds:
    """What was met in a column."""

    names: frozenset[str] = frozenset()
    """bool, int, float, bytes, str, nested (lists and objects), or other: days and such"""
    fits: bool = True
    """whether every whole number has 64 bits at most"""
    is_exact: bool = True
    """whether every whole number is one as a float, too: 2**53 at most, so that ids stay what
    they are beside a fraction or NaN"""

    def __or__(self, other: Kinds) -> Kinds:
        names, fits = self.names | other.names, self.fits and other.fits
        return Kinds(names, fits, self.is_exact and other.is_exact)

    @property
    def is_nested(self) -> bool:
        """Whether every cell that is there is a list or an object."""
        return self.names == {"nested"}

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
        """Take cells as Python has them; None is a missing one, and so is NaN."""
        met = set(map(type, values))
        if met & _MAY_BE_NAN:
            values = [None if is_missing(value) else value for value in values]
            met = set(map(type, values))
        met.discard(type(None))
        names = frozenset(
            kind.__name__ if kind.__name__ in _TYPES else "nested" if kind in _NESTED else "other"
            for kind in met
        )
        fits = int not in met or all(
            _LEAST <= value < _MOST for value in values if type(value) is int
        )
        exact = int not in met or all(
            -_EXACT <= value <= _EXACT for value in values if type(value) is int
        )
        kinds = Kinds(names, fits, exact)
        if not met:
            return cls(pa.nulls(len(values)), kinds)
        if len(met) == 1 and fits and names <= _TYPES.keys():
            try:
                return cls(pa.array(values, _TYPES[next(iter(names))]), kinds)
            except (UnicodeEncodeError, pa.ArrowException):
                pass  # half of a surrogate pair, or more than an array of text holds
        texts = [None if value is None else as_json(value, ascii_only=True) for value in values]
        return cls(pa.array(texts, pa.large_string()), kinds, is_json=True)

    @classmethod
    def of_arrow(cls, array: pa.Array) -> Cells:
        """Take a column of a Parquet or Arrow file, without a Python value for each if it can."""
        kind = array.type
        if pa.types.is_dictionary(kind):
            array, kind = array.dictionary_decode(), kind.value_type
        name = _plain_name(kind)
        if pa.types.is_time64(kind):
            array = array.cast(pa.string())  # Python's own time has no billionths of a second
        if name is None:
            return cls.of(array.to_pylist())
        if name == "float":
            array = pc.if_else(pc.is_nan(array), None, array)
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
    """Return a cell as text: text, days and decimals as they are written, all else as JSON.

    Half of a surrogate pair, which is no Unicode, becomes a question mark.
    """
    value = _written(value)
    return (value if isinstance(value, str) else as_json(value)).encode("utf-8", "replace").decode()


def as_json(value: Any, *, ascii_only: bool = False) -> str:
    """Return a cell as JSON (RFC 8259); what holds half a character, only by its escapes.

    Bytes are hexadecimal, days and times as ISO 8601 writes them, decimals their digits as a text;
    NaN, which JSON does not have, is null, and what is infinite is a text.
    """
    with suppress(ValueError):
        return json.dumps(value, ensure_ascii=ascii_only, default=_written, allow_nan=False)
    whole = json.dumps(value, default=_written)
    return json.dumps(json.loads(whole, parse_constant=_constant), ensure_ascii=ascii_only)


def _constant(word: str) -> str | None:
    return None if word == "NaN" else word


def _written(value: Any) -> Any:
    """Return what stands in JSON and in cells for a value that JSON does not have."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value if isinstance(value, str | int | float | list | dict) else str(value)


@dataclass(frozen=True)
class Other:
    """A cell of a column of days, times or decimals, which is laid down as its text."""

    text: str

    def __str__(self) -> str:
        """Return it as it is written."""
        return self.text


_KINDS = (
    (Other, "a day, a time or a decimal"),
    (bool, "true or false"), (int | float | Decimal, "a number"), (list, "a list"),
    (dict, "an object"), (bytes, "bytes"), (datetime | date | time | timedelta, "a day or time"),
)  # fmt: skip


def kind_of(value: Any) -> str:
    """Return which kind a cell is of, for people: a text, a number, a list, ..."""
    if isinstance(value, str) and writes_object(value):
        return "an object written as a text"
    return next((said for kind, said in _KINDS if isinstance(value, kind)), "a text")


def texts_of(value: Any) -> list[str] | None:
    """Return the texts of a cell that names something: of a text one, of a list all, of none none.

    A list that was written as a text is one too (``["a", "b"]``, or ``['a', 'b']`` as pandas writes
    lists into CSV files).

    Returns:
        None if the cell holds anything else, which names nothing.
    """
    if is_missing(value):
        return []
    if isinstance(value, str):
        listed = _listed(value)
        if listed is None and writes_object(value):
            return None
        value = [value] if listed is None else listed
    if not isinstance(value, list):
        return None
    found = [each for each in value if not is_missing(each)]
    return [each.strip() for each in found] if all(isinstance(e, str) for e in found) else None


_LONGEST_LIST = 10_000  # characters of a list that was written as a text
_ITEM = r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|None|nan|NaN|null|<NA>"""
# As Python, pandas and numpy write them: ['a', 'b'], ['a' 'b'], ('a', None), array(['a'], ...).
_LIST = re.compile(
    rf"(?:array\()?\s*+[\[({{]\s*+(?:(?:{_ITEM})\s*+,?\s*+)*+[\])}}]\s*+(?:,\s*+dtype=\w++\s*+)?\)?",
    re.DOTALL,
)
_ITEMS = re.compile(rf"{_ITEM}")
_OBJECT = re.compile(r"""\{\s*+(?:'[^']*+'|"[^"]*+")\s*+:.*\}""", re.DOTALL)


def writes_object(text: str) -> bool:
    """Return whether a text is an object, or a dictionary as Python writes it."""
    return len(text) <= _LONGEST_LIST and bool(_OBJECT.fullmatch(text.strip()))


def _listed(text: str) -> list[Any] | None:
    """Return the list that a text writes; None if it writes none."""
    plain = text.strip()
    if len(plain) > _LONGEST_LIST or plain[:1] not in ("[", "(", "{", "a"):
        return None
    with suppress(ValueError, RecursionError):
        found = json.loads(plain)
        return found if isinstance(found, list) else None
    if not _LIST.fullmatch(plain):
        return None
    quoted = [item for item in _ITEMS.findall(plain) if item[0] in "'\""]
    with suppress(ValueError, SyntaxError):
        return [ast.literal_eval(item) for item in quoted]
    return None


def _plain_name(kind: pa.DataType) -> str | None:
    """Return which plain kind an Arrow type is; None if each cell has to be looked at."""
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "str"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_signed_integer(kind) or kind in (pa.uint8(), pa.uint16(), pa.uint32()):
        return "int"
    if pa.types.is_floating(kind) and kind != pa.float16():
        return "float"
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
    return "bytes" if is_bytes or pa.types.is_fixed_size_binary(kind) else None


def bare_lengths(texts: pa.Array) -> pa.Array:
    """Return how many characters texts have without white space around them, shape (rows,).

    White space is what Python's own ``strip`` takes off; a missing text has none.
    """
    texts = pc.fill_null(texts, "")
    # Arrow and Python differ in what space is, beyond the common few.
    plain = pc.and_(
        pc.string_is_ascii(texts), pc.invert(pc.match_substring_regex(texts, r"[\x1c-\x1f]"))
    )
    lengths = pc.utf8_length(pc.ascii_trim_whitespace(texts))
    if pc.all(plain).as_py() is not False:
        return lengths
    others = [len(text.strip()) for text in texts.filter(pc.invert(plain)).to_pylist()]
    return pc.replace_with_mask(lengths, pc.invert(plain), pa.array(others, lengths.type))


JSON_MARK = {_JSON.encode(): b"1"}
"""metadata of a field whose cells are JSON"""
