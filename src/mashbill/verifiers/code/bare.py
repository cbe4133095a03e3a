"""``sandbox = "none"``: a fresh process of this user, with limits and no isolation.

What runs here has the user's files, network and rights. A recipe that wants that says so in words.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.sandbox import EndedError, Guest, Limits
from mashbill.verifiers.code.inside import text_of_guest
from mashbill.verifiers.code.warm import ENDING, Channel, ended_by

if TYPE_CHECKING:
    from mashbill.core.sandbox import Sandbox


class Bare:
    """Guests that are processes like any other."""

    isolation = "none: a process of this user, with limits"

    @classmethod
    def extras(cls) -> tuple[str, ...]:
        """It needs nothing."""
        return ()

    @classmethod
    def open(cls) -> Sandbox:
        """Return it: nothing can be missing."""
        return cls()

    def start(self, limits: Limits) -> Guest:
        """Start a guest: see :class:`mashbill.core.sandbox.Sandbox`."""
        return BareGuest(limits)

    def close(self) -> None:
        """Guests end by themselves."""


class BareGuest:
    """A process that runs one program."""

    def __init__(self, limits: Limits) -> None:
        """Start it, in a folder of its own.

        Raises:
            EndedError: if it cannot be started.
        """
        self._folder = tempfile.mkdtemp(prefix="guest-")
        self._limits = limits
        self._memory_ran_out = _memory_ran_out()
        ours, theirs = socket.socketpair()
        order = {
            "memory": limits.memory, "disk": limits.disk, "seconds": limits.seconds,
            "longest": limits.message, "folder": self._folder, "channel": theirs.fileno(),
        }  # fmt: skip
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", "-B", "-c", text_of_guest()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    "GUEST": json.dumps(order),
                    "PYTHONHASHSEED": "0",
                    "LC_ALL": "C.UTF-8",
                    "MALLOC_ARENA_MAX": "1",
                },
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            msg = f"no process can be started ({error})"
            raise EndedError(msg, "place") from error
        finally:
            theirs.close()
        self._socket = ours
        self._channel = Channel(ours.fileno(), ours.fileno(), limits.message)

    def ask(self, message: bytes, seconds: float) -> bytes:
        """Send a message, and return the answer: see :class:`mashbill.core.sandbox.Guest`."""
        try:
            return self._channel.exchange(message, time.monotonic() + seconds)
        except TimeoutError:
            msg = f"it took longer than {seconds:g} seconds"
            raise EndedError(msg, "program") from None
        except ValueError as error:
            raise EndedError(str(error), "program") from None
        except OSError:
            raise self._why() from None

    def _why(self) -> EndedError:
        """Return why it ended, or that it is still there and only closed its channel."""
        ended = os.pidfd_open(self._process.pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            is_there = not poll.poll(ENDING * 1000)
        finally:
            os.close(ended)
        status, seconds = self._killed()
        if is_there:
            return EndedError("it closed what answers go through", "program")
        error = ended_by(status, seconds, self._limits)
        if error.fault == "place" and self._memory_ran_out == _memory_ran_out():
            # who may kill itself would say so to have no score, and the machine did not kill
            return EndedError("it ended by SIGKILL", "program")
        return error

    def _killed(self) -> tuple[int, float]:
        """End its session, and it; return its wait status and seconds of processor time.

        Its number is given back last: until then it cannot be another session's.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        _, status, used = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return status, used.ru_utime + used.ru_stime

    def end(self) -> None:
        """End it, and what it started in its session; delete its folder."""
        if self._process.returncode is None:
            self._killed()
        self._socket.close()
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
        except RecursionError:  # folders nested deeper than Python goes
            subprocess.run(["/bin/rm", "-rf", "--", self._folder], check=False)


def _memory_ran_out() -> object:
    """Return how often this machine ended a process for want of memory; unlike all if not told.

    It is ``oom_kill`` in /proc/vmstat: Documentation/admin-guide/cgroup-v2.rst of Linux names it.
    """
    try:
        lines = Path("/proc/vmstat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return object()
    return next((line for line in lines if line.startswith("oom_kill ")), object())
