"""Filling a model's chat template by :mod:`mashbill.models.chat_worker`, with a deadline."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

from mashbill.core.errors import TeacherError

SECONDS = 20.0
"""that a conversation may take to be put into a template"""
_WORKER = Path(__file__).with_name("chat_worker.py")
_PIECE = 1 << 16


class Filling:
    """A template, in a process that is begun when it is first filled."""

    def __init__(self, template: str) -> None:
        self._template = template
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def fill(self, **values: Any) -> str:
        """Return the template filled with values.

        Raises:
            TeacherError: if it cannot be: it refuses them, makes too much, or takes too long.
        """
        answer = self._filled(values)
        if "text" in answer:
            return str(answer["text"])
        msg = f"the model's chat template refuses these turns: {answer.get('error')}"
        raise TeacherError(msg)

    def takes(self, **values: Any) -> bool:
        """Return whether the template does not refuse values.

        Raises:
            TeacherError: if it is none, or takes too long.
        """
        return "text" in self._filled(values)

    def _filled(self, values: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._process is None:
                self._process = self._begun()
            return self._asked(values)

    def _begun(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(  # -P: what lies beside the worker is none of its modules
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        weakref.finalize(self, _end, self._process)
        answer = self._asked({"template": self._template})
        if "error" in answer:
            self._end()
            msg = f"the model's chat template is none: {answer['error']}"
            raise TeacherError(msg)
        return self._process

    def _asked(self, values: dict[str, Any]) -> dict[str, Any]:
        """Send a line and return the answer; a worker that gives none in time is ended."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            return {"error": "its process is gone"}
        try:
            process.stdin.write(json.dumps(values).encode() + b"\n")
            process.stdin.flush()
            return dict(json.loads(_line(process.stdout.fileno())))
        except (OSError, ValueError, TimeoutError) as error:
            self._end()
            took_long = isinstance(error, TimeoutError)
            why = f"takes more than {SECONDS:.0f} seconds" if took_long else "fills the memory"
            msg = f"the model's chat template {why} for these turns; it is not used on them"
            raise TeacherError(msg) from error
        except BaseException:
            self._end()  # an answer that is not waited for must not be taken for the next one's
            raise

    def _end(self) -> None:
        if self._process is not None:
            _end(self._process)
            self._process = None


def _line(descriptor: int) -> bytes:
    """Return what comes up to the end of a line.

    Raises:
        TimeoutError: if it does not come in time.
        OSError: if the other end is gone.
    """
    until, data = time.monotonic() + SECONDS, bytearray()
    while not data.endswith(b"\n"):
        left = until - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            raise TimeoutError
        piece = os.read(descriptor, _PIECE)
        if not piece:
            raise BrokenPipeError
        data += piece
    return bytes(data)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # what was not sent yet is of no use any more
                stream.close()
    process.wait()
