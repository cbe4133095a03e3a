from __future__ import annotations

import pytest
from client.wire.known_shapes import read, read_stream, shape
from tests_chat import as_values, asking

from mashbill.client.wire import Reply, WireError
from mashbill.client.wire.gemini import Gemini

WIRE = Gemini()
USER = {"role": "user", "content": "Which grain?"}
SAID = {"role": "user", "parts": [{"text": "Which grain?"}]}
SCHEMA = {"type": "object"}
TOOL = {"name": "weigh", "description": "Weigh.", "parameters": SCHEMA}


def test_paths_and_the_key() -> None:
    assert WIRE.path(asking("gemini-x", [])) == "/v1beta/models/gemini-x:generateContent"
    stream = WIRE.path(asking("tunedModels/a b", [], stream=True))
    assert stream == "/v1beta/tunedModels/a%20b:streamGenerateContent?alt=sse"
    assert WIRE.headers("k") == {"x-goog-api-key": "k"}


def test_the_least_body() -> None:
    assert WIRE.body(asking("m", [USER])) == {"contents": [SAID]}


def test_the_whole_body() -> None:
    ask = asking(
        "m", [{"role": "system", "content": "Be brief."}, USER], 64,
        {"temperature": 0.5, "top_p": 0.9, "top_k": 4, "seed": 7, "stop": "\n",
         "presence_penalty": 0.1, "frequency_penalty": 0.2},
        SCHEMA, [TOOL], 5, "low", stream=True, extra={"generationConfig": {"candidateCount": 1}},
    )  # fmt: skip
    assert WIRE.body(ask) == {
        "contents": [SAID],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [
            {"name": "weigh", "description": "Weigh.", "parametersJsonSchema": SCHEMA},
        ]}],
        "generationConfig": {
            "temperature": 0.5, "topP": 0.9, "topK": 4, "seed": 7, "stopSequences": ["\n"],
            "presencePenalty": 0.1, "frequencyPenalty": 0.2, "maxOutputTokens": 64,
            "responseMimeType": "application/json", "responseJsonSchema": SCHEMA,
            "responseLogprobs": True, "logprobs": 5, "candidateCount": 1,
            "thinkingConfig": {"thinkingLevel": "low", "includeThoughts": True},
        },
    }  # fmt: skip


def test_thinking_budgets() -> None:
    for reasoning, config in (
        (512, {"thinkingBudget": 512, "includeThoughts": True}),
        (0, {"thinkingBudget": 0}),
        ("none", {"thinkingBudget": 0}),
    ):
        body = WIRE.body(asking("m", [], reasoning=reasoning))
        assert body["generationConfig"]["thinkingConfig"] == config


def test_settings_that_are_not_known() -> None:
    with pytest.raises(WireError):
        WIRE.body(asking("m", [USER], settings={"min_p": 0.1}))


def test_signed_parts_go_back_as_they_are() -> None:
    reply = read("gemini.tools")
    assert (reply.finish, reply.reasoning) == ("tool_calls", "Asking the scale.")
    assert as_values(reply.tool_calls) == [
        {"id": "call_0", "name": "weigh", "arguments": '{"grain":"rye"}'},
        {"id": "fc-2", "name": "weigh", "arguments": '{"grain":"oats"}'},
    ]
    parts = shape("gemini.tools")["candidates"][0]["content"]["parts"]
    assert reply.opaque == parts
    said = {"role": "assistant", "content": "", "tool_calls": reply.tool_calls}
    results = [
        {"role": "tool", "tool_call_id": "call_0", "name": "weigh", "content": "3 kg"},
        {"role": "tool", "tool_call_id": "fc-2", "name": "weigh", "content": '{"kg": 4}'},
    ]
    answers = {"role": "user", "parts": [
        {"functionResponse": {"name": "weigh", "response": {"output": "3 kg"}}},
        {"functionResponse": {"id": "fc-2", "name": "weigh", "response": {"kg": 4}}},
    ]}  # fmt: skip
    turns = [{**said, "opaque": reply.opaque}, *results]
    assert WIRE.body(asking("m", turns))["contents"] == [{"role": "model", "parts": parts}, answers]
    unsigned = WIRE.body(asking("m", [said]))["contents"][0]["parts"]
    assert unsigned == [
        {"functionCall": {"name": "weigh", "args": {"grain": "rye"}}},
        {"functionCall": {"id": "fc-2", "name": "weigh", "args": {"grain": "oats"}}},
    ]


def test_text_thoughts_and_usage() -> None:
    assert read("gemini.plain") == Reply(
        "Grüß Gott, 🌾!", reasoning="**Plan**\n", tokens_in=24, tokens_out=52, tokens_cached=16,
        tokens_reasoning=40, model="gemini-2.5-flash", id="Il0taoSYJ5Cez7IP",
    )  # fmt: skip


def test_logprobs() -> None:
    reply = read("gemini.logprobs")
    assert reply.finish == "length"
    assert reply.logprobs == [
        ("Rye", -0.317, [("Rye", -0.317), ("Oats", -1.319)]),
        (".", -0.02, [(".", 0.0)]),
    ]


@pytest.mark.parametrize(
    ("name", "finish"),
    [("safety", "content_filter"), ("blocked", "content_filter"), ("malformed-call", "other"),
     ("spent-on-thoughts", "length")],
)  # fmt: skip
def test_replies_without_text(name: str, finish: str) -> None:
    reply = read(f"gemini.{name}")
    assert (reply.text, reply.finish) == ("", finish)
    assert reply.tokens_in > 0


def test_a_signed_part_of_a_stream_stays_its_own() -> None:
    chunks = [
        {"candidates": [{"content": {"parts": [part]}}], "usageMetadata": {"promptTokenCount": 1}}
        for part in ({"text": "a"}, {"text": "b"}, {"text": "", "thoughtSignature": "s"})
    ]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    reply = WIRE.read(WIRE.joined([("", chunk) for chunk in chunks]))
    assert reply.opaque == [{"text": "ab"}, {"text": "", "thoughtSignature": "s"}]
    assert reply.text == "ab"


def test_errors() -> None:
    body = shape("gemini.error-429")
    for said in (body, [body]):
        error = WIRE.refusal(429, said)
        assert (error.retry, error.wait) == (True, 34.5)
        assert error.reason.startswith("status 429: You exceeded")
    error = WIRE.refusal(400, shape("gemini.error-400"))
    assert (error.retry, error.wait) == (False, None)
    assert WIRE.refusal(503, {"error": {"details": [{"retryDelay": "soon"}, 1]}}).wait is None
    with pytest.raises(WireError, match="inlineData"):
        WIRE.read({"candidates": [{"content": {"parts": [{"inlineData": {}}]}}],
                   "usageMetadata": {}})  # fmt: skip


def test_a_blocked_prompt_in_a_stream_is_an_end() -> None:
    reply = WIRE.read(WIRE.joined([("", shape("gemini.blocked"))]))
    assert reply.finish == "content_filter"
    assert read_stream("gemini.tools").finish == "tool_calls"
