"""Putting an expression to a process of its own, which can be ended in the middle of it."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
import weakref
from typing import Any

SECONDS = 5
"""of a processor's time that all questions to one expression may take together"""
_WAIT = 30.0  # seconds by the clock, on a machine that has much else to do
_MEMORY = 2 << 30
_WORKER = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
import cel
put, told = sys.stdin.buffer, sys.stdout.buffer
program = cel.compile(json.loads(put.readline()))
for line in put:
    try:
        value = program.execute(json.loads(line))
        said = [value] if isinstance(value, bool) else ["gives", repr(value)[:200]]
    except BaseException as error:
        said = ["lacks", str(error)[:2000]]
    told.write(json.dumps(said).encode() + b"\\n")
    told.flush()
"""


class SpentError(Exception):
    """It took too long, or more memory than it may."""


class Other:
    """A value that is neither true nor false, as text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        """Return the value as its engine wrote it."""
        return self._text


class Apart:
    """One expression in a process of its own, begun at the first question."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._left = _WAIT
        self._process: subprocess.Popen[bytes] | None = None

    def put(self, facts: dict[str, Any]) -> Any:
        """Return what it gives of these facts.

        Raises:
            SpentError: if it took too long; it is not asked again.
            ValueError: if it asks for what is not there.
        """
        process = self._started()
        begun = time.monotonic()
        try:
            line = self._answer(process, _line(facts))
        except BaseException:
            _end(process)  # also when somebody stops us
            self._process = None
            raise
        self._left -= time.monotonic() - begun
        match json.loads(line):
            case [bool(value)]:
                return value
            case ["gives", text]:
                return Other(text)
            case [_, text]:
                raise ValueError(text)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._left <= 0:
            msg = f"takes more than {SECONDS} s"
            raise SpentError(msg)
        if self._process is None:
            code = _WORKER.format(seconds=SECONDS, memory=_MEMORY)
            # In a session of its own, so that Ctrl-C comes to us, who end it.
            self._process = subprocess.Popen(
                # -P: what lies in the folder that somebody is in is none of its modules.
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            weakref.finalize(self, _end, self._process)
            self._send(self._process, _line(self._text))
        return self._process

    @staticmethod
    def _send(process: subprocess.Popen[bytes], data: bytes) -> None:
        assert process.stdin is not None  # noqa: S101 - it was opened with a pipe
        with contextlib.suppress(BrokenPipeError):  # that it ended is told when it is read
            process.stdin.write(data)
            process.stdin.flush()

    def _answer(self, process: subprocess.Popen[bytes], data: bytes) -> bytes:
        self._send(process, data)
        assert process.stdout is not None  # noqa: S101 - as above
        if not select.select([process.stdout], [], [], self._left)[0]:
            self._left = 0
            msg = f"takes more than {_WAIT:g} s"
            raise SpentError(msg)
        line = process.stdout.readline()
        if not line:
            self._left = 0
            msg = "takes more time or memory than it may"
            raise SpentError(msg)
        return line


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, and wait for it."""
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    process.wait()
