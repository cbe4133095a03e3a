"""CEL, the Common Expression Language, as house rules and scenarios use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection


_NUMBER = re.compile(r"(?<![\w.])(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")
_BINDS = re.compile(r"\.(?:exists|exists_one|all|map|filter)\(\s*([A-Za-z_]\w*)\s*,")


class Expression:
    """A compiled CEL expression that gives true or false."""

    def __init__(self, text: str, where: str, known: Collection[str]) -> None:
        """Compile an expression.

        Args:
            text: the expression.
            where: file and key, or option, for errors.
            known: names that it may use.

        Raises:
            InputError: if it cannot be parsed, or uses another name; the names there are, are told.
        """
        import cel  # its package loads a command line of its own: a tenth of a second

        self.text = text
        self._where = where
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            # The parser's message spans lines and points at the place.
            msg = f"{where}: not a CEL expression: {text}\n{error}"
            raise InputError(msg) from error
        # The library counts what `exists(x, ...)` and its like bind as variables, too.
        bound = set(_BINDS.findall(text)) - set(known)
        self.names = frozenset(self._program.variables()) - bound
        self.numbers = frozenset(float(number) for number in _NUMBER.findall(text))
        """numbers that it holds facts against; some may be parts of texts"""
        unknown = sorted(self.names - set(known))
        if unknown:
            msg = f"{where}: {text}: no name {', '.join(unknown)}; there are {', '.join(known)}"
            raise InputError(msg)

    def holds(self, facts: dict[str, Any]) -> bool:
        """Return whether it is true of these facts.

        Raises:
            InputError: if it gives something else than true or false.
            LackingError: if it asks for a fact that is not there.
        """
        try:
            value = self._program.execute(facts)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise LackingError(f"{self.text}: {error}") from error
        if not isinstance(value, bool):
            msg = f"{self._where}: {self.text} gives {value!r}, not true or false"
            raise InputError(msg)
        return value


class LackingError(InputError):
    """An expression asks for what is not recorded."""
