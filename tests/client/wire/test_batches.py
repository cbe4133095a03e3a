from __future__ import annotations

import json
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any

import pytest
from client.wire.known_shapes import SHAPES, shape
from hypothesis import given
from hypothesis import strategies as st
from tests_chat import asking
from tests_laws import law

from mashbill.client.wire import WireError
from mashbill.client.wire.anthropic import AnthropicMessages
from mashbill.client.wire.anthropic_batches import AnthropicBatches
from mashbill.client.wire.batching import BatchWire, Limits, mark_of
from mashbill.client.wire.gemini import Gemini
from mashbill.client.wire.gemini_batches import GeminiBatches
from mashbill.client.wire.openai_batches import OpenAIBatches
from mashbill.client.wire.openai_chat import OpenAIChat
from mashbill.client.wire.openai_responses import OpenAIResponses

A, B, C, D = (letter * 64 for letter in "abcd")
USER = [{"role": "user", "content": "Grüß Gott"}]
ASKS = [(A, asking("m", USER, 8, stream=True)), (B, asking("m", USER, 9))]
OPENAI = OpenAIBatches(OpenAIChat())
ANTHROPIC = AnthropicBatches(AnthropicMessages())
GEMINI = GeminiBatches(Gemini())
ALL: list[BatchWire] = [OPENAI, ANTHROPIC, GEMINI]


def raw(name: str) -> bytes:
    return (SHAPES / name).read_bytes()


def test_openai_uploads_then_orders() -> None:
    upload = OPENAI.submit(ASKS, "k")
    assert (upload.method, upload.path) == ("POST", "/files")
    assert upload.headers["Authorization"] == "Bearer k"
    head = f"Content-Type: {upload.headers['Content-Type']}\r\n\r\n".encode()
    purpose, file = message_from_bytes(head + upload.body).get_payload()
    assert purpose.get_payload() == "batch"
    assert file.get_filename() == "batch.jsonl"
    lines = file.get_payload(decode=True).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"custom_id": own, "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "m", "messages": USER, "max_tokens": limit}}
        for own, limit in ((A, 8), (B, 9))
    ]  # fmt: skip
    assert OPENAI.submit(ASKS, "k") == upload
    order = OPENAI.submit(ASKS, "k", [shape("batches.openai-file")])
    assert (order.method, order.path) == ("POST", "/batches")
    assert json.loads(order.body) == {
        "input_file_id": "file-abc123", "endpoint": "/v1/chat/completions",
        "completion_window": "24h", "metadata": {"mashbill": mark_of([A, B])},
    }  # fmt: skip
    other = OpenAIBatches(OpenAIResponses()).submit(ASKS, "", [shape("batches.openai-file")])
    assert json.loads(other.body)["endpoint"] == "/v1/responses"


def test_openai_states_and_results() -> None:
    state = OPENAI.state(shape("batches.openai-validating"))
    assert (state.id, state.state, state.results) == ("batch_abc123", "running", ())
    state = OPENAI.state(shape("batches.openai-failed"))
    assert (state.state, state.reason) == ("failed", "This line is not parseable as valid JSON.")
    state = OPENAI.state(shape("batches.openai-expired"))
    assert (state.state, state.total, state.answered, state.failed) == ("expired", 3, 1, 2)
    assert [call.path for call in OPENAI.results(state, "k")] == [
        "/files/file-out1/content", "/files/file-err1/content",
    ]  # fmt: skip
    ids = [A, B, C]
    (answered,) = OPENAI.items(raw("batches.openai-output.jsonl"), ids)
    assert (answered.custom_id, answered.state, answered.status) == (A, "answered", 200)
    assert OpenAIChat().read(answered.body).text == "Grüß Gott, 🌾!"
    expired, failed = OPENAI.items(raw("batches.openai-errors.jsonl"), ids)
    assert (expired.custom_id, expired.state) == (B, "expired")
    assert (failed.custom_id, failed.state, failed.status) == (C, "failed", 400)
    assert not OpenAIChat().refusal(failed.status, failed.body).retry
    assert OPENAI.items(b"", ids) == []
    assert OPENAI.poll("batch_abc123", "k").path == "/batches/batch_abc123"
    cancel = OPENAI.cancel("batch_abc123", "k")
    assert (cancel.method, cancel.path) == ("POST", "/batches/batch_abc123/cancel")


def test_anthropic_hands_in_all_at_once() -> None:
    call = ANTHROPIC.submit([*ASKS, (C, asking("other", USER))], "k")
    assert (call.method, call.path) == ("POST", "/v1/messages/batches")
    assert call.headers["x-api-key"] == "k"
    requests = json.loads(call.body)["requests"]
    assert requests[0] == {
        "custom_id": A, "params": {"model": "m", "max_tokens": 8, "messages": USER},
    }  # fmt: skip
    assert len(requests) == 3


