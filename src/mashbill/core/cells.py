"""What a stranger's recipe says of a column, held to what a row may have: encodings and numbers."""

from __future__ import annotations

import codecs
import difflib
import encodings.aliases
import math
import re
from decimal import Decimal
from typing import Any

from mashbill.core.errors import RecipeError

_OWN_ENCODINGS = frozenset({"utf-8-sig", "utf-16", "utf-32"})
_NO_TEXT = frozenset(
    {"charmap", "idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"}
)
"""encodings by their kind, that no file of text is written in"""


def text_encoding(name: str) -> str:
    """Return the name that Python has for an encoding of text files.

    Raises:
        RecipeError: if there is none of that name, or it is of something else than text files
            (``rot13``, ``base64``, ``idna``, ``unicode_escape``); near names are told.
    """
    try:
        found = codecs.lookup(name)
        plain = found.name.replace("_", "-")
        # One that decodes what it encoded, in one go and bit by bit, is one of texts.
        is_text = (
            bool(getattr(found, "_is_text_encoding", False))
            and plain not in _NO_TEXT
            and "a,b\n".encode(name).decode(name) == "a,b\n"
            and found.incrementaldecoder is not None
        )
    except Exception:  # noqa: BLE001 - whatever a codec raises on its name or on a text is a no
        is_text = False
    if is_text:
        return found.name
    wanted = name.lower().replace("_", "-").strip()
    known = sorted(
        {alias.replace("_", "-") for alias in encodings.aliases.aliases} | _OWN_ENCODINGS
    )
    near = [each for each in difflib.get_close_matches(wanted, known, 6) if _is_of_text(each)][:3]
    hint = f"did you mean {', '.join(near)}? " if near else ""
    msg = (
        f"encoding = {name[:60]!r} is no encoding of text files; {hint}"
        "utf-8, utf-8-sig, utf-16, cp1252 and latin-1 are common ones"
    )
    raise RecipeError(msg)


def _is_of_text(name: str) -> bool:
    try:
        found = codecs.lookup(name)
    except LookupError:
        return False
    return bool(getattr(found, "_is_text_encoding", False)) and name not in _NO_TEXT


def is_missing(value: Any) -> bool:
    """Return whether a cell has no value: None, NaN of any kind of number, NaT.

    An empty text is a value; where a text stands for a number, a key or a label, see
    :func:`says_nothing`.
    """
    if value is None:
        return True
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, str | bytes | list | tuple | dict | bool | int):
        return False
    return bool(value != value)  # noqa: PLR0124 - NaN and NaT alone are not themselves


def says_nothing(value: Any) -> bool:
    """Return whether a cell where a number, a key or a label is wanted has none.

    Beside what is missing that is text of nothing but space, as CSV files have it, and text that
    writes NaN.
    """
    if not isinstance(value, str):
        return is_missing(value)
    text = value.strip()
    return not text or text.lstrip("+-").lower() == "nan"


def number_of(value: Any) -> int | float | Decimal | None:
    """Return a cell as an exact number; None if it is none.

    Numbers are those of Python, NaN and booleans aside, and texts that write one, of any length.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, str):
        return _written(value.strip())
    return None if is_missing(value) else value


def compared(value: Any, bound: float | Decimal) -> int | None:
    """Return -1, 0 or 1 as a number of a row is below, at or above a bound; None if it is none.

    They are compared exactly; what is a number, :func:`number_of` says.
    """
    number = number_of(value)
    if number is None or is_missing(bound):
        return None
    return int(number > bound) - int(number < bound)


_NUMBER = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d{1,6})?")


def _written(text: str) -> int | float | Decimal | None:
    if len(text) > 10_000 or not _NUMBER.fullmatch(text):
        named = text.lower().removesuffix("inity").removeprefix("+")
        return {"inf": math.inf, "-inf": -math.inf}.get(named)
    return Decimal(text)


def at_least(value: Any, bound: float) -> bool | None:
    """Return whether a row's number is not below a bound; None if it is no number."""
    found = compared(value, bound)
    return None if found is None else found >= 0


def at_most(value: Any, bound: float) -> bool | None:
    """Return whether a row's number is not above a bound; None if it is no number."""
    found = compared(value, bound)
    return None if found is None else found <= 0
