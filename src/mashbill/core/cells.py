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


def compared(value: Any, bound: float) -> int | None:
    """Return -1, 0 or 1 as a number of a row is below, at or above a bound; None if it is none.

    Numbers are those of Python, NaN and booleans aside, and texts that write one, of any length;
    they are compared exactly.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    if isinstance(value, str):
        number = _number_of(value.strip())
        if number is None:
            return None
        value = number
    if isinstance(value, Decimal) and value.is_nan():
        return None
    if value != value or bound != bound:  # noqa: PLR0124 - NaN alone is not itself
        return None
    return int(value > bound) - int(value < bound)


_NUMBER = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d{1,6})?")


def _number_of(text: str) -> int | float | Decimal | None:
    if len(text) > 10_000 or not _NUMBER.fullmatch(text):
        return {"inf": math.inf, "-inf": -math.inf}.get(text.lower().removesuffix("inity"))
    return Decimal(text)


def at_least(value: Any, bound: float) -> bool | None:
    """Return whether a row's number is not below a bound; None if it is no number."""
    found = compared(value, bound)
    return None if found is None else found >= 0


def at_most(value: Any, bound: float) -> bool | None:
    """Return whether a row's number is not above a bound; None if it is no number."""
    found = compared(value, bound)
    return None if found is None else found <= 0
