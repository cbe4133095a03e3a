"""Rate limits: read from headers, kept as buckets, and never gone over.

A :class:`Pace` belongs to one account and model. It says when the next request may go; it knows
what the service's headers said, until when a ``Retry-After`` holds everything back, and by the
account's :class:`Shared` what its owner configured for all of its models together. Time comes in
from outside, in seconds of a monotonic clock, so that laws can be tested without waiting.

Headers read: OpenAI's ``x-ratelimit-*`` (durations such as ``6m0s``), Anthropic's
``anthropic-ratelimit-*`` (RFC 3339 times; tokens read and written have limits of their own there),
the IETF drafts' ``ratelimit-limit`` and ``ratelimit`` with ``ratelimit-policy``
(draft-ietf-httpapi-ratelimit-headers), and ``retry-after`` (RFC 9110, seconds or a date) with
OpenAI's ``retry-after-ms``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from mashbill.core import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Unit = Literal["requests", "tokens"]
LONGEST_HOLD = 900.0
"""seconds: a service that asks to wait for longer is asked by another run"""
_LEAST_LIMIT = 60 / LONGEST_HOLD  # a minute: a header that allows less is not believed
_MOST_LIMIT = 1e12
_MARGIN = 0.02
"""seconds added to a wait, so that a clock a little ahead of the service's breaks no promise"""

