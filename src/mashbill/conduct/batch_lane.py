"""A lane over a provider's batch endpoint: submitted together, answered within a day, for less.

A batch is written into the journal before it is submitted and again with its id after, so that a
run that was killed polls it instead of buying it twice. Answers are read as those of single
requests are. What failed inside a batch goes into the next one, alone; what was refused for good
is a recorded reject.

If a run is killed in the moment between a submission and its id, the next one looks through what
the provider lists: for the mark that a batch was given, or, where a provider keeps none, for one
of as many requests whose results have our ids. Where there is no such list, it says so, with the
number of requests, and submits them again.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.conduct.lane import Lane, utc_now
from mashbill.conduct.limits import retry_after
from mashbill.conduct.order import Order, Refused
from mashbill.conduct.transport import Response, TransportError
from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import MashbillError, TeacherError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mashbill.conduct.journal import OpenBatch

_GATHER = 0.3  # seconds without a new order after which what has come in is submitted
_MOST = 10_000  # requests a batch: an hour's work of one is lost less often than a day's
_LONGEST_POLL = 60.0
_TRIES = 8
_OK = 200
_NO_LIST = frozenset({400, 404, 405, 501})
_LATER = frozenset({408, 409, 425, 429})


@dataclass(frozen=True)
class Endpoint:
    """How a lane's batches are made; see :mod:`mashbill.teachers.wire.batching`."""

    wire: Any
    """a ``BatchWire``"""
    base_url: str
    asked: Callable[[Order], Any]
    """returns the request of an order, as the wire takes it"""
    poll: float = 5.0
    """seconds between looks at first; doubled up to a minute"""


