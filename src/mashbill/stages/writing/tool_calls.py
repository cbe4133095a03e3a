"""Calls of tools as a conversation holds them, whatever a server wrote.

What a server leaves out is written out here, once, before a turn is stored or sent back: a chat
template that reads arguments as JSON stops at an empty text, and a result can only name its call if
no other call of the turn has its id.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mashbill.core.teacher import Answer

_NOTHING = frozenset({"", "null", "[]", '""'})
"""how servers write the arguments of a call that has none; PHP's empty object is an empty array"""
_FIXED = 9  # characters from which an id is cut to make room: Mistral's have just so many


def whole_calls(answer: Answer) -> list[dict[str, Any]]:
    """Return the calls of an answer: id, name, arguments (JSON text) of each; no id is there twice.

    Arguments that are no JSON stay as they are: that is the teacher's fault, and told as one. So do
    the ids where the provider wants its own blocks back as they were, ids included.
    """
    calls: list[dict[str, Any]] = json.loads(answer.tool_calls)
    made = [{**call, "arguments": _whole(call.get("arguments"))} for call in calls]
    if answer.opaque and isinstance(json.loads(answer.opaque).get("data"), list):
        return made
    seen = {str(call.get("id") or "") for call in made}
    used: set[str] = set()
    for place, call in enumerate(made):
        own = str(call.get("id") or "")
        if not own or own in used:
            own = _other(own or "call", place, seen)
        call["id"] = own
        used.add(own)
        seen.add(own)
    return made


def mended_calls(answer: Answer) -> int:
    """Return how many calls of an answer are other here than a server wrote them."""
    said: list[Any] = json.loads(answer.tool_calls)
    return sum(before != after for before, after in zip(said, whole_calls(answer), strict=True))


def _whole(arguments: Any) -> str:
    if isinstance(arguments, str):
        return "{}" if arguments.strip() in _NOTHING else arguments
    return json.dumps({} if arguments in (None, []) else arguments, ensure_ascii=False)


def _other(own: str, place: int, seen: set[str]) -> str:
    """Return an id like another that no call of the turn has, as long as it where it is long."""
    number = place
    while True:
        tail = str(number)
        made = own[: -len(tail)] + tail if len(own) >= _FIXED else f"{own}_{tail}"
        if made not in seen:
            return made
        number += 1
