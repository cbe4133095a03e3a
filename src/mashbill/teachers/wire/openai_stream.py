"""Putting the chunks of a chat's stream together to the message that they are pieces of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.teachers.wire import WireError
from mashbill.teachers.wire.reading import (
    Pieces,
    as_json,
    grow,
    index,
    items,
    record,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_CALLS = 1000


def begun() -> dict[str, Any]:
    """Return a choice of which nothing was said yet."""
    return {"index": 0, "message": {"role": "assistant"}, "finish_reason": None}


def grown(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Add a chunk's choice to the whole one.

    Raises:
        WireError: if a piece of its text or of its calls has another form.
    """
    said = choice["message"]
    delta = _delta(part, said)
    for key in ("reasoning_content", "reasoning", "refusal"):
        more = delta.get(key)
        if isinstance(more, str):
            grow(said, key, more)
        elif more and key not in said:
            said[key] = more
    if isinstance(content := delta.get("content"), str):
        said.setdefault("content", []).append(content)
    elif "content" in delta:
        said.setdefault("content", []).extend(items(content, "content"))
    details = delta.get("reasoning_details")
    if isinstance(details, list) and details:
        said["reasoning_details"] = _with_details(said.get("reasoning_details", []), details)
    calls = delta.get("tool_calls")
    calls = [calls] if isinstance(calls, dict) and calls else calls or None
    for each in items(calls, "tool_calls"):
        _add_call(record(each, "tool_calls[]"), said.setdefault("tool_calls", {}))
    logprobs = part.get("logprobs")
    places = logprobs.get("content") if isinstance(logprobs, dict) else None
    if isinstance(places, list) and places:
        choice.setdefault("logprobs", {"content": []})["content"] += places
    if part.get("finish_reason"):
        choice["finish_reason"] = part["finish_reason"]


def _delta(part: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a chunk adds: some servers write a message, or a text, in its place.

    A message behind pieces is those pieces once more.
    """
    if part.get("delta") is not None:
        return record(part["delta"], "delta")
    if isinstance(part.get("text"), str):
        return {"content": part["text"]}
    whole = part.get("message")
    return whole if isinstance(whole, dict) and len(said) == 1 else {}


def settled(choice: dict[str, Any]) -> None:
    """Make what grew in pieces whole."""
    said = choice["message"]
    if isinstance(calls := said.get("tool_calls"), dict):
        said["tool_calls"] = [calls[number] for number in sorted(calls)]
        for call in said["tool_calls"]:
            settle(call["function"])
    settle(said)
    for detail in said.get("reasoning_details", ()):
        settle(detail)
    parts = said.get("content")
    if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
        said["content"] = "".join(parts)


def _add_call(part: dict[str, Any], calls: dict[int, dict[str, Any]]) -> None:
    """Add a piece of a tool call. A piece without an index starts a call if it has an id."""
    if len(calls) > _MOST_CALLS:
        msg = f"a turn of more than {_MOST_CALLS} tool calls"
        raise WireError(msg, retry=False)
    if part.get("index") is not None:
        number = index(part["index"])
    else:
        last = max(calls, default=-1)
        number = last + 1 if part.get("id") or last < 0 else last
    call = calls.setdefault(number, {"type": "function", "function": {"arguments": ""}})
    if part.get("id"):
        call.setdefault("id", part["id"])
    function = record(part.get("function"), "tool_calls[].function")
    if function.get("name"):
        call["function"].setdefault("name", function["name"])
    grow(call["function"], "arguments", _arguments(function.get("arguments")))


def _with_details(whole: list[Any], parts: list[Any]) -> list[Any]:
    """Add pieces of OpenRouter's reasoning details: of one index, texts grow and the rest is set.

    A signature comes in a piece of its own behind its text.
    """
    for part in parts:
        last = whole[-1] if whole else None
        if not isinstance(part, dict) or not isinstance(last, dict) or not _continues(part, last):
            whole.append(dict(part) if isinstance(part, dict) else part)
            continue
        for key, value in part.items():
            before = last.get(key)
            if key in {"text", "summary", "data"} and isinstance(before, str | Pieces):
                grow(last, key, value)
            elif value is not None:
                last[key] = value
    return whole


def _continues(part: dict[str, Any], last: dict[str, Any]) -> bool:
    place, kind = part.get("index"), part.get("type")
    return (
        isinstance(place, int)
        and isinstance(kind, str)
        and place == last.get("index")
        and kind == last.get("type")
    )


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value, "arguments") if value else ""
