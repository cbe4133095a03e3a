"""Rate limits: read from headers, kept as buckets, and never gone over.

A :class:`Pace` belongs to one account and model. It says when the next request may go; it knows
what its owner configured, what the service's headers said, and until when a ``Retry-After`` holds
everything back. Time comes in from outside, in seconds of a monotonic clock, so that laws can be
tested without waiting.

Headers read: OpenAI's ``x-ratelimit-*`` (durations such as ``6m0s``), Anthropic's
``anthropic-ratelimit-*`` (RFC 3339 times), the IETF draft's ``ratelimit`` and ``ratelimit-policy``
(draft-ietf-httpapi-ratelimit-headers), and ``retry-after`` (RFC 9110, seconds or a date) with
OpenAI's ``retry-after-ms``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Unit = Literal["requests", "tokens"]
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_WAIT = 3600.0  # a Retry-After above this ends the run: waiting days is no plan
_MARGIN = 0.02
"""seconds added to a wait, so that a clock a little ahead of the service's breaks no promise"""

_FAMILIES: dict[str, dict[Unit, tuple[str, str, str]]] = {
    "x-ratelimit-limit-requests": {
        unit: (
            f"x-ratelimit-limit-{unit}",
            f"x-ratelimit-remaining-{unit}",
            f"x-ratelimit-reset-{unit}",
        )
        for unit in ("requests", "tokens")
    },
    "anthropic-ratelimit-requests-limit": {
        unit: (
            f"anthropic-ratelimit-{unit}-limit",
            f"anthropic-ratelimit-{unit}-remaining",
            f"anthropic-ratelimit-{unit}-reset",
        )
        for unit in ("requests", "tokens")
    },
    "x-ratelimit-limit": {
        "requests": ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    },
    "ratelimit-limit": {
        "requests": ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    },
}
"""header that shows a family is there -> its (limit, remaining, reset) of each unit"""


def seconds_of(text: str, wall: datetime) -> float | None:
    """Return how long from now a header means: seconds, a duration such as ``6m0s``, or a date.

    Args:
        text: value of the header.
        wall: the time now, UTC.
    """
    text = text.strip()
    try:
        value = float(text)
    except ValueError:
        pass
    else:
        if value > 1e9:  # an epoch, as some routers write: in milliseconds above 1e11
            return max(value / (1000 if value > 1e11 else 1) - wall.timestamp(), 0.0)
        return value if value >= 0 else None
    pieces = _DURATION.findall(text)
    if pieces and "".join(n + u for n, u in pieces) == text:
        return float(sum(float(number) * _SECONDS[unit] for number, unit in pieces))
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
        except ValueError:
            return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max((then - wall).total_seconds(), 0.0)


def retry_after(headers: Mapping[str, str], wall: datetime) -> float | None:
    """Return the seconds that a response asks to wait, or None if it does not say."""
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None:
        try:
            return max(float(milliseconds) / 1000, 0.0)
        except ValueError:
            pass
    text = headers.get("retry-after")
    return None if text is None else seconds_of(text, wall)


@dataclass
class Bucket:
    """A token bucket: so much a minute, at most ``burst`` at once."""

    per_minute: float
    burst: float
    level: float
    at: float

    @classmethod
    def full(cls, per_minute: float, now: float) -> Bucket:
        """Return a bucket that begins with a second's worth, at least one.

        A whole minute's worth at once is what a limit of so many a minute seems to allow, and what
        services that count by the second turn down.
        """
        burst = max(per_minute / 60, 1.0)
        return cls(per_minute, burst, burst, now)

    def fill(self, now: float) -> None:
        """Let time pass."""
        self.level = min(self.burst, self.level + (now - self.at) * self.per_minute / 60)
        self.at = now

    def wait(self, amount: float) -> float:
        """Return seconds until so much may be taken; more than the burst waits for a full one."""
        lacking = min(amount, self.burst) - self.level
        return lacking * 60 / self.per_minute if lacking > 1e-9 else 0.0


