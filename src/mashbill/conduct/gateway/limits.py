"""How much is taken at a time: requests, requests of an account, and bytes that are held.

An account's rate is a token bucket (Turner, *New directions in communications*, 1986; the leaky
bucket as a meter): it holds ``burst`` requests and is filled at the rate.
"""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mashbill.conduct.gateway.refusals import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.conduct.gateway.settings import Limits as LimitsSettings

_BUCKETS = 200_000
"""accounts whose buckets are kept; one that is not kept is full"""


class Limits:
    """What is going on now; of one event loop."""

    def __init__(self, settings: LimitsSettings) -> None:
        self._settings = settings
        self.running = 0
        self.held = 0
        self._of_account: dict[bytes, int] = defaultdict(int)
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def hold(self, size: int) -> None:
        """Take note of so many bytes of a body.

        Raises:
            RefusedError: if too many are held.
        """
        if self.held + size > self._settings.held_bytes:
            raise RefusedError(
                503,
                "too_many_bytes",
                "The gateway holds as many requests as it may. Ask again in a moment.",
                retry_after=1,
                closes=True,
            )
        self.held += size

    def let_go(self, size: int) -> None:
        """Take note that they are gone."""
        self.held -= size

    @contextmanager
    def running_for(self, account: bytes, now: float) -> Iterator[None]:
        """Count a request while it is answered.

        Args:
            account: whose it is.
            now: seconds of a clock that never goes back.

        Raises:
            RefusedError: with 429 or 503, saying when to ask again.
        """
        settings = self._settings
        if self.running >= settings.requests:
            raise RefusedError(
                503,
                "too_many_requests",
                f"The gateway answers {settings.requests:,} requests at a time, and as many are "
                "under way. Ask again in a moment.",
                retry_after=1,
            )
        most = settings.account_requests
        if most is not None and self._of_account[account] >= most:
            raise RefusedError(
                429,
                "rate_limit_exceeded",
                f"This account may have {most:,} requests under way at a time, and has as many. "
                "Wait for one to end.",
                retry_after=1,
            )
        self._draw(account, now)
        self.running += 1
        self._of_account[account] += 1
        try:
            yield
        finally:
            self.running -= 1
            self._of_account[account] -= 1
            if not self._of_account[account]:
                del self._of_account[account]

    def _draw(self, account: bytes, now: float) -> None:
        per_minute = self._settings.account_per_minute
        if per_minute is None:
            return
        rate, burst = per_minute / 60, float(self._settings.account_burst)
        level, then = self._buckets.pop(account, (burst, now))
        level = min(burst, level + (now - then) * rate)
        is_drawn = level >= 1
        self._buckets[account] = (level - is_drawn, now)
        if len(self._buckets) > _BUCKETS:
            self._buckets.popitem(last=False)
        if not is_drawn:
            wait = (1 - level) / rate
            raise RefusedError(
                429,
                "rate_limit_exceeded",
                f"This account may make {per_minute:g} requests a minute. Ask again in "
                f"{math.ceil(wait)} s.",
                retry_after=wait,
            )
