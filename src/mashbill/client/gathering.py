"""Orders that come in one by one, and are submitted together once no more comes for a moment."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.client.order import Order

_GATHER = 0.3  # seconds without a new order after which what has come in is submitted
_LONGEST_GATHER = 10 * _GATHER
_BLOCKED = 1.0  # seconds between looks whether the budget has room again


@dataclass
class Gathering:
    """See the module. Times are of the lane's clock, in seconds."""

    orders: deque[Order] = field(default_factory=deque)
    due: float | None = None
    """when they are submitted; None if there are none"""
    _first: float = 0.0
    """when the first of them came"""

    def add(self, orders: Sequence[Order], now: float) -> None:
        """Take in what has come; more is waited for if there is any."""
        self.orders.extend(orders)
        if orders:
            # Only what is new is waited for: other lanes' traffic pumps this one all the time.
            self._first = now if self.due is None else self._first
            self.due = min(now + _GATHER, self._first + _LONGEST_GATHER)

    def is_due(self, now: float) -> bool:
        """Return whether they are to be submitted."""
        return self.due is not None and self.due <= now

    def take(self) -> list[Order]:
        """Return all, in order; none are left."""
        found = list(self.orders)
        self.orders.clear()
        self.due = None
        return found

    def put_back(self, orders: Iterable[Order], now: float) -> None:
        """Keep what there was no room for, to be looked at again in a while."""
        self.orders.extend(orders)
        self._first, self.due = now, now + _BLOCKED
