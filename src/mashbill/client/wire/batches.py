"""Batch endpoints: many requests handed in at once, answered within a day, at half the price.

Limits and discounts are those of the providers' batch guides, read in November 2026.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError
from mashbill.client.wire.batching import (
    MEGABYTE,
    BatchWire,
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
    loaded,
    mark_of,
    own_name,
    owner,
    readable,
)
from mashbill.client.wire.gemini import model_path
from mashbill.client.wire.reading import answer, count, index, items, message, names, record, text
from mashbill.core.foreign import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mashbill.client.wire import Ask, Wire

__all__ = [
    "AnthropicBatches",
    "BatchWire",
    "Call",
    "GeminiBatches",
    "Item",
    "Limits",
    "OpenAIBatches",
    "State",
]

_OPENAI: dict[str, StateName] = {
    "validating": "running", "in_progress": "running", "finalizing": "running",
    "cancelling": "running", "completed": "ended", "failed": "failed",
    "expired": "expired", "cancelled": "cancelled",
}  # fmt: skip
_ANTHROPIC: dict[str, StateName] = {
    "in_progress": "running", "canceling": "running", "ended": "ended",
}  # fmt: skip
_ANTHROPIC_ITEMS: dict[str, ItemState] = {
    "succeeded": "answered", "errored": "failed", "expired": "expired",
    "canceled": "cancelled",
}  # fmt: skip
_GEMINI: dict[str, StateName] = {
    "UNSPECIFIED": "running", "PENDING": "running", "RUNNING": "running",
    "SUCCEEDED": "ended", "FAILED": "failed", "CANCELLED": "cancelled",
    "EXPIRED": "expired",
}  # fmt: skip
_LOST: dict[str, ItemState] = {"batch_expired": "expired", "batch_cancelled": "cancelled"}
_MARK = "mashbill"
"""key of a batch's metadata"""
_CODES: dict[int, ItemState] = {1: "cancelled", 4: "expired"}
"""of google.rpc.Code; others are failures"""
_CODE_STATUSES = {
    2: 500, 3: 400, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500,
    14: 503, 15: 500, 16: 401,
}  # fmt: skip
"""HTTP status of each google.rpc.Code, as code.proto maps them"""
_ERROR_STATUSES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402,
    "permission_error": 403, "not_found_error": 404, "request_too_large": 413,
    "rate_limit_error": 429, "api_error": 500, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip
"""HTTP status of each type of error, as Anthropic's reference has them"""


class OpenAIBatches:
    """POST /files, POST /batches: for chat completions, completions and responses."""

    limits = Limits(requests=50_000, bytes=200 * MEGABYTE, discount=0.5, hours=24)
    steps = 2
    keeps_mark = True

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def submit(
        self, asks: Sequence[tuple[str, Ask]], key: str, replies: Sequence[Any] = ()
    ) -> Call:
        """Return the upload, and after it the call that makes the batch."""
        checked(asks, self.limits)
        # Lines name the path from the host on, whatever the base address ends in.
        path = "/v1" + self._wire.path(asks[0][1])
        if not replies:
            lines = [
                {"custom_id": own, "method": "POST", "url": path, "body": self._body(ask)}
                for own, ask in asks
            ]
            content = b"".join(dumped(line) + b"\n" for line in lines)
            fitting(content, self.limits)
            body, kind = _multipart(content)
            return Call("POST", "/files", self._wire.headers(key) | {"Content-Type": kind}, body)
        file = text(answer(replies[0]).get("id"), "id")
        order = {
            "input_file_id": own_name(file), "endpoint": path, "completion_window": "24h",
            "metadata": {_MARK: mark_of(own for own, _ in asks)},
        }  # fmt: skip
        return Call("POST", "/batches", json_headers(self._wire, key), dumped(order))

    def state(self, body: Any) -> State:
        """Read a batch object."""
        body = answer(body)
        files = (body.get("output_file_id"), body.get("error_file_id"))
        counts = record(body.get("request_counts"), "request_counts")
        errors = body.get("errors")
        reasons = errors.get("data") if isinstance(errors, dict) else None
        return State(
            id=own_name(text(body.get("id"), "id")),
            state=known(_OPENAI, body.get("status")),
            total=count(counts.get("total"), "total"),
            answered=count(counts.get("completed"), "completed"),
            failed=count(counts.get("failed"), "failed"),
            results=tuple(
                f"/files/{own_name(text(file, 'file'))}/content" for file in files if file
            ),
            reason=message(reasons) if reasons else "",
        )

    def poll(self, batch: str, key: str) -> Call:
        """Return the call that asks how a batch stands."""
        return Call("GET", f"/batches/{own_name(batch)}", self._wire.headers(key))

    def cancel(self, batch: str, key: str) -> Call:
        """Return the call that cancels a batch."""
        return Call("POST", f"/batches/{own_name(batch)}/cancel", self._wire.headers(key))

    def listing(self, key: str) -> Call:
        """Return the call that lists batches."""
        return Call("GET", "/batches?limit=100", self._wire.headers(key))

    def candidates(self, body: Any, ids: Sequence[str], since: datetime) -> list[State]:
        """Return the batches with the mark of these ids, which is in their metadata."""
        found = readable(items(answer(body).get("data"), "data"), self._listed)
        return candidates(found, ids, since, by_mark=True)

    def _listed(self, each: dict[str, Any]) -> Listed:
        mark = text(record(each.get("metadata"), "metadata").get(_MARK), _MARK)
        return Listed(self.state(each), moment(each.get("created_at")), mark)

    def results(self, state: State, key: str) -> list[Call]:
        """Return the calls for the files of answers and of errors."""
        return [Call("GET", path, self._wire.headers(key)) for path in state.results]

    def items(self, raw: bytes, ids: Sequence[str]) -> list[Item]:
        """Read a file of answers or of errors."""
        found, own_ids = [], frozenset(ids)
        for line in lines(raw):
            own, error = owner(line.get("custom_id"), own_ids), line.get("error")
            response = record(line.get("response"), "response")
            status = index(response.get("status_code"))
            if status == 200 and not error:
                found.append(Item(own, "answered", status, response.get("body")))
                continue
            code = error.get("code") if isinstance(error, dict) else None
            state = _LOST.get(code, "failed") if isinstance(code, str) else "failed"
            said = response.get("body") if response.get("body") is not None else error
            found.append(Item(own, state, status, said))
        return found

    def _body(self, ask: Ask) -> dict[str, Any]:
        return self._wire.body(replace(ask, stream=False))


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


def _multipart(content: bytes) -> tuple[bytes, str]:
    """Return a form with the file, and its content type; the same content gives the same form."""
    mark = "mashbill-" + sha256(content).hexdigest()  # in the content only by finding a fixed point
    head = (
        f'--{mark}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="batch.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{mark}--\r\n".encode()
    return body, f"multipart/form-data; boundary={mark}"


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
