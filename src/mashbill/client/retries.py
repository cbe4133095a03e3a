"""Requests that are to be tried again, each at its time: they hold no slot until then."""

from __future__ import annotations

import heapq
import itertools
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.client.order import Order

_BACKOFF = 0.5  # seconds, doubled with each failure, up to
_LONGEST_BACKOFF = 30.0


@dataclass
class Retries:
    """See the module. Moments are of the lane's clock, in seconds."""

    _heap: list[tuple[float, int, Order]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Order]:
        return (order for _, _, order in self._heap)

    @property
    def first(self) -> float | None:
        """When the first is to be tried; None if there are none."""
        return self._heap[0][0] if self._heap else None

    def put(self, order: Order, at: float) -> None:
        """Keep an order until a moment."""
        heapq.heappush(self._heap, (at, next(self._numbers), order))

    def back_off(self, order: Order, now: float) -> None:
        """Keep an order for the longer the more often it failed."""
        wait = min(_BACKOFF * 2 ** (order.failures - 1), _LONGEST_BACKOFF)
        # Full jitter: requests that failed together do not come back together.
        wait *= 0.5 + random.random() / 2  # noqa: S311 - no secret
        self.put(order, now + wait)

    def due(self, now: float) -> list[Order]:
        """Return those whose time has come, which are kept no more."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            found.append(heapq.heappop(self._heap)[2])
        return found

    def clear(self) -> None:
        """Keep none."""
        self._heap.clear()
