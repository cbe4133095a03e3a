"""Conversations as others' forms want them: whole turns in order, each call with its result.

What stands in ``messages_json`` is in the words of wherever it came from; here it becomes one kind
of turn, from which each form is written. A row that cannot become one says why, and what a turn
holds beyond that is counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mashbill.core.cells import is_missing
from mashbill.core.chat import ROLES as SPEAKERS
from mashbill.core.chat import ToolCall, Turn
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value
from mashbill.files.rows.chat import ROLES, Role, content_of, is_chat, is_turn, role_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

_KEYS = frozenset(
    {"role", "from", "content", "value", "text", "tool_calls", "function_call", "tool_call_id",
     "name", "weight"}
)  # fmt: skip
"""keys of turns that some form has a place for; of others it is told that they are left out"""
_TEXTS = frozenset({"text", "output_text", "input_text", None})
_THOUGHT = frozenset({"reasoning", "thinking"})
_THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking")
_CALL = "tool_call"


class UnfitError(Exception):
    """A row has no place in a form; the message says why."""


@dataclass(frozen=True)
class OthersTurn(Turn):
    """A turn of a conversation, with what files of others have beside it."""

    weight: Any = None
    parts: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    """parts of the content, where some are no text"""
    spoken: bool = field(default=True, compare=False)
    """whether it is no bare call, as files that give calls turns of their own have them"""


def conversation(
    messages: str | None,
    prompt: str | list[dict[str, Any]] | None,
    text: str | None,
    roles: Mapping[str, Role],
    lost: Counter[str],
) -> list[OthersTurn]:
    """Return the turns of a row up to its text, which is the last: what both are told comes first.

    Args:
        messages: the whole conversation as JSON, where the row has one.
        prompt: what was asked, where it has none: a text, or turns.
        text: the answer; where the conversation has another one, this is it.
        roles: what words for roles mean beyond the known ones.
        lost: what is left out of turns -> how often; counted up.

    Raises:
        UnfitError: if the row holds no such conversation.
    """
    if not (text or "").strip():
        msg = "column 'text' is empty"
        raise UnfitError(msg)
    if messages is None:
        if isinstance(prompt, list) and is_chat(prompt):
            return in_order([*turns_of(prompt, roles, lost), OthersTurn("assistant", text or "")])
        if not isinstance(prompt, str) or not prompt.strip():
            msg = "column 'prompt' is empty, and nothing else says what was asked"
            raise UnfitError(msg)
        return [OthersTurn("user", prompt), OthersTurn("assistant", text or "")]
    own = turns_of(_chat(messages), roles, lost)
    last = max((i for i, t in enumerate(own) if t.role == "assistant" and t.spoken), default=-1)
    if last < 0:
        msg = "no turn of its chat is an answer"
        raise UnfitError(msg)
    if last + 1 < len(own):
        lost["turns behind the last answer"] += len(own) - last - 1
    if own[last].content != text:
        lost["last answers of messages_json that are not the text, which is written"] += 1
        own[last] = replace(own[last], content=text or "", parts=())
    return in_order(own[: last + 1])


def sides_of(cell: Any, roles: Mapping[str, Role], lost: Counter[str]) -> list[OthersTurn]:
    """Return the turns of a chosen or rejected answer: a text, turns, or the JSON of turns."""
    if isinstance(cell, list) and is_chat(cell):
        return turns_of(cell, roles, lost)
    if isinstance(cell, str) and cell.lstrip()[:1] in ("[", "{"):
        try:
            value = json_value(cell, "it")
        except InputError:
            value = None
        value = [value] if is_turn(value) else value
        if is_chat(value):
            return turns_of(value, roles, lost)
    if not isinstance(cell, str) or not cell.strip():
        msg = "one of its two answers is empty"
        raise UnfitError(msg)
    return [OthersTurn("assistant", cell)]


def turns_of(
    turns: Sequence[dict[str, Any]], roles: Mapping[str, Role], lost: Counter[str]
) -> list[OthersTurn]:
    """Return turns, whatever words they are in.

    Raises:
        UnfitError: if one is of a role that is not known, or holds what no turn can.
    """
    known = ROLES | {word.lower(): role for word, role in roles.items()}
    return [_turn(turn, known, lost) for turn in turns]


def _chat(messages: str) -> list[dict[str, Any]]:
    try:
        value = json_value(messages, "messages_json")
    except InputError as error:
        raise UnfitError(str(error)) from error
    if not is_chat(value):
        msg = "column 'messages_json' holds no chat"
        raise UnfitError(msg)
    return list(value)


def _turn(turn: dict[str, Any], known: Mapping[str, Role], lost: Counter[str]) -> OthersTurn:
    word = role_of(turn)
    role = known.get(word)
    if role is None:
        msg = f"a turn is of {word[:40]!r}, which is no role that is known"
        raise UnfitError(msg)
    for key in turn.keys() - _KEYS:
        if not is_missing(turn[key]) and turn[key] not in ("", [], {}):
            lost[f"key {key[:60]!r} of turns"] += 1
    if sum(not is_missing(turn.get(key)) for key in ("content", "value", "text")) > 1:
        lost["contents of turns beside another content"] += 1
    text, _ = content_of(turn)
    if role == "call":
        return OthersTurn("assistant", "", tuple(_calls(_listed(text))), spoken=False)
    who = next(each for each in SPEAKERS if each == role)
    calls = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    calls = [*(calls if isinstance(calls, list) else [calls]), *_called_in_parts(turn)]
    name = turn.get("name")
    return OthersTurn(
        role=who,
        content=text,
        tool_calls=tuple(_calls(calls)),
        tool_call_id=str(turn.get("tool_call_id") or ""),
        name=name if isinstance(name, str) else "",
        weight=turn.get("weight"),
        parts=_parts(turn, lost),
        reasoning=_reasoning(turn) if who == "assistant" else "",
    )


def _reasoning(turn: dict[str, Any]) -> str:
    """Return what a turn openly thought, under the keys that files of others have it by."""
    beside = [turn.get(key) for key in _THOUGHT_KEYS]
    inside = [part.get(key) for part in _parts_of(turn) if part.get("type") in _THOUGHT
              for key in ("thinking", "reasoning", "text")]  # fmt: skip
    return next((told for told in (*beside, *inside) if isinstance(told, str) and told), "")


def _parts_of(turn: dict[str, Any]) -> list[dict[str, Any]]:
    content = turn.get("content", turn.get("value"))
    return [part for part in content if isinstance(part, dict)] if type(content) is list else []


def _called_in_parts(turn: dict[str, Any]) -> list[Any]:
    """Return calls that are parts, as LLaMA-Factory's second form has them: JSON texts."""
    texts = [str(part.get("value")) for part in _parts_of(turn) if part.get("type") == _CALL]
    return [call for text in texts for call in _listed(text)]