def test_anthropic_states_and_results() -> None:
    state = ANTHROPIC.state(shape("batches.anthropic-running"))
    assert (state.state, state.total, state.results) == ("running", 4, ())
    batch = "/v1/messages/batches/msgbatch_013Zva2CMHLNnXjNJJKqJ2EF"
    state = ANTHROPIC.state(shape("batches.anthropic-ended"))
    assert (state.state, state.total, state.answered, state.failed) == ("ended", 4, 1, 3)
    (call,) = ANTHROPIC.results(state, "k")
    assert call.path == f"{batch}/results"
    found = {item.custom_id: item for item in
             ANTHROPIC.items(raw("batches.anthropic-results.jsonl"), [A, B, C, D])}  # fmt: skip
    assert [found[own].state for own in (A, B, C, D)] == [
        "answered", "failed", "cancelled", "expired",
    ]  # fmt: skip
    assert AnthropicMessages().read(found[A].body).text == "Grüß Gott, 🌾!"
    assert found[B].body["error"]["type"] == "invalid_request_error"
    assert [found[own].status for own in (A, B, C, D)] == [200, 400, 0, 0]
    assert ANTHROPIC.poll(state.id, "k").path == batch
    assert ANTHROPIC.cancel(state.id, "k").path == f"{batch}/cancel"


