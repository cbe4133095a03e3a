"""Anthropic's message batches: requests in one body, answers as lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mashbill.client.wire.batching import (
    MEGABYTE,
    Call,
    Item,
    ItemState,
    Limits,
    Listed,
    State,
    StateName,
    candidates,
    checked,
    dumped,
    fitting,
    json_headers,
    known,
    lines,
    own_name,
    owner,
    readable,
)
from mashbill.client.wire.errors import answer, names
from mashbill.client.wire.reading import count, items, record, text
from mashbill.core.foreign import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mashbill.client.wire import Ask, Wire


_ANTHROPIC: dict[str, StateName] = {
    "in_progress": "running",
    "canceling": "running",
    "ended": "ended",
}

_ANTHROPIC_ITEMS: dict[str, ItemState] = {
    "succeeded": "answered",
    "errored": "failed",
    "expired": "expired",
    "canceled": "cancelled",
}
_ERROR_STATUSES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402,
    "permission_error": 403, "not_found_error": 404, "request_too_large": 413,
    "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
"""HTTP status of each type of error, as Anthropic's reference has them"""


class AnthropicBatches:
    """POST /v1/messages/batches."""

    limits = Limits(requests=100_000, bytes=256 * MEGABYTE, discount=0.5, hours=24)
    steps = 1
    keeps_mark = False

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def submit(
        self,
        asks: Sequence[tuple[str, Ask]],
        key: str,
        replies: Sequence[Any] = (),  # noqa: ARG002
    ) -> Call:
        """Return the call that hands in all requests."""
        checked(asks, self.limits, one_model=False)
        requests = [
            {"custom_id": own, "params": self._wire.body(replace(ask, stream=False))}
            for own, ask in asks
        ]
        content = fitting(dumped({"requests": requests}), self.limits)
        return Call("POST", "/v1/messages/batches", json_headers(self._wire, key), content)

    def state(self, body: Any) -> State:
        """Read a message batch. An ended one says of each request whether it was answered."""
        body = answer(body)
        counts = record(body.get("request_counts"), "request_counts")
        answered, waiting = (
            count(counts.get("succeeded"), "succeeded"),
            count(counts.get("processing"), "processing"),
        )
        lost = sum(count(counts.get(name), name) for name in ("errored", "expired", "canceled"))
        batch = own_name(text(body.get("id"), "id"))
        # The documented path, not the address in results_url: a key goes to no other host.
        results = (f"/v1/messages/batches/{batch}/results",) if body.get("results_url") else ()
        state = known(_ANTHROPIC, body.get("processing_status"))
        return State(batch, state, answered + waiting + lost, answered, lost, results)

    def poll(self, batch: str, key: str) -> Call:
        """Return the call that asks how a batch stands."""
        return Call("GET", f"/v1/messages/batches/{own_name(batch)}", self._wire.headers(key))

    def cancel(self, batch: str, key: str) -> Call:
        """Return the call that cancels a batch."""
        path = f"/v1/messages/batches/{own_name(batch)}/cancel"
        return Call("POST", path, self._wire.headers(key))

    def listing(self, key: str) -> Call:
        """Return the call that lists batches."""
        return Call("GET", "/v1/messages/batches?limit=100", self._wire.headers(key))

    def candidates(self, body: Any, ids: Sequence[str], since: datetime) -> list[State]:
        """Return batches of as many requests, made about then or later; there are no marks."""
        found = readable(items(answer(body).get("data"), "data"), self._listed)
        return candidates(found, ids, since, by_mark=False)

    def _listed(self, each: dict[str, Any]) -> Listed:
        return Listed(self.state(each), moment(each.get("created_at")))

    def results(self, state: State, key: str) -> list[Call]:
        """Return the call for the results."""
        return [Call("GET", path, self._wire.headers(key)) for path in state.results]

    def items(self, raw: bytes, ids: Sequence[str]) -> list[Item]:
        """Read the results."""
        found, own_ids = [], frozenset(ids)
        for line in lines(raw):
            result = record(line.get("result"), "result")
            state = known(_ANTHROPIC_ITEMS, result.get("type"))
            if state == "answered":
                status, body = 200, result.get("message")
            else:
                body = result.get("error")
                status = next((_ERROR_STATUSES[n] for n in names(body) if n in _ERROR_STATUSES), 0)
            found.append(Item(owner(line.get("custom_id"), own_ids), state, status, body))
        return found