@dataclass
class Pace:
    """When the next request of one account and model may be sent."""

    requests_per_minute: float | None = None
    """configured; None leaves it to what headers say"""
    tokens_per_minute: float | None = None
    """configured, read and written together"""
    seen: dict[str, float] = field(default_factory=dict)
    """limits that headers gave, by unit: for the journal"""
    held_until: float = 0.0
    """nothing may be sent before, by a Retry-After or an empty window"""
    _buckets: dict[Unit, Bucket] = field(default_factory=dict)
    _family: dict[Unit, tuple[str, str, str]] | None = None
    _looked: bool = False
    _limits: dict[Unit, str] = field(default_factory=dict)

    def begin(self, now: float) -> None:
        """Make the buckets of what is configured."""
        for unit, limit in self._configured().items():
            self._buckets[unit] = Bucket.full(limit, now)

    def _configured(self) -> dict[Unit, float]:
        given: dict[Unit, float | None] = {
            "requests": self.requests_per_minute,
            "tokens": self.tokens_per_minute,
        }
        return {unit: limit for unit, limit in given.items() if limit is not None}

    def wait(self, tokens: float, now: float) -> float:
        """Return seconds until a request of so many tokens may be sent; 0 if now."""
        longest = self.held_until - now if self.held_until > now else 0.0
        for unit, bucket in self._buckets.items():
            bucket.fill(now)
            wait = bucket.wait(1.0 if unit == "requests" else tokens)
            longest = max(longest, wait)
        return longest

    def take(self, tokens: float) -> None:
        """Count a request that is sent now; :meth:`wait` said 0 for it."""
        for unit, bucket in self._buckets.items():
            bucket.level -= 1.0 if unit == "requests" else tokens

    def settle(self, expected: float, used: float) -> None:
        """Correct the tokens of a request once its answer says what it used."""
        bucket = self._buckets.get("tokens")
        if bucket is not None:
            bucket.level += expected - used

    def hold(self, seconds: float, now: float) -> None:
        """Send nothing for so long."""
        self.held_until = max(self.held_until, now + seconds + _MARGIN)

    def learn(self, headers: Mapping[str, str], now: float) -> bool:
        """Read a response's limits; return whether a limit was seen that was not known.

        An empty window holds everything back until it is said to be filled again.
        """
        if not self._looked:
            self._looked = True
            self._family = next((f for mark, f in _FAMILIES.items() if mark in headers), None)
        if self._family is None:
            return False
        news = False
        for unit, (limit, remaining, reset) in self._family.items():
            said = headers.get(limit)
            if said is not None and said != self._limits.get(unit):
                news |= self._learn_limit(unit, said, now)
            left = headers.get(remaining)
            if left is not None and (len(left) < 6 or not left.isdecimal()):
                self._learn_left(unit, left, headers.get(reset), now)
        return news

    def _learn_limit(self, unit: Unit, said: str, now: float) -> bool:
        self._limits[unit] = said
        try:
            limit = float(said.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0])
        except ValueError:
            return False
        if limit <= 0:
            return False
        self.seen[unit] = limit
        own = self._configured().get(unit)
        if own is None or limit < own:
            old = self._buckets.get(unit)
            new = Bucket.full(limit, now)
            if old is not None:
                new.level = min(new.level, old.level)
            self._buckets[unit] = new
        return True

    def _learn_left(self, unit: Unit, left: str, reset: str | None, now: float) -> None:
        try:
            remaining = float(left)
        except ValueError:
            return
        bucket = self._buckets.get(unit)
        if bucket is not None:
            bucket.fill(now)
            bucket.level = min(bucket.level, remaining)
        if remaining < 1 and reset is not None:
            wait = seconds_of(reset, datetime.now(UTC))
            if wait is not None and wait <= _LONGEST_WAIT:
                self.hold(wait, now)
