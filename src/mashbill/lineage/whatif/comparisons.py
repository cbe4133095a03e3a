"""Expressions of the common form: facts that are held against texts, joined by ``&&`` or by ``||``.

``country == "CN" && name.startsWith("Qwen/")`` needs no interpreter: each comparison is put once to
each text that occurs. Whatever is written in another way is no such form, and is left to CEL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable

How = Literal["==", "!=", "startsWith", "endsWith", "contains"]

_PART = re.compile(
    r"""\s*(?P<open>\(?)\s*(?P<fact>[a-z]+)\s*
        (?:(?P<sign>[=!]=)\s*(?P<q>["'])(?P<value>[^"'\\\n]*)(?P=q)
         |\.(?P<how>startsWith|endsWith|contains)\((?P<r>["'])(?P<part>[^"'\\\n]*)(?P=r)\))
        \s*(?P<close>\)?)\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Comparison:
    """One fact that is held against a text."""

    fact: str
    how: How
    text: str

    def test(self) -> Callable[[str], bool]:
        """Return the test of a text."""
        text = self.text
        match self.how:
            case "==":
                return lambda value: value == text
            case "!=":
                return lambda value: value != text
            case "startsWith":
                return lambda value: value.startswith(text)
            case "endsWith":
                return lambda value: value.endswith(text)
            case "contains":
                return lambda value: text in value


@dataclass(frozen=True)
class Joined:
    """Comparisons, all of which or any of which must hold."""

    parts: tuple[Comparison, ...]
    every: bool
    """whether all must hold; any of them otherwise"""


def compared(text: str) -> Joined | None:
    """Return an expression of the common form as its parts; None if it is of another form."""
    if "&&" in text and "||" in text:
        return None
    every = "||" not in text
    parts = []
    for piece in text.split("&&" if every else "||"):
        found = _PART.fullmatch(piece)
        if found is None or bool(found["open"]) != bool(found["close"]):
            return None
        how = cast("How", found["sign"] or found["how"])
        parts.append(Comparison(found["fact"], how, found["value"] or found["part"] or ""))
    return Joined(tuple(parts), every)
