"""What a lane is given, and what it counts: the route of its requests, and what all lanes share."""

from __future__ import annotations

import json
import time
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mashbill.client.scrubbing import Scrubber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mashbill.calls.paid_call import PaidCall
    from mashbill.calls.runs import Event
    from mashbill.client.accounts import Account
    from mashbill.client.budget import Budget
    from mashbill.client.transport import Transport
    from mashbill.core.errors import MashbillError

_second: list[Any] = [-1, ""]
"""the last second that was written out: thousands of answers fall into one"""


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
    """the :class:`mashbill.client.batch_lane.Endpoint`, where requests go in batches"""
    attempts: int = 8
    """failures of one request before it is given up"""
    patience: float = 900.0
    """seconds without any answer before the run stops"""
    first_patience: float = 900.0
    """the same while nothing at all has come from there in this run, and no connection is had"""

    @property
    def place(self) -> str:
        """Host and model, for messages."""
        return f"{self.account.host}, model {self.model}"

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

    def bought(self, tokens: int, usd: float) -> None:
        """Count an answer."""
        self.calls += 1
        self.tokens += tokens
        self.usd += usd

    def with_(self, other: Counts) -> Counts:
        """Return the sum of both."""
        return Counts(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class ClientContext:
    """What all lanes of a client share."""

    run: str
    transport: Transport
    budget: Budget
    write: Callable[[PaidCall | Event], None]
    stop: Callable[[MashbillError], None]
    """told why no request of the run may be sent any more"""
    clock: Callable[[], float]
    tell: Callable[[str], None] = lambda _: None
    """told in a line what is waited for"""
    scrubber: Scrubber = Scrubber()  # noqa: RUF009 - one that knows no key
    """takes keys out of what somebody else wrote"""


def utc_now() -> str:
    """Return the time, UTC, ISO 8601 to the millisecond."""
    return utc(time.time())


def utc(seconds: float) -> str:
    """Return a time in seconds since 1970 as UTC, ISO 8601 to the millisecond."""
    second, thousandths = divmod(int(seconds * 1000), 1000)
    if second != _second[0]:
        text = datetime.fromtimestamp(second, UTC).isoformat()
        _second[:] = second, text.removesuffix("+00:00")
    return f"{_second[1]}.{thousandths:03d}+00:00"
