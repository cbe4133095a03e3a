"""Putting the chunks of a chat's stream together to the message that they are pieces of."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mashbill.client.wire import WireError
from mashbill.client.wire.finishing import ending, worse
from mashbill.client.wire.reading import (
    Pieces,
    as_json,
    grow,
    index,
    items,
    record,
    settle,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MOST_CALLS = 1000


def together(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the choices of a stream's chunks together to one whole choice.

    Raises:
        WireError: if a piece of its text or of its calls has another form.
    """
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant"},
        "finish_reason": None,
    }
    parts = of_one(parts)
    writes_messages = not any(isinstance(part.get("delta"), dict) for part in parts)
    if writes_messages and _grow_by_themselves(parts):
        parts = parts[-1:]
    for part in parts:
        _add(choice, part, writes_messages=writes_messages)
    _settle(choice)
    return choice


def of_one(parts: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Return the parts of one answer, of which one is asked for.

    Some servers count the chunks where the choice should be counted: then all are of the one.
    """
    places = [index(part.get("index")) for part in parts]
    counts_up = all(before < after for before, after in pairwise(places))
    if counts_up or len(set(places)) == 1:
        return parts
    return [part for part, place in zip(parts, places, strict=True) if place == 0]


def _grow_by_themselves(parts: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether each part holds all that was said so far."""
    said = []
    for part in parts:
        whole = part.get("message")
        said.append(whole.get("content") if isinstance(whole, dict) else part.get("text"))
    return len(said) > 1 and all(
        isinstance(before, str) and isinstance(after, str) and before and after.startswith(before)
        for before, after in pairwise(said)
    )


def _add(choice: dict[str, Any], part: Mapping[str, Any], *, writes_messages: bool) -> None:
    """Add a chunk's choice to the whole one."""
    said = choice["message"]
    delta = _delta(part, said, writes_messages=writes_messages)
    for key in ("reasoning_content", "reasoning", "refusal"):
        more = delta.get(key)
        if isinstance(more, list):
            more = "".join(each for each in more if isinstance(each, str))
        if isinstance(more, str) and (key not in said or isinstance(said[key], str | Pieces)):
            grow(said, key, more)
        elif more and key not in said:
            said[key] = more
    if isinstance(content := delta.get("content"), str):
        said.setdefault("content", []).append(content)
    elif content is not None or "content" in delta:
        said.setdefault("content", []).extend(items(content, "content"))
    details = delta.get("reasoning_details")
    if isinstance(details, list) and details:
        said["reasoning_details"] = _with_details(said.get("reasoning_details", []), details)
    calls = delta.get("tool_calls")
    if isinstance(calls, dict) and calls:
        calls = [calls] if "function" in calls else list(calls.values())
    if isinstance(delta.get("function_call"), dict):  # the reference's older form
        calls = [{"index": 0, "function": delta["function_call"]}]
    for each in items(calls, "tool_calls"):
        _add_call(record(each, "tool_calls[]"), said.setdefault("tool_calls", {}))
    logprobs = part.get("logprobs")
    logprobs = {"content": logprobs} if isinstance(logprobs, list) else logprobs
    for key, values in logprobs.items() if isinstance(logprobs, dict) else ():
        if isinstance(values, list) and values:
            choice.setdefault("logprobs", {}).setdefault(key, []).extend(values)
    choice["finish_reason"] = worse(choice["finish_reason"], ending(part))


def _delta(
    part: Mapping[str, Any], said: Mapping[str, Any], *, writes_messages: bool
) -> dict[str, Any]:
    """Return what a chunk adds: some servers write a message, or a text, in its place.

    A message behind pieces is those pieces once more.
    """
    if part.get("delta"):
        return record(part["delta"], "delta")
    if isinstance(part.get("text"), str):
        return {"content": part["text"]}
    whole = part.get("message")
    is_new = writes_messages or len(said) == 1
    return whole if isinstance(whole, dict) and is_new else {}


def _settle(choice: dict[str, Any]) -> None:
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
    """Add a piece of a tool call.

    A piece without an index goes on with the last call, unless it has another id or, with none, a
    name; and one whose index another call has, by its id and name, is a call of its own.
    """
    if len(calls) > _MOST_CALLS:
        msg = f"a turn of more than {_MOST_CALLS} tool calls"
        raise WireError(msg, retry=False)
    function = record(part.get("function"), "tool_calls[].function")
    own, name = part.get("id"), function.get("name")
    last = max(calls, default=-1)
    number = last if part.get("index") is None else index(part["index"])
    before = calls.get(number)
    is_another = before is None or _begins(part, name, before)
    if before is not None and is_another:
        number = last + 1
    call = calls.setdefault(max(number, 0), {"type": "function", "function": {"arguments": ""}})
    if own:
        call.setdefault("id", own)
    before_name = call["function"].get("name", "")
    is_more = before_name and not own and not function.get("arguments") and name != before_name
    if isinstance(name, str) and name and is_more and not "".join(call["function"]["arguments"]):
        call["function"]["name"] = before_name + name  # a name in pieces
    elif name:
        call["function"].setdefault("name", name)
    grow(call["function"], "arguments", _arguments(function.get("arguments")))


def _begins(part: Mapping[str, Any], name: Any, before: Mapping[str, Any]) -> bool:
    """Return whether a piece begins another call than the one at its place."""
    own, is_placed = part.get("id"), part.get("index") is not None
    if not before["function"].get("name") or (is_placed and not name):
        return False
    if is_placed and not own:
        # A name may come in pieces, until there are arguments.
        return bool(name) and bool("".join(before["function"]["arguments"]))
    return own != before.get("id") if own and before.get("id") else bool(name)


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
                grow(last, key, value if isinstance(value, str) else None)
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
