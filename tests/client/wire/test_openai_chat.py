from __future__ import annotations

import json

import pytest
from client.wire.known_shapes import read, read_stream, shape
from tests_chat import as_values, asking

from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.openai_chat import OpenAIChat

WIRE = OpenAIChat()
TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which grain?"}]
SCHEMA = {"type": "object", "properties": {"grain": {"type": "string"}}}
TOOL = {"name": "weigh", "description": "Weigh a grain.", "parameters": SCHEMA}


def test_the_least_body() -> None:
    assert WIRE.body(asking("m", TURNS)) == {"model": "m", "messages": TURNS}
    assert WIRE.path(asking("m", TURNS)) == "/chat/completions"
    assert WIRE.headers("sk-1") == {"Authorization": "Bearer sk-1"}


def test_the_whole_body() -> None:
    ask = asking(
        "m", TURNS, 64, {"temperature": 0.5, "top_k": 4, "stop": ["\n"], "seed": 7}, SCHEMA,
        [TOOL], 5, "low", stream=True, extra={"user": "u", "stream_options": {"x": 1}},
    )  # fmt: skip
    assert WIRE.body(ask) == {
        "model": "m", "messages": TURNS, "max_tokens": 64, "temperature": 0.5, "top_k": 4,
        "stop": ["\n"], "seed": 7, "logprobs": True, "top_logprobs": 5, "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": False},
        },
        "tools": [{"type": "function", "function": TOOL}],
        "stream": True, "stream_options": {"include_usage": True, "x": 1}, "user": "u",
    }  # fmt: skip


def test_openai_itself_wants_another_name_for_the_limit() -> None:
    body = OpenAIChat("max_completion_tokens").body(asking("m", TURNS, 64))
    assert body["max_completion_tokens"] == 64
    assert "max_tokens" not in body


def test_a_budget_cannot_be_said() -> None:
    with pytest.raises(WireError) as caught:
        WIRE.body(asking("m", TURNS, reasoning=1024))
    assert not caught.value.retry


