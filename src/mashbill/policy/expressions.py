"""CEL, the Common Expression Language, as house rules and scenarios use it.

An expression is a stranger's, and its engine is native code that nothing can interrupt. One without
a macro over lists is worked through once and is as quick as it is long, which is bounded. One with
``all``, ``exists``, ``exists_one``, ``map`` or ``filter`` may go over lists within lists for hours:
it is put to a process of its own, which is ended after :data:`SECONDS`, or when somebody stops us.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError, MashbillError
from mashbill.core.explaining import near
from mashbill.policy.apart import SECONDS, Apart, SpentError

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST = 4096
"""characters of an expression"""
_NUMBERS = 200
_MACROS = re.compile(r"\b(?:all|exists|exists_one|existsOne|map|filter)\b")
_NUMBER = re.compile(r"(?<![\w.])(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")
_BINDS = re.compile(
    r"\.\s*(?:exists|exists_one|existsOne|all|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,"
)


class Expression:
    """A compiled CEL expression that gives true or false."""

    def __init__(self, text: str, where: str, known: Collection[str]) -> None:
        """Compile an expression.

        Args:
            text: the expression.
            where: file and key, or option, for errors.
            known: names that it may use.

        Raises:
            InputError: if it cannot be parsed, is too long, or uses another name; the names there
                are, are told.
        """
        import cel  # its package loads a command line of its own: a tenth of a second

        self.text = text
        self.where = where
        numbers = _NUMBER.findall(text)
        if len(text) > LONGEST or len(set(numbers)) > _NUMBERS:
            msg = (
                f"{where}: an expression of {len(text):,} characters and {len(set(numbers)):,} "
                f"numbers; {LONGEST:,} and {_NUMBERS} at most: divide it"
            )
            raise InputError(msg)
        try:
            self._program = cel.compile(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of native code is no Exception
            # The parser's message spans lines and points at the place.
            said = f"\n{error!s:.2000}" if text.strip() else ""
            msg = f"{where}: not a CEL expression: {text:.400}{_meant(text)}{said}"
            raise InputError(msg) from error
        # The library counts what `exists(x, ...)` and its like bind as variables, too.
        bound = set(_BINDS.findall(text)) - set(known)
        self.names = frozenset(self._program.variables()) - bound
        self.numbers = frozenset(float(number) for number in numbers)
        """numbers that it holds facts against; some may be parts of texts"""
        unknown = sorted(self.names - set(known))
        if unknown:
            hint = near(unknown[0], known)
            if re.search(rf"[=!<>]=?\s*{re.escape(unknown[0])}\b", text):
                hint = f'; if that is a text, write it in quotes: "{unknown[0]}"'
            msg = (
                f"{where}: {text}: no name {', '.join(unknown)}; there are {', '.join(known)}{hint}"
            )
            raise InputError(msg)
        self._apart = Apart(text) if _MACROS.search(text) else None

    def holds(self, facts: dict[str, Any]) -> bool:
        """Return whether it is true of these facts.

        Raises:
            InputError: if it gives something else than true or false, or takes too long.
            LackingError: if it asks for a fact that is not there.
        """
        try:
            value = self._apart.put(facts) if self._apart else self._program.execute(facts)
        except SpentError as error:
            msg = (
                f"{self.where}: {self.text:.400} {error}; it goes over lists within lists: put "
                f"fewer into one another, so that all it is asked is {SECONDS} s of work"
            )
            raise InputError(msg) from error
        except (MashbillError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # what an engine raises, panics too, is what it lacks
            raise LackingError(f"{self.text}: {error}") from error
        if not isinstance(value, bool):
            msg = f"{self.where}: {self.text} gives {value!r:.200}, not true or false"
            raise InputError(msg)
        return value


_TEXTS = re.compile(r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_SLIPS = {
    re.compile(r"(?<![=!<>])=(?!=)"): "==",
    re.compile(r"\band\b"): "&&",
    re.compile(r"\bor\b"): "||",
    re.compile(r"\bnot\b"): "!",
    re.compile(r"<>"): "!=",
}
"""what other languages write -> what CEL writes"""


def _meant(text: str) -> str:
    """Return what CEL writes where a text has the sign of another language."""
    if not text.strip():
        return '; it is empty: write one, such as country == "US"'
    bare = _TEXTS.sub("", text)
    found = [right for wrong, right in _SLIPS.items() if wrong.search(bare)]
    return f"; CEL writes {', '.join(found)}" if found else ""


class LackingError(InputError):
    """An expression asks for what is not recorded."""
