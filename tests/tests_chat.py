"""Conversations written short: turns and tools as JSON has them, made what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.client.wire import Ask
from mashbill.core.chat import Conversation, Opaque, Tool, ToolCall, Turn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mashbill import Answer


def turn(value: Mapping[str, Any]) -> Turn:
    """What stands as ``opaque`` is the provider's own data, from model m of account a."""
    calls = value.get("tool_calls") or ()
    opaque = value.get("opaque")
    return Turn(
        value["role"],
        value.get("content") or "",
        tuple(call if isinstance(call, ToolCall) else ToolCall.of(call) for call in calls),
        None if opaque is None else Opaque("m", "a", opaque),
        value.get("tool_call_id", ""),
        value.get("name", ""),
    )


def said(turns: Iterable[Mapping[str, Any]]) -> Conversation:
    return Conversation(tuple(map(turn, turns)))


def asking(model: str, turns: Iterable[Mapping[str, Any]], *rest: Any, **more: Any) -> Ask:
    if "tools" in more:
        more["tools"] = tuple(map(Tool.of, more["tools"]))
    places = [tuple(map(Tool.of, each)) if at == 3 else each for at, each in enumerate(rest)]
    return Ask(model, said(turns), *places, **more)


def calls(values: Sequence[Mapping[str, Any]]) -> tuple[ToolCall, ...]:
    return tuple(map(ToolCall.of, values))


def as_values(answer: Answer | Iterable[ToolCall]) -> list[dict[str, str]]:
    found = answer.tool_calls if hasattr(answer, "tool_calls") else answer
    return [call.value() for call in found]
