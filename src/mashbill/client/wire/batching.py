"""What the batch endpoints have in common: what is sent, how a batch stands, what came of it.

Pure, as the wires are: what is to be sent is a :class:`Call`, what came back is read. Each request
has a custom id, by which its answer is found, since answers come in any order.
Limits and discounts of the three endpoints are those of the providers' batch guides, read in
November 2026.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from mashbill.client.wire import WireError
from mashbill.client.wire.reading import record, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from mashbill.client.wire import Ask, Wire

Said = TypeVar("Said")

StateName = Literal["running", "ended", "failed", "expired", "cancelled"]
"""only while running may it change; there may be results in every other state"""
ItemState = Literal["answered", "failed", "expired", "cancelled"]

MEGABYTE = 1_000_000
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
"""what every provider takes; Anthropic says it so"""
_NAME = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider documents of its batches."""

    requests: int | None
    """requests in a batch at most; None if no number is documented"""
    bytes: int
    """of the submission at most"""
    discount: float
    """part of the price of the same requests that is saved"""
    hours: int
    """after which what is not answered expires"""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to make."""

    method: Literal["GET", "POST"]
    path: str
    """below the base address of the wire"""
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class State:
    """How a batch stands."""

    id: str
    state: StateName
    total: int
    """requests; 0 while the provider has not counted them"""
    answered: int
    failed: int
    """of the requests, those that will not be answered: errors, expired and cancelled ones"""
    results: tuple[str, ...] = ()
    """paths at which the results lie"""
    reason: str = ""
    """why it failed, in a line"""


@dataclass(frozen=True, slots=True)
class Listed:
    """One of the batches that a provider lists."""

    state: State
    created: datetime | None
    name: str = ""
    """what it was given as a mark; empty where a provider keeps none"""


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one request."""

    custom_id: str
    state: ItemState
    status: int
    """HTTP status, or the one that the provider's error stands for; 0 if there is none"""
    body: Any
    """if answered, what the wire reads; else the error"""


class BatchWire(Protocol):
    """A provider's batch endpoint."""

    limits: Limits
    steps: int
    """calls that a submission takes"""
    keeps_mark: bool
    """whether a batch that is listed shows its mark; else only its results tell whose it is"""

    def submit(
        self, asks: Sequence[tuple[str, Ask]], key: str, replies: Sequence[Any] = ()
    ) -> Call:
        """Return the next call of a submission, after those whose bodies are ``replies``.

        Raises:
            WireError: if ids are not as providers want them, the batch is over a limit, names
                several models, or a reply is no answer.
        """
        ...

    def state(self, body: Any) -> State:
        """Read a batch, from the last reply of a submission, a poll or a cancellation.

        Raises:
            WireError: if it is no batch.
        """
        ...

    def poll(self, batch: str, key: str) -> Call:
        """Return the call that asks how a batch stands."""
        ...

    def cancel(self, batch: str, key: str) -> Call:
        """Return the call that cancels a batch; what is answered already stays so."""
        ...

    def listing(self, key: str) -> Call:
        """Return the call that lists an account's latest batches, up to a hundred."""
        ...

    def candidates(self, body: Any, ids: Sequence[str], since: datetime) -> list[State]:
        """Return the listed batches that may be one of these ids, submitted about then or later.

        Raises:
            WireError: if ``body`` is no list.
        """
        ...

    def results(self, state: State, key: str) -> list[Call]:
        """Return the calls that fetch the results; none if there are none."""
        ...

    def items(self, raw: bytes, ids: Sequence[str]) -> list[Item]:
        """Read what a call of ``results`` brought; ``ids`` are the batch's, in their order.

        Raises:
            WireError: with ``retry`` if it was cut short, or it is no result of this batch.
        """
        ...


def mark_of(ids: Iterable[str]) -> str:
    """Return the mark of a batch: by it, one whose submission was cut off is found again."""
    return "mashbill-" + sha256("\n".join(ids).encode()).hexdigest()[:32]


def candidates(
    listed: Iterable[Listed], ids: Sequence[str], since: datetime, *, by_mark: bool
) -> list[State]:
    """Return the batches that may be one of these ids.

    Args:
        listed: what a provider lists.
        ids: the custom ids, in order.
        since: when it was about to be submitted; ten minutes are given for clocks that differ.
        by_mark: whether its mark tells; else as many requests, made about then or later, may be.
    """
    if by_mark:
        mark = mark_of(ids)
        return [each.state for each in listed if each.name == mark]
    return [
        each.state
        for each in listed
        if each.state.total == len(ids)
        and each.created is not None
        and each.created >= since - timedelta(minutes=10)
    ]


def readable(values: Iterable[Any], read: Callable[[dict[str, Any]], Listed]) -> Iterator[Listed]:
    """Yield what can be read of a list; others may have batches of a kind that we do not know."""
    for value in values:
        with suppress(WireError):
            yield read(record(value, "a batch"))


def checked(asks: Sequence[tuple[str, Ask]], limits: Limits, *, one_model: bool = True) -> None:
    """Check that requests can be a batch: their ids, their number and their models.

    Raises:
        WireError: if not.
    """
    ids = [own for own, _ in asks]
    wrong = [own for own in ids if not _CUSTOM_ID.fullmatch(own)]
    if wrong or len(set(ids)) != len(ids) or not ids:
        what = f"custom id {wrong[0]!r:.80}" if wrong else "one custom id twice, or none"
        msg = f"{what}; it is 1 to 64 letters, digits, _ or -, and each request has its own"
        raise WireError(msg, retry=False)
    if limits.requests is not None and len(ids) > limits.requests:
        msg = f"{len(ids)} requests; a batch has {limits.requests} at most"
        raise WireError(msg, retry=False)
    if one_model and len({ask.model for _, ask in asks}) > 1:
        msg = "requests to several models; a batch of this provider is to one"
        raise WireError(msg, retry=False)


def fitting(content: bytes, limits: Limits) -> bytes:
    """Return what is to be submitted, if it is not too large."""
    if len(content) > limits.bytes:
        msg = f"{len(content)} bytes; a batch has {limits.bytes} at most"
        raise WireError(msg, retry=False)
    return content


def json_headers(wire: Wire, key: str) -> dict[str, str]:
    """Return the wire's headers, and that of a JSON body."""
    return wire.headers(key) | {"Content-Type": "application/json"}


def dumped(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def own_name(name: str) -> str:
    """Check a name that goes into a path."""
    if not _NAME.fullmatch(name):
        msg = f"{name!r:.80} is no name of a batch or file"
        raise WireError(msg, retry=False)
    return name


def known(states: Mapping[str, Said], said: Any) -> Said:
    """Return our word for a provider's; one that is not known is an error."""
    if not isinstance(said, str) or said not in states:
        msg = f"a batch or result that is {shown(said)}"
        raise WireError(msg, retry=False)
    return states[said]


def owner(custom_id: Any, ids: Collection[str]) -> str:
    """Return a result's custom id, if the batch has it."""
    if not isinstance(custom_id, str) or custom_id not in ids:
        msg = f"a result of {shown(custom_id)}, which is not of this batch"
        raise WireError(msg, retry=False)
    return custom_id


def loaded(raw: bytes) -> Any:
    """Read JSON; what is none was cut short."""
    try:
        return json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        msg = f"results that are no JSON: {raw[:80]!r}"
        raise WireError(msg, retry=True) from error


def lines(raw: bytes) -> list[dict[str, Any]]:
    """Read JSON lines. The file of errors may be empty."""
    return [record(loaded(line), "a result") for line in raw.split(b"\n") if line.strip()]
