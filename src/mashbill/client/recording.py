"""What a lane puts into the journal: each answer that it paid for, and what happened to it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.calls.paid_call import PaidCall
from mashbill.calls.runs import Event
from mashbill.calls.written import WrittenAnswer, WrittenQuestion
from mashbill.client.route import ClientContext, Route, utc, utc_now

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.client.order import Answered, Order


@dataclass
class Recording:
    """See the module. Moments are of the lane's clock, in seconds."""

    route: Route
    context: ClientContext
    _facts: str = ""

    def answer(self, order: Order, outcome: Answered, now: float) -> None:
        """Put down an answer, with how it was had."""
        self._facts = self._facts or self.route.facts()
        order.waited = max(order.sent_at - order.asked_at, 0.0)
        order.answer = outcome.answer
        self.context.write(
            PaidCall(
                call=order.call, terms=self.route.terms, teacher=self.route.teacher,
                question=WrittenQuestion.of(order.question),
                answer=WrittenAnswer.of(outcome.answer), tokens_in=outcome.tokens_in,
                tokens_out=outcome.tokens_out, tokens_cached=outcome.tokens_cached,
                price=outcome.price, served=outcome.served, route=self._facts,
                run=self.context.run, at=self.at(now), attempts=order.attempts, waited=order.waited,
                seconds=now - order.sent_at, flags=outcome.flags,
            )
        )  # fmt: skip

    def event(
        self, kind: str, call: str, detail: Mapping[str, Any], now: float | None = None
    ) -> None:
        """Put down what happened.

        Args:
            kind: which kind of thing.
            call: the request that it happened to; empty if to none.
            detail: what else there is to say, for JSON.
            now: when; None if just now.
        """
        at = utc_now() if now is None else self.at(now)
        self.context.write(
            Event(
                self.context.run, at, kind, self.route.account.alias, call,
                json.dumps({**detail, "model": self.route.model}, ensure_ascii=False),
            )
        )  # fmt: skip

    def at(self, now: float) -> str:
        """Return the time of day of a moment of the clock, to which its seconds are counted.

        What is read off a second clock, when this thread had to wait in between, would make a
        request look as if it had gone later than it did, and a limit as if it held for longer.
        """
        return utc(time.time() - (self.context.clock() - now))
