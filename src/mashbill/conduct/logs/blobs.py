"""Opaque blobs of reasoning: what a service gives a client to hand back, and cannot be read.

A service that hides its reasoning returns it sealed, so that a conversation can go on without the
service keeping it. Whoever hands such a blob to another account, or to another model than made it,
gets at what was not offered. So a log keeps which blobs a request presents and which its answer
brought. Where they stand:

* OpenAI Responses: ``encrypted_content`` of items of type ``reasoning`` (API reference, *Create a
  model response*, ``include: reasoning.encrypted_content``).
* Anthropic Messages: ``signature`` of ``thinking`` blocks, ``data`` of ``redacted_thinking`` blocks
  (*Extended thinking*), and ``signature_delta`` in streams.
* Gemini: ``thoughtSignature`` of parts (*Thought signatures*), which its endpoint in the manner of
  OpenAI carries as ``extra_content.google.thought_signature`` of a tool call.
* LiteLLM: ``thinking_blocks`` and ``reasoning_items`` of a message,
  ``provider_specific_fields.thought_signature(s)``, and behind ``__thought__`` in the id of a tool
  call (``litellm/litellm_core_utils/prompt_templates/factory.py``).
* OpenRouter: ``reasoning_details`` of type ``reasoning.encrypted`` (``data``) and
  ``reasoning.text`` (``signature``).

What stands elsewhere is no blob: arguments and results of tools are the client's own words, and
somebody who writes ``"signature"`` there presents nothing. Two values that Gemini documents as
placeholders for a missing signature are none either; many strangers send the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST = 256
"""blobs of a request or an answer that are kept: the last ones"""
SHORTEST = 16
"""letters of a blob: services seal more than this, and stand-ins of servers are shorter"""
PLACEHOLDERS = frozenset(
    {
        "skip_thought_signature_validator",
        "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",  # the same in base64, as LiteLLM sends it
        "context_engineering_is_the_way_to_go",
    }
)
"""what Gemini takes in place of a signature"""
_IN_ID = "__thought__"
_PLAIN = frozenset({"role", "content", "name"})
_MESSAGES = 20_000  # messages or items of a body that are looked at: the last ones
_PARTS = 2_000  # parts of a message, likewise


def presented(body: Any) -> list[str]:
    """Return the blobs that a request presents, in its order, each once.

    Args:
        body: the request as JSON has it, of OpenAI Chat or Responses, Anthropic Messages or Gemini;
            or only its list of messages.
    """
    if isinstance(body, list):
        return _once(_of_messages(body))
    if not isinstance(body, dict):
        return []
    return _once(
        found
        for key in ("messages", "input", "contents")
        for found in _of_messages(_last(body.get(key), _MESSAGES))
    )


def brought(body: Any) -> list[str]:
    """Return the blobs that an answer brings, in its order, each once.

    Args:
        body: the answer as JSON has it, or one event of its stream (what stands behind ``data:``).
    """
    return _once(_of_answer(body)) if isinstance(body, dict) else []


def _of_answer(body: dict[str, Any]) -> Iterator[str]:
    yield from _of_messages(_last(body.get("output"), _MESSAGES))  # Responses
    yield from _of_parts(body.get("content"))  # Anthropic
    for choice in _last(body.get("choices"), _PARTS):  # Chat, whole and in a stream
        if isinstance(choice, dict):
            for key in ("message", "delta"):
                yield from _of_messages([choice.get(key)])
    for candidate in _last(body.get("candidates"), _PARTS):  # Gemini
        if isinstance(candidate, dict):
            yield from _of_messages([candidate.get("content")])
    # Events of streams: of Responses an item or the whole answer, of Anthropic a block or a delta.
    yield from _of_messages([body.get("item")])
    answer = body.get("response")
    if isinstance(answer, dict):
        yield from _of_messages(_last(answer.get("output"), _MESSAGES))
    block, delta = body.get("content_block"), body.get("delta")
    yield from _of_parts([block])
    if isinstance(delta, dict) and delta.get("type") == "signature_delta":
        yield from _text(delta.get("signature"))


def _of_messages(messages: Iterable[Any]) -> Iterator[str]:
    for message in messages:
        if not isinstance(message, dict):
            continue
        if message.keys() <= _PLAIN and isinstance(message.get("content"), str):
            continue  # as most messages of most logs are
        yield from _of_part(message)
        for key in ("content", "parts", "thinking_blocks", "reasoning_items", "reasoning_details"):
            yield from _of_parts(message.get(key))
        for call in _last(message.get("tool_calls"), _PARTS):
            if isinstance(call, dict):
                yield from _of_call(call)
        fields = message.get("provider_specific_fields")
        if isinstance(fields, dict):
            for each in _last(fields.get("thought_signatures"), _PARTS):
                yield from _text(each)
            for key in ("thinking_blocks", "reasoning_items"):
                yield from _of_parts(fields.get(key))


def _of_parts(parts: Any) -> Iterator[str]:
    for part in _last(parts, _PARTS):
        if isinstance(part, dict):
            yield from _of_part(part)


def _of_part(part: dict[str, Any]) -> Iterator[str]:
    kind = part.get("type")
    if kind == "reasoning":
        yield from _text(part.get("encrypted_content"))
    elif kind in ("thinking", "reasoning.text"):
        yield from _text(part.get("signature"))
    elif kind in ("redacted_thinking", "reasoning.encrypted"):
        yield from _text(part.get("data"))
    for key in ("thoughtSignature", "thought_signature"):
        yield from _text(part.get(key))


def _of_call(call: dict[str, Any]) -> Iterator[str]:
    function = call.get("function")
    for holder in (call, function):
        if isinstance(holder, dict):
            fields = holder.get("provider_specific_fields")
            if isinstance(fields, dict):
                yield from _text(fields.get("thought_signature"))
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    if isinstance(google, dict):
        yield from _text(google.get("thought_signature"))
    name = call.get("id")
    if isinstance(name, str) and _IN_ID in name:
        yield from _text(name.partition(_IN_ID)[2])


def _text(value: Any) -> Iterator[str]:
    if isinstance(value, str) and len(value) >= SHORTEST and value not in PLACEHOLDERS:
        yield value


def _last(value: Any, most: int) -> list[Any]:
    return value[-most:] if isinstance(value, list) else []


def _once(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))[-MOST:]
