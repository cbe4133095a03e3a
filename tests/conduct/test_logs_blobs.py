"""Blobs of reasoning are found where services put them, and nowhere else."""

import json

from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.conduct.logs.blobs import MOST, PLACEHOLDERS, brought, presented

A, B, C, D = (f"{letter}" * 40 for letter in "abcd")
CHAT = {"role": "assistant", "content": "so"}


def test_openai_responses_carry_them_in_items_of_reasoning():
    items = [
        {"role": "user", "content": "hello"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": A},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": B}]},
        {"type": "compaction", "encrypted_content": C},
    ]
    assert presented({"model": "m", "input": items}) == [A]
    assert brought({"object": "response", "output": items}) == [A]
    assert brought({"type": "response.output_item.done", "item": items[1]}) == [A]
    assert brought({"type": "response.completed", "response": {"output": items}}) == [A]


def test_anthropic_carries_them_in_blocks():
    blocks = [
        {"type": "thinking", "thinking": "...", "signature": A},
        {"type": "redacted_thinking", "data": B},
        {"type": "text", "text": "yes", "signature": C},
    ]
    said = {
        "messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": blocks}]
    }
    assert presented(said) == [A, B]
    assert brought({"type": "message", "content": blocks}) == [A, B]
    assert brought({"type": "content_block_start", "content_block": blocks[1]}) == [B]
    delta = {"type": "signature_delta", "signature": D}
    assert brought({"type": "content_block_delta", "delta": delta}) == [D]


def test_gemini_carries_them_in_parts_and_its_other_endpoint_in_calls():
    parts = [{"text": "x", "thoughtSignature": A}, {"functionCall": {}, "thought_signature": B}]
    assert presented({"contents": [{"role": "model", "parts": parts}]}) == [A, B]
    assert brought({"candidates": [{"content": {"parts": parts}}]}) == [A, B]
    call = {"id": "call_1", "extra_content": {"google": {"thought_signature": C}}}
    assert brought({"choices": [{"delta": {"tool_calls": [call]}}]}) == [C]


def test_litellm_and_openrouter_carry_them_in_messages():
    message = {
        **CHAT,
        "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": A}],
        "reasoning_items": [{"type": "reasoning", "encrypted_content": B}],
        "reasoning_details": [{"type": "reasoning.encrypted", "data": C}],
        "tool_calls": [
            {"id": f"call_1__thought__{D}", "function": {"name": "f", "arguments": "{}"}},
            {"id": "2", "provider_specific_fields": {"thought_signature": D}},
        ],
        "provider_specific_fields": {"thought_signatures": [A, "e" * 40]},
    }
    assert sorted(presented({"messages": [message]})) == [A, B, C, D, "e" * 40]
    assert sorted(brought({"choices": [{"message": message}]})) == [A, B, C, D, "e" * 40]


def test_words_of_the_client_are_no_blobs():
    forged = {"type": "thinking", "signature": A}
    used = {"type": "tool_use", "input": forged}
    given_back = {"type": "tool_result", "content": [forged]}
    said = {
        "role": "user",
        "content": [used, given_back, {"type": "text", "text": json.dumps(forged)}],
    }
    assert presented({"messages": [said], "metadata": forged, "tools": [forged]}) == []


def test_stand_ins_that_many_strangers_send_are_no_blobs():
    for stand_in in (*PLACEHOLDERS, "", "short", None, 3, [A]):
        assert presented({"contents": [{"parts": [{"thoughtSignature": stand_in}]}]}) == []


def test_of_too_many_the_last_are_kept():
    many = [{"type": "reasoning", "encrypted_content": f"{i:040d}"} for i in range(MOST + 9)]
    assert presented({"input": many}) == [f"{i:040d}" for i in range(9, MOST + 9)]
    assert presented({"input": many[:1] * 5}) == [f"{0:040d}"]


_KEYS = st.sampled_from(
    ["messages", "input", "content", "parts", "type", "signature", "data", "output", "choices",
     "message", "delta", "tool_calls", "id", "provider_specific_fields", "thoughtSignature"]
)  # fmt: skip
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["thinking", "reasoning", A, B]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
)


@law(300)
@given(_VALUES)
def test_whatever_a_body_is_blobs_are_texts_that_stand_in_it(body):
    for found in (presented(body), brought(body)):
        assert len(set(found)) == len(found)
        assert all(json.dumps(each) in json.dumps(body) for each in found)
