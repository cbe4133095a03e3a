r"""How text that others wrote is shown: whatever a terminal or a reader would act on is spelt out.

A name, a title, a row, a server's error may hold escape sequences, characters that turn the order
of reading about, characters that nobody sees, or a line break that fakes a line of ours. They are
written as escapes (``\x1b``, ``\u202e``), so that what is there is what is read.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

MOST = 4000
"""characters of one text that are shown, unless a caller says otherwise"""

FORMULA = "\\A[-=+@\t\r\n\uff1d\uff0b\uff0d\uff20]"
"""how a text begins that a spreadsheet may run as a formula (OWASP, "CSV Injection"); a pattern"""

_LINES = 200  # of a paragraph
_NESTED = 1000  # levels of a value that is written as JSON
_SELECTORS = "\ufe0e\ufe0f"
_MARKS = (
    "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, ESC and the one-byte CSI among them
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # nobody sees them
    "\u2028-\u202e"  # they end a line, or turn the order of reading about
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001345f"
    "\ud800-\udfff"  # halves of pairs, which no encoding has
)
_IN_A_LINE = re.compile(f"[\n\t{_HIDDEN}{_SELECTORS}{_MARKS}]")
_IN_LINES = re.compile(f"[{_HIDDEN}{_SELECTORS}{_MARKS}]")
_MARK = re.compile(f"[{_MARKS}]")
_PILED = re.compile(f"[{_MARKS}]{{5}}")
_ASCII = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(value: object, most: int | None = MOST, *, layout: bool = False) -> str:
    """Return a text as it may be printed: one line, nothing hidden, nothing acted on.

    Args:
        value: what others wrote, or what contains it.
        most: characters after which it is cut, with its length told; None for all.
        layout: whether line feeds and tabs stay, for texts whose lines are ours.
    """
    text = value if isinstance(value, str) else str(value)
    if most is not None and len(text) > most:
        text = f"{text[:most]}... ({len(text):,} characters)"
    if text.isascii() and (_ASCII.search(text) is None if layout else text.isprintable()):
        return text
    return (_IN_LINES if layout else _IN_A_LINE).sub(_spelt, text)


def _stays(found: re.Match[str]) -> bool:
    """Return whether a character that may hide something hides nothing where it stands."""
    text, at = found.string, found.start()
    if found[0] in _SELECTORS:  # an emoji's own; any other can carry what nobody sees
        before = text[at - 1 : at]
        return (
            bool(before) and before in "#*0123456789"
            if before.isascii()
            else before not in _SELECTORS
        )
    if _MARK.match(found[0]):  # marks that pile up are drawn over the lines above and below
        return at < 4 or _PILED.match(text, at - 4) is None
    return False


def _spelt(found: re.Match[str]) -> str:
    if _stays(found):
        return found[0]
    number = ord(found[0])
    if found[0] in _NAMED:
        return _NAMED[found[0]]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def paragraph(text: object, most: int | None = MOST) -> str:
    """Return a text of several lines for print; those behind the first cannot pass for others."""
    lines = str(text).split("\n")
    if len(lines) > _LINES:
        lines = [*lines[:_LINES], f"and {len(lines) - _LINES:,} more lines"]
    return "\n".join(("" if i == 0 else "  ") + shown(line, most) for i, line in enumerate(lines))


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Return a value as JSON that keeps every text whole, and that can be printed as it is.

    What :func:`shown` spells out is written as JSON's own escapes, and numbers that JSON has not
    as the texts "NaN", "Infinity" and "-Infinity".

    Raises:
        TypeError: if the value has no JSON form.
    """
    text = _dumped(value, indent)
    if text.isascii() and "\x7f" not in text:
        return text
    return _IN_LINES.sub(_escaped, text)  # line feeds are of the layout: in texts they are escaped


def _dumped(value: Any, indent: int | None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, indent=indent)


def _finite(value: Any) -> Any:
    """Return a value with the numbers that JSON has not as texts.

    Raises:
        TypeError: if it is nested more deeply than any value is written, or holds itself.
    """
    whole = [value]
    waiting: list[tuple[Any, Any, int]] = [(whole, 0, 0)]
    while waiting:
        holder, key, depth = waiting.pop()
        part = holder[key]
        if depth > _NESTED:
            msg = f"a value of more than {_NESTED} levels has no JSON form here"
            raise TypeError(msg)
        if isinstance(part, dict):
            holder[key] = dict(part)
            waiting += [(holder[key], inner, depth + 1) for inner in part]
        elif isinstance(part, list | tuple):
            holder[key] = list(part)
            waiting += [(holder[key], inner, depth + 1) for inner in range(len(part))]
        elif isinstance(part, float) and not math.isfinite(part):
            holder[key] = json.dumps(part)
    return whole[0]


def yaml_scalar(value: Any) -> str:
    """Return a value as one line of JSON that YAML reads alike, and that can be printed.

    YAML knows no pairs of surrogates, and its readers no half of one, which is replaced.
    """
    text = _dumped(value, None).encode("utf-8", "replace").decode()
    return _IN_LINES.sub(_yaml_escape, text)


def _yaml_escape(found: re.Match[str]) -> str:
    if _stays(found):
        return found[0]
    number = ord(found[0])
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _escaped(found: re.Match[str]) -> str:
    if _stays(found):
        return found[0]
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
