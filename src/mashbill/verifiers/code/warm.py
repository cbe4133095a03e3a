"""Guests that come from a process which is warm: the host's side of :mod:`.guest`.

One warm process starts one guest at a time. It never runs foreign code itself, so that what one
program does to its interpreter, no other program meets.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value
from mashbill.core.sandbox import EndedError, Limits

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

_START = 20.0
"""seconds that the warm process may take until it is warm, and that a guest may take to end"""
_PATIENCE = 10
"""how many times its seconds a guest may take where the machine is busy with others"""
_SMALL = 0.05
"""share of the seconds of a guest that are not counted exactly"""
ENDING = 1.0
"""seconds that a guest may take between closing its channel, as its end does, and having ended"""
_ORDER = 1 << 16
_SPACES = ("user", "pid", "mount", "ipc", "uts", "cgroup", "net")


class Warm:
    """A process that starts guests; another takes its place where it ends."""

    def __init__(self, start: Callable[[int], subprocess.Popen[bytes]], filtered: bytes) -> None:
        """Prepare; nothing is started yet.

        Args:
            start: starts the process, given the descriptor of its socket.
            filtered: the filter of system calls for its guests.
        """
        self._start = start
        self._filter = filtered.hex()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def guest(self, limits: Limits) -> WarmGuest:
        """Start a guest.

        Raises:
            EndedError: if the process does not start one.
        """
        ours, theirs = socket.socketpair()
        order = {
            "do": "start", "spaces": _SPACES, "filter": self._filter, "memory": limits.memory,
            "disk": limits.disk, "files": limits.files, "seconds": limits.seconds,
            "threads": limits.threads, "longest": limits.message,
        }  # fmt: skip
        with theirs:
            for again in (False, True):
                try:
                    socket.send_fds(self._ready(), [json.dumps(order).encode()], [theirs.fileno()])
                except OSError as error:
                    self.close()
                    if again:
                        ours.close()
                        msg = f"the sandbox does not start programs ({error})"
                        raise EndedError(msg, "place") from error
                else:
                    break
        return WarmGuest(self, ours, limits)

    def _ready(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = self._start(theirs.fileno())
            ours.settimeout(_START)
            self._control = ours
            try:
                ready = ours.recv(_ORDER)
            except OSError as error:
                ready, why = b"", str(error)
            else:
                why = "it ended"
            if not ready:
                raise OSError(why)
        return self._control

    def ask(self, what: str) -> dict[str, Any] | None:
        """Ask the process about its guest; None if it is not there any more."""
        if self._control is None:
            return None
        try:
            self._control.send(json.dumps({"do": what}).encode())
            return self.told()
        except OSError:
            return None

    def tells_within(self, seconds: float) -> bool:
        """Return whether the process says something within so many seconds, or is gone itself."""
        if self._control is None:
            return True
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def told(self) -> dict[str, Any] | None:
        """Return what the process says next; None if it ended."""
        if self._control is None:
            return None
        try:
            said = self._control.recv(_ORDER)
        except OSError:
            said = b""
        if not said:
            self.close()
            return None
        found: dict[str, Any] = json.loads(said)
        return found

    def close(self) -> None:
        """End the process, and with it its guest."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None


class WarmGuest:
    """A guest that a warm process started."""

    def __init__(self, warm: Warm, channel: socket.socket, limits: Limits) -> None:
        """Take hold of a guest that is about to start."""
        self._warm = warm
        self._channel = Channel(channel.fileno(), channel.fileno(), limits.message)
        self._socket = channel
        self._limits = limits
        self._over = False
        self._is_closed_in = False
        self._asked = 0.0
        self._before = (0.0, 0.0, 0.0)  # seconds that it ran, waited, and was asked: see _left

    def ask(self, message: bytes, seconds: float) -> bytes:
        """Send a message, and return what is answered: see :class:`mashbill.core.sandbox.Guest`."""
        if not self._is_closed_in:
            self._closed_in()
        if self._asked - self._before[2] > seconds * _SMALL:
            self._before = (*self._clock(), self._asked)
        begun = time.monotonic()
        end = begun + seconds
        try:
            while end - begun <= _PATIENCE * max(seconds, 1.0):
                try:
                    return self._channel.exchange(message, end)
                except TimeoutError:
                    message = b""
                    end = time.monotonic() + max(self._left(begun, seconds), seconds / 10)
        except ValueError as error:
            raise EndedError(str(error), "program") from None
        except OSError:
            raise self._why() from None
        finally:
            self._asked += time.monotonic() - begun
        msg = f"the machine was too busy for {seconds:g} seconds of it"
        raise EndedError(msg, "place")

    def _closed_in(self) -> None:
        """Wait until the guest is closed in: whatever it does before is the place's fault."""
        try:
            said = self._channel.exchange(b"", time.monotonic() + _START)
        except (OSError, ValueError) as error:
            said = str(error).encode()
        if said != b"closed in":
            self._warm.close()
            self._over = True
            msg = f"the sandbox could not be closed around it ({said.decode(errors='replace')})"
            raise EndedError(msg, "place")
        self._is_closed_in = True

    def _clock(self) -> tuple[float, float]:
        """Return for how many seconds it ran and waited for a core; what cannot be told is 0.

        Raises:
            EndedError: if it has ended.
        """
        clock = self._warm.ask("clock")
        if clock is None:
            self._over = True
            msg = "the sandbox ended"
            raise EndedError(msg, "place")
        if "status" in clock:
            self._over = True
            raise ended_by(int(clock["status"]), float(clock["seconds"]), self._limits)
        return float(clock.get("ran") or 0.0), float(clock.get("waited") or 0.0)

    def _left(self, begun: float, seconds: float) -> float:
        """Return how many seconds are left, if those do not count in which it got no core.

        What it ran counts in full, so that threads of its own that keep the cores buy no time; and
        what it waited before it was asked this does not count again, but for a small part.

        Raises:
            EndedError: if none are.
        """
        then = self._before
        ran, waited = (now - before for now, before in zip(self._clock(), then, strict=False))
        ran -= self._asked - then[2]
        left = seconds - max(ran, time.monotonic() - begun - waited)
        if left <= seconds * _SMALL:
            msg = f"it took longer than {seconds:g} seconds"
            raise EndedError(msg, "program")
        return left

    def _why(self) -> EndedError:
        """Return why the guest ended, or that it is still there and only closed its channel."""
        self._over = True
        if not self._warm.tells_within(ENDING):
            self._warm.ask("end")
            return EndedError("it closed what answers go through", "program")
        told = self._warm.told()
        if told is None:
            return EndedError("the sandbox ended", "place")
        return ended_by(int(told["status"]), float(told["seconds"]), self._limits)

    def end(self) -> None:
        """End it."""
        if not self._over:
            self._over = True
            self._warm.ask("end")
        self._socket.close()


