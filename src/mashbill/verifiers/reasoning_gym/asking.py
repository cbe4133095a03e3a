"""Asking reasoning-gym, which lives in a process of its own: see its worker."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from importlib.metadata import version
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.shown import shown
from mashbill.verifiers.reasoning_gym.allowed import release

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRA = "reasoning-gym"
_START = 120.0  # seconds that the process may take to load the package
_LONGEST = 64 << 20  # bytes of a line that is taken


class TookTooLongError(Exception):
    """The process took longer than it may, or ended; it was killed."""


class GeneratorError(Exception):
    """A generator raised; its text says what."""


class Gym:
    """A process that has reasoning-gym, started when it is first asked."""

    def __init__(self, *, any_version: bool = False) -> None:
        """Prepare.

        Args:
            any_version: whether another version may answer than the one whose controls are listed.
        """
        self._any_version = any_version
        self._process: subprocess.Popen[bytes] | None = None
        self._said: SimpleQueue[bytes] = SimpleQueue()
        self._lock = threading.Lock()

    def ask(self, seconds: float, what: str, **keys: Any) -> Any:
        """Return the answer of the process.

        Args:
            seconds: that it may take.
            what: is asked: ``names``, ``task``, ``score`` or ``try``.
            keys: of that.

        Raises:
            TookTooLongError: if it took longer, or ended.
            GeneratorError: if the generator raised.
            MissingExtraError: if reasoning-gym is not installed.
        """
        with self._lock:
            process = self._started()
            asked = json.dumps({"what": what, **keys}).encode() + b"\n"
            try:
                if process.stdin is None:  # never, with a pipe
                    raise TookTooLongError
                process.stdin.write(asked)
                process.stdin.flush()
                line = self._said.get(timeout=seconds)
            except (Empty, OSError) as error:
                self._end()
                raise TookTooLongError(f"it took longer than {seconds:g} s") from error
            if not line:
                self._end()
                raise TookTooLongError("its process ended")
        said = json.loads(line)
        if "raised" in said:
            raise GeneratorError(shown(str(said["raised"]), 200))
        return said["value"]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        with needs("reasoning-gym's tasks", EXTRA):
            if importlib.util.find_spec("reasoning_gym") is None:
                raise ModuleNotFoundError(name="reasoning_gym")
        if not self._any_version and (there := version("reasoning-gym")) != release():
            msg = (
                f"reasoning-gym {there} is installed, and its generators were tried at "
                f"{release()}; install that version"
            )
            raise InputError(msg)
        process = subprocess.Popen(
            [sys.executable, "-m", "mashbill.verifiers.reasoning_gym.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # some generators go through sets, whose order hangs on this
            env={**os.environ, "PYTHONHASHSEED": "0", "MPLBACKEND": "agg"},
        )
        said: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=_read, args=(process, said), daemon=True).start()
        self._process, self._said = process, said
        try:
            line = said.get(timeout=_START)
        except Empty:
            line = b""
        if not line:
            self._end()
            msg = (
                "reasoning-gym is installed and could not be loaded in a process of its own; "
                "`python -c 'import reasoning_gym'` says why"
            )
            raise InputError(msg)
        return process


def _read(process: subprocess.Popen[bytes], said: SimpleQueue[bytes]) -> None:
    """Hand on what the process says, line by line; an empty line at its end."""
    for line in _lines(process):
        said.put(line)
    said.put(b"")


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    while process.stdout is not None:
        try:
            line = process.stdout.readline(_LONGEST)
        except ValueError:  # it was closed
            return
        if not line.endswith(b"\n"):
            return
        yield line
