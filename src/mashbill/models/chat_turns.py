"""Turns as chat templates read them: those of transformers' chats, with tools and their calls.

Templates differ in how they want a call: its arguments as an object (Qwen's, Llama's) or as the
text of one (DeepSeek's), and a turn that says nothing beside it with an empty content or with none.
Which a template takes is found by trying, with words that stand nowhere else. So is whether a turn
is there whole in what was written of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mashbill.core.chat import ToolCall, Turn
from mashbill.core.errors import InputError
from mashbill.core.parsing import json_value
from mashbill.core.thinking import MARKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.core.chat import Tool

_WORD = "xyzzy"
_NUMBER = 7_130_000_000  # more than any that a template would write by itself
PROBE_ID = "xyzzycall"  # nine letters, which Mistral's templates ask for
OPENS, CLOSES = MARKS[0]


class CallForm(NamedTuple):
    """How a template takes calls."""

    arguments: Literal["object", "text"] = "object"
    nothing_said: str | None = ""
    """the content of a turn that calls, and says nothing"""


CALL_FORMS = (
    CallForm("object", ""), CallForm("object", None), CallForm("text", ""), CallForm("text", None)
)  # fmt: skip
"""in the order in which they are tried: that of transformers' documentation first"""


def turn_value(
    turn: Turn, hide: Callable[[str], str], form: CallForm, *, inside: bool
) -> dict[str, Any]:
    """Return a turn as templates read it.

    Args:
        turn: of a conversation.
        hide: what becomes of each text in it.
        form: how calls are taken.
        inside: whether reasoning stands between marks in the content, and not under its own key.
    """
    content: str | None = hide(turn.content)
    if turn.tool_calls and not turn.content:
        content = form.nothing_said
    value: dict[str, Any] = {"role": turn.role, "content": content}
    if turn.reasoning:
        thought = hide(turn.reasoning)
        if inside:
            value["content"] = f"{OPENS}\n{thought}\n{CLOSES}\n\n{content or ''}"
        else:
            value |= {"reasoning_content": thought, "thinking": thought}
    if turn.tool_calls:
        value["tool_calls"] = [_call_value(call, hide, form) for call in turn.tool_calls]
    if turn.role == "tool":
        value |= {"tool_call_id": hide(turn.tool_call_id), "name": hide(turn.name)}
    return value


def _call_value(call: ToolCall, hide: Callable[[str], str], form: CallForm) -> dict[str, Any]:
    as_text = form.arguments == "text"
    arguments = hide(call.arguments) if as_text else mapped(_arguments(call.arguments), hide)
    function = {"name": hide(call.name), "arguments": arguments}
    return {"id": hide(call.id), "type": "function", "function": function}


def tool_value(tool: Tool, hide: Callable[[str], str]) -> dict[str, Any]:
    """Return the declaration of a tool as templates read it, each text in it hidden."""
    return {"type": "function", "function": mapped(tool.value(), hide)}


def _arguments(text: str) -> Any:
    try:
        return json_value(text, "the arguments of a call")
    except InputError:
        return text


def mapped(
    value: Any, text: Callable[[str], str], number: Callable[[Any], Any] = lambda n: n
) -> Any:
    """Return a value of JSON with its texts, keys too, and its numbers changed; however deep."""
    whole = [value]
    waiting: list[Any] = [whole]
    while waiting:
        held = waiting.pop()
        for place, inner in list(held.items() if isinstance(held, dict) else enumerate(held)):
            if isinstance(inner, str):
                held[place] = text(inner)
            elif isinstance(inner, dict):
                held[place] = {text(str(key)): each for key, each in inner.items()}
                waiting.append(held[place])
            elif isinstance(inner, list | tuple):
                held[place] = list(inner)
                waiting.append(held[place])
            elif isinstance(inner, int | float) and not isinstance(inner, bool):
                held[place] = number(inner)
    return whole[0]


def stand_in(turn: Turn) -> tuple[Turn, list[str]]:
    """Return a turn of the same shape, and its words, none of which stands anywhere else.

    Whoever writes it and leaves none of the words out leaves none out of the turn itself: what is
    said, thought, the names and each key, text and number of the arguments of its calls.
    """
    words: list[str] = []

    def word(text: str) -> str:
        if not text.strip():
            return text
        words.append(f"{_WORD}{len(words)}q")
        return words[-1]

    def number(_: Any) -> int:
        words.append(str(_NUMBER + len(words)))
        return int(words[-1])

    calls = []
    for call in turn.tool_calls:
        name = word(call.name)
        arguments = mapped(_arguments(call.arguments), word, number)
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        calls.append(ToolCall(call.id, name, text))
    said, thought = word(turn.content), word(turn.reasoning)
    return replace(turn, content=said, reasoning=thought, tool_calls=tuple(calls)), words


def probe() -> tuple[Turn, list[str], tuple[str, ...]]:
    """Return a turn that calls a tool, its words, and how a template writes them that should not.

    That is: an object as Python writes it, and a text of an object as the text of a text.
    """
    call = ToolCall(PROBE_ID, "a", '{"b": "c"}')
    turn, words = stand_in(Turn("assistant", tool_calls=(call,)))
    arguments = turn.tool_calls[0].arguments
    read = json_value(arguments, "the arguments of a call")
    return turn, words, (str(read), json.dumps(arguments))