def ended_by(status: int, seconds: float, limits: Limits) -> EndedError:
    """Return why a process that ended before it answered did, by its wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in (signal.SIGKILL, signal.SIGXCPU) and seconds >= limits.seconds:
            return EndedError(f"it used more than {limits.seconds} seconds of a core", "program")
        known = number in set(signal.Signals)
        name = signal.Signals(number).name if known else f"signal {number}"
        if number == signal.SIGKILL:
            return EndedError("it was killed from outside of the sandbox", "place")
        return EndedError(f"it ended by {name}", "program")
    code = os.WEXITSTATUS(status)
    return EndedError(f"it ended with code {code} before it answered", "program")


class Channel:
    """Messages behind their length, over descriptors that may stall, flood or end."""

    def __init__(self, reads: int, writes: int, longest: int) -> None:
        """Take descriptors.

        Args:
            reads: what is read from.
            writes: what is written to.
            longest: bytes of a message.
        """
        self._reads, self._writes, self._longest = reads, writes, longest
        self._left = b""
        self._data = b""
        os.set_blocking(reads, False)
        os.set_blocking(writes, False)

    def exchange(self, message: bytes, end: float) -> bytes:
        """Send what there is to send, and return the answer.

        Args:
            message: to send; empty to go on with the exchange before.
            end: when to stop, on the monotonic clock.

        Raises:
            TimeoutError: if it is not there by then.
            ValueError: if what comes is no message.
            OSError: if the other side is gone.
        """
        if message:
            if self._data:
                msg = "it wrote where answers go before it was asked"
                raise ValueError(msg)
            self._left = struct.pack("!I", len(message)) + message
        while self._left:
            self._wait(self._writes, select.POLLOUT, end)
            self._left = self._left[os.write(self._writes, self._left) :]
        while True:
            if (found := self._whole()) is not None:
                return found
            self._wait(self._reads, select.POLLIN, end)
            piece = os.read(self._reads, 1 << 16)
            if not piece:
                msg = "it ended"
                raise ConnectionError(msg)
            self._data += piece

    def _whole(self) -> bytes | None:
        if len(self._data) < 4:
            return None
        size = int(struct.unpack("!I", self._data[:4])[0])
        if size > self._longest:
            msg = "it wrote what is no answer where answers go"
            raise ValueError(msg)
        if len(self._data) < 4 + size:
            return None
        found, self._data = self._data[4 : 4 + size], self._data[4 + size :]
        if self._data:
            msg = "it wrote more than one answer where answers go"
            raise ValueError(msg)
        return found

    @staticmethod
    def _wait(descriptor: int, what: int, end: float) -> None:
        poll = select.poll()
        poll.register(descriptor, what)
        if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            raise TimeoutError


def tried(guest_of: Callable[[], Any], forbidden: Sequence[str]) -> None:
    """See that a guest answers, and that it cannot do what it must not.

    Args:
        guest_of: starts one.
        forbidden: expressions of Python that must not give True.

    Raises:
        InputError: naming what the sandbox lets through, or why it does not start.
    """
    program = {"do": "load", "source": _PROBE}
    for place, expression in enumerate(("True", *forbidden)):
        call = {"do": "call", "function": "probe", "args": [expression], "kwargs": {}}
        try:
            guest = guest_of()
            try:
                guest.ask(json.dumps(program).encode(), _START)
                said = json_value(guest.ask(json.dumps(call).encode(), _START), "the sandbox")
            finally:
                guest.end()
        except EndedError as error:
            msg = f"the sandbox does not start: {error.reason}"
            raise InputError(msg) from error
        if (said == {"value": True}) != (place == 0):
            msg = f"the sandbox does not hold: {expression} gives {said!r:.80}"
            raise InputError(msg)


_PROBE = """
def probe(expression):
    try:
        return bool(eval(expression))
    except BaseException:
        return False
"""
