"""Calls of tools as a conversation holds them, whatever a server wrote.

What a server leaves out is written out here, once, before a turn is stored or sent back: a chat
template that reads arguments as JSON stops at an empty text, and a result can only name its call if
no other call of the turn has its id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.core.chat import ToolCall
    from mashbill.core.teacher import Answer

_NOTHING = frozenset({"", "null", "[]", '""'})
"""how servers write the arguments of a call that has none; PHP's empty object is an empty array"""
_FIXED = 9  # characters from which an id is cut to make room: Mistral's have just so many


def whole_calls(answer: Answer) -> tuple[ToolCall, ...]:
    """Return the calls of an answer; no id is there twice.

    Arguments that are no JSON stay as they are: that is the teacher's fault, and told as one. So do
    the ids where the provider wants its own blocks back as they were, ids included.
    """
    calls = [replace(call, arguments=_whole(call.arguments)) for call in answer.tool_calls]
    if answer.opaque is not None and isinstance(answer.opaque.data, list):
        return tuple(calls)
    seen = {call.id for call in calls}
    used: set[str] = set()
    for place, call in enumerate(calls):
        own = call.id
        if not own or own in used:
            own = _other(own or "call", place, seen)
        calls[place] = replace(call, id=own)
        used.add(own)
        seen.add(own)
    return tuple(calls)


def mended_calls(answer: Answer) -> int:
    """Return how many calls of an answer are other here than a server wrote them."""
    both = zip(answer.tool_calls, whole_calls(answer), strict=True)
    return sum(before != after for before, after in both)


def _whole(arguments: str) -> str:
    return "{}" if arguments.strip() in _NOTHING else arguments


def _other(own: str, place: int, seen: set[str]) -> str:
    """Return an id like another that no call of the turn has, as long as it where it is long."""
    number = place
    while True:
        tail = str(number)
        made = own[: -len(tail)] + tail if len(own) >= _FIXED else f"{own}_{tail}"
        if made not in seen:
            return made
        number += 1
