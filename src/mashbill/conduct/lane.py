"""A lane: the requests to one model by one account, under one limiter.

Everything here runs on the client's loop. A request that must wait, for a limit or to be tried
again, holds no slot; and no request waits for others that were handed in with it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import random
import time
from collections import deque
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.conduct.bought import Bought
from mashbill.conduct.journal import Event
from mashbill.conduct.limits import Pace, retry_after
from mashbill.conduct.order import Answered, Order, Refused
from mashbill.conduct.pressure import Breaker, Window
from mashbill.conduct.transport import Response, TransportError
from mashbill.core.errors import MashbillError, TeacherError
from mashbill.core.stage import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mashbill.conduct.accounts import Account
    from mashbill.conduct.budget import Budget
    from mashbill.conduct.transport import Transport

RATE_LIMITED = 429
_OVERLOADED = frozenset({408, 503, 504, 529})
_BACKOFF = 0.5  # seconds, doubled with each failure, up to
_LONGEST_BACKOFF = 30.0
_UNSAID_WAIT = 1.0  # after a 429 that does not say how long, doubled while they follow each other
LONGEST_HOLD = 900.0  # seconds: a service that asks to wait for longer is asked by another run
_WORTH_TELLING = 0.1  # seconds by which an empty window must hold back what nothing else does
_LIMITS_BELIEVED = 4  # in a row, before their Retry-After alone is no longer enough
_second: list[Any] = [-1, ""]
"""the last second that was written out: thousands of answers fall into one"""
_ALL_REFUSED = 20  # requests refused for good, and none answered: it is not the requests


@dataclass(frozen=True)
class Route:
    """How a lane's requests go: what conduct facts are about."""

    account: Account
    url: str
    wire: str
    model: str
    headers: Mapping[str, Mapping[str, str]]
    """by key: all headers of a request"""
    agent: str
    """User-Agent"""
    teacher: str
    """canonical JSON of the teacher's identity"""
    terms: str
    timeout: float = 600.0
    """seconds for one request"""
    most: int = 64
    """requests in flight"""
    batches: Any = None
    """the :class:`mashbill.conduct.batch_lane.Endpoint`, where requests go in batches"""
    attempts: int = 8
    """failures of one request before it is given up"""
    patience: float = 900.0
    """seconds without any answer before the run stops"""

    def facts(self) -> str:
        """Return what is written down of it, as JSON."""
        account = self.account
        return json.dumps(
            {
                "service": account.service, "host": account.host, "wire": self.wire,
                "model": self.model, "account": account.alias,
                "organisation": account.organisation, "keys": len(account.keys),
                "agent": self.agent,
            },
            ensure_ascii=False, sort_keys=True,
        )  # fmt: skip


