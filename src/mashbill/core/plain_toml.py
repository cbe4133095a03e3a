"""TOML as strangers write it: numbers below 2^53, all finite, and nothing nested too deeply.

tomllib bounds none of it, and its work grows with the square of a key's parts.
"""

from __future__ import annotations

import math
import re
import tomllib
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import DEEPEST, Error, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path


TOML_BYTES = 2 << 20
"""largest TOML file: a recipe of a thousand stages has a tenth of it"""
EXACT = 2**53
"""whole numbers beyond it are not the same for every program that reads them"""
_KEY_PARTS = 16  # a.b.c has three; tomllib's work grows with the square
_LONG = re.compile(r"[0-9_]{200}")
# From the beginning of a word or a quoted one only, and never back: it takes one pass.
_DOTS = re.compile(
    r"""(?:(?:(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)++"""
)


def read_toml(
    file: Path | Traversable, *, shown: object = "", error: Error = InputError
) -> tuple[str, dict[str, Any]]:
    """Return the text of a TOML file, and what it says.

    Raises:
        MashbillError: as ``error``, naming the file, and the line or the key.
    """
    shown = shown or file
    text = read_text(file, most=TOML_BYTES, shown=shown, error=error)
    return text, toml_value(text, shown, error=error)


def toml_value(text: str, shown: object, *, error: Error = InputError) -> dict[str, Any]:
    """Return what a TOML text says: numbers below 2^53, all finite, and nothing nested too deeply.

    Raises:
        MashbillError: as ``error``, naming the line or the key.
    """
    for found in _DOTS.finditer(text):
        if found[0].count(".") >= _KEY_PARTS and _is_at_key(text, found.start()):
            line = text.count("\n", 0, found.start()) + 1
            msg = f"{shown}: line {line}: a key of more than {_KEY_PARTS} parts; shorten it"
            raise error(msg)
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        quotes = '; texts stand in straight quotes: key = "value"'
        remedy = quotes if "Invalid value" in str(problem) else "; correct that line"
        msg = f"{shown}: not valid TOML: {problem}{remedy}"
        raise error(msg) from problem
    except RecursionError as problem:
        line = _deep_line(text)
        msg = f"{shown}: line {line}: not valid TOML: lists and tables are nested too deeply"
        raise error(msg) from problem
    except Exception as problem:
        long = _LONG.search(text)
        where = f"line {text.count(chr(10), 0, long.start()) + 1}: " if long else ""
        what = "a number of too many digits" if long else " ".join(str(problem).split())
        msg = f"{shown}: {where}not valid TOML: {what}"
        raise error(msg) from problem
    for place, part, depth in _walk(value):
        flaw = ""
        if depth > DEEPEST:
            flaw = f"more than {DEEPEST} lists and tables in one another"
        elif isinstance(part, int) and abs(part) >= EXACT:
            flaw = "a whole number beyond 2^53, which not every program reads exactly"
        elif isinstance(part, float) and not math.isfinite(part):
            flaw = "a number that is not finite"
        if flaw:
            msg = f"{shown}: {place}: {flaw}; correct it"
            raise error(msg)
    return value


def _is_at_key(text: str, at: int) -> bool:
    """Return whether a key could begin here: a comment or a line of text may have many dots."""
    before = text[text.rfind("\n", 0, at) + 1 : at].rstrip()[-1:]
    return before in {"", "[", "{", ","}


def _deep_line(text: str) -> int:
    """Return about where brackets are deepest in one another; texts that hold some mislead it."""
    depth, deepest, at = 0, 0, 0
    for found in re.finditer(r"[\[{}\]]", text):
        depth += 1 if found[0] in "[{" else -1
        if depth > deepest:
            deepest, at = depth, found.start()
    return text.count("\n", 0, at) + 1


def _walk(value: Any) -> Iterator[tuple[str, Any, int]]:
    """Yield (place, value, depth) of every value within one."""
    left: list[tuple[str, Any, int]] = [("", value, 0)]
    while left:
        place, part, depth = left.pop()
        yield place[:200] or "its root", part, depth
        if depth > DEEPEST:
            continue
        if isinstance(part, dict):
            left += [
                (f"{place}.{key}" if place else str(key), each, depth + 1)
                for key, each in part.items()
            ]
        elif isinstance(part, list):
            left += [(f"{place}[{at}]", each, depth + 1) for at, each in enumerate(part)]
