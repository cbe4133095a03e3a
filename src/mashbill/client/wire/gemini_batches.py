"""Gemini's batches: many requests in one call, and their answers in one operation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError
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
    loaded,
    mark_of,
    own_name,
    owner,
    readable,
)
from mashbill.client.wire.errors import answer, message
from mashbill.client.wire.gemini import model_path
from mashbill.client.wire.reading import count, index, items, record, text
from mashbill.core.foreign import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mashbill.client.wire import Ask, Wire

_GEMINI: dict[str, StateName] = {
    "UNSPECIFIED": "running", "PENDING": "running", "RUNNING": "running",
    "SUCCEEDED": "ended", "FAILED": "failed", "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}  # fmt: skip
_CODES: dict[int, ItemState] = {1: "cancelled", 4: "expired"}
"""of google.rpc.Code; others are failures"""
_CODE_STATUSES = {
    2: 500, 3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
    14: 503, 15: 500, 16: 401,
}  # fmt: skip
"""HTTP status of each google.rpc.Code, as code.proto maps them"""


class GeminiBatches:
    """POST /v1beta/models/MODEL:batchGenerateContent, with the requests in the call."""

    limits = Limits(requests=None, bytes=20 * MEGABYTE, discount=0.5, hours=48)
    steps = 1
    keeps_mark = True

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def submit(
        self,
        asks: Sequence[tuple[str, Ask]],
        key: str,
        replies: Sequence[Any] = (),  # noqa: ARG002
    ) -> Call:
        """Return the call that hands in all requests."""
        checked(asks, self.limits)
        requests = [
            {"request": self._wire.body(replace(ask, stream=False)), "metadata": {"key": own}}
            for own, ask in asks
        ]
        name = mark_of(own for own, _ in asks)
        batch = {"displayName": name, "inputConfig": {"requests": {"requests": requests}}}
        content = fitting(dumped({"batch": batch}), self.limits)
        path = f"/v1beta/{model_path(asks[0][1].model)}:batchGenerateContent"
        return Call("POST", path, json_headers(self._wire, key), content)

    def state(self, body: Any) -> State:
        """Read an operation, whose metadata is the batch."""
        body = record(body, "the operation")
        batch = record(body.get("metadata"), "metadata")
        if "metadata" not in body:
            body = answer(body)
        stats = record(batch.get("batchStats"), "batchStats")
        name = text(batch.get("state"), "state").removeprefix("BATCH_STATE_")
        state = known(_GEMINI, name.removeprefix("JOB_STATE_"))
        own = _operation(text(body.get("name"), "name"))
        return State(
            id=own,
            state=state,
            total=_int64(stats.get("requestCount")),
            answered=_int64(stats.get("successfulRequestCount")),
            failed=_int64(stats.get("failedRequestCount")),
            results=(f"/v1beta/{own}",) if _inlined(body) else (),
            reason=message(body["error"]) if body.get("error") else "",
        )

    def poll(self, batch: str, key: str) -> Call:
        """Return the call that asks how a batch stands; at the end its answer holds the results."""
        return Call("GET", f"/v1beta/{_operation(batch)}", self._wire.headers(key))

    def cancel(self, batch: str, key: str) -> Call:
        """Return the call that cancels a batch."""
        return Call("POST", f"/v1beta/{_operation(batch)}:cancel", self._wire.headers(key))

    def listing(self, key: str) -> Call:
        """Return the call that lists batches."""
        return Call("GET", "/v1beta/batches?pageSize=100", self._wire.headers(key))

    def candidates(self, body: Any, ids: Sequence[str], since: datetime) -> list[State]:
        """Return the batches with the mark of these ids, which is their name."""
        body = record(body, "the list of batches")
        found = readable(items(body.get("operations"), "operations"), self._listed)
        return candidates(found, ids, since, by_mark=True)

    def _listed(self, each: dict[str, Any]) -> Listed:
        batch = record(each.get("metadata"), "metadata")
        name = text(batch.get("displayName"), "displayName")
        return Listed(self.state(each), moment(batch.get("createTime")), name)

    def results(self, state: State, key: str) -> list[Call]:
        """Return the call for the operation, which holds the results."""
        return [Call("GET", path, self._wire.headers(key)) for path in state.results]

    def items(self, raw: bytes, ids: Sequence[str]) -> list[Item]:
        """Read an operation's results, which are documented to be in the order of the requests.

        Their metadata, which would name them, does not always come back; where it does, it counts.
        """
        responses = _inlined(record(loaded(raw), "the operation"))
        if len(responses) != len(ids):
            msg = f"{len(responses)} results of {len(ids)} requests"
            raise WireError(msg, retry=False)
        found, own_ids = [], frozenset(ids)
        for own, each in zip(ids, responses, strict=True):
            line = record(each, "inlinedResponses[]")
            named = record(line.get("metadata"), "metadata").get("key")
            own = own if named is None else owner(named, own_ids)  # noqa: PLW2901
            if line.get("response") is not None:
                found.append(Item(own, "answered", 200, line["response"]))
                continue
            error = record(line.get("error"), "error")
            code = index(error.get("code"))
            status = _CODE_STATUSES.get(code, code if 400 <= code < 600 else 0)
            found.append(Item(own, _CODES.get(code, "failed"), status, {"error": error}))
        if len({item.custom_id for item in found}) != len(ids):
            msg = "two results of one request"
            raise WireError(msg, retry=False)
        return found


def _operation(name: str) -> str:
    folder, _, own = name.partition("/")
    return f"{own_name(folder)}/{own_name(own)}"


def _int64(value: Any) -> int:
    """Read a 64-bit count, which protocol buffers write as a string."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    return count(value, "batchStats")


def _inlined(body: dict[str, Any]) -> list[Any]:
    """Return the results that an operation holds: in its response or in the batch's output."""
    output = record(body.get("metadata"), "metadata").get("output")
    for holder in (body.get("response"), output):
        inner = record(holder, "output").get("inlinedResponses")
        if found := items(record(inner, "inlinedResponses").get("inlinedResponses"), "results"):
            return found
    return []
