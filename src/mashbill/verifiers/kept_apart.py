"""A package of others in a process of its own, which is ended where it takes too long.

A line of JSON goes in, a line comes out: both ends are here. What hangs in such a package cannot be
interrupted from within, and what it prints would stand among our own lines; so it runs apart, and
the process is killed and started anew.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import resource
import subprocess
import sys
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from mashbill.core.answering import answers
from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_START = 120.0  # seconds that the process may take to load its package
_LONGEST = 64 << 20  # bytes of a line that is taken
_MEMORY = 4 << 30  # bytes of address space


class TookTooLongError(Exception):
    """The process took longer than it may, or ended; it was killed."""


class RaisedError(Exception):
    """What was asked raised; the text says what."""


class Apart:
    """A process of ours that has a package of others, started when it is first asked."""

    def __init__(
        self, module: str, package: str, extra: str, arguments: Sequence[str] = ()
    ) -> None:
        """Prepare.

        Args:
            module: of ours, that is run as a program and calls :func:`serve`.
            package: that it imports.
            extra: of mashbill, that brings it.
            arguments: of the program.
        """
        self._module = module
        self._package = package
        self._extra = extra
        self._arguments = tuple(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self._said: SimpleQueue[bytes] = SimpleQueue()
        self._lock = threading.Lock()

    def ask(self, seconds: float, what: str, **keys: Any) -> Any:
        """Return the answer of the process.

        Args:
            seconds: that it may take.
            what: is asked.
            keys: of that.

        Raises:
            TookTooLongError: if it took longer, or ended.
            RaisedError: if what was asked raised.
            MissingExtraError: if the package is not installed.
            InputError: if it cannot be loaded.
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
            raise RaisedError(shown(str(said["raised"]), 200))
        return said["value"]

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def check(self) -> None:
        """Raise InputError if what is installed cannot serve; it is there."""

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
        with needs(f"what {self._package} scores", self._extra):
            if importlib.util.find_spec(self._package) is None:
                raise ModuleNotFoundError(name=self._package)
        self.check()
        process = subprocess.Popen(
            [sys.executable, "-m", self._module, *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # what goes through sets does so in an order that hangs on this
            env={**os.environ, "PYTHONHASHSEED": "0", "MPLBACKEND": "agg"},
        )
        said: SimpleQueue[bytes] = SimpleQueue()
        threading.Thread(target=_read, args=(process, said), daemon=True).start()
        self._process, self._said = process, said
        try:
            line = said.get(timeout=_START)
        except Empty:
            line = b""
        why = str(json.loads(line)["raised"]) if line and b"raised" in line else ""
        if not line or why:
            self._end()
            told = f": {shown(why, 200)}" if why else ""
            msg = f"{self._package} is installed and could not be loaded in a process of its own"
            raise InputError(f"{msg}{told}; `python -c 'import {self._package}'` may say why")
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


def serve(load: Callable[[], None], answer: Callable[[dict[str, Any]], Any]) -> None:
    """Answer what comes in, line by line: the other end, in the process.

    Args:
        load: what is to be there before the first question.
        answer: of a question, a value that JSON can hold.
    """
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    out = io.TextIOWrapper(answers(), encoding="utf-8")
    _reply(out, load)
    while line := sys.stdin.readline(_LONGEST):
        _reply(out, lambda said=line: answer(json.loads(said)))  # type: ignore[misc]


def _reply(out: Any, ask: Callable[[], Any]) -> None:
    try:
        written = json.dumps({"value": ask()})
    except Exception as error:  # noqa: BLE001 - whatever a package of others raises
        said = f"{type(error).__name__}: {error!s:.200}".rstrip(": ")
        written = json.dumps({"raised": said})
    out.write(f"{written}\n")
    out.flush()
