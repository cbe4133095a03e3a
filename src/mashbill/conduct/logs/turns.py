"""What was asked in a request: its system prompt, its last user turn, and whether for reasoning.

Requests of OpenAI (Chat, Completions, Responses, Embeddings), Anthropic (Messages) and Gemini, and
messages as the GenAI conventions of OpenTelemetry write them (``parts`` of type ``text`` with
``content``). Only texts are read: no pictures, no results of tools.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

REDACTED = frozenset({"redacted-by-litellm", "[REDACTED]", "REDACTED"})
"""what loggers write in place of a text that they do not keep"""
_MESSAGES = 20_000  # messages that are looked at: the last ones
_PARTS = 2_000  # parts of a message, likewise
# Tuples, since a stranger's value may be a list, which no set can be asked for.
_OF_TEXT = ("text", "input_text", None)
_OF_SYSTEM = ("system", "developer")
_OF_USER = ("user", "human")


def asked(body: dict[str, Any]) -> tuple[str, str]:
    """Return the system prompt and the last user turn of a request; each empty if it has none.

    Args:
        body: the request as JSON has it; of its keys are read ``system``, ``instructions``,
            ``system_instruction`` (and in Gemini's spelling), ``messages``, ``input``,
            ``contents`` and ``prompt``.
    """
    systems = [
        text
        for key in ("system", "instructions", "system_instruction", "systemInstruction")
        if (text := _content(body.get(key)))
    ]
    for key in ("messages", "input", "contents", "prompt"):
        given = body.get(key)
        if isinstance(given, str) or (isinstance(given, list) and _are_texts(given)):
            return "\n".join(systems), _content(given)
        if isinstance(given, list):
            of_messages, turn = _of_messages(given)
            return "\n".join([*systems, *of_messages]), turn
    return "\n".join(systems), ""


def is_redacted(messages: Any) -> bool:
    """Return whether a logger wrote something else in place of what messages said."""
    if isinstance(messages, str):
        return messages in REDACTED
    return isinstance(messages, list) and any(
        isinstance(each, dict)
        and isinstance(content := each.get("content"), str)
        and content in REDACTED
        for each in messages[-_MESSAGES:]
    )


def asks_reasoning(parameters: Any) -> bool:
    """Return whether a request asks for reasoning by a parameter that services document.

    They are ``reasoning_effort``, ``reasoning``, ``include`` of sealed reasoning (OpenAI),
    ``thinking`` (Anthropic) and ``thinkingConfig`` (Gemini); one that turns it off asks for none.
    """
    if not isinstance(parameters, dict):
        return False
    settings = parameters.get("generationConfig", parameters.get("generation_config"))
    if isinstance(settings, dict):
        parameters = {**settings, **parameters}
    for key in ("reasoning_effort", "reasoning", "thinking", "thinkingConfig", "thinking_config"):
        if _is_on(parameters.get(key)):
            return True
    include = parameters.get("include")
    return isinstance(include, list) and "reasoning.encrypted_content" in include


def _is_on(value: Any) -> bool:
    if isinstance(value, dict):
        words = (value.get("effort"), value.get("type"))
        if any(isinstance(word, str) and word in _OFF for word in words):
            return False
        return value.get("enabled", True) is not False and value.get("thinkingBudget") != 0
    return value is True or (isinstance(value, str) and value not in _OFF)


_OFF = frozenset({"none", "disabled", "off", ""})


def _of_messages(messages: list[Any]) -> tuple[list[str], str]:
    """Return the texts of system messages, and that of the last user message that has one."""
    systems, turn = [], ""
    for message in messages[-_MESSAGES:] if len(messages) > _MESSAGES else messages:
        if not isinstance(message, dict):
            continue
        role = message.get("role")
        if role in _OF_SYSTEM or role in _OF_USER or (role is None and "parts" in message):
            text = _content(message.get("content", message.get("parts")))
            if text and role in _OF_SYSTEM:
                systems.append(text)
            elif text:
                turn = text
    return systems, turn


def _content(content: Any) -> str:
    """Return the text of a message's content: a text, a list of texts or of parts, or one part."""
    if isinstance(content, str):
        return "" if content in REDACTED else content
    if isinstance(content, dict):
        inner = content.get("parts")
        content = inner if isinstance(inner, list) else [content]
    if not isinstance(content, list):
        return ""
    return "\n".join(_texts(content[-_PARTS:]))


def _texts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, dict) and part.get("type") in _OF_TEXT:
            text = part.get("text", part.get("content"))
        else:
            text = part
        if isinstance(text, str) and text not in REDACTED:
            yield text


def _are_texts(given: list[Any]) -> bool:
    return bool(given) and isinstance(given[0], str)