def test_turns_with_calls_and_what_goes_back() -> None:
    call = {"id": "call_1", "name": "weigh", "arguments": "{}"}
    opaque = {"reasoning_content": "hm", "role": "system"}
    turns = [
        {"role": "assistant", "content": "", "tool_calls": [call], "opaque": opaque},
        {"role": "tool", "tool_call_id": "call_1", "name": "weigh", "content": "3 kg"},
        {"role": "assistant", "content": "3 kg.", "opaque": None},
    ]
    assert WIRE.body(asking("m", turns))["messages"] == [
        {
            "role": "assistant", "content": None, "reasoning_content": "hm",
            "tool_calls": [{"id": "call_1", "type": "function",
                            "function": {"name": "weigh", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "3 kg", "tool_call_id": "call_1"},
        {"role": "assistant", "content": "3 kg."},
    ]  # fmt: skip


def test_text_and_usage() -> None:
    assert read("openai-chat.plain") == Reply(
        "Grüß Gott, 🌾!", tokens_in=19, tokens_out=10, tokens_cached=4,
        model="gpt-4.1-2025-04-14", id="chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
    )  # fmt: skip


def test_tool_calls() -> None:
    reply = read("openai-chat.tools")
    assert (reply.text, reply.finish) == ("", "tool_calls")
    assert [call.id for call in reply.tool_calls] == ["call_abc123", "call_def456"]
    assert [json.loads(call.arguments) for call in reply.tool_calls] == [
        {"grain": "rye"}, {"grain": "oats"},
    ]  # fmt: skip


def test_calls_without_index_or_id() -> None:
    def chunk(*calls: object) -> tuple[str, object]:
        return "", {"choices": [{"delta": {"tool_calls": list(calls)}}]}

    events = [
        chunk({"id": "a", "function": {"name": "weigh", "arguments": "{"}}),
        chunk({"function": {"arguments": "}"}}),
        chunk({"id": "", "index": 4, "function": {"name": "weigh", "arguments": {"a": 1}}}),
        ("", "[DONE]"),
    ]
    assert as_values(WIRE.read(WIRE.joined(events)).tool_calls) == [
        {"id": "a", "name": "weigh", "arguments": "{}"},
        {"id": "call_1", "name": "weigh", "arguments": '{"a":1}'},
    ]


def test_logprobs() -> None:
    reply = read("openai-chat.logprobs")
    assert reply.finish == "length"
    assert reply.logprobs == [
        ("Rye", -0.317, [("Rye", -0.317), ("Oats", -1.319)]),
        (".", -0.02, [(".", -0.02), ("!", -9999.0)]),
    ]
    body = shape("openai-chat.logprobs")
    for odd, read_as in {-1e308: -9999.0, -(10**400): -9999.0, 1e-4: 0.0, 0: 0.0}.items():
        body["choices"][0]["logprobs"]["content"][0]["logprob"] = odd
        assert WIRE.read(body).logprobs[0][1] == read_as


def test_a_refusal_is_filtered() -> None:
    reply = read("openai-chat.refusal")
    assert (reply.text, reply.finish) == ("I'm sorry, I cannot help with that.", "content_filter")


def test_all_tokens_spent_on_reasoning_is_a_reply() -> None:
    reply = read("openai-chat.spent-on-reasoning")
    assert (reply.text, reply.finish, reply.tokens_reasoning) == ("", "length", 256)


def test_deepseek_wants_its_reasoning_back_with_calls() -> None:
    reply = read("openai-chat.deepseek")
    assert reply.reasoning == "The scale must be asked."
    assert reply.opaque == {"reasoning_content": "The scale must be asked."}
    assert (reply.tokens_cached, reply.tokens_reasoning) == (8, 30)


def test_openrouter_details_are_opaque() -> None:
    reply = read_stream("openai-chat.openrouter")
    assert reply.reasoning == "Two and two is four."
    message = shape("openai-chat.openrouter")["choices"][0]["message"]
    assert reply.opaque == {"reasoning_details": message["reasoning_details"]}
    assert reply.tokens_cache_written == 6


def test_parts_of_content() -> None:
    reply = read("openai-chat.mistral-thinking")
    assert (reply.text, reply.reasoning) == ("Malt.", "Barley, then malt.")
    body = shape("openai-chat.mistral-thinking")
    body["choices"][0]["message"]["content"].append({"type": "image_url", "image_url": {}})
    with pytest.raises(WireError, match="image_url"):
        WIRE.read(body)


def test_reasoning_that_is_counted_beside_the_completion() -> None:
    reply = read("openai-chat.xai")
    assert (reply.tokens_in, reply.tokens_out, reply.tokens_reasoning) == (32, 103, 94)


def test_usage_may_be_missing() -> None:
    reply = read("openai-chat.no-usage")
    assert (reply.text, reply.tokens_in, reply.tokens_out) == ("Hello", 0, 0)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("model_length", "length"), ("content_filter", "content_filter"),
     ("sensitive", "content_filter"), ("function_call", "tool_calls"), ("odd", "other"),
     (None, "other")],
)  # fmt: skip
def test_finish_reasons(reason: str | None, finish: str) -> None:
    body = shape("openai-chat.plain")
    body["choices"][0]["finish_reason"] = reason
    assert WIRE.read(body).finish == finish


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource", "network_error"])
def test_a_server_that_broke_off_is_asked_again(reason: str) -> None:
    body = shape("openai-chat.plain")
    body["choices"][0]["finish_reason"] = reason
    with pytest.raises(WireError) as caught:
        WIRE.read(body)
    assert caught.value.retry


def test_errors_with_status_200() -> None:
    for name, said in (("minimax-error", "rate limit"), ("error-200", "Provider returned")):
        with pytest.raises(WireError, match=said) as caught:
            read(f"openai-chat.{name}")
        assert caught.value.retry
    with pytest.raises(WireError) as caught:
        read("openai-chat.error-vllm")
    assert not caught.value.retry
    with pytest.raises(WireError) as caught:
        WIRE.read({"choices": [{"error": {"code": 503, "message": "busy"}, "message": {}}]})
    assert caught.value.retry


def test_an_empty_account_is_not_asked_again() -> None:
    assert WIRE.refusal(429, shape("openai-chat.error-429")).retry
    assert not WIRE.refusal(429, shape("openai-chat.error-quota")).retry
    assert "does not exist" in WIRE.refusal(404, shape("openai-chat.error-vllm")).reason
    for body in ({"error": "model 'x' not found"}, {"detail": [{"msg": "field required"}]}):
        assert WIRE.refusal(400, body).reason.startswith("status 400: ")


def test_a_character_cut_into_two_escapes() -> None:
    chunks = [{"choices": [{"delta": {"content": half}}]} for half in ("a\ud83c", "\udf3e")]
    events = [("", chunk) for chunk in chunks]
    reply = WIRE.read(WIRE.joined([*events, ("", "[DONE]")]))
    assert reply.text == "a🌾"
    with pytest.raises(WireError, match="half a character") as caught:
        WIRE.read(WIRE.joined([*events[:1], ("", "[DONE]")]))
    assert caught.value.unread
    assert not caught.value.retry
