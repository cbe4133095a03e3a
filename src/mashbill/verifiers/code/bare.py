"""``sandbox = "none"``: a fresh process of this user, with limits and no isolation.

What runs here has the user's files, network and rights. A recipe that wants that says so in words.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING

from mashbill.core.sandbox import EndedError, Guest, Limits
from mashbill.verifiers.code.warm import Channel, ended_by

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
        ours, theirs = socket.socketpair()
        order = {
            "memory": limits.memory, "disk": limits.disk, "seconds": limits.seconds,
            "longest": limits.message, "folder": self._folder, "channel": theirs.fileno(),
        }  # fmt: skip
        source = resources.files(__package__).joinpath("guest.py").read_text(encoding="utf-8")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", "-B", "-c", source],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={"GUEST": json.dumps(order), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
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
            self._socket.close()
            _, status, used = os.wait4(self._process.pid, 0)
            self._process.returncode = os.waitstatus_to_exitcode(status)
            raise ended_by(status, used.ru_utime + used.ru_stime, self._limits) from None

    def end(self) -> None:
        """End it, and what it started in its session; delete its folder."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._socket.close()
        try:
            shutil.rmtree(self._folder, ignore_errors=True)
        except RecursionError:  # folders nested deeper than Python goes
            subprocess.run(["/bin/rm", "-rf", "--", self._folder], check=False)
