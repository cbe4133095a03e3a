"""A lane: the requests to one model by one account, under one limiter.

Everything here runs on the client's loop. A request that must wait, for a limit or to be tried
again, holds no slot; and no request waits for others that were handed in with it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mashbill.calls.paid_call import PaidCall
from mashbill.client.holding import Holding
from mashbill.client.limits import LONGEST_HOLD, Pace, asked_to_wait
from mashbill.client.order import ANSWERED, Answered, Order, Refused
from mashbill.client.patience import Patience
from mashbill.client.pressure import Breaker, Window
from mashbill.client.recording import Recording
from mashbill.client.retries import Retries
from mashbill.client.route import ClientContext, Counts, Route
from mashbill.client.transport import Response, TransportError
from mashbill.client.waiting import Telling, all_refused, misled
from mashbill.core.errors import MashbillError, TeacherError
from mashbill.core.teacher import Answer

RATE_LIMITED = 429
_OVERLOADED = frozenset({408, 503, 504, 529})
_ALL_REFUSED = 20  # requests refused for good, and none answered: it is not the requests


@dataclass
class Lane:
    """See the module."""

    route: Route
    context: ClientContext
    pace: Pace
    window: Window
    breaker: Breaker = field(default_factory=Breaker)
    counts: Counts = field(default_factory=Counts)
    ready: deque[Order] = field(default_factory=deque)
    flying: set[Order] = field(default_factory=set)
    unwritten: dict[str, Order] = field(default_factory=dict)
    _later: Retries = field(default_factory=Retries)
    _timer: asyncio.TimerHandle | None = None
    _stopped: bool = False
    patience: Patience = field(init=False)
    recording: Recording = field(init=False)
    holding: Holding = field(init=False)
    telling: Telling = field(init=False)

    def __post_init__(self) -> None:
        """Begin to tell and to record."""
        self.patience = Patience(self.route)
        self.recording = Recording(self.route, self.context)
        self.holding = Holding(self.pace, self.recording, self.counts)
        self.telling = Telling(self.route.place, self.context.tell)

    @property
    def waiting(self) -> int:
        """Orders that are not sent."""
        return len(self.ready) + len(self._later)

    def pump(self) -> None:
        """Send what may be sent, and come back when more may be."""
        context = self.context
        if self._stopped:
            return
        now = context.clock()
        self.ready.extend(self._later.due(now))
        while self.ready and len(self.flying) + len(self.unwritten) < int(self.window.size):
            order = self.ready[0]
            limited = self.pace.wait(order.tokens, now)
            wait = max(self.breaker.wait(now), limited)
            if wait > 0:
                if not self._waits_too_long(now):
                    self.telling.waits(limited, self.pace.holder(order.tokens, now), now)
                    self._again(wait)
                return
            if not context.budget.reserve(order.most):
                if not context.budget.in_flight:
                    context.stop(context.budget.reached(order.most, self.waiting))
                return
            self.ready.popleft()
            self.pace.take(order.tokens)
            self.breaker.sent()
            order.sent_at = now
            order.attempts += 1
            self.flying.add(order)
            order.task = asyncio.get_running_loop().create_task(self._send(order))
        if self._later.first is not None:
            self._again(self._later.first - now)

    def _waits_too_long(self, now: float) -> bool:
        """Stop if what a service told holds everything back for longer than is waited for."""
        error = self.holding.over(now)
        if error is not None:
            self.context.stop(error)
        return error is not None

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
        if self._stopped or not (self.waiting or self.flying):
            self.telling.idle()
        else:
            self.telling.silent(now, lambda: self._waits_for(now))

    def _waits_for(self, now: float) -> str:
        """Return what is waited for, in words."""
        if self.flying:
            oldest = now - min(order.sent_at for order in self.flying)
            told = f"{len(self.flying):,} requests are in flight, the first for {oldest:,.0f} s"
            told += f", of {self.route.timeout:,.0f} s that each has"
        else:
            told = f"{self.waiting:,} requests wait to be tried again"
        return f"{told}; at last: {self.breaker.last[:200]}" if self.breaker.failures else told

    def _out_of_patience(self, now: float) -> None:
        """Stop where nothing was answered for too long; give up what failed for itself."""
        told = self.patience.starved(now)
        if not told and (self.waiting or self.flying):
            told = self.patience.unanswered(now, self.breaker)
            if told and self._each_often_enough():
                # Nothing else is left to ask: it is these requests, and not the service.
                for order in self._unsent():
                    self._give_up(order, self.breaker.last, now)
                return
        if told:
            self.context.stop(
                TeacherError(
                    f"{told}. What was answered is in the journal: run the same command again when "
                    "the service is back"
                )
            )

    def _each_often_enough(self) -> bool:
        """Return whether all that is left to ask failed as often as a request may."""
        left = (*self.ready, *self._later, *self.flying)
        return all(order.failures >= self.route.attempts for order in left)

    def _unsent(self) -> list[Order]:
        """Take out the orders that are not sent."""
        left = [*self.ready, *self._later]
        self.ready.clear()
        self._later.clear()
        return left

    def stop(self) -> list[Order]:
        """Send nothing more; return the orders that were not sent."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        return self._unsent()

    async def _send(self, order: Order) -> None:
        route = self.route
        if self.pace.held_until > self.context.clock():
            # A 429 came in between the decision to send and this, its first step.
            self._landed(order)
            self.context.budget.release(order.most)
            order.attempts -= 1
            self.ready.appendleft(order)
            self.pump()
            return
        key = route.account.key_for(order.call)
        try:
            response = await self.context.transport.send(
                "POST", route.url, route.headers[key], order.body
            )
        except TransportError as error:
            self._landed(order)
            self._not_carried(order, error)
        except asyncio.CancelledError:
            self._landed(order)
            if not order.overdue:
                self.context.budget.release(order.most)
                raise
            order.overdue = order.invalid = False
            self.patience.reached = True
            reason = f"no answer within {route.timeout:.0f} s"
            self._failed(order, "timeout", reason, overloaded=True)
        except MashbillError as error:
            self._landed(order)
            self.context.budget.release(order.most)
            self.context.stop(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the wait, and say so
            self._landed(order)
            self.context.budget.release(order.most)
            self._at_fault(error)
        else:
            self._landed(order)
            try:
                self._read(order, response)
            except Exception as error:  # noqa: BLE001 - a fault of ours must end the wait, and say so
                self._at_fault(error)
        self.pump()

    def _at_fault(self, error: Exception) -> None:
        """Stop for a fault of ours; the words of a library may quote a header."""
        said = self.context.scrubber.text(repr(error), is_error=True)
        self.context.stop(TeacherError(f"{self.route.account.host}: {said}; please report it"))

    def _not_carried(self, order: Order, error: TransportError) -> None:
        """Make of a request that got no response what its cause asks for."""
        order.invalid = False
        if error.oversized:
            # It was answered, and would be again.
            self.patience.reached = True
            refused = Refused(error.reason, retry=False, unread=True)
            self._refused(order, refused, Response(200, {}, b""), self.context.clock())
            return
        if not self.patience.reached and error.hopeless:
            self.context.budget.release(order.most)
            self.context.stop(
                TeacherError(
                    f"{self.route.place}: {error.reason}; correct base_url of the teacher or of "
                    "the account"
                )
            )
            return
        if error.kind == "timeout":
            self.patience.reached = True  # there is somebody, who says nothing
        elif not self.patience.reached:
            self.telling.unreached(error.reason, self.patience.seconds)
        self._failed(
            order, error.kind, error.reason, overloaded=error.kind in {"connect", "timeout"}
        )

    def _landed(self, order: Order) -> None:
        self.flying.discard(order)
        order.task = None

    def _read(self, order: Order, response: Response) -> None:
        now = self.context.clock()
        self.patience.reached = True
        self.telling.moved(now)
        self.holding.learn(response.headers, order.call, now)
        outcome = self._outcome(order, response)
        if isinstance(outcome, Answered):
            self._answered(order, outcome, now)
        elif outcome.ends_run:
            self.context.budget.release(order.most)
            self.recording.event(
                "refused", order.call, {"status": response.status, "reason": outcome.reason}
            )
            told = f"{self.route.account.host}: {outcome.reason}{misled(self.route.url, response)}"
            self.context.stop(TeacherError(told))
        elif outcome.retry and (outcome.limited or response.status == RATE_LIMITED):
            self._limited(order, response, outcome, now)
        elif outcome.retry:
            asked = asked_to_wait(response.headers, datetime.now(UTC))
            wait = asked.seconds
            if not asked.is_believed or (wait is not None and wait > LONGEST_HOLD):
                self._limited(order, response, outcome, now)
                return
            if wait is not None:
                self.holding.hold(wait, now, asked.header)
            order.invalid = response.status in ANSWERED
            kind = "invalid" if order.invalid else "server"
            self._failed(
                order, kind, outcome.reason, response.body,
                held=wait, overloaded=response.status in _OVERLOADED, at=now,
            )  # fmt: skip
        else:
            self._refused(order, outcome, response, now)

    def _outcome(self, order: Order, response: Response) -> Answered | Refused:
        """Return what a response is, without the keys that only its pieces made whole."""
        outcome = order.read(response.status, response.headers, response.body)
        return self.context.scrubber.outcome(outcome)

    def _answered(self, order: Order, outcome: Answered, now: float) -> None:
        self.holding.answered()
        self.patience.answered()
        self.window.grow()
        self.breaker.answered()
        self.pace.settle(order.tokens, outcome.tokens_in + outcome.tokens_out)
        self._keep(order, outcome, now)

    def _keep(self, order: Order, outcome: Answered, now: float) -> None:
        """Hand an answer to the journal; the order's slot is free once it is on disk."""
        tokens = outcome.tokens_in + outcome.tokens_out
        spent = type(order.most)(outcome.price, tokens)
        self.context.budget.settle(order.most, spent)
        self.counts.bought(tokens, outcome.price)
        self.unwritten[order.call] = order
        self.recording.answer(order, outcome, now)
        order.on_answer(1, tokens, outcome.price)

    def written(self, item: PaidCall) -> Order | None:
        """Free the slot of an answer that is written; return its order, if it is of this lane."""
        return self.unwritten.pop(item.call, None)

    def _limited(self, order: Order, response: Response, outcome: Refused, now: float) -> None:
        """Obey a 429: nothing of this account and model goes before its time, by any key."""
        self.context.budget.release(order.most)
        self.breaker.answered()
        asked = asked_to_wait(response.headers, datetime.now(UTC), in_body=outcome.wait)
        self.patience.limited(now, asked.seconds or 0.0)
        wait = self.holding.wait_of(asked.seconds)
        self.holding.limited()
        error = self.holding.record(asked, wait, order.call, outcome.reason, order.sent_at, now)
        if error is not None:
            self.context.stop(error)
            return
        by = asked.header or f"a rate limit ({outcome.reason[:100]})"
        self.holding.hold(wait, now, by)
        self.window.cut(order.sent_at, now)
        self.ready.appendleft(order)

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
        now = self.context.clock() if at is None else at
        self.context.budget.release(order.most)
        self.counts.failed += 1
        order.failures += 1
        if overloaded:
            self.window.cut(order.sent_at, now)
        if order.invalid:
            self.breaker.answered()
        elif self.breaker.failed(reason, now):
            self.recording.event("breaker-open", order.call, {"after": reason[:200]}, now)
            if self.patience.reached:
                since = self.breaker.since if self.breaker.since is not None else now
                left = self.route.patience - (now - since)
                self.telling.opened(reason, self.breaker.wait(now), left)
        detail: dict[str, Any] = {
            "reason": reason[:300],
            "attempt": order.attempts,
            "seconds": round(now - order.sent_at, 3),
        }
        if held is not None:
            detail["held"] = round(held, 3)
        if body:
            detail["body"] = body[:2000].decode("utf-8", "replace")
        self.recording.event(kind, order.call, detail, now)
        if self._may_give_up(order):
            self._give_up(order, reason, now)
            return
        self._later.back_off(order, now)

    def _may_give_up(self, order: Order) -> bool:
        """Return whether a request failed often enough, and the service is there for others."""
        return order.failures >= self.route.attempts and not self.breaker.is_open

    def _give_up(self, order: Order, reason: str, now: float) -> None:
        failed = f"{order.failures} attempts failed, the last one so: {reason[:200]}"
        self.context.budget.hold(order.most)
        self._keep(order, Answered(Answer((), 0, failed=failed), flags="given-up"), now)

    def _refused(self, order: Order, outcome: Refused, response: Response, now: float) -> None:
        """Keep a request that is refused for good, with the reason, as what is not to be bought.

        So is an answer that cannot be read here, which is no refusal, and is told as ours.
        """
        self.breaker.answered()
        self.counts.refused += 1
        self.recording.event("refused", order.call,
            {"status": response.status, "reason": outcome.reason[:300],
             "body": response.body[:2000].decode("utf-8", "replace")},
        )  # fmt: skip
        answered = self.counts.calls - self.counts.refused + 1
        if self.counts.refused >= _ALL_REFUSED and answered <= 0:
            self.context.budget.release(order.most)
            self.context.stop(all_refused(self.route.account.host, self.counts.refused, outcome))
            return
        if outcome.kept is not None:
            self._keep(order, outcome.kept, now)
            return
        who = "mashbill could not read its answer" if outcome.unread else "the service refused it"
        failed = Answer((), 0, failed=f"{who}: {outcome.reason[:300]}")
        self._keep(order, Answered(failed, flags="unread" if outcome.unread else "refused"), now)
