"""Chats as text: the turns of a conversation as what was asked and the last answer.

Turns are objects with ``role`` or ``from``, and ``content``, ``value`` or ``text``, as OpenAI's,
ShareGPT's, TRL's, LLaMA-Factory's and axolotl's files have them. A role that is not known is never
taken for one that asks, or answers.

``folders`` and ``forms`` say what else tells who answered; a loader's name, or an end of an answer,
that stands on no list is unknown, too, and unknown is never good.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.letters import half_a_character
from mashbill.files.rows.cells import as_json, as_text, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Role = Literal["user", "assistant", "system", "call", "tool"]
"""who asks; who answers; what both are told; a call that the one who answers makes; its result"""

_WORDS: dict[Role, str] = {
    "user": "user human prompter",
    "assistant": "assistant gpt model bot chatgpt ai",
    "system": "system developer",
    "call": "function_call tool_call tool_calls tool_caller",
    "tool": "tool function observation tool_response tool_result function_response ipython",
}
ROLES: dict[str, Role] = {word: role for role, words in _WORDS.items() for word in words.split()}
"""how files name roles, in lower case"""
_ROLE, _CONTENT = ("role", "from"), ("content", "value", "text")
_TEXT_PARTS = frozenset({"text", "output_text", "input_text", None})
_SAID = ("text", "value", "content")
_SHOWN = 6


@dataclass(frozen=True)
class Read:
    """A chat, read: its columns, or why it cannot serve."""

    text: str
    """the last answer"""
    prompt: str
    """what was asked before it, and what both were told: turns divided by an empty line"""
    reason: str | None


def is_chat(value: Any) -> bool:
    """Return whether a value is a list of turns: objects that each name a role."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(turn, dict) and any(isinstance(turn.get(key), str) for key in _ROLE)
            for turn in value
        )
    )


def is_turn(value: Any) -> bool:
    """Return whether a value is one turn, as preferences of LLaMA-Factory and axolotl hold it."""
    return isinstance(value, dict) and is_chat([value])


def flattened(turns: Sequence[dict[str, Any]], roles: Mapping[str, Role] | None = None) -> Read:
    """Return the last answer of a chat and what was asked before it.

    Args:
        turns: in order.
        roles: what further words for roles mean; these come before the known ones.
    """
    known = ROLES | {word.lower(): role for word, role in (roles or {}).items()}
    said = [(known.get(role_of(turn)), *content_of(turn)) for turn in turns]
    unknown = list(
        dict.fromkeys(role_of(t) for t, (role, *_) in zip(turns, said, strict=True) if role is None)
    )
    last = max((i for i, (role, *_) in enumerate(said) if role == "assistant"), default=-1)
    text = said[last][1] if last >= 0 else ""
    before = said[: last if last >= 0 else None]
    asked = [content for role, content, _ in before if role in ("user", "system") and content]
    prompt = "\n\n".join(asked)
    reason = _flaw(turns, said, last, unknown)
    if reason is None and half_a_character(text + prompt):
        reason = "its chat is not valid Unicode: it holds half of a surrogate pair"
    return Read(as_text(text), as_text(prompt), reason)


def said_by(value: Any, who: Sequence[Role]) -> str | None:
    """Return what some roles say in a chat, or in a list of chats; None if it is neither.

    Turns are divided by an empty line. A role that is not known says nothing.
    """
    chats = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    if not all(is_chat(chat) for chat in chats):
        return None
    turns = [turn for chat in chats for turn in chat if ROLES.get(role_of(turn)) in who]
    return "\n\n".join(said for said in (content_of(turn)[0] for turn in turns) if said)


def messages_json(turns: Sequence[dict[str, Any]]) -> str:
    """Return turns as they were, as JSON."""
    return as_json(list(turns), ascii_only=True)


def _flaw(
    turns: Sequence[dict[str, Any]],
    said: Sequence[tuple[Role | None, str, str]],
    last: int,
    unknown: Sequence[str],
) -> str | None:
    """Return why a chat cannot serve; None if it can."""
    if unknown:
        every = list(dict.fromkeys(map(role_of, turns)))
        told = ", ".join(repr(word[:40]) for word in unknown[:_SHOWN])
        of = " and ".join(word[:40] for word in every[:_SHOWN])
        return (
            f"its turns are of {of}, and {told} is no role that is known; say in the recipe what "
            f'it is: roles.{_key(unknown[0][:40])} = "assistant", "user", "system", "call" or '
            '"tool"'
        )
    if last < 0:
        return "no turn of its chat is an answer"
    _, text, flaw = said[last]
    if text.strip():
        return None
    if flaw:
        return flaw
    calls = turns[last].get("tool_calls") or turns[last].get("function_call")
    return "its last answer calls a tool, and says nothing" if calls else "its last answer is empty"


def role_of(turn: Mapping[str, Any]) -> str:
    """Return the word by which a turn names its role, in lower case; empty if it names none."""
    found = next((turn[key] for key in _ROLE if isinstance(turn.get(key), str)), "")
    return str(found).strip().lower()


def content_of(turn: Mapping[str, Any]) -> tuple[str, str]:
    """Return a turn's text, and why it has none; of a list of parts, the text of those of text.

    Parts stand one behind the other as the templates of models put them, with nothing between.
    """
    content = next((turn[key] for key in _CONTENT if turn.get(key) is not None), None)
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        if isinstance(content, str):
            return content, ""
        return (
            "",
            "" if content is None else f"its last answer holds {kind_of(content)}, and no text",
        )
    found, others = [], []
    for part in content:
        if isinstance(part, str):
            found.append(part)
        elif isinstance(part, dict) and part.get("type") in _TEXT_PARTS:
            text = next((part[key] for key in _SAID if isinstance(part.get(key), str)), None)
            found += [] if text is None else [text]
        elif isinstance(part, dict):
            others.append(str(part.get("type"))[:40])
    if not found and others:
        return "", f"no part of its last answer holds text: they are {', '.join(others[:_SHOWN])}"
    return "".join(found), ""


def _key(word: str) -> str:
    """Return a word as a key of TOML."""
    return word if re.fullmatch(r"[A-Za-z0-9_-]+", word) else json.dumps(word or "NAME")
