"""How many requests at once, and whether any at all: adaptive concurrency and a circuit breaker.

The window grows by one with each answer until the first sign of trouble, then by one a round, and
halves at a limit or an overload (additive increase, multiplicative decrease; Chiu and Jain, 1989).
The breaker opens after failures in a row, lets one request try after a while, and closes at the
first answer. Both are told the time, in seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

_FAILURES = 8  # in a row, over all requests of a lane: one bad request cannot open the breaker
_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 60.0


@dataclass
class Window:
    """How many requests may be in flight."""

    most: int
    """never more than this"""
    size: float = 1.0
    """requests now; the first goes alone, so that limits are known before a second"""
    _settled: bool = False
    _cut_at: float = float("-inf")

    def grow(self) -> None:
        """Count an answer."""
        step = 1.0 / self.size if self._settled else 1.0
        self.size = min(self.size + step, float(self.most))

    def cut(self, sent_at: float, now: float) -> None:
        """Halve; requests sent before the last cut tell nothing new."""
        if sent_at >= self._cut_at:
            self.size = max(self.size / 2, 1.0)
            self._settled = True
            self._cut_at = now


@dataclass
class Breaker:
    """Whether requests may be sent."""

    failures: int = 0
    """in a row"""
    since: float | None = None
    """when the first failure of this row was; None after an answer"""
    last: str = ""
    """what the last failure was"""
    _open_until: float = 0.0
    _pause: float = _FIRST_PAUSE
    _trying: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it has opened and no answer has come since."""
        return self.failures >= _FAILURES

    def wait(self, now: float) -> float:
        """Return seconds until the next request may go; while one tries, others wait a second."""
        if not self.is_open:
            return 0.0
        if self._trying:
            return 1.0
        return max(self._open_until - now, 0.0)

    def sent(self) -> None:
        """Count a request: if the breaker is open, it is the one that tries."""
        self._trying = self.is_open

    def answered(self) -> None:
        """Close: the service answers, be it with a limit or a refusal."""
        if self.failures:
            self.failures, self.since, self._pause, self._trying = 0, None, _FIRST_PAUSE, False

    def failed(self, reason: str, now: float) -> bool:
        """Count a failure; return whether this one opened it."""
        self.failures += 1
        self.last = reason
        self.since = now if self.since is None else self.since
        if not self.is_open:
            return False
        opened = self.failures == _FAILURES
        if opened or self._trying:
            self._open_until = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self._trying = False
        return opened
