"""math-verify in a process of its own, which is ended where it takes too long.

Run as ``-m`` by :class:`Fallback`. A line of JSON in is a pair of texts, a line out whether
math-verify takes them for the same. What hangs there cannot be interrupted from within: it is one
computation of big numbers. So the process is killed, and the next pair gets another.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import threading
from queue import Empty, SimpleQueue
from typing import Any

from mashbill.core.extras import needs

_START = 60.0
"""seconds that the process may take before its first line"""


class Fallback:
    """Asks math-verify, in a process that is started when it is first needed."""

    def __init__(self, seconds: float) -> None:
        """Prepare.

        Args:
            seconds: that a pair may take.
        """
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None
        self._said: SimpleQueue[str] = SimpleQueue()

    def same(self, output: str, known: str) -> bool | None:
        """Return whether math-verify takes both for the same; None if it took too long.

        Raises:
            MissingExtraError: if it is not installed.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        process = self._process
        if process is None or process.stdin is None:
            return None
        try:
            process.stdin.write(json.dumps([output, known]) + "\n")
            process.stdin.flush()
            said = self._said.get(timeout=self._seconds)
        except (Empty, OSError):
            self.close()
            return None
        if not said:
            self.close()
            return None
        return bool(json.loads(said))

    def _start(self) -> None:
        with needs("fallback = 'math-verify'", "maths"):
            importlib.import_module("math_verify")  # its absence is told here, not by the process
        said: SimpleQueue[str] = SimpleQueue()
        process = subprocess.Popen(
            [sys.executable, "-m", "mashbill.verifiers.maths.fallback"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

        def read() -> None:
            for line in process.stdout or ():
                said.put(line)
            said.put("")

        threading.Thread(target=read, daemon=True).start()
        self._process, self._said = process, said
        try:
            said.get(timeout=_START)
        except Empty:
            self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _main() -> None:
    known_as = importlib.import_module("math_verify")
    parse, verify = known_as.parse, known_as.verify

    _say("true")
    for line in sys.stdin:
        output, known = json.loads(line)
        told: Any = False
        try:
            gold = parse(f"${known}$", parsing_timeout=None)
            answer = parse(f"${output}$", parsing_timeout=None)
            told = bool(gold and answer and verify(gold, answer, timeout_seconds=None))
        except Exception:  # noqa: BLE001 - whatever a parser of strangers' texts raises
            told = False
        _say(json.dumps(told))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
