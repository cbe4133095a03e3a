"""How long a run waits for a service that does not answer, and when that is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.client.route import Route

if TYPE_CHECKING:
    from mashbill.client.pressure import Breaker


@dataclass
class Patience:
    """See the module. Moments are of the lane's clock, in seconds."""

    route: Route
    reached: bool = False
    """whether anything has come from there in this run"""
    _starving_since: float | None = None
    """since when there are limits and no answers"""

    @property
    def seconds(self) -> float:
        """Seconds without an answer after which a run stops.

        A service that was never reached in this run is more likely at another address.
        """
        if self.reached:
            return self.route.patience
        return min(self.route.first_patience, self.route.patience)

    def answered(self) -> None:
        """Count an answer."""
        self._starving_since = None

    def limited(self, now: float, said: float) -> None:
        """Count a rate limit; what it says it wants to be waited for is not counted against it."""
        self._starving_since = (self._starving_since or now) + said

    def starved(self, now: float) -> str:
        """Say that there were limits only for too long; empty if not."""
        if self._starving_since is None or now - self._starving_since <= self.seconds:
            return ""
        host = self.route.account.host
        return f"{host} has answered with rate limits only for {self.seconds:.0f} s"

    def unanswered(self, now: float, breaker: Breaker) -> str:
        """Say that nothing was answered for too long; empty if not."""
        if breaker.since is None or now - breaker.since <= self.seconds:
            return ""
        host = self.route.account.host
        told = f"{host} has not answered for {self.seconds:.0f} s; at last: {breaker.last}"
        if not self.reached and breaker.failures:
            told += " (look at base_url; set patience for a server that takes longer to start)"
        return told
