"""Chats as text: the turns of a conversation as one prompt and the last answer."""

from __future__ import annotations

import json
from typing import Any

from mashbill.stages.rows import half_a_character

_ANSWERING = frozenset({"assistant", "gpt", "model", "bot", "chatgpt"})


def is_chat(value: list[Any]) -> bool:
    """Return whether a list is one of turns."""
    return all(isinstance(turn, dict) for turn in value)


def flattened(turns: list[dict[str, Any]]) -> tuple[dict[str, Any], str | None]:
    """Return columns ``text``, ``prompt`` and ``messages_json``, and why they cannot serve.

    Turns are written with ``role`` and ``content``, or with ``from`` and ``value``. The text is the
    last answer; the prompt is all that was not an answer.
    """
    said = [(_role(turn), _content(turn)) for turn in turns]
    answers = [text for role, text in said if role in _ANSWERING]
    prompt = "\n\n".join(text for role, text in said if role not in _ANSWERING and text)
    text = answers[-1] if answers else ""
    reason = None
    if not text:
        reason = "its last answer is empty" if answers else "no turn of its chat is an answer"
    elif half_a_character(text + prompt):
        reason = "its chat is not valid Unicode: it holds half of a surrogate pair"
    columns = {
        "text": text.encode("utf-8", "replace").decode(),
        "prompt": prompt.encode("utf-8", "replace").decode(),
        "messages_json": json.dumps(turns, default=str),
    }
    return columns, reason


def _role(turn: dict[str, Any]) -> str:
    return str(turn.get("role") or turn.get("from") or "").lower()


def _content(turn: dict[str, Any]) -> str:
    """Return a turn's text; of a list of parts, that of the parts that are text."""
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        content = "\n".join(part for part in parts if isinstance(part, str))
    return content.strip() if isinstance(content, str) else ""
