r"""How text that others wrote is shown: whatever a terminal or a reader would act on is spelt out.

A name, a title, a row, a server's error may hold escape sequences, characters that turn the order
of reading about, characters that nobody sees, or a line break that fakes a line of ours. They are
written as escapes (``\x1b``, ``\u202e``), so that what is there is what is read.
"""

from __future__ import annotations

import json
import re
from typing import Any

MOST = 4000
"""characters of one text that are shown, unless a caller says otherwise"""

_SELECTORS = "\ufe0e\ufe0f"
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_HIDDEN = (
    "\x00-\x1f\x7f-\x9f"  # control characters, ESC and the one-byte CSI among them
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"  # nobody sees them
    "\u2028-\u202e"  # they end a line, or turn the order of reading about
    "\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001345f"
    "\ud800-\udfff"  # halves of pairs, which no encoding has
)
_PATTERN = (
    f"[{_HIDDEN}]"
    # An emoji's own selector stays; any other of its kind can carry what nobody sees.
    rf"|(?:^|(?<=[\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f{_SELECTORS}]))[{_SELECTORS}]"
    # Marks that pile up are drawn over the lines above and below.
    f"|(?<=[{_MARKS}][{_MARKS}][{_MARKS}][{_MARKS}])[{_MARKS}]"
)
_ANY = re.compile(_PATTERN)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LAYOUT = "\n\t"


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
    if text.isascii() and text.isprintable():
        return text
    return _ANY.sub(lambda found: _spelt(found[0], layout=layout), text)


def _spelt(character: str, *, layout: bool) -> str:
    if character in _LAYOUT and layout:
        return character
    number = ord(character)
    if character in _NAMED:
        return _NAMED[character]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def paragraph(text: object, most: int | None = MOST) -> str:
    """Return a text of several lines for print; those behind the first cannot pass for others."""
    lines = str(text).split("\n")
    return "\n".join(("" if i == 0 else "  ") + shown(line, most) for i, line in enumerate(lines))


def json_text(value: Any, *, indent: int | None = 2) -> str:
    """Return a value as JSON that keeps every text whole, and that can be printed as it is.

    What :func:`shown` spells out is written as JSON's own escapes.

    Raises:
        TypeError: if the value has no JSON form.
    """
    return _ANY.sub(_escaped, json.dumps(value, ensure_ascii=False, indent=indent))


def yaml_scalar(value: Any) -> str:
    """Return a value as one line of JSON that YAML reads alike, and that can be printed.

    YAML knows no pairs of surrogates, and its readers no half of one, which is replaced.
    """
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return _ANY.sub(lambda found: _yaml_escape(ord(found[0])), text)


def _yaml_escape(number: int) -> str:
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\n":  # of the layout: within texts it is escaped already
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
