"""What a sandbox is: where a foreign program runs, and what it is held to.

A sandbox gives guests: processes that no other program ran in, each in isolation of its own. What
is said to a guest, and what it says, are bytes; who judges stays outside. Built-ins and plugins
register in the entry-point group ``mashbill.sandboxes``: a container or a remote machine is another
kind of sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Fault = Literal["program", "place"]
"""whose fault it is that a guest ended: the program's, which is wrong then, or the place's where
it ran, of which nothing can be said"""


@dataclass(frozen=True)
class Limits:
    """What a guest may use, from its beginning to its end."""

    memory: int
    """bytes of address space"""
    disk: int
    """bytes of files"""
    files: int = 512
    """files and folders"""
    seconds: int = 60
    """of processor time"""
    threads: int = 16
    message: int = 1 << 20
    """bytes of a message, in and out"""


class EndedError(Exception):
    """A guest ended, or was ended, before it answered.

    Args:
        reason: why, as a clause: "it ended by signal 9".
        fault: whose it is.
    """

    def __init__(self, reason: str, fault: Fault) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault


class Guest(Protocol):
    """One process in isolation that runs one program."""

    def ask(self, message: bytes, seconds: float) -> bytes:
        """Send a message, and return what is answered within so many seconds of running.

        Raises:
            EndedError: if the process ended, answered what is no message, or took longer.
        """
        ...

    def end(self) -> None:
        """End the process and all that it started; nothing of it is left."""
        ...


class Sandbox(Protocol):
    """Starts guests."""

    isolation: str
    """what a guest is isolated by, in a line: it is kept beside each reward"""

    def start(self, limits: Limits) -> Guest:
        """Start a guest.

        Raises:
            EndedError: if it cannot be started now.
        """
        ...

    def close(self) -> None:
        """End all that is left."""
        ...


class SandboxKind(Protocol):
    """What is registered under a kind."""

    def extras(self) -> tuple[str, ...]:
        """Return the extras of mashbill that it needs on this machine."""
        ...

    def open(self) -> Sandbox:
        """Return a sandbox that isolates.

        Raises:
            InputError: telling what is missing on this machine, and what to do.
        """
        ...