@dataclass
class BatchLane(Lane):
    """See the module."""

    endpoint: Endpoint | None = None
    open_batches: list[OpenBatch] = field(default_factory=list)
    """batches of this route that earlier runs submitted and did not finish"""
    known_batches: set[str] = field(default_factory=set)
    """ids of batches that the journal knows: what it knows is looked for no more"""
    record: Callable[[str, str, list[str], str], Awaitable[None]] | None = None
    """writes (key, id, calls, state) of a batch, and says when it is on disk"""
    _awaited: dict[str, Order] = field(default_factory=dict)
    """orders that are in some batch"""
    _results: dict[str, tuple[Response, str]] = field(default_factory=dict)
    """(response, state) of calls that nobody has asked for again yet, from earlier runs' batches"""
    _elsewhere: set[str] = field(default_factory=set)
    """calls that are in earlier runs' batches"""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _resumed: bool = False

    def pump(self) -> None:
        """Submit what has come in, once no more comes for a moment."""
        if self._stopped:
            return
        self._resume()
        come, self.ready = self.ready, deque()
        for order in come:
            if order.call in self._results:
                # Paid for by an earlier run: no cap stands against what is owed already.
                self.around.budget.hold(order.most)
                self._settle(order, *self._results.pop(order.call))
            elif order.call in self._elsewhere:
                self.around.budget.hold(order.most)
                self._awaited[order.call] = order
            else:
                self.ready.append(order)
        if self.ready or self._later:
            self._gather()

    def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(_GATHER, self._submit_ready)

    def _submit_ready(self) -> None:
        now = self.around.clock()
        while self._later and self._later[0][0] <= now:
            self.ready.append(heapq.heappop(self._later)[2])
        wire = self._endpoint().wire
        most = min(_MOST, wire.limits.requests or _MOST)
        while self.ready and not self._stopped:
            chunk: list[Order] = []
            size = 0
            while self.ready and len(chunk) < most and size < wire.limits.bytes // 2:
                order = self.ready[0]
                if not self.around.budget.reserve(order.most):
                    break
                chunk.append(self.ready.popleft())
                size += len(order.body)
            if not chunk:
                if not self.around.budget.in_flight:
                    most_next = self.ready[0].most
                    self.around.stop(self.around.budget.reached(most_next, self.waiting))
                return
            self._awaited.update((order.call, order) for order in chunk)
            self._start(self._run_batch(chunk))
        if self._later:
            self._gather()

    def _endpoint(self) -> Endpoint:
        if self.endpoint is None:
            msg = "a batch lane without an endpoint"
            raise TeacherError(msg)
        return self.endpoint

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except MashbillError as error:
            self.around.stop(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the wait, and say so
            msg = f"{self.route.account.host}: {error!r}; please report it"
            self.around.stop(TeacherError(msg))

    def sweep(self, now: float) -> None:
        """Batches have their own deadline, which their provider keeps."""

    def stop(self) -> list[Order]:
        """Send nothing more; batches that are submitted go on, and the next run finds them."""
        for task in self._tasks:
            task.cancel()
        return super().stop()

    # -- one batch -------------------------------------------------------------------------------

    async def _run_batch(self, chunk: Sequence[Order]) -> None:
        now = self.around.clock()
        for order in chunk:
            order.sent_at = now
            order.attempts += 1
        calls = [order.call for order in chunk]
        key = digest_bytes(" ".join([*calls, utc_now()]).encode())[:32]
        await self._write(key, "", calls, "submitting")
        endpoint = self._endpoint()
        asks = [(order.call, endpoint.asked(order)) for order in chunk]
        secret = self.route.account.key_for(calls[0])
        replies: list[Any] = []
        for _ in range(endpoint.wire.steps):
            call = endpoint.wire.submit(asks, secret, replies)
            replies.append(json.loads(await self._call(call)))
        state = endpoint.wire.state(replies[-1])
        await self._write(key, state.id, calls, "running")
        self._event("batch", "", {"id": state.id, "requests": len(calls), "state": "running"})
        await self._watch(key, state.id, calls, secret)

    async def _watch(self, key: str, batch: str, calls: list[str], secret: str) -> None:
        """Poll until a batch has ended, and read what came of it."""
        state = await self._ended(batch, secret)
        answered: set[str] = set()
        for item in await self._items(state, calls, secret):
            answered.add(item.custom_id)
            status = item.status or (500 if item.state in {"expired", "cancelled"} else 0)
            body = json.dumps(item.body, ensure_ascii=False).encode()
            self._came(item.custom_id, Response(status or 500, {}, body), item.state)
        reason = json.dumps({"error": {"message": f"the batch {state.state}: {state.reason}"}})
        for call_key in calls:
            if call_key not in answered:
                self._came(call_key, Response(500, {}, reason.encode()), state.state)
        await self._write(key, batch, calls, "done")
        self.pump()

    async def _ended(self, batch: str, secret: str) -> Any:
        """Return how a batch stands once it has ended."""
        endpoint, wait = self._endpoint(), self._endpoint().poll
        while True:
            raw = await self._call(endpoint.wire.poll(batch, secret))
            state = endpoint.wire.state(json.loads(raw))
            if state.state != "running":
                return state
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, max(_LONGEST_POLL, endpoint.poll))

    async def _items(self, state: Any, calls: list[str], secret: str) -> list[Any]:
        """Return what became of each request of a batch, fetched again where it was cut short.

        Raises:
            TeacherError: if it cannot be read, or is of other requests.
        """
        wire, found = self._endpoint().wire, []
        for call in wire.results(state, secret):
            for attempt in range(_TRIES):
                raw = await self._call(call)
                try:
                    found += wire.items(raw, calls)
                    break
                except Exception as error:  # a wire's own; conduct lies below the wires
                    if not getattr(error, "retry", False) or attempt == _TRIES - 1:
                        msg = f"{self.route.account.host}: results of batch {state.id}: {error}"
                        raise TeacherError(msg) from error
                await asyncio.sleep(min(0.5 * 2**attempt, 30.0))
        return found

    def _came(self, call: str, response: Response, state: str) -> None:
        self._elsewhere.discard(call)
        order = self._awaited.pop(call, None)
        if order is None:
            self._results[call] = (response, state)
        else:
            self._settle(order, response, state)

    def _settle(self, order: Order, response: Response, state: str) -> None:
        """Make of one item of a batch what is made of a single response."""
        now = self.around.clock()
        outcome = order.read(response.status, response.headers, response.body)
        if not isinstance(outcome, Refused):
            outcome.flags = ",".join(part for part in (outcome.flags, "batch") if part)
            self._answered(order, outcome, now)
        elif outcome.retry or outcome.ends_run or state in {"expired", "cancelled"}:
            self._failed(order, "server", f"in a batch: {outcome.reason}", response.body)
        else:
            self._refused(order, outcome, response, now)

    async def _write(self, key: str, batch: str, calls: list[str], state: str) -> None:
        if self.record is not None:
            await self.record(key, batch, calls, state)

    async def _call(self, call: Any, none: frozenset[int] = frozenset()) -> bytes:
        """Make a call of the endpoint, again where it fails for a while.

        Args:
            call: the call.
            none: statuses that say there is no such thing; the result is then empty.

        Raises:
            TeacherError: if it is refused, or fails too often.
        """
        url = self._endpoint().base_url + call.path
        headers = {**call.headers, "User-Agent": self.route.agent}
        reason = ""
        for attempt in range(_TRIES):
            wait = self.pace.wait(0, self.around.clock())
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                response = await self.around.transport.send(call.method, url, headers, call.body)
            except TransportError as error:
                reason = error.reason
            else:
                if response.status == _OK:
                    return response.body
                if response.status in none:
                    return b""
                said_why = response.body[:200].decode("utf-8", "replace")
                reason = f"status {response.status}: {said_why}"
                if response.status not in _LATER and response.status < 500:
                    break
                said = retry_after(response.headers, datetime.now(UTC))
                if said is not None:
                    self._hold(said, self.around.clock())
            await asyncio.sleep(min(0.5 * 2**attempt, 30.0))
        msg = (
            f"{self.route.account.host}{call.path}: {reason}. Batches that are submitted go on; "
            "run the same command again to fetch them"
        )
        raise TeacherError(msg)

    def _resume(self) -> None:
        """Take up batches that earlier runs submitted."""
        if self._resumed:
            return
        self._resumed = True
        for item in self.open_batches:
            self._elsewhere |= set(item.calls)
            secret = self.route.account.key_for(item.calls[0])
            if item.id:
                self._start(self._watch(item.key, item.id, list(item.calls), secret))
            else:
                self._start(self._seek(item, secret))

    async def _seek(self, item: OpenBatch, secret: str) -> None:
        """Find a batch whose submission was cut off, or let its requests be submitted again."""
        endpoint, calls = self._endpoint(), list(item.calls)
        raw = await self._call(endpoint.wire.listing(secret), _NO_LIST)
        since = datetime.fromisoformat(item.at)
        states = endpoint.wire.candidates(json.loads(raw), calls, since) if raw else []
        for state in states:
            if state.id in self.known_batches or not await self._is_ours(state, calls, secret):
                continue
            self.known_batches.add(state.id)
            await self._write(item.key, state.id, calls, "running")
            self._event("batch", "", {"id": state.id, "requests": len(calls), "state": "found"})
            await self._watch(item.key, state.id, calls, secret)
            return
        told = "not made" if raw else "uncertain"
        self._event("batch", "", {"requests": len(calls), "state": told})
        await self._write(item.key, "", calls, "done")
        for call in calls:
            self._elsewhere.discard(call)
            order = self._awaited.pop(call, None)
            if order is not None:
                self.around.budget.release(order.most)
                self.ready.append(order)
        self.pump()

    async def _is_ours(self, state: Any, calls: list[str], secret: str) -> bool:
        """Return whether a batch is of these requests; without a mark, its results tell."""
        if self._endpoint().wire.keeps_mark:
            return True
        try:
            found = await self._items(await self._ended(state.id, secret), calls, secret)
        except TeacherError:
            return False
        return bool(found)
