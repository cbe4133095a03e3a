"""math-verify in a process of its own, which is ended where it takes too long.

Run as ``-m`` by :class:`Fallback`. What is asked is a pair of texts, the answer whether math-verify
takes them for the same. What hangs there cannot be interrupted from within: it is one computation
of big numbers. So the process is killed, and the next pair gets another.
"""

from __future__ import annotations

import importlib
from typing import Any

from mashbill.verifiers.kept_apart import Apart, RaisedError, TookTooLongError, serve


class Fallback(Apart):
    """Asks math-verify, in a process that is started when it is first needed."""

    def __init__(self, seconds: float) -> None:
        """Prepare.

        Args:
            seconds: that a pair may take.
        """
        super().__init__("mashbill.verifiers.maths.fallback", "math_verify", "maths")
        self._seconds = seconds

    def same(self, output: str, known: str) -> bool | None:
        """Return whether math-verify takes both for the same; None if it took too long.

        Raises:
            MissingExtraError: if it is not installed.
            InputError: if it cannot be loaded.
        """
        try:
            return bool(self.ask(self._seconds, "same", output=output, known=known))
        except (TookTooLongError, RaisedError):
            return None


def _same(asked: dict[str, Any]) -> bool:
    known_as = importlib.import_module("math_verify")
    parse, verify = known_as.parse, known_as.verify
    try:
        gold = parse(f"${asked['known']}$", parsing_timeout=None)
        answer = parse(f"${asked['output']}$", parsing_timeout=None)
        return bool(gold and answer and verify(gold, answer, timeout_seconds=None))
    except MemoryError:
        raise  # of what it could not look at, nothing is said
    except Exception:  # noqa: BLE001 - whatever a parser of strangers' texts raises
        return False


def _load() -> None:
    importlib.import_module("math_verify")


if __name__ == "__main__":
    serve(_load, _same)
