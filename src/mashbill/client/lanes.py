"""Which lane a route goes by, and under whose limits: each is made when first asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from mashbill.client.batch_lane import BatchLane
from mashbill.client.lane import Lane
from mashbill.client.limits import Pace, Shared
from mashbill.client.pressure import Window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from mashbill.calls.journal import Journal
    from mashbill.client.route import ClientContext, Counts, Route


@dataclass
class Lanes:
    """The lanes of a client. It makes them on its loop; any thread may look at them."""

    journal: Journal
    record: Callable[[str, str, str, list[str], str], Awaitable[None]]
    """writes (mark of a lane, key, id, calls, state) of a batch, and says when it is on disk"""
    _by_key: dict[str, Lane] = field(default_factory=dict)
    _paces: dict[tuple[str, str, str], Pace] = field(default_factory=dict)
    _shared: dict[tuple[str, str], Shared] = field(default_factory=dict)
    _noticed: set[str] = field(default_factory=set)

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._by_key.values()))

    def of(self, route: Route, context: ClientContext) -> Lane:
        """Return the lane of a route; account, address, model and teacher each have their own."""
        account = route.account
        context.scrubber.add(account.keys)
        key = f"{account.alias}\n{route.url}\n{route.model}\n{route.teacher}"
        lane = self._by_key.get(key)
        if lane is None:
            pace, window = self._pace(route), Window(route.most)
            if route.batches is None:
                lane = Lane(route, context, pace, window)
            else:
                lane = self._batch_lane(route, context, pace, window)
            self._by_key[key] = lane
            if account.notice and account.notice not in self._noticed:
                self._noticed.add(account.notice)
                context.tell(account.notice)
        return lane

    def counts(self) -> dict[str, Counts]:
        """Return what each lane did, by service and model."""
        found: dict[str, Counts] = {}
        for lane in self:
            name = f"{lane.route.account.service}:{lane.route.model}"
            found[name] = found[name].with_(lane.counts) if name in found else lane.counts
        return found

    def _batch_lane(
        self, route: Route, context: ClientContext, pace: Pace, window: Window
    ) -> BatchLane:
        mark = f"{route.account.alias}\n{route.batches.base_url}\n{route.teacher}"
        return BatchLane(
            route, context, pace, window,
            endpoint=route.batches, open_batches=self.journal.open_batches(mark),
            known_batches=self.journal.batch_ids(), record=partial(self.record, mark),
            bought=self.journal.answered,
        )  # fmt: skip

    def _pace(self, route: Route) -> Pace:
        """Return the limiter of an account and model; several teachers of one model share it.

        What is configured is the account's, and all of its models share that. A Retry-After of an
        earlier run holds in this one.
        """
        account, now = route.account, time.monotonic()
        pace = self._paces.get((account.alias, account.host, route.model))
        if pace is None:
            shared = self._shared.get((account.alias, account.host))
            if shared is None:
                shared = Shared(account.requests_per_minute, account.tokens_per_minute, now)
                self._shared[account.alias, account.host] = shared
            pace = Pace(shared)
            left, by = self.journal.holding(account.alias, route.model, datetime.now(UTC))
            if left > 0:
                pace.hold(left, now, f"an earlier run was told so ({by})")
            self._paces[account.alias, account.host, route.model] = pace
        return pace
