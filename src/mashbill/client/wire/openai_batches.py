"""OpenAI's batch endpoint, which others copy: a file of requests, and a file of answers."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
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
    mark_of,
    own_name,
    owner,
    readable,
)
from mashbill.client.wire.errors import answer, message
from mashbill.client.wire.reading import count, index, items, record, text
from mashbill.core.foreign import moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mashbill.client.wire import Ask, Wire


_OPENAI: dict[str, StateName] = {
    "validating": "running", "in_progress": "running", "finalizing": "running",
    "cancelling": "running", "completed": "ended", "failed": "failed",
    "expired": "expired", "cancelled": "cancelled",
}  # fmt: skip

_LOST: dict[str, ItemState] = {"batch_expired": "expired", "batch_cancelled": "cancelled"}
_MARK = "mashbill"
"""key of a batch's metadata"""


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
            "input_file_id": own_name(file),
            "endpoint": path,
            "completion_window": "24h",
            "metadata": {_MARK: mark_of(own for own, _ in asks)},
        }
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
