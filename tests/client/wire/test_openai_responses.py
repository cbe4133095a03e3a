from __future__ import annotations

import pytest
from client.wire.known_shapes import read, read_stream, shape
from tests_chat import asking

from mashbill.client.wire import Ask, WireError
from mashbill.client.wire.openai_responses import OpenAIResponses

WIRE = OpenAIResponses()
USER = {"role": "user", "content": "Which grain?"}
SCHEMA = {"type": "object"}
TOOL = {"name": "weigh", "description": "Weigh.", "parameters": SCHEMA}


def test_the_least_body() -> None:
    assert WIRE.body(asking("m", [USER])) == {"model": "m", "store": False, "input": [USER]}
    assert WIRE.path(asking("m", [USER])) == "/responses"


def test_the_whole_body() -> None:
    late = {"role": "system", "content": "Late."}
    ask = asking(
        "m", [{"role": "system", "content": "Be brief."}, USER, late], 64, {"top_p": 0.9}, SCHEMA,
        [TOOL], 5, "low", stream=True, extra={"text": {"verbosity": "low"}},
    )  # fmt: skip
    assert WIRE.body(ask) == {
        "model": "m", "store": False, "instructions": "Be brief.", "input": [USER, late],
        "max_output_tokens": 64, "top_p": 0.9,
        "text": {
            "format": {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": False},
            "verbosity": "low",
        },
        "tools": [{"type": "function", "strict": False, **TOOL}],
        "top_logprobs": 5, "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
        "stream": True,
    }  # fmt: skip


def test_no_reasoning() -> None:
    body = WIRE.body(asking("m", [USER], reasoning="none"))
    assert body["reasoning"] == {"effort": "none"}
    assert "include" not in body


@pytest.mark.parametrize("ask", [asking("m", [USER], settings={"seed": 1}),
                                 asking("m", [USER], reasoning=100)])  # fmt: skip
def test_what_cannot_be_said(ask: Ask) -> None:
    with pytest.raises(WireError) as caught:
        WIRE.body(ask)
    assert not caught.value.retry


def test_reasoning_and_calls_go_back() -> None:
    reply = read("openai-responses.reasoning-tools")
    assert reply.finish == "tool_calls"
    assert reply.reasoning == "**Weighing**\n\nThen mixing."
    sealed = {key: value for key, value in shape("openai-responses.reasoning-tools")["output"][0]
              .items() if value is not None}  # fmt: skip
    assert reply.opaque == [sealed]
    turns = [
        {"role": "assistant", "content": "", "tool_calls": reply.tool_calls,
         "opaque": reply.opaque},
        {"role": "tool", "tool_call_id": "call_a", "name": "weigh", "content": "3 kg"},
    ]  # fmt: skip
    call = {"type": "function_call", "name": "weigh", "arguments": '{"grain":"rye"}'}
    assert WIRE.body(asking("m", turns))["input"] == [
        sealed, {**call, "call_id": "call_a"}, {**call, "call_id": "call_b"},
        {"type": "function_call_output", "call_id": "call_a", "output": "3 kg"},
    ]  # fmt: skip


def test_where_order_matters_all_goes_back() -> None:
    reply = read("openai-responses.interleaved")
    turn = {"role": "assistant", "content": "", "tool_calls": reply.tool_calls,
            "opaque": reply.opaque}  # fmt: skip
    written = WIRE.body(asking("m", [turn]))["input"]
    assert [item["type"] for item in written] == ["reasoning", "function_call"] * 2
    body = shape("openai-responses.plain")
    assert WIRE.read(body).opaque is None
    body["output"][0]["phase"] = "final_answer"
    assert WIRE.read(body).opaque == body["output"]


def test_reasoning_that_is_not_encrypted_is_not_sent_back() -> None:
    body = shape("openai-responses.reasoning-tools")
    del body["output"][0]["encrypted_content"]
    assert WIRE.read(body).opaque is None


def test_text_logprobs_and_usage() -> None:
    reply = read("openai-responses.plain")
    assert (reply.text, reply.finish, reply.id) == ("Rye.", "stop", "resp_67ccd2bed1ec8190")
    assert reply.logprobs[0] == ("Rye", -0.317, [("Rye", -0.317), ("Oats", -1.319)])
    assert (reply.tokens_in, reply.tokens_cached, reply.tokens_cache_written) == (36, 16, 8)
    assert (reply.tokens_out, reply.tokens_reasoning) == (87, 64)


def test_refused_incomplete_and_failed() -> None:
    reply = read("openai-responses.refusal")
    assert (reply.text, reply.finish) == ("I can't help with that.", "content_filter")
    reply = read("openai-responses.incomplete")
    assert (reply.text, reply.finish) == ("", "length")
    for status, retry in (("cancelled", True), ("queued", False)):
        with pytest.raises(WireError) as caught:
            WIRE.read(shape("openai-responses.plain") | {"status": status})
        assert caught.value.retry is retry
    with pytest.raises(WireError, match="failed to generate") as caught:
        read("openai-responses.failed")
    assert caught.value.retry
    body = shape("openai-responses.failed")
    with pytest.raises(WireError):
        WIRE.joined([("response.failed", {"type": "response.failed", "response": body})])


def test_the_stream_carries_the_whole() -> None:
    assert read_stream("openai-responses.stream").text == "Grüß Gott 🌾"
