"""Orders that are on their way, by call: whoever asks for the same waits for the same answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.client.order import Batch, Order


@dataclass
class OnTheirWay:
    """See the module. Any thread may use it."""

    _orders: dict[str, Order] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self, batch: Batch, places: dict[str, list[int]]) -> None:
        """Let a batch wait for those of its calls that are here, and take these out.

        Args:
            batch: what waits.
            places: call -> places of it in the batch.
        """
        with self._lock:
            for call in [call for call in places if call in self._orders]:
                self._orders[call].waiting += [(batch, place) for place in places.pop(call)]

    def add(self, orders: Iterable[Order]) -> None:
        """Take orders in."""
        with self._lock:
            self._orders.update((order.call, order) for order in orders)

    def arrived(self, orders: Iterable[Order]) -> None:
        """Let orders go: nobody can join them any more."""
        with self._lock:
            for order in orders:
                self._orders.pop(order.call, None)

    def take(self) -> list[Order]:
        """Let all go, and return them."""
        with self._lock:
            left, self._orders = list(self._orders.values()), {}
        return left
