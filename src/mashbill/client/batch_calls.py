"""Calls of a provider's batch endpoint: made, held back, made again, and looked for.

What only asks is asked again after a failure. What makes a batch is not: a batch is paid for once
it is made, whether or not its reply arrived, so it is looked for first.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from mashbill.client.lane import RATE_LIMITED, Lane
from mashbill.client.limits import asked_to_wait
from mashbill.client.order import Order
from mashbill.client.pressure import Breaker
from mashbill.client.transport import Response, TransportError
from mashbill.client.waiting import STOPS
from mashbill.core import foreign
from mashbill.core.errors import MashbillError, TeacherError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

Said = TypeVar("Said")

_LONGEST_POLL = 60.0
_TRIES = 8
_FOR_TRIES = 90.0  # seconds that these take where each fails at once, about
_BLIND = 2  # submissions of one batch where nobody can tell whether the one before was taken
_UNSURE = 2.0  # seconds before a batch is looked for: what made it may still be at work
_OK = 200
_NO_LIST = frozenset({400, 404, 405, 501})
_LATER = frozenset({408, 409, 425, 429})


@dataclass(frozen=True)
class Endpoint:
    """How a lane's batches are made; see :mod:`mashbill.client.wire.batching`."""

    wire: Any
    """a ``BatchWire``"""
    base_url: str
    asked: Callable[[Order], Any]
    """returns the request of an order, as the wire takes it"""
    poll: float = 5.0
    """seconds between looks at first; half as much again each time, up to a minute"""


class NeverOpen(Breaker):
    """A batch lane's: what fails in a batch says nothing of when the next request may go."""

    def failed(self, reason: str, now: float) -> bool:  # noqa: ARG002
        """Open for nothing."""
        return False


@dataclass
class Submitted:
    """A batch that is submitted, or about to be."""

    key: str
    calls: list[str]
    secret: str
    id: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    sent_at: float = 0.0
    """by the lane's clock; only of an earlier run's"""
    left: set[str] = field(default_factory=set)
    """calls for which it still counts: neither on disk, nor to be asked for again"""

    def __post_init__(self) -> None:
        """All of its calls are left."""
        self.left.update(self.calls)


class RejectedError(TeacherError):
    """A call that was refused, so that nothing came of it."""


class UnreadableError(TeacherError):
    """A response of status 200 that is not what was asked for, and will not be."""


