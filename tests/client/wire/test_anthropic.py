from __future__ import annotations

import pytest
from client.wire.known_shapes import read, read_stream, shape
from tests_chat import asking

from mashbill.client.wire import Ask, Reply, WireError
from mashbill.client.wire.anthropic import MAX_TOKENS, AnthropicMessages

WIRE = AnthropicMessages()
USER = {"role": "user", "content": "Which grain?"}
SCHEMA = {"type": "object", "additionalProperties": False}
TOOL = {"name": "weigh", "description": "Weigh.", "parameters": SCHEMA}


def test_the_least_body() -> None:
    assert WIRE.body(asking("m", [USER])) == {
        "model": "m", "max_tokens": MAX_TOKENS, "messages": [USER],
    }  # fmt: skip
    assert WIRE.path(asking("m", [USER])) == "/v1/messages"
    assert WIRE.headers("k") == {"x-api-key": "k", "anthropic-version": "2023-06-01"}


def test_the_whole_body() -> None:
    ask = asking(
        "m", [{"role": "system", "content": "Be brief."}, USER], 64,
        {"top_k": 4, "stop": "\n"}, SCHEMA, [TOOL], reasoning="low", stream=True,
        extra={"tool_choice": {"type": "any"}, "thinking": {"display": "summarized"}},
    )  # fmt: skip
    assert WIRE.body(ask) == {
        "model": "m", "max_tokens": 64, "messages": [USER], "system": "Be brief.", "top_k": 4,
        "stop_sequences": ["\n"],
        "tools": [{"name": "weigh", "description": "Weigh.", "input_schema": SCHEMA}],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        "stream": True, "tool_choice": {"type": "any"},
    }  # fmt: skip


def test_reasoning_controls() -> None:
    body = WIRE.body(asking("m", [USER], reasoning=2048))
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert body["max_tokens"] == MAX_TOKENS + 2048
    for off in ("none", 0):
        body = WIRE.body(asking("m", [USER], reasoning=off))
        assert body["thinking"] == {"type": "disabled"}
        assert "output_config" not in body


def test_several_system_turns_stay_apart() -> None:
    turns = [{"role": "system", "content": said} for said in "ab"]
    assert WIRE.body(asking("m", turns))["system"] == [
        {"type": "text", "text": "a"}, {"type": "text", "text": "b"},
    ]  # fmt: skip


@pytest.mark.parametrize("ask", [asking("m", [USER], settings={"seed": 1}),
                                 asking("m", [USER], top_logprobs=1)])  # fmt: skip
def test_what_cannot_be_said(ask: Ask) -> None:
    with pytest.raises(WireError) as caught:
        WIRE.body(ask)
    assert not caught.value.retry


def test_thinking_goes_back_before_what_came_of_it() -> None:
    reply = read("anthropic.thinking-tools")
    assert (reply.text, reply.reasoning) == ("I will weigh it.", "Rye is heavier.")
    assert (reply.finish, reply.tokens_reasoning) == ("tool_calls", 80)
    content = shape("anthropic.thinking-tools")["content"]
    assert reply.opaque == content[:2]
    call = reply.tool_calls[0]
    turns = [
        {"role": "assistant", "content": reply.text, "tool_calls": [call], "opaque": reply.opaque},
        {"role": "tool", "tool_call_id": call.id, "name": "weigh", "content": "3 kg"},
        {"role": "tool", "tool_call_id": "other", "name": "weigh", "content": "4 kg"},
        USER,
    ]
    assert WIRE.body(asking("m", turns))["messages"] == [
        {"role": "assistant", "content": content},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": "3 kg"},
            {"type": "tool_result", "tool_use_id": "other", "content": "4 kg"},
        ]},
        USER,
    ]  # fmt: skip


def test_where_order_matters_all_goes_back() -> None:
    reply = read("anthropic.interleaved")
    turn = {"role": "assistant", "content": reply.text, "tool_calls": reply.tool_calls,
            "opaque": reply.opaque}  # fmt: skip
    message = WIRE.body(asking("m", [turn]))["messages"][0]
    assert message["content"] == shape("anthropic.interleaved")["content"]


def test_text_and_usage() -> None:
    assert read("anthropic.plain") == Reply(
        "Grüß Gott, 🌾!", tokens_in=1209, tokens_out=393, tokens_cached=1000,
        tokens_cache_written=188, model="claude-sonnet-4-5-20250929",
        id="msg_013Zva2CMHLNnXjNJJKqJ2EF",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "finish"),
    [("refusal", "content_filter"), ("max-tokens", "length"), ("pause-turn", "other"),
     ("thinking-tools", "tool_calls")],
)  # fmt: skip
def test_stop_reasons(name: str, finish: str) -> None:
    assert read(f"anthropic.{name}").finish == finish


def test_a_call_that_the_limit_cut_stays_text() -> None:
    reply = read_stream("anthropic.cut-tool")
    assert reply.finish == "length"
    assert reply.tool_calls[0].arguments == '{"grain": "r'
    turn = {"role": "assistant", "tool_calls": reply.tool_calls}
    with pytest.raises(WireError):
        WIRE.body(asking("m", [turn]))


def test_errors() -> None:
    error = WIRE.refusal(529, shape("anthropic.error-529"))
    assert (error.retry, error.reason) == (True, "status 529: Overloaded")
    assert WIRE.refusal(429, shape("anthropic.error-429")).retry
    assert not WIRE.refusal(400, shape("anthropic.error-400")).retry
    reply = WIRE.read(shape("anthropic.plain") | {"usage": None})
    assert (reply.text, reply.tokens_in) == (WIRE.read(shape("anthropic.plain")).text, 0)
    with pytest.raises(WireError, match="image"):
        WIRE.read(shape("anthropic.plain") | {"content": [{"type": "image"}]})