@pytest.mark.parametrize(
    ("kind", "status", "retry"),
    [
        ("invalid_request_error", 400, False), ("authentication_error", 401, False),
        ("permission_error", 403, False), ("not_found_error", 404, False),
        ("request_too_large", 413, False), ("rate_limit_error", 429, True),
        ("api_error", 500, True), ("overloaded_error", 529, True), ("of_a_new_kind", 0, True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("wrapped", [True, False])
def test_anthropics_errors_have_the_status_that_they_would_come_with(
    kind: str, status: int, retry: bool, wrapped: bool
) -> None:
    error: dict[str, Any] = {"type": kind, "message": "because"}
    error = {"type": "error", "error": error} if wrapped else error
    line = {"custom_id": A, "result": {"type": "errored", "error": error}}
    (item,) = ANTHROPIC.items(json.dumps(line).encode(), [A])
    assert (item.state, item.status) == ("failed", status)
    refusal = AnthropicMessages().refusal(item.status or 500, item.body)
    assert refusal.retry == retry
    assert "because" in refusal.reason


@pytest.mark.parametrize(
    ("code", "state", "status"),
    [
        (1, "cancelled", 0), (2, "failed", 500), (3, "failed", 400), (4, "expired", 0),
        (5, "failed", 404), (7, "failed", 403), (8, "failed", 429), (13, "failed", 500),
        (14, "failed", 503), (16, "failed", 401), (99, "failed", 0), (400, "failed", 400),
    ],
)  # fmt: skip
def test_codes_of_geminis_errors_have_their_status(code: int, state: str, status: int) -> None:
    done = shape("batches.gemini-succeeded")
    responses = done["response"]["inlinedResponses"]["inlinedResponses"]
    responses[1]["error"] = {"code": code, "message": "because"}
    _, item = GEMINI.items(json.dumps(done).encode(), [A, B])
    assert (item.state, item.status) == (state, status)


SINCE = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_batch_is_found_again_by_its_mark() -> None:
    own, other = shape("batches.openai-validating"), shape("batches.openai-validating")
    own |= {"metadata": {"mashbill": mark_of([A, B])}, "created_at": 1}
    other |= {"id": "batch_other", "metadata": {"mashbill": mark_of([B, A])}}
    strange = {"id": "batch_x", "status": "of a kind that is not known"}
    listed = {"object": "list", "data": [strange, other, {**other, "metadata": None}, own]}
    assert [s.id for s in OPENAI.candidates(listed, [A, B], SINCE)] == ["batch_abc123"]
    assert OPENAI.listing("k").path == "/batches?limit=100"
    pending = shape("batches.gemini-pending")
    pending["metadata"]["displayName"] = mark_of([A, B])
    other = json.loads(json.dumps(pending))
    other["metadata"]["displayName"] = "mine"
    found = GEMINI.candidates({"operations": [other, pending]}, [A, B], SINCE)
    assert [s.id for s in found] == [pending["name"]]
    assert GEMINI.candidates({}, [A], SINCE) == []
    sent = json.loads(GEMINI.submit([(A, asking("m", USER)), (B, asking("m", USER))], "k").body)
    assert sent["batch"]["displayName"] == mark_of([A, B])


def test_without_a_mark_a_batch_of_that_time_and_size_may_be_it() -> None:
    running = shape("batches.anthropic-running") | {"created_at": "2026-11-01T00:00:05Z"}
    early = running | {"id": "msgbatch_early", "created_at": "2026-10-31T00:00:00Z"}
    listed = {"data": [running, early], "has_more": False}
    found = ANTHROPIC.candidates(listed, [A, B, C, D], SINCE)
    assert [s.id for s in found] == [running["id"]]
    assert ANTHROPIC.candidates(listed, [A, B], SINCE) == []


def test_a_key_goes_to_no_address_that_a_response_names() -> None:
    body = shape("batches.anthropic-ended") | {"results_url": "https://evil.example/x"}
    (call,) = ANTHROPIC.results(ANTHROPIC.state(body), "k")
    assert call.path.startswith("/v1/messages/batches/")


def test_gemini_inlines_its_requests() -> None:
    call = GEMINI.submit(ASKS, "k")
    assert (call.method, call.path) == ("POST", "/v1beta/models/m:batchGenerateContent")
    batch = json.loads(call.body)["batch"]
    assert batch["displayName"].startswith("mashbill-")
    assert batch["inputConfig"]["requests"]["requests"][0] == {
        "request": {
            "contents": [{"role": "user", "parts": [{"text": "Grüß Gott"}]}],
            "generationConfig": {"maxOutputTokens": 8},
        },
        "metadata": {"key": A},
    }


def test_gemini_states_and_results() -> None:
    state = GEMINI.state(shape("batches.gemini-pending"))
    assert (state.id, state.state, state.total) == ("batches/123456", "running", 2)
    state = GEMINI.state(shape("batches.gemini-expired"))
    assert (state.state, state.reason, state.results) == ("expired", "The batch expired.", ())
    done = shape("batches.gemini-succeeded")
    state = GEMINI.state(done)
    assert (state.state, state.answered, state.failed) == ("ended", 1, 1)
    assert [call.path for call in GEMINI.results(state, "k")] == ["/v1beta/batches/123456"]
    answered, failed = GEMINI.items(json.dumps(done).encode(), [A, B])
    assert (answered.custom_id, answered.state) == (A, "answered")
    assert Gemini().read(answered.body).text == "Grüß Gott, 🌾!"
    assert (failed.custom_id, failed.state, failed.status) == (B, "failed", 400)
    with pytest.raises(WireError):
        GEMINI.items(json.dumps(done).encode(), [A, B, C])
    assert GEMINI.poll(state.id, "k").path == "/v1beta/batches/123456"
    assert GEMINI.cancel(state.id, "k").path == "/v1beta/batches/123456:cancel"


def test_gemini_names_its_results_where_it_does() -> None:
    done = shape("batches.gemini-succeeded")
    responses = done["response"]["inlinedResponses"]["inlinedResponses"]
    responses[0]["metadata"], responses[1]["metadata"] = {"key": B}, {"key": A}
    assert [item.custom_id for item in GEMINI.items(json.dumps(done).encode(), [A, B])] == [B, A]
    responses[1]["metadata"] = {"key": B}
    with pytest.raises(WireError, match="two results"):
        GEMINI.items(json.dumps(done).encode(), [A, B])


@pytest.mark.parametrize("wire", ALL)
def test_ids_and_sizes(wire: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = asking("m", USER)
    assert wire.limits.discount == 0.5
    for asks in ([], [("a b", ask)], [("a" * 65, ask)], [("a\n", ask)], [(A, ask), (A, ask)]):
        with pytest.raises(WireError) as caught:
            wire.submit(asks, "k")
        assert not caught.value.retry
    for limits in (Limits(1, 10**6, 0.5, 24), Limits(None, 10, 0.5, 24)):
        monkeypatch.setattr(type(wire), "limits", limits)
        with pytest.raises(WireError, match="at most"):
            wire.submit(ASKS, "k")


@pytest.mark.parametrize("wire", [OPENAI, GEMINI])
def test_one_model_a_batch(wire: Any) -> None:
    with pytest.raises(WireError, match="several models"):
        wire.submit([(A, asking("m", USER)), (B, asking("n", USER))], "k")


@pytest.mark.parametrize("name", ["../files", "a/b", "", "a?b", ".."])
def test_names_that_go_into_no_path(name: str) -> None:
    for wire in (OPENAI, ANTHROPIC):
        with pytest.raises(WireError):
            wire.poll(name, "k")
        with pytest.raises(WireError):
            wire.state({"id": name, "status": "completed", "processing_status": "ended"})
    with pytest.raises(WireError):
        GEMINI.poll(f"batches/{name}", "k")


@pytest.mark.parametrize("wire", ALL)
@given(data=st.data())
@law(60)
def test_whatever_comes_back_is_read_or_refused(wire: Any, data: st.DataObject) -> None:
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
    keys = st.sampled_from(["id", "status", "metadata", "response", "inlinedResponses", "error",
                            "custom_id", "result", "type", "request_counts", "name"])  # fmt: skip
    tree = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=4)
    )
    body = data.draw(tree)
    lines = data.draw(st.binary(max_size=20) | st.just(json.dumps(body).encode()))
    for call in (lambda: wire.state(body), lambda: wire.items(lines, [A]),
                 lambda: wire.submit(ASKS, "k", [body])):  # fmt: skip
        try:
            call()
        except WireError as error:
            assert error.reason  # noqa: PT017


def test_results_cut_short_are_fetched_again() -> None:
    cut = raw("batches.openai-output.jsonl")[:-20]
    with pytest.raises(WireError) as caught:
        OPENAI.items(cut, [A])
    assert caught.value.retry
    with pytest.raises(WireError, match="not of this batch"):
        OPENAI.items(raw("batches.openai-output.jsonl"), [B])
