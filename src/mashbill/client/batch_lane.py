"""A lane over a provider's batch endpoint: submitted together, answered within a day, for less.

A batch is written into the journal before it is submitted, again with its id after, and again once
all of its answers are on disk, so that a run that was killed polls it instead of buying it twice.
Answers are read as those of single requests are. What failed inside a batch goes into the next one,
alone, a few times; what was refused for good is a recorded reject; what no request of the lane
would be spared stops the run.

If a run is killed in the moment between a submission and its id, the next one looks through what
the provider lists: for the mark that a batch was given, or, where a provider keeps none, for one
of as many requests whose results have our ids. Where there is no such list, it says so, with the
number of requests, and submits them again.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.client.batch_calls import (
    BatchCalls,
    Endpoint,
    NeverOpen,
    RejectedError,
    Submitted,
)
from mashbill.client.gathering import Gathering
from mashbill.client.order import Order, Refused
from mashbill.client.route import utc_now
from mashbill.client.transport import Response
from mashbill.core import foreign
from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import TeacherError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from mashbill.calls.paid_call import PaidCall
    from mashbill.calls.runs import OpenBatch

__all__ = ["BatchLane", "Endpoint"]

_MOST = 10_000  # requests a batch: an hour's work of one is lost less often than a day's
_BATCH_ATTEMPTS = 3  # batches in which a request fails before it is given up
_KEPT = 2 * 86400.0  # seconds for which every provider keeps a batch, at least
_GONE = frozenset({404, 410})


@dataclass
class BatchLane(BatchCalls):
    """See the module."""

    breaker: NeverOpen = field(default_factory=NeverOpen)
    open_batches: list[OpenBatch] = field(default_factory=list)
    """batches of this route that earlier runs submitted and did not finish"""
    record: Callable[[str, str, list[str], str], Awaitable[None]] | None = None
    """writes (key, id, calls, state) of a batch, and says when it is on disk"""
    bought: Callable[[list[str]], Collection[str]] = lambda _: ()
    """returns which of these calls are answered in the journal"""
    _awaited: dict[str, Order] = field(default_factory=dict)
    """orders that are in some batch"""
    _results: dict[str, tuple[Submitted, Response, str]] = field(default_factory=dict)
    """(batch, response, state) of calls of earlier runs that nobody has asked for again yet"""
    _elsewhere: dict[str, Submitted] = field(default_factory=dict)
    """calls that are in earlier runs' batches"""
    _saving: dict[str, Submitted] = field(default_factory=dict)
    """calls whose answers are on their way to the disk"""
    _gathered: Gathering = field(default_factory=Gathering)
    """orders to be submitted"""
    _parked: list[Order] = field(default_factory=list)
    """orders of batches that were not taken on while others run"""
    _closing: set[asyncio.Task[None]] = field(default_factory=set)
    """writes that are not to be cancelled"""
    _running: int = 0
    _fallen_in_a_row: int = 0
    _fatal: str = ""
    """why no request of this lane could be answered"""
    _resumed: bool = False

    @property
    def waiting(self) -> int:
        """Orders that are not submitted."""
        return super().waiting + len(self._gathered.orders) + len(self._parked)

    # -- orders come in --------------------------------------------------------------------------

    def pump(self) -> None:
        """Submit what has come in, once no more comes for a moment."""
        if self._stopped:
            return
        self._resume()
        come, self.ready = self.ready, deque()
        new = [order for order in come if not self._is_owed(order)]
        self._end_if_fatal()
        self._gather(new)

    def _gather(self, new: list[Order]) -> None:
        if self._stopped:
            return
        now = self.context.clock()
        self._gathered.add([*new, *self._later.due(now)], now)
        if self._gathered.is_due(now):
            self._submit(now)
        times = [at for at in (self._later.first, self._gathered.due) if at is not None]
        if times and not self._stopped:
            self._again(min(times) - now)

    def _is_owed(self, order: Order) -> bool:
        """Return whether an earlier run has paid for it: no cap stands against what is owed."""
        found = self._results.pop(order.call, None)
        batch = found[0] if found else self._elsewhere.get(order.call)
        if batch is None:
            return False
        self.context.budget.hold(order.most)
        order.sent_at = batch.sent_at
        order.attempts += 1
        if found is None:
            self._awaited[order.call] = order
        else:
            self._settle(order, *found[1:])
            self._claimed(batch, order.call)
        return True

    def _submit(self, now: float) -> None:
        """Submit what was gathered, each batch by one key: a request stays with its own."""
        by_key: dict[str, deque[Order]] = {}
        for order in self._gathered.take():
            by_key.setdefault(self.route.account.key_for(order.call), deque()).append(order)
        left: list[Order] = []
        for secret, orders in by_key.items():
            while chunk := self._chunk(orders):
                self._awaited.update((order.call, order) for order in chunk)
                self._start(self._run_batch(chunk, secret))
            left += orders
        if left:
            self._gathered.put_back(left, now)
            budget = self.context.budget
            if not budget.in_flight:
                self.context.stop(budget.reached(left[0].most, self.waiting))

    def _chunk(self, orders: deque[Order]) -> list[Order]:
        """Take as many as a batch and the budget have room for."""
        limits = self._endpoint().wire.limits
        most, size = min(_MOST, limits.requests or _MOST), 0
        chunk: list[Order] = []
        while orders and len(chunk) < most and size < limits.bytes // 2:
            if not self.context.budget.reserve(orders[0].most):
                break
            chunk.append(orders.popleft())
            size += len(chunk[-1].body)
        return chunk

    def sweep(self, now: float) -> None:
        """Batches have their own deadline, which their provider keeps."""

    def stop(self) -> list[Order]:
        """Send nothing more; batches that are submitted go on, and the next run finds them."""
        for task in self._tasks:
            task.cancel()
        left = [*super().stop(), *self._gathered.take(), *self._parked]
        self._parked.clear()
        return left

    # -- one batch -------------------------------------------------------------------------------

    async def _run_batch(self, chunk: list[Order], secret: str) -> None:
        calls = [order.call for order in chunk]
        key = digest_bytes(" ".join([*calls, utc_now()]).encode())[:32]
        batch = Submitted(key, calls, secret)
        wire, asked = self._endpoint().wire, self._endpoint().asked
        asks = [(order.call, asked(order)) for order in chunk]
        replies: list[Any] = []
        while len(replies) < wire.steps - 1:
            reply = await self._call(wire.submit(asks, secret, replies), json.loads)
            replies.append(reply)
        await self._write(batch, "submitting")
        try:
            call = wire.submit(asks, secret, replies)
            state, told = await self._make(call, chunk, calls, secret)
        except RejectedError:
            await self._write(batch, "done")
            raise
        await self._made(batch, state.id, told)

    async def _made(self, batch: Submitted, own: str, told: str) -> None:
        batch.id = own
        self.known_batches.add(own)
        await self._write(batch, "running")
        self.recording.event("batch", "", {"id": own, "requests": len(batch.calls), "state": told})
        await self._watch(batch)

    async def _watch(self, batch: Submitted) -> None:
        """Poll until a batch has ended, and read what came of it."""
        # What a young batch is not found by is a wrong key or address, and it is not bought again.
        is_old = (datetime.now(UTC) - batch.at).total_seconds() > _KEPT
        none = _GONE if is_old else frozenset()
        self._running += 1
        try:
            state = await self._ended(batch.id, batch.secret, none)
            items = (
                await self._items(state, batch.calls, batch.secret, none)
                if state is not None
                else []
            )
        finally:
            self._running -= 1
        self.ready.extend(self._parked)
        self._parked.clear()
        if state is None:
            await self._let_go(batch, "gone")
        elif state.state == "failed" and not items:
            await self._fell(batch, state.reason or "the provider gives no reason")
        else:
            self._fallen_in_a_row = 0
            self._take(batch, state, items)
        self.pump()

    def _take(self, batch: Submitted, state: Any, items: list[Any]) -> None:
        """Read the results of a batch, answers first: they count though the run may end here."""
        told: set[str] = set()
        for item in sorted(items, key=lambda item: bool(item.state != "answered")):
            if item.custom_id not in told:
                told.add(item.custom_id)
                body = _written(item.body)
                self._came(
                    batch, item.custom_id, Response(item.status or 500, {}, body), item.state
                )
        reason = json.dumps({"error": {"message": f"the batch {state.state}: {state.reason}"}})
        for call in batch.calls:
            if call not in told:
                self._came(batch, call, Response(500, {}, reason.encode()), state.state)
        self._end_if_fatal()

    def _came(self, batch: Submitted, call: str, response: Response, state: str) -> None:
        if call not in batch.left:
            return
        if self._elsewhere.get(call) is batch:
            del self._elsewhere[call]
        order = self._awaited.pop(call, None)
        if order is None:
            self._results[call] = (batch, response, state)
        else:
            self._settle(order, response, state)
            self._claimed(batch, call)

    def _settle(self, order: Order, response: Response, state: str) -> None:
        """Make of one item of a batch what is made of a single response."""
        now = self.context.clock()
        outcome = self._outcome(order, response)
        if not isinstance(outcome, Refused):
            outcome.flags = ",".join(part for part in (outcome.flags, "batch") if part)
            # Not _answered: a batch takes nothing of the pace, and gives nothing back to it.
            self._keep(order, outcome, now)
        elif self._stopped:
            self.context.budget.release(order.most)
        elif outcome.ends_run:
            self.context.budget.release(order.most)
            self._fatal = self._fatal or outcome.reason
            detail = {"status": response.status, "reason": outcome.reason[:300]}
            self.recording.event("refused", order.call, detail)
        elif outcome.retry or state in {"expired", "cancelled"}:
            kind = "invalid" if state == "answered" else "server"
            self._failed(order, kind, f"in a batch: {outcome.reason}", response.body)
        else:
            self._refused(order, outcome, response, now)

    def _may_give_up(self, order: Order) -> bool:
        return order.failures >= _BATCH_ATTEMPTS

    def _end_if_fatal(self) -> None:
        if self._fatal and not self._stopped:
            self.context.stop(TeacherError(f"{self.route.account.host}: {self._fatal}"))

    async def _fell(self, batch: Submitted, reason: str) -> None:
        """Try a batch again that its provider did not take on: that is not its requests' fault.

        Some take only so much at a time. While others of ours run, it waits for one to end.

        Raises:
            TeacherError: if several in a row were not taken on.
        """
        orders = self._free(batch)
        await self._write(batch, "done")
        detail = {"id": batch.id, "requests": len(batch.calls), "reason": reason[:300]}
        self.recording.event("batch", "", {**detail, "state": "failed"})
        if self._running:
            self._parked += orders
            return
        self._fallen_in_a_row += 1
        if self._fallen_in_a_row == _BATCH_ATTEMPTS:
            msg = f"{self.route.account.host}: {_BATCH_ATTEMPTS} batches in a row failed: {reason}"
            raise TeacherError(msg)
        then = self.context.clock() + min(self._endpoint().poll * 2**self._fallen_in_a_row, 60.0)
        for order in orders:
            self._later.put(order, then)

    # -- how a batch ends ------------------------------------------------------------------------

    def _claimed(self, batch: Submitted, call: str) -> None:
        """Count a result that somebody has; an answer counts once it is on disk."""
        if call in self.unwritten:
            self._saving[call] = batch
        else:
            self._leave(batch, call)

    def written(self, item: PaidCall) -> Order | None:
        """See :class:`Lane`; a batch of which all is on disk is done."""
        order = super().written(item)
        batch = None if order is None else self._saving.pop(item.call, None)
        if batch is not None:
            self._leave(batch, item.call)
        return order

    def _leave(self, batch: Submitted, call: str) -> None:
        batch.left.discard(call)
        if not batch.left:
            # A task of its own, which goes on while the lane is stopped.
            write = self._guarded(self._write(batch, "done"))
            task = asyncio.get_running_loop().create_task(write)
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _free(self, batch: Submitted) -> list[Order]:
        """Return the orders of a batch of which nothing comes; the batch counts no more."""
        orders = []
        for call in batch.calls:
            if call in batch.left:
                if self._elsewhere.get(call) is batch:
                    del self._elsewhere[call]
                order = self._awaited.pop(call, None)
                if order is not None:
                    self.context.budget.release(order.most)
                    orders.append(order)
        batch.left.clear()
        return orders

    async def _let_go(self, batch: Submitted, told: str) -> None:
        """Let the requests of a batch that is not there be submitted again."""
        detail = {"id": batch.id, "requests": len(batch.calls), "state": told}
        self.recording.event("batch", "", detail)
        orders = self._free(batch)
        await self._write(batch, "done")
        self.ready.extend(orders)
        self.pump()

    async def _write(self, batch: Submitted, state: str) -> None:
        if self.record is not None:
            await self.record(batch.key, batch.id, batch.calls, state)

    # -- batches of earlier runs -----------------------------------------------------------------

    def _resume(self) -> None:
        """Take up batches that earlier runs submitted."""
        if self._resumed:
            return
        self._resumed = True
        now, wall, batches = self.context.clock(), datetime.now(UTC), []
        for item in sorted(self.open_batches, key=lambda item: item.at):
            calls, at = list(item.calls), foreign.moment(item.at) or wall
            secret = self.route.account.key_for(calls[0])
            sent_at = now - max((wall - at).total_seconds(), 0.0)
            batch = Submitted(item.key, calls, secret, item.id, at, sent_at)
            batches.append(batch)
            for call in self.bought(calls):
                batch.left.discard(call)
            for call in batch.left:
                # It failed in the batch before, so it went into this one.
                if call in self._elsewhere:
                    self._elsewhere[call].left.discard(call)
                self._elsewhere[call] = batch
        for batch in batches:
            if not batch.left:
                self._start(self._write(batch, "done"))
            else:
                self._start(self._watch(batch) if batch.id else self._seek(batch))

    async def _seek(self, batch: Submitted) -> None:
        """Find a batch whose submission was cut off, or let its requests be submitted again."""
        listed, state = await self._find(batch.calls, batch.secret, batch.at)
        if state is not None:
            await self._made(batch, state.id, "found")
        else:
            await self._let_go(batch, "not made" if listed else "uncertain")


def _written(body: Any) -> bytes:
    """Return an item's body as the bytes that a response would have; none if it cannot be one."""
    try:
        return json.dumps(body).encode()
    except (ValueError, RecursionError):
        return b""