@dataclass
class BatchCalls(Lane):
    """A lane that can call a batch endpoint; see :class:`mashbill.client.batch_lane.BatchLane`."""

    endpoint: Endpoint | None = None
    known_batches: set[str] = field(default_factory=set)
    """ids of batches that the journal knows: what it knows is looked for no more"""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _polled: set[str] = field(default_factory=set)
    """batches of which it is told that they are waited for"""

    def _endpoint(self) -> Endpoint:
        if self.endpoint is None:
            msg = "a batch lane without an endpoint"
            raise TeacherError(msg)
        return self.endpoint

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except MashbillError as error:
            self.context.stop(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the wait, and say so
            self._at_fault(error)

    async def _sent(self, call: Any, orders: Sequence[Order] = ()) -> Response:
        """Make a call once, as soon as nothing holds it back.

        Args:
            call: the call.
            orders: those that go with it.

        Raises:
            TransportError: if no whole response came in time.
            TeacherError: if the service asks to wait for too long.
        """
        clock = self.context.clock
        while True:
            now = clock()
            wait = self.pace.wait(0, now)
            if wait <= 0:
                break
            if self._waits_too_long(now):
                await asyncio.sleep(3600)  # until the lane, which is stopped, cancels it
            self.telling.waits(wait, self.pace.holder(0, now), now)
            await asyncio.sleep(wait)
        began = clock()
        for order in orders:
            order.sent_at = began
            order.attempts += 1
        url = self._endpoint().base_url + call.path
        headers = {**call.headers, "User-Agent": self.route.agent}
        try:
            async with asyncio.timeout(self.route.timeout):
                response = await self.context.transport.send(call.method, url, headers, call.body)
        except TimeoutError as error:
            msg = f"no answer within {self.route.timeout:.0f} s"
            raise TransportError("timeout", msg) from error
        except TransportError as error:
            if not self.patience.reached and error.hopeless:
                raise TeacherError(self._told(call, error.reason)) from error
            if error.oversized:
                raise UnreadableError(self._told(call, error.reason)) from error
            if not self.patience.reached:
                self.telling.unreached(error.reason, _FOR_TRIES)
            raise
        self.patience.reached = True
        self.telling.moved(clock())
        if response.status == _OK:
            self.holding.answered()
        else:
            self._obey(response, began)
        return response

    def _obey(self, response: Response, began: float) -> None:
        """Hold everything of this account and model back, where a response asks for that."""
        asked = asked_to_wait(response.headers, datetime.now(UTC))
        said = asked.seconds
        limited = response.status == RATE_LIMITED
        if said is None and not limited and asked.is_believed:
            return
        wait = self.holding.unsaid() if said is None else said
        if limited:
            self.holding.limited()
        now = self.context.clock()
        error = self.holding.record(asked, wait, "", _why(response), began, now)
        if error is not None:
            msg = f"{error}; batches that are submitted go on"
            raise TeacherError(msg)
        by = asked.header or "a rate limit that does not say for how long"
        self.holding.hold(wait, now, by)

    async def _call(
        self, call: Any, read: Callable[[bytes], Said], none: frozenset[int] = frozenset()
    ) -> Said | None:
        """Make a call, again where it fails for a while.

        Args:
            call: the call.
            read: reads the body of its response.
            none: statuses that say there is no such thing; the result is then None.

        Raises:
            RejectedError: if it is refused.
            UnreadableError: if its response is of another kind.
            TeacherError: if it fails too often.
        """
        reason = ""
        for attempt in range(_TRIES):
            try:
                response = await self._sent(call)
                if response.status == _OK:
                    return read(response.body)
                if response.status in none:
                    return None
                reason = self._reason(call, response)
            except TransportError as error:
                reason = error.reason
            except MashbillError:
                raise
            except Exception as error:  # a wire's own; conduct lies below the wires
                reason = f"what came back cannot be read: {error}"
                if not _was_cut(error):
                    raise UnreadableError(self._told(call, reason)) from error
            await asyncio.sleep(_backoff(attempt))
        raise TeacherError(self._told(call, reason))

    def _reason(self, call: Any, response: Response) -> str:
        """Return why a call failed for now.

        Raises:
            RejectedError: if it would fail again.
        """
        reason = _why(response)
        if response.status not in _LATER and response.status < 500:
            raise RejectedError(self._told(call, reason))
        return reason

    def _told(self, call: Any, reason: str) -> str:
        return (
            f"{self.route.account.host}{call.path}: {reason}. Batches that are submitted go on; "
            "run the same command again to fetch them"
        )

    async def _make(
        self, call: Any, orders: Sequence[Order], ids: Sequence[str], secret: str
    ) -> tuple[Any, str]:
        """Make the call that makes a batch; return how it stands, and "running" or "found".

        Where it cannot be known whether a batch came of it, the batch is looked for before
        another is made.

        Raises:
            RejectedError: if it is refused: there is no batch then.
            TeacherError: if it fails too often: there may be one.
        """
        read, since = self._endpoint().wire.state, datetime.now(UTC)
        reason, blind = "", 0
        for attempt in range(_TRIES):
            unsure = True
            try:
                response = await self._sent(call, orders)
                if response.status == _OK:
                    return read(json.loads(response.body)), "running"
                reason = self._reason(call, response)
                unsure = response.status != RATE_LIMITED
            except TransportError as error:
                reason, unsure = error.reason, error.kind != "connect"
            except MashbillError:
                raise
            except Exception as error:
                reason = f"what came back cannot be read: {error}"
                if not _was_cut(error):
                    raise UnreadableError(self._told(call, reason)) from error
            await asyncio.sleep(max(_backoff(attempt), _UNSURE if unsure else 0.0))
            if unsure:
                listed, state = await self._find(ids, secret, since)
                if state is not None:
                    return state, "found"
                blind += not listed
                if blind == _BLIND:
                    break
                told = "not made" if listed else "uncertain"
                detail = {"requests": len(ids), "state": told, "reason": reason}
                self.recording.event("batch", "", detail)
        raise TeacherError(self._told(call, reason))

    async def _find(self, ids: Sequence[str], secret: str, since: datetime) -> tuple[bool, Any]:
        """Look for a batch whose submission was cut off.

        Returns:
            whether the provider has a list, and how the batch stands; None if it is not there.
        """
        wire = self._endpoint().wire

        def read(raw: bytes) -> list[Any]:
            found: list[Any] = wire.candidates(json.loads(raw), ids, since)
            return found

        states = await self._call(wire.listing(secret), read, _NO_LIST)
        for state in states or ():
            if state.id not in self.known_batches and await self._is_ours(state, ids, secret):
                self.known_batches.add(state.id)
                return True, state
        return states is not None, None

    async def _is_ours(self, state: Any, ids: Sequence[str], secret: str) -> bool:
        """Return whether a batch is of these requests; without a mark, its results tell."""
        if self._endpoint().wire.keeps_mark:
            return True
        try:
            ended = await self._ended(state.id, secret)
            return bool(ended and await self._items(ended, ids, secret))
        except UnreadableError:
            return False

    async def _ended(
        self, batch: str, secret: str, none: frozenset[int] = frozenset({404, 410})
    ) -> Any:
        """Return how a batch stands once it has ended, or None if it is not there any more."""
        endpoint, wait = self._endpoint(), self._endpoint().poll
        while True:
            state = await self._call(
                endpoint.wire.poll(batch, secret),
                lambda raw: endpoint.wire.state(json.loads(raw)),
                none,
            )
            if state is None or state.state != "running":
                return state
            self._tell_poll(batch, wait)
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, max(_LONGEST_POLL, endpoint.poll))

    def _tell_poll(self, batch: str, wait: float) -> None:
        """Tell once of each batch that it is waited for."""
        if batch not in self._polled:
            self._polled.add(batch)
            self.context.tell(
                f"{self.route.place}: batch {foreign.quoted(batch)} runs; its provider answers it "
                f"within a day, and it is looked at every {wait:,.0f} s to a minute. {STOPS}."
            )

    async def _items(
        self,
        state: Any,
        ids: Sequence[str],
        secret: str,
        none: frozenset[int] = frozenset({404, 410}),
    ) -> list[Any]:
        """Return what became of each request of a batch, as far as its provider keeps it.

        Raises:
            UnreadableError: if it is of other requests.
        """
        wire = self._endpoint().wire
        found: list[Any] = []
        for call in wire.results(state, secret):
            found += await self._call(call, lambda raw: wire.items(raw, ids), none) or []
        return found


def _why(response: Response) -> str:
    said = response.body[:200].decode("utf-8", "replace")
    return f"status {response.status}: {said}"


def _was_cut(error: Exception) -> bool:
    """Return whether a body that cannot be read was cut short: JSON's error, or a wire's."""
    return isinstance(error, ValueError) or bool(getattr(error, "retry", False))


def _backoff(attempt: int) -> float:
    return min(0.5 * 2.0**attempt, 30.0)
