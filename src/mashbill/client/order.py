"""A request on its way, and what is made of its response."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mashbill.client.budget import Cost
from mashbill.core.teacher import Answer, Question

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from mashbill.core.errors import MashbillError


ANSWERED = frozenset({200, 201, 203})
"""statuses of answers: some gateways call what they made created"""
UNREAD = "unread"
"""finish of an answer that could not be read; its text is the body as it came"""


@dataclass(slots=True)
class Answered:
    """A response that is an answer, or one that is to be kept as the reason why there is none."""

    answer: Answer
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    price: float = 0.0
    """US dollars"""
    served: str = ""
    """the model and the response, as the provider names them"""
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A response that is no answer."""

    reason: str
    retry: bool
    """whether the same request may be answered at another time"""
    ends_run: bool = False
    """whether no request of this lane could be answered: a key, a model, a quota"""
    wait: float | None = None
    """seconds that its body asks to wait, where a provider says so there"""
    limited: bool = False
    """whether it is a rate limit, whatever the status that it came with"""
    unread: bool = False
    """whether it may be an answer, which cannot be read here: a loss of ours, not a refusal"""
    kept: Answered | None = None
    """of what cannot be read, its body as text, and what it will have cost: to be read again by a
    later release, which need not buy it again"""


class Reader(Protocol):
    """What a teacher's wire makes of a response."""

    def __call__(self, status: int, headers: Mapping[str, str], body: bytes) -> Answered | Refused:
        """Read it; whatever it holds, it is one or the other."""
        ...


class Batch:
    """Orders that were handed in together: answers by place, and somebody who waits for them."""

    def __init__(self, size: int) -> None:
        self.answers: list[Answer | None] = [None] * size
        self.left = size
        self.error: MashbillError | None = None
        self.ended = threading.Event()
        if not size:
            self.ended.set()

    def deliver(self, place: int, answer: Answer) -> None:
        """Put an answer in its place."""
        if self.answers[place] is None:
            self.answers[place] = answer
            self.left -= 1
            if not self.left:
                self.ended.set()

    def fail(self, error: MashbillError) -> None:
        """End without the answers that are missing."""
        self.error = self.error or error
        self.ended.set()


@dataclass(slots=True, eq=False)
class Order:
    """One request. Times are of a monotonic clock, in seconds."""

    call: str
    question: Question
    body: bytes
    tokens: float
    """expected, read and written: for limits"""
    most: Cost
    """at most: for the budget"""
    read: Reader
    on_answer: Callable[[int, int, float], None] = lambda *_: None
    """told calls, tokens and US dollars of its answer: of the stage that asks"""
    waiting: list[tuple[Batch, int]] = field(default_factory=list)
    """who is to get the answer, and at which place"""
    asked_at: float = 0.0
    sent_at: float = 0.0
    attempts: int = 0
    """times sent, whatever came of it"""
    failures: int = 0
    """times that it failed for another reason than a limit"""
    waited: float = 0.0
    task: asyncio.Task[None] | None = None
    overdue: bool = False
    invalid: bool = False
    """its last failure was a response that could not be read"""
    answer: Answer | None = None
    """what came, until it is written and given to who waits"""

    def deliver(self, answer: Answer) -> None:
        """Give everybody who waits the answer."""
        for batch, place in self.waiting:
            batch.deliver(place, answer)

    def fail(self, error: MashbillError) -> None:
        """End everybody's wait."""
        for batch, _ in self.waiting:
            batch.fail(error)
