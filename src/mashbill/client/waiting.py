"""Telling what a lane waits for, and for what in vain: in a line, at once, and not all the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mashbill.client.limits import LONGEST_HOLD, Asked
from mashbill.core import foreign
from mashbill.core.errors import TeacherError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.client.order import Refused
    from mashbill.client.transport import Response

_MISPLACED = frozenset({404, 405})

WORTH = 3.0
"""seconds from which a wait is told"""
SILENT = 30.0
"""seconds after which it is told that nothing has come, and then once in"""
_AGAIN = 60.0
_SAME = 120.0  # seconds in which the same shorter wait is told once
_OFTEN = 20.0  # seconds in which waits of one lane are told once, unless one is longer than that
STOPS = "Ctrl-C stops the run, and the same command goes on from there"


def until(seconds: float) -> str:
    """Return a time so many seconds from now, for a message."""
    then = datetime.now(UTC) + timedelta(seconds=min(max(seconds, 0.0), 10 * 86400.0))
    return f"{then:%H:%M:%S} UTC" if seconds < 43200 else f"{then:%Y-%m-%d %H:%M} UTC"


@dataclass
class Telling:
    """Tells in lines; times are of a monotonic clock, in seconds."""

    place: str
    """host and model"""
    say: Callable[[str], None]
    _told_at: float = float("-inf")
    _until: float = float("-inf")
    _why: str = ""
    _moved: float | None = None
    """when something last came, or was begun to be waited for"""
    _silence_told: float = float("-inf")
    _unreached: bool = False

    def waits(self, seconds: float, why: str, now: float) -> None:
        """Tell of a wait of everything, if it is worth it and is not told of already."""
        if seconds < WORTH or now + seconds <= self._until + 1.0:
            return
        # A limit that one sets oneself holds back all the time, and is told now and then.
        often = _SAME if why == self._why and seconds < _SAME else _OFTEN
        if now - self._told_at < often and seconds < often:
            return
        self._told_at, self._until, self._why = now, now + seconds, why
        self.say(f"{self.place}: waits {seconds:,.0f} s, until {until(seconds)}: {why}. {STOPS}.")

    def unreached(self, reason: str, patience: float) -> None:
        """Tell once that there is no connection, and until when it is tried again."""
        if not self._unreached:
            self._unreached = True
            self.say(
                f"{self.place}: {reason}. It is tried again until {until(patience)} "
                f"({patience:,.0f} s). {STOPS}; or correct base_url, or start the server."
            )

    def opened(self, reason: str, pause: float, patience: float) -> None:
        """Tell that so many failed in a row that only one is tried at a time."""
        self.say(
            f"{self.place}: fails again and again, at last: {reason[:200]}. One request tries in "
            f"{pause:.0f} s, then ever later, until {until(patience)}. {STOPS}."
        )

    def moved(self, now: float) -> None:
        """Take note that something came."""
        self._moved = now

    def idle(self) -> None:
        """Take note that nothing is waited for."""
        self._moved = None

    def silent(self, now: float, what: Callable[[], str]) -> None:
        """Tell what is waited for, if nothing has come for long and no wait is told of."""
        if self._moved is None:
            self._moved = now
        since = now - self._moved
        if since < SILENT or now < self._until or now - self._silence_told < _AGAIN:
            return
        self._silence_told = now
        self.say(f"{self.place}: nothing has come for {since:,.0f} s: {what()}. {STOPS}.")


def too_long(place: str, asked: Asked, reason: str) -> TeacherError:
    """Say that a service asks for a longer wait than a run makes."""
    if asked.seconds is None:
        return TeacherError(
            f"{place}: {asked.header} asks to wait for longer than a day or for ever, which is not "
            f"believed ({reason}); the run ends, and the next one asks again at once. What was "
            "answered is in the journal"
        )
    return TeacherError(
        f"{place} asks to wait {asked.seconds:.0f} s, until {until(asked.seconds)} "
        f"({asked.header}; {reason}), and a run waits {LONGEST_HOLD:,.0f} s at most; what was "
        "answered is in the journal: run the same command again after that"
    )


def held_back(place: str, by: str, held: float) -> TeacherError:
    """Say that what a service told holds everything back for longer than a run waits."""
    return TeacherError(
        f"{place}: {by or 'a limit'} holds every request back for {held:,.0f} s more, until "
        f"{until(held)}, and a run waits {LONGEST_HOLD:,.0f} s at most: run the same command again "
        "after that. What was answered is in the journal"
    )


def all_refused(host: str, number: int, outcome: Refused) -> TeacherError:
    """Say that none of the first requests was answered, with the reason of the last."""
    if outcome.unread:
        return TeacherError(
            f"mashbill could read none of the first {number} answers of {host}, the last because "
            f"{outcome.reason}; see wire of the teacher, and report it if that is right"
        )
    return TeacherError(
        f"{host} refused all of the first {number} requests, the last with: {outcome.reason}; "
        "correct the teacher in the recipe"
    )


def misled(url: str, response: Response) -> str:
    """Return what an address may lack, where a response says that it is the wrong one."""
    if response.status in _MISPLACED:
        path = urlsplit(url).path
        lacks = "" if "/v1" in path else "; most servers want base_url to end in /v1"
        return f"; {path} was asked for{lacks}"
    if 300 <= response.status < 400:
        to = foreign.quoted(response.headers.get("location", ""))
        return f"; it redirects to {to!r}, and no key follows: set base_url if that is right"
    return ""
