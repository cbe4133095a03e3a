"""The client of every service: one thread, one loop, one journal, and a lane for each route.

Stages wait in threads of their own for the answers they asked for; how many are asked at once has
nothing to do with how many are waited for together.

An order is sent when budget, limits and its lane's window let it, its answer goes to the journal,
and only what is written is released to who waits.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from mashbill.calls.paid_call import PaidCall, call_digest
from mashbill.calls.runs import Event
from mashbill.calls.writer import Writer
from mashbill.client.bought import give_bought, give_earlier
from mashbill.client.budget import Budget, Caps
from mashbill.client.lanes import Lanes
from mashbill.client.on_their_way import OnTheirWay
from mashbill.client.order import Batch, Order
from mashbill.client.route import ClientContext, Counts, Route
from mashbill.client.scrubbing import Scrubber
from mashbill.client.transport import Carrier
from mashbill.core.errors import MashbillError, TeacherError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mashbill.calls.journal import Journal
    from mashbill.client.transport import Transport
    from mashbill.core.teacher import Answer

_SWEEP = 0.5  # seconds between looks for requests that are overdue
_CONNECTIONS = 4096
_DRAIN = 60.0  # seconds that an interrupted run waits for answers that are paid for
_DRAIN_BROKEN = 3.0  # where the client itself failed, and may not be able to take them


@dataclass
class Client:
    """Asks services for one run. Use it as a context manager.

    Args:
        journal: the journal to be looked up, open to be written by others.
        run: the run's id.
        caps: hard caps; ``spent`` is what earlier runs of the recipe spent.
        facts: what the journal keeps of the run.
        twins: services in this process, by the host of their addresses.
        earlier_terms: whether answers that were bought under other versions of the terms count.
    """

    journal: Journal
    run: str
    caps: Caps = field(default_factory=Caps)
    spent: Budget | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    twins: dict[str, Transport] = field(default_factory=dict)
    earlier_terms: bool = False
    tell: Callable[[str], None] = lambda _: None
    """told in a line what is waited for, from the client's thread"""
    scrubber: Scrubber = field(default_factory=Scrubber)
    """knows the keys of the run; those of each route are added to it"""
    _lanes: Lanes = field(init=False)
    _open: OnTheirWay = field(default_factory=OnTheirWay)
    _come: list[PaidCall | Event] = field(default_factory=list)
    _intake: threading.Lock = field(default_factory=threading.Lock)
    _error: MashbillError | None = None
    _is_broken: bool = False
    _started: bool = False
    _is_interrupted: bool = False
    _leaves: bool = False
    """whether what is in flight is waited for no more"""
    _has_failed_open: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Begin without a lane."""
        self._lanes = Lanes(self.journal, self._record_batch)

    def __enter__(self) -> Self:
        """Return it; the loop begins with the first order."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Wait for what is in flight, write what is left, and end."""
        self.close()

    # -- called from any thread ------------------------------------------------------------------

    def ask(
        self,
        route: Route,
        requests: Sequence[str],
        order: Callable[[int, str], Order],
        on_answer: Callable[[int, int, float], None],
    ) -> tuple[list[str], list[Answer]]:
        """Return calls and answers to requests, in order, buying what is not there.

        Args:
            route: how they go.
            requests: digest of each request.
            order: makes the order of a request that must be bought, given its place and call.
            on_answer: told calls, tokens and US dollars as they come.

        Raises:
            BudgetError: if a cap is reached.
            TeacherError: if the service refuses, or has not answered for too long.
            StoreError: if the journal cannot be written.
        """
        batch, calls = self._hand_in(route, requests, order, on_answer)
        # A wait without an end cannot be interrupted on every system.
        while not batch.ended.wait(1.0):
            if not self._thread.is_alive():
                raise self._error or TeacherError("the client has ended; please report it")
        if batch.error is not None:
            raise batch.error
        return calls, [answer for answer in batch.answers if answer is not None]

    def _hand_in(
        self,
        route: Route,
        requests: Sequence[str],
        order: Callable[[int, str], Order],
        on_answer: Callable[[int, int, float], None],
    ) -> tuple[Batch, list[str]]:
        batch = Batch(len(requests))
        calls = [call_digest(request, route.terms) for request in requests]
        places: dict[str, list[int]] = {}
        for place, call in enumerate(calls):
            places.setdefault(call, []).append(place)
        with self._intake:
            # What is on its way is looked for first: an order leaves this table only once it is
            # in the journal, and new ones come in under the same lock.
            self._open.join(batch, places)
            give_bought(self.journal, places, batch, order)
            if places and self.earlier_terms:
                give_earlier(self.journal, route.terms, requests, calls, places, batch)
            if not places:
                return batch, calls
            if self._error is not None:
                raise self._error
            new = []
            for call, where in places.items():
                item = order(where[0], call)
                item.waiting = [(batch, place) for place in where]
                item.on_answer = on_answer
                new.append(item)
            self._open.add(new)
            self._start()
            self._loop.call_soon_threadsafe(self._take, route, new)
        return batch, calls

    def counts(self) -> dict[str, Counts]:
        """Return what each lane did, by service and model."""
        return self._lanes.counts()

    @property
    def has_asked(self) -> bool:
        """Whether any request was sent."""
        return self._started

    def interrupt(self) -> None:
        """Send nothing more; what is in flight still comes into the journal."""
        if self._started and self._thread.is_alive():
            self._tell_flying()
            self._is_interrupted = True
            error = TeacherError("the run was stopped; run the same command again to go on")
            self._loop.call_soon_threadsafe(self._stop, error)

    def _tell_flying(self) -> None:
        """Tell once that a run that ends waits for what is paid for."""
        flying = sum(len(lane.flying) for lane in self._lanes)
        if flying and not self._is_interrupted:
            self.say(
                f"{flying:,} requests are in flight, and paid for: their answers are waited for, "
                f"{_DRAIN:.0f} s at most. Ctrl-C again leaves them."
            )

    def close(self) -> None:
        """Wait for what is in flight, write what is left, and end.

        Raises:
            StoreError: if not all that came in could be written.
        """
        if not self._started:
            return
        if self._thread.is_alive():
            self._tell_flying()
            # Who was interrupted waits until all is in; if that is broken off, by a second Ctrl-C,
            # what is in flight is left.
            self._leaves = self._is_interrupted and not self._has_failed_open.is_set()
            try:
                asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result()
            except KeyboardInterrupt:
                self._leaves = True
                asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result(_DRAIN_BROKEN)
                raise
            finally:
                self._loop.call_soon_threadsafe(self._end.set)
                self._thread.join(_DRAIN_BROKEN)
        failed = self._writer.error
        if failed is None:
            self._writer.run(self.run, self._began, self._told(), _now())
        self._started = False
        self._writer.close()

    def _told(self) -> str:
        lanes = {
            name: {**vars(counts), "usd": round(counts.usd, 9)}
            for name, counts in self.counts().items()
        }
        return json.dumps({**self.facts, "lanes": lanes}, ensure_ascii=False, sort_keys=True)

    def _start(self) -> None:
        if self._started:
            return
        self._writer = Writer(self.journal.path, self._on_disk, self._not_on_disk)
        self._began = _now()
        self._writer.run(self.run, self._began, json.dumps(self.facts, ensure_ascii=False))
        self._budget = self.spent or Budget()
        self._budget.caps = self.caps
        ready = threading.Event()
        self._thread = threading.Thread(
            target=self._work, args=(ready,), name="client", daemon=True
        )
        self._thread.start()
        ready.wait()
        self._started = True

    # -- on the loop -----------------------------------------------------------------------------

    def _work(self, ready: threading.Event) -> None:
        try:
            import uvloop
        except ImportError:
            new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
        else:
            new_loop = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=new_loop) as runner:
            self._loop = runner.get_loop()
            runner.run(self._live(ready))

    async def _live(self, ready: threading.Event) -> None:
        self._end = asyncio.Event()
        self._loop.set_exception_handler(self._unforeseen)
        self._transport = Carrier(_CONNECTIONS, self.twins, self.scrubber)
        self._around = ClientContext(
            self.run, self._transport, self._budget, self._write, self._stop,
            time.monotonic, self.say, self.scrubber,
        )  # fmt: skip
        ready.set()
        sweeper = asyncio.create_task(self._sweep())
        await self._end.wait()
        sweeper.cancel()
        self._hand_over()
        await self._transport.close()

    def _unforeseen(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the run if a step on the loop fails, or who waits for it would wait for ever."""
        error = context.get("exception")
        if error is None or self._error is not None:
            loop.default_exception_handler(context)
            return
        self._is_broken = True
        self._stop(TeacherError(f"a fault within the client: {error!r}; please report it"))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            now = time.monotonic()
            try:
                for lane in self._lanes:
                    lane.sweep(now)
            except Exception as error:  # noqa: BLE001 - a task's own is told to nobody
                self._unforeseen(self._loop, {"message": "sweep", "exception": error})

    async def _record_batch(
        self, mark: str, key: str, own: str, calls: list[str], state: str
    ) -> None:
        """Write how a batch stands, and return once it is on disk."""
        self._hand_over()  # what the batch answered is written before the batch is done
        written = asyncio.Event()
        loop = asyncio.get_running_loop()

        def told() -> None:
            with suppress(RuntimeError):  # the run has ended, and nobody waits for it
                loop.call_soon_threadsafe(written.set)

        self._writer.batch(mark, key, own, calls, state, _now(), told)
        await written.wait()

    def say(self, line: str) -> None:
        """Tell a line, in which a service's words may stand; no display of it ends a run."""
        with suppress(Exception):
            self.tell("".join(char if char.isprintable() else "?" for char in line))

    def _take(self, route: Route, orders: list[Order]) -> None:
        if self._error is not None:
            self._open.arrived(orders)
            for order in orders:
                order.fail(self._error)
            return
        now = time.monotonic()
        lane = self._lanes.of(route, self._around)
        for order in orders:
            order.asked_at = now
        lane.ready.extend(orders)
        lane.pump()

    def _write(self, item: PaidCall | Event) -> None:
        """Hand something to the journal's writer, with all that comes in this turn of the loop.

        A hand-over wakes the writer's thread, which costs more than the hand-over itself.
        """
        if not self._come:
            self._loop.call_soon(self._hand_over)
        self._come.append(item)

    def _hand_over(self) -> None:
        come, self._come = self._come, []
        if come:
            self._writer.put(come)

    def _on_disk(self, items: list[PaidCall]) -> None:
        self.journal.remember({item.call: item.leaf() for item in items})
        self._loop.call_soon_threadsafe(self._written, items)

    def _not_on_disk(self, error: MashbillError) -> None:
        with suppress(RuntimeError):  # the loop has ended: close() tells it
            self._loop.call_soon_threadsafe(self._stop, error)

    def _written(self, items: list[PaidCall]) -> None:
        """Give answers that are written to who waits for them; their slots are free."""
        lanes = list(self._lanes)
        found: list[tuple[Order, Answer]] = []
        for item in items:
            for lane in lanes:
                order = lane.written(item)
                if order is not None:
                    found.append((order, order.answer or item.answer.read()))
                    break
        self._open.arrived(order for order, _ in found)
        for order, answer in found:
            order.deliver(answer)
        for lane in lanes:
            lane.pump()

    def _stop(self, error: MashbillError) -> None:
        """Send nothing more; whoever waits for what is in flight gets it, the others the error."""
        if self._error is None:
            self._error = error
        for lane in self._lanes:
            lane.stop()
        asyncio.get_running_loop().create_task(self._fail_open())

    async def _fail_open(self) -> None:
        await self._land()
        error = self._error or TeacherError("stopped")
        self._has_failed_open.set()
        for order in self._open.take():
            order.fail(error)

    async def _drain(self) -> None:
        for lane in self._lanes:
            lane.stop()
        await self._land()

    async def _land(self) -> None:
        """Wait until what is in flight is answered and on disk, for a while."""
        until = time.monotonic() + (_DRAIN_BROKEN if self._is_broken else _DRAIN)
        while time.monotonic() < until and self._writer.error is None and not self._leaves:
            if not any(lane.flying or lane.unwritten for lane in self._lanes):
                return
            await asyncio.sleep(0.02)
        for lane in self._lanes:
            for order in list(lane.flying):
                if order.task is not None:
                    order.task.cancel()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