_UNITS: tuple[Unit, ...] = ("requests", "tokens")
_FAMILIES: dict[str, tuple[tuple[Unit, str, str, str], ...]] = {
    "x-ratelimit-limit-requests": tuple(
        (
            unit, f"x-ratelimit-limit-{unit}", f"x-ratelimit-remaining-{unit}",
            f"x-ratelimit-reset-{unit}",
        )
        for unit in _UNITS
    ),
    "anthropic-ratelimit-requests-limit": tuple(
        (
            unit, f"anthropic-ratelimit-{name}-limit", f"anthropic-ratelimit-{name}-remaining",
            f"anthropic-ratelimit-{name}-reset",
        )
        for unit, name in (
            (_UNITS[0], "requests"), (_UNITS[1], "tokens"), (_UNITS[1], "input-tokens"),
            (_UNITS[1], "output-tokens"),
        )
    ),
    "x-ratelimit-limit": (
        ("requests", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"),
    ),
    "ratelimit-limit": (
        ("requests", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"),
    ),
}  # fmt: skip
"""header that shows a family is there -> (unit, limit, remaining, reset) of each of its limits"""
_FAMILIES |= {
    "x-ratelimit-limit-tokens": _FAMILIES["x-ratelimit-limit-requests"],
    "anthropic-ratelimit-tokens-limit": _FAMILIES["anthropic-ratelimit-requests-limit"],
    "anthropic-ratelimit-input-tokens-limit": _FAMILIES["anthropic-ratelimit-requests-limit"],
    "ratelimit": (),
}
_PARAMETER = re.compile(r";\s*([a-z]+)=\"?(\d{1,20})(?!\d)", re.ASCII)


def seconds_of(text: str, wall: datetime) -> float | None:
    """Return how long from now a header means; see :func:`mashbill.core.foreign.wait`."""
    return foreign.wait(text, wall)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a response asks to wait."""

    seconds: float | None = None
    """None if it does not say, or says what is not believed"""
    header: str = ""
    """as it stands there, for messages; empty if it does not say"""
    is_believed: bool = True
    """False where it says a wait of more than a day, or one that is no finite number"""


def asked_to_wait(
    headers: Mapping[str, str], wall: datetime, in_body: float | None = None
) -> Asked:
    """Return what a response asks to wait.

    A header that is no wait at all counts as none; one that is a number, or a time, and outside of
    all bounds is told.

    Args:
        headers: of the response.
        wall: the time of day.
        in_body: seconds that its body asks for, which count where the headers say nothing.
    """
    asked = _in_headers(headers, wall)
    if asked.seconds is not None or not asked.is_believed or in_body is None:
        return asked
    seconds = foreign.number(in_body, 0.0, foreign.LONGEST_BELIEVED)
    return Asked(seconds, f"a wait of {in_body:g} s in its body", seconds is not None)


def _in_headers(headers: Mapping[str, str], wall: datetime) -> Asked:
    milliseconds = headers.get("retry-after-ms")
    if milliseconds is not None:
        found = foreign.number(milliseconds, 0.0, foreign.LONGEST_BELIEVED * 1000)
        if found is not None:
            return Asked(found / 1000, f"retry-after-ms: {foreign.quoted(milliseconds)}")
    text = headers.get("retry-after")
    if text is None:
        text, name = milliseconds, "retry-after-ms"
        seconds = None
    else:
        name = "Retry-After"
        seconds = foreign.wait(text, wall)
    if text is None:
        return Asked()
    shown = f"{name}: {foreign.quoted(text)}"
    return Asked(seconds, shown, seconds is not None or not foreign.says_a_wait(text))


def retry_after(headers: Mapping[str, str], wall: datetime) -> float | None:
    """Return the seconds that a response asks to wait, a day at most, or None if it says none."""
    return asked_to_wait(headers, wall).seconds


@dataclass
class Bucket:
    """A token bucket: so much a minute, at most ``burst`` at once."""

    per_minute: float
    burst: float
    level: float
    at: float
    deepest: float = float("-inf")
    """below which it is never drawn: one request may be larger than a limit, and the bucket of a
    limit that headers gave is filled again within the longest wait"""

    @classmethod
    def full(cls, per_minute: float, now: float, *, is_told: bool = False) -> Bucket:
        """Return a bucket that begins with a second's worth, at least one.

        A whole minute's worth at once is what a limit of so many a minute seems to allow, and what
        services that count by the second turn down.
        """
        burst = max(per_minute / 60, 1.0)
        deepest = burst - per_minute * LONGEST_HOLD / 60 if is_told else float("-inf")
        return cls(per_minute, burst, burst, now, deepest)

    def fill(self, now: float) -> None:
        """Let time pass."""
        self.level = min(self.burst, self.level + (now - self.at) * self.per_minute / 60)
        self.at = now

    def wait(self, amount: float) -> float:
        """Return seconds until so much may be taken; more than the burst waits for a full one."""
        lacking = min(amount, self.burst) - self.level
        return lacking * 60 / self.per_minute if lacking > 1e-9 else 0.0


class Shared:
    """What an account's owner configured, for all of its models together."""

    def __init__(
        self, requests_per_minute: float | None, tokens_per_minute: float | None, now: float
    ) -> None:
        """Begin with a second's worth of each; None is no limit."""
        given: dict[Unit, float | None] = {
            "requests": requests_per_minute,
            "tokens": tokens_per_minute,
        }
        self.limits = {unit: limit for unit, limit in given.items() if limit is not None}
        self.buckets = {unit: Bucket.full(limit, now) for unit, limit in self.limits.items()}


_NOTHING = Shared(None, None, 0.0)


@dataclass
class Pace:
    """When the next request of one account and model may be sent."""

    shared: Shared = _NOTHING
    seen: dict[str, float] = field(default_factory=dict)
    """limits that headers gave, by unit: for the journal"""
    held_until: float = 0.0
    """nothing may be sent before, by a Retry-After or an empty window"""
    held_by: str = ""
    """who says so: the header, as it stood"""
    unbelieved: str = ""
    """a header that asked for what is not believed, until it is told"""
    _buckets: dict[Unit, Bucket] = field(default_factory=dict)
    _family: tuple[tuple[Unit, str, str, str], ...] | None = None
    _limits: dict[str, str] = field(default_factory=dict)
    _told: dict[Unit, dict[str, float]] = field(default_factory=dict)

    def _all(self) -> Iterator[tuple[Unit, Bucket]]:
        yield from self._buckets.items()
        yield from self.shared.buckets.items()

    def wait(self, tokens: float, now: float) -> float:
        """Return seconds until a request of so many tokens may be sent; 0 if now."""
        longest = self.held_until - now if self.held_until > now else 0.0
        for unit, bucket in self._all():
            bucket.fill(now)
            wait = bucket.wait(1.0 if unit == "requests" else tokens)
            longest = max(longest, wait)
        return longest

    def take(self, tokens: float) -> None:
        """Count a request that is sent now; :meth:`wait` said 0 for it."""
        for unit, bucket in self._all():
            amount = 1.0 if unit == "requests" else tokens
            bucket.level = max(bucket.level - amount, bucket.deepest)

    def settle(self, expected: float, used: float) -> None:
        """Correct the tokens of a request once its answer says what it used."""
        for unit, bucket in self._all():
            if unit == "tokens":
                bucket.level = max(bucket.level + expected - used, bucket.deepest)

    def hold(self, seconds: float, now: float, by: str = "") -> None:
        """Send nothing for so long; ``by`` says who asks for it."""
        until = now + seconds + _MARGIN
        if until > self.held_until:
            self.held_until, self.held_by = until, by

    def holder(self, tokens: float, now: float) -> str:
        """Return what holds a request of so many tokens back, for a message; empty if nothing."""
        longest = self.held_until - now if self.held_until > now else 0.0
        found = self.held_by if longest else ""
        for unit, bucket in self._all():
            wait = bucket.wait(1.0 if unit == "requests" else tokens)
            if wait > longest:
                mine = bucket is self.shared.buckets.get(unit)
                whose = "of accounts.toml" if mine else "that its headers tell of"
                longest, found = (
                    wait,
                    f"the limit of {bucket.per_minute:,.0f} {unit} a minute {whose}",
                )
        return found

    def learn(self, headers: Mapping[str, str], now: float) -> bool:
        """Read a response's limits; return whether a limit was seen that was not known.

        An empty window holds everything back until it is said to be filled again. The family of
        headers is looked for until one is there: an error, or a proxy's page, may have none.
        """
        if self._family is None:
            self._family = next((f for mark, f in _FAMILIES.items() if mark in headers), None)
        if self._family is None:
            return False
        if not self._family:
            return self._learn_structured(headers, now)
        news = False
        for unit, limit, remaining, reset in self._family:
            said = headers.get(limit)
            if said is not None and said != self._limits.get(limit):
                self._limits[limit] = said
                news |= self._learn_limit(unit, limit, said, 60.0)
                self._bound(now)
            left = headers.get(remaining)
            if left is not None and (len(left) < 6 or not left.isdecimal()):
                self._learn_left(unit, left, (reset, headers.get(reset)), now)
        return news

    def _learn_structured(self, headers: Mapping[str, str], now: float) -> bool:
        """Read the draft's later form: a policy's quota q in w seconds; what remains, r, for t."""
        news = False
        policy = headers.get("ratelimit-policy")
        if policy is not None and policy != self._limits.get("ratelimit-policy"):
            self._limits["ratelimit-policy"] = policy
            self._told.clear()
            for number, one in enumerate(policy.split(",")):
                found = dict(_PARAMETER.findall(one))
                window = foreign.number(found.get("w", "60"), 0.001, 1e9)
                if "q" in found and window is not None:
                    news |= self._learn_limit("requests", str(number), found["q"], window)
            self._bound(now)
        for one in headers.get("ratelimit", "").split(","):
            found = dict(_PARAMETER.findall(one))
            if "r" in found:
                self._learn_left("requests", found["r"], ("ratelimit", found.get("t")), now)
        return news

    def _learn_limit(self, unit: Unit, name: str, said: str, window: float) -> bool:
        """Take note of a limit of so much in a window of so many seconds."""
        first = said.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0]
        limit = foreign.number(first, 0.0, _MOST_LIMIT)
        if limit == 0:  # as some write that there is none
            return False
        if limit is None or not _LEAST_LIMIT <= limit * 60 / window <= _MOST_LIMIT:
            self.unbelieved = f"a limit of {foreign.quoted(said)} {unit} ({name})"
            return False
        self._told.setdefault(unit, {})[name] = limit * 60 / window
        return True

    def _bound(self, now: float) -> None:
        """Keep to the lowest limit of each unit."""
        for unit, told in self._told.items():
            limit = min(told.values())
            self.seen[unit] = limit
            old = self._buckets.get(unit)
            if old is None or old.per_minute != limit:
                new = Bucket.full(limit, now, is_told=True)
                if old is not None:
                    new.level = min(new.level, old.level)
                self._buckets[unit] = new

    def _learn_left(self, unit: Unit, left: str, reset: tuple[str, str | None], now: float) -> None:
        """Take note of what remains; ``reset`` is name and value of the header that says till when.

        Less than nothing remains nowhere: what is negative is read as nothing.
        """
        found = foreign.number(left, float("-inf"), float("inf"))
        if found is None:
            return
        remaining = max(found, 0.0)
        bucket = self._buckets.get(unit)
        if bucket is not None:
            bucket.fill(now)
            bucket.level = min(bucket.level, remaining)
        name, text = reset
        if remaining < 1 and text is not None:
            wait = foreign.wait(text, datetime.now(UTC))
            if wait is not None:
                self.hold(wait, now, f"{name}: {foreign.quoted(text)}")
            elif foreign.says_a_wait(text):
                self.unbelieved = f"{name}: {foreign.quoted(text)}"