def _parts(turn: dict[str, Any], lost: Counter[str]) -> tuple[dict[str, Any], ...]:
    parts = [part for part in _parts_of(turn) if part.get("type") != _CALL]
    others = [part for part in parts if part.get("type") not in _TEXTS]
    for part in others:
        if part.get("type") in _THOUGHT:
            lost[f"parts {part['type']!r} of turns"] += 1
    is_more = any(part.get("type") not in _THOUGHT for part in others)
    return tuple(part for part in parts if part.get("type") not in _THOUGHT) if is_more else ()


def _listed(text: str) -> list[Any]:
    try:
        value = json_value(text, "it")
    except InputError:
        value = text
    return value if isinstance(value, list) else [value]


def _calls(given: Any) -> list[ToolCall]:
    """Return calls as OpenAI's, mashbill's and ShareGPT's files have them."""
    found = []
    for each in given if isinstance(given, list) else [given]:
        call = each.get("function", each) if isinstance(each, dict) else {}
        name, arguments = call.get("name"), call.get("arguments", {})
        if isinstance(arguments, str):
            read = _listed(arguments)
            # Some files encode them twice.
            read = _listed(read[0]) if isinstance(read[0], str) else read
            arguments = read[0] if len(read) == 1 else None
        if not isinstance(name, str) or not isinstance(arguments, dict):
            msg = "a call is not JSON of a name and arguments, an object"
            raise UnfitError(msg)
        own = each.get("id")
        text = json.dumps(arguments, ensure_ascii=False)
        found.append(ToolCall(own if isinstance(own, str) else "", name, text))
    return found


def in_order(turns: list[OthersTurn]) -> list[OthersTurn]:
    """Return turns with what both are told as one first turn, and calls and results named alike.

    Raises:
        UnfitError: if they are not a question and an answer in turn, each call with its result.
    """
    head = 0
    while head < len(turns) and turns[head].role == "system":
        head += 1
    told = "\n\n".join(turn.content for turn in turns[:head] if turn.content)
    rest = turns[head:]
    if any(turn.role == "system" for turn in rest):
        msg = "a system turn stands behind others"
        raise UnfitError(msg)
    made: list[OthersTurn] = [OthersTurn("system", told)] if told else []
    pending: list[ToolCall] = []
    before: str = "system"
    for turn in rest:
        _check_place(turn, before, pending)
        new = turn
        if turn.tool_calls:
            pending = [
                replace(call, id=call.id or f"call_{len(made)}_{i}")
                for i, call in enumerate(turn.tool_calls)
            ]
            new = replace(turn, tool_calls=tuple(pending))
        elif turn.role == "tool":
            call = next((call for call in pending if call.id == turn.tool_call_id), pending[0])
            pending = [each for each in pending if each is not call]
            new = replace(turn, tool_call_id=call.id, name=turn.name or call.name)
        made.append(new)
        before = turn.role
    return made


def _check_place(turn: OthersTurn, before: str, pending: Sequence[ToolCall]) -> None:
    """Raise UnfitError if a turn cannot stand behind the one before."""
    why = ""
    if before == "system" and turn.role != "user":
        why = "its chat does not begin with a question"
    elif turn.role == "tool" and not pending:
        why = "a tool's result stands where nothing was called"
    elif turn.role != "tool" and pending:
        why = "a call has no result"
    elif turn.role == before and turn.role != "tool":
        why = f"two turns of the {turn.role} stand one behind the other"
    elif turn.role == "user" and before == "tool":
        why = "a tool's result has no answer"
    elif turn.role != "tool" and not (turn.content.strip() or turn.tool_calls or turn.parts):
        why = f"a turn of the {turn.role} is empty"
    if why:
        raise UnfitError(why)