@dataclass
class Counts:
    """What a lane did, for progress and for the statement."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0
    limited: int = 0
    failed: int = 0
    refused: int = 0
    waited: float = 0.0
    """seconds that Retry-After held everything back"""

    def with_(self, other: Counts) -> Counts:
        """Return the sum of both."""
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Surroundings:
    """What all lanes of a client share."""

    run: str
    transport: Transport
    budget: Budget
    write: Callable[[Bought | Event], None]
    stop: Callable[[MashbillError], None]
    """told why no request of the run may be sent any more"""
    clock: Callable[[], float]


@dataclass
class Lane:
    """See the module."""

    route: Route
    around: Surroundings
    pace: Pace
    window: Window
    breaker: Breaker = field(default_factory=Breaker)
    counts: Counts = field(default_factory=Counts)
    ready: deque[Order] = field(default_factory=deque)
    flying: set[Order] = field(default_factory=set)
    unwritten: dict[str, Order] = field(default_factory=dict)
    _later: list[tuple[float, int, Order]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _timer: asyncio.TimerHandle | None = None
    _limits_in_a_row: int = 0
    _starving_since: float | None = None
    """since when there are limits and no answers"""
    _facts: str = ""
    _stopped: bool = False

    @property
    def waiting(self) -> int:
        """Orders that are not sent."""
        return len(self.ready) + len(self._later)

    def pump(self) -> None:
        """Send what may be sent, and come back when more may be."""
        around = self.around
        if self._stopped:
            return
        now = around.clock()
        while self._later and self._later[0][0] <= now:
            self.ready.append(heapq.heappop(self._later)[2])
        while self.ready and len(self.flying) + len(self.unwritten) < int(self.window.size):
            order = self.ready[0]
            wait = max(self.breaker.wait(now), self.pace.wait(order.tokens, now))
            if wait > 0:
                self._again(wait)
                return
            if not around.budget.reserve(order.most):
                if not around.budget.in_flight:
                    around.stop(around.budget.reached(order.most, self.waiting))
                return
            self.ready.popleft()
            self.pace.take(order.tokens)
            self.breaker.sent()
            order.sent_at = now
            order.attempts += 1
            self.flying.add(order)
            order.task = asyncio.get_running_loop().create_task(self._send(order))
        if self._later:
            self._again(self._later[0][0] - now)

    def _again(self, wait: float) -> None:
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(max(wait, 0.001), self.pump)

    def sweep(self, now: float) -> None:
        """End requests that are overdue."""
        for order in self.flying:
            if now - order.sent_at > self.route.timeout and order.task and not order.overdue:
                order.overdue = True
                order.task.cancel()
        self._out_of_patience(now)

    def _out_of_patience(self, now: float) -> None:
        """Stop where nothing was answered for too long; give up what failed for itself."""
        patience, host = self.route.patience, self.route.account.host
        starving, since = self._starving_since, self.breaker.since
        if starving is not None and now - starving > patience:
            told = f"{host} has answered with rate limits only for {patience:.0f} s"
        elif since is not None and now - since > patience and (self.waiting or self.flying):
            left = [*self.ready, *(order for _, _, order in self._later), *self.flying]
            if all(order.failures >= self.route.attempts for order in left):
                # Nothing else is left to ask: it is these requests, and not the service.
                for order in [order for order in left if order not in self.flying]:
                    self._give_up(order, self.breaker.last, now)
                self.ready.clear()
                self._later.clear()
                return
            told = f"{host} has not answered for {patience:.0f} s; at last: {self.breaker.last}"
        else:
            return
        self.around.stop(
            TeacherError(
                f"{told}. What was answered is in the journal: run the same command again when "
                "the service is back"
            )
        )

    def stop(self) -> list[Order]:
        """Send nothing more; return the orders that were not sent."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        left = [*self.ready, *(order for _, _, order in self._later)]
        self.ready.clear()
        self._later.clear()
        return left

    async def _send(self, order: Order) -> None:
        route = self.route
        if self.pace.held_until > self.around.clock():
            # A 429 came in between the decision to send and this, its first step.
            self._landed(order)
            self.around.budget.release(order.most)
            order.attempts -= 1
            self.ready.appendleft(order)
            self.pump()
            return
        key = route.account.key_for(order.call)
        try:
            response = await self.around.transport.send(
                "POST", route.url, route.headers[key], order.body
            )
        except TransportError as error:
            self._landed(order)
            order.invalid = False
            self._failed(
                order, error.kind, error.reason, overloaded=error.kind in {"connect", "timeout"}
            )
        except asyncio.CancelledError:
            self._landed(order)
            if not order.overdue:
                self.around.budget.release(order.most)
                raise
            order.overdue = order.invalid = False
            reason = f"no answer within {route.timeout:.0f} s"
            self._failed(order, "timeout", reason, overloaded=True)
        except MashbillError as error:
            self._landed(order)
            self.around.budget.release(order.most)
            self.around.stop(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the wait, and say so
            self._landed(order)
            self.around.budget.release(order.most)
            self.around.stop(TeacherError(f"{route.account.host}: {error!r}; please report it"))
        else:
            self._landed(order)
            try:
                self._read(order, response)
            except Exception as error:  # noqa: BLE001 - a fault of ours must end the wait, and say so
                self.around.stop(TeacherError(f"{route.account.host}: {error!r}; please report it"))
        self.pump()

    def _landed(self, order: Order) -> None:
        self.flying.discard(order)
        order.task = None

    def _read(self, order: Order, response: Response) -> None:
        now = self.around.clock()
        before = self.pace.held_until
        if self.pace.learn(response.headers, now):
            self._event("limits", order.call, {"seen": self.pace.seen}, now)
        if self.pace.held_until > max(before, now) + _WORTH_TELLING:
            held = round(self.pace.held_until - now, 3)
            self._event("window-empty", order.call, {"held": held}, now)
        outcome = order.read(response.status, response.headers, response.body)
        if isinstance(outcome, Answered):
            self._answered(order, outcome, now)
        elif outcome.ends_run:
            self.around.budget.release(order.most)
            self._event(
                "refused", order.call, {"status": response.status, "reason": outcome.reason}
            )
            self.around.stop(TeacherError(f"{self.route.account.host}: {outcome.reason}"))
        elif outcome.retry and (outcome.limited or response.status == RATE_LIMITED):
            self._limited(order, response, outcome, now)
        elif outcome.retry:
            wait = retry_after(response.headers, datetime.now(UTC))
            if wait is not None and wait > LONGEST_HOLD:
                self._limited(order, response, outcome, now)
                return
            if wait is not None:
                self._hold(wait, now)
            order.invalid = response.status == 200
            kind = "invalid" if order.invalid else "server"
            self._failed(
                order, kind, outcome.reason, response.body,
                held=wait, overloaded=response.status in _OVERLOADED, at=now,
            )  # fmt: skip
        else:
            self._refused(order, outcome, response, now)

    def _answered(self, order: Order, outcome: Answered, now: float) -> None:
        self._limits_in_a_row = 0
        self._starving_since = None
        self.window.grow()
        self.breaker.answered()
        self.pace.settle(order.tokens, outcome.tokens_in + outcome.tokens_out)
        self._keep(order, outcome, now)

    def _keep(self, order: Order, outcome: Answered, now: float) -> None:
        """Hand an answer to the journal; the order's slot is free once it is on disk."""
        tokens = outcome.tokens_in + outcome.tokens_out
        spent = type(order.most)(outcome.price, tokens)
        self.around.budget.settle(order.most, spent)
        counts = self.counts
        counts.calls += 1
        counts.tokens += tokens
        counts.usd += outcome.price
        self._facts = self._facts or self.route.facts()
        self.unwritten[order.call] = order
        order.waited = max(order.sent_at - order.asked_at, 0.0)
        self.around.write(
            Bought(
                call=order.call, terms=self.route.terms, teacher=self.route.teacher,
                question=order.question, answer=outcome.answer, tokens_in=outcome.tokens_in,
                tokens_out=outcome.tokens_out, tokens_cached=outcome.tokens_cached,
                price=outcome.price, served=outcome.served, route=self._facts,
                run=self.around.run, at=self._at(now), attempts=order.attempts, waited=order.waited,
                seconds=now - order.sent_at, flags=outcome.flags,
            )
        )  # fmt: skip
        order.heard(1, tokens, outcome.price)

    def written(self, item: Bought) -> Order | None:
        """Free the slot of an answer that is written; return its order, if it is of this lane."""
        return self.unwritten.pop(item.call, None)

    def _limited(self, order: Order, response: Response, outcome: Refused, now: float) -> None:
        """Obey a 429: nothing of this account and model goes before its time, by any key."""
        self.around.budget.release(order.most)
        self.breaker.answered()
        said = retry_after(response.headers, datetime.now(UTC))
        wait = outcome.wait if said is None else said
        # What it says it wants to be waited for is not counted against it.
        self._starving_since = (self._starving_since or now) + (said or 0.0)
        # A service that says nothing, or that it is ready and then is not, is asked ever slower.
        slower = min(_UNSAID_WAIT * 2**self._limits_in_a_row, 60.0)
        if wait is None:
            wait = slower
        elif self._limits_in_a_row >= _LIMITS_BELIEVED:
            wait = max(wait, slower / 2**_LIMITS_BELIEVED)
        self._limits_in_a_row += 1
        self.counts.limited += 1
        self._event("rate-limited", order.call,
            {"reason": outcome.reason[:200], "retry_after": said, "held": round(wait, 3),
             "seconds": round(now - order.sent_at, 3)}, now,
        )  # fmt: skip
        if wait > LONGEST_HOLD:
            self.around.stop(
                TeacherError(
                    f"{self.route.account.host} asks to wait {wait:.0f} s ({outcome.reason}); what "
                    "was answered is in the journal: run the same command again after that"
                )
            )
            return
        self._hold(wait, now)
        self.window.cut(order.sent_at, now)
        self.ready.appendleft(order)

    def _hold(self, wait: float, now: float) -> None:
        before = max(self.pace.held_until, now)
        self.pace.hold(wait, now)
        self.counts.waited += max(self.pace.held_until - before, 0.0)

    def _failed(
        self,
        order: Order,
        kind: str,
        reason: str,
        body: bytes = b"",
        *,
        held: float | None = None,
        overloaded: bool = False,
        at: float | None = None,
    ) -> None:
        """Try a request again after a while, or give it up.

        ``overloaded`` says that it failed for being one too many: fewer are then in flight. A fault
        of one request in two hundred is no reason to send fewer. ``at`` says when, if not now.
        """
        now = self.around.clock() if at is None else at
        self.around.budget.release(order.most)
        self.counts.failed += 1
        order.failures += 1
        if overloaded:
            self.window.cut(order.sent_at, now)
        if order.invalid:
            self.breaker.answered()
        elif self.breaker.failed(reason, now):
            self._event("breaker-open", order.call, {"after": reason[:200]}, now)
        detail: dict[str, Any] = {
            "reason": reason[:300],
            "attempt": order.attempts,
            "seconds": round(now - order.sent_at, 3),
        }
        if held is not None:
            detail["held"] = round(held, 3)
        if body:
            detail["body"] = body[:2000].decode("utf-8", "replace")
        self._event(kind, order.call, detail, now)
        if self._may_give_up(order):
            self._give_up(order, reason, now)
            return
        wait = min(_BACKOFF * 2 ** (order.failures - 1), _LONGEST_BACKOFF)
        # Full jitter: requests that failed together do not come back together.
        wait *= 0.5 + random.random() / 2  # noqa: S311 - no secret
        heapq.heappush(self._later, (now + wait, next(self._numbers), order))

    def _may_give_up(self, order: Order) -> bool:
        """Return whether a request failed often enough, and the service is there for others."""
        return order.failures >= self.route.attempts and not self.breaker.is_open

    def _give_up(self, order: Order, reason: str, now: float) -> None:
        failed = f"{order.failures} attempts failed, the last one so: {reason[:200]}"
        self.around.budget.hold(order.most)
        self._keep(order, Answered(Answer((), 0, failed=failed), flags="given-up"), now)

    def _refused(self, order: Order, outcome: Refused, response: Response, now: float) -> None:
        """Keep a request that is refused for good, with the reason, as what is not to be bought."""
        self.breaker.answered()
        self.counts.refused += 1
        self._event("refused", order.call,
            {"status": response.status, "reason": outcome.reason[:300],
             "body": response.body[:2000].decode("utf-8", "replace")},
        )  # fmt: skip
        answered = self.counts.calls - self.counts.refused + 1
        if self.counts.refused >= _ALL_REFUSED and answered <= 0:
            self.around.budget.release(order.most)
            self.around.stop(
                TeacherError(
                    f"{self.route.account.host} refused all of the first {self.counts.refused} "
                    f"requests, the last with: {outcome.reason}; correct the teacher in the recipe"
                )
            )
            return
        failed = Answer((), 0, failed=f"the service refused it: {outcome.reason[:300]}")
        self._keep(order, Answered(failed, flags="refused"), now)

    def _at(self, now: float) -> str:
        """Return the time of day of a moment of the clock, to which its seconds are counted.

        What is read off a second clock, when this thread had to wait in between, would make a
        request look as if it had gone later than it did, and a limit as if it held for longer.
        """
        return _utc(time.time() - (self.around.clock() - now))

    def _event(
        self, kind: str, call: str, detail: Mapping[str, Any], now: float | None = None
    ) -> None:
        at = utc_now() if now is None else self._at(now)
        self.around.write(
            Event(
                self.around.run, at, kind, self.route.account.alias, call,
                json.dumps({**detail, "model": self.route.model}, ensure_ascii=False),
            )
        )  # fmt: skip


def utc_now() -> str:
    """Return the time, UTC, ISO 8601 to the millisecond."""
    return _utc(time.time())


def _utc(seconds: float) -> str:
    second, thousandths = divmod(int(seconds * 1000), 1000)
    if second != _second[0]:
        text = datetime.fromtimestamp(second, UTC).isoformat()
        _second[:] = second, text.removesuffix("+00:00")
    return f"{_second[1]}.{thousandths:03d}+00:00"
