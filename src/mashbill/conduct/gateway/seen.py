"""What is noted of an exchange while it goes on, from which an event is made later."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.conduct.gateway.accounts import Account
    from mashbill.conduct.gateway.paths import Place

_COUNT = itertools.count()
_PROCESS = os.urandom(6).hex()


def next_id() -> str:
    """Return a name for an exchange that no other gateway and no other exchange has."""
    return f"gw-{_PROCESS}-{next(_COUNT):x}"


@dataclass(slots=True)
class Tee:
    """Keeps a copy of an answer up to so many bytes, and counts all of them."""

    most: int
    size: int = 0
    _parts: list[bytes] = field(default_factory=list)

    def add(self, data: bytes) -> None:
        """Take a part."""
        self.size += len(data)
        if self.size <= self.most:
            self._parts.append(data)
        else:
            self._parts.clear()

    @property
    def data(self) -> bytes | None:
        """All of it, or None if it is more than is kept."""
        return b"".join(self._parts) if self.size <= self.most else None


@dataclass(slots=True)
class Seen:
    """An exchange."""

    id: str
    time: float
    """when it was asked, seconds of Unix time"""
    place: Place
    method: str
    account: Account
    address: str
    agent: str = ""
    declared: bytes | None = None
    body: bytes | None = None
    """None: too large to be read"""
    body_encoding: str = ""
    body_bytes: int = 0
    status: int = 0
    """0: none came, or the client went away before"""
    retry_after: float | None = None
    answer: bytes | None = None
    answer_encoding: str = ""
    answer_bytes: int = 0
    streams: bool = False
    whole: bool = True
    """whether the answer came to its end"""
    seconds: float = 0
    first_byte: float | None = None
    tier: str = "none"
    action: str = ""
    cases: tuple[str, ...] = ()
    refused: str = ""
    """why the gateway itself refused it, or nothing"""

    @property
    def held(self) -> int:
        """Bytes that it holds in memory, about."""
        return 1000 + len(self.body or b"") + len(self.answer or b"")
