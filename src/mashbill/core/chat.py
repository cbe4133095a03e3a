"""Conversations: turns, the tools that are declared, calls of them.

They are values everywhere in the program. Text they are in two places only, in what a request's
digest is made of and on the disk, and both are what ``to_json`` here writes, byte for byte: the
digests of journals that are there already rest on it. ``from_json`` reads it again.

What a stranger wrote (rows, bodies of responses) is read where it comes in, by
:mod:`mashbill.files.rows.chat` and :mod:`mashbill.client.wire`, each with bounds of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROLES = ("system", "user", "assistant", "tool")
"""who speaks: what both are told; who asks; who answers; the result of a call"""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that a model wants made."""

    id: str
    name: str
    arguments: str
    """what the model wrote: the JSON of an object, or what it took for one. It stays its own text,
    since it is learned from and sent back as it was written, also where it is no JSON"""

    def value(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return {"id": self.id, "name": self.name, "arguments": self.arguments}

    @classmethod
    def of(cls, value: Any) -> ToolCall:
        """Return the call that a value of JSON is; what it lacks is empty.

        Raises:
            InputError: if it is no object, or names no tool.
        """
        call = _object(value, "a call of a tool")
        arguments = call.get("arguments")
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else _text(arguments)
        return cls(str(call.get("id") or ""), _string(call, "name", "a call of a tool"), arguments)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that a teacher may call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """JSON Schema of its arguments"""

    def value(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        told = {"name": self.name, "description": self.description}
        return {**told, "parameters": dict(self.parameters)}

    @classmethod
    def of(cls, value: Any) -> Tool:
        """Return the tool that a value of JSON declares.

        Raises:
            InputError: if it is no object, or has no name.
        """
        tool = _object(value, "a tool")
        parameters = _object(tool.get("parameters") or {}, "the parameters of a tool")
        name = _string(tool, "name", "a tool")
        return cls(name, str(tool.get("description") or ""), parameters)


@dataclass(frozen=True, slots=True)
class Opaque:
    """What a provider wants back with its own turn: encrypted or signed reasoning.

    It goes to the model and account that it came from, and to nobody else.
    """

    model: str
    account: str
    """alias of the account"""
    data: Any = field(hash=False)
    """JSON, in the provider's own form"""

    def value(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"model": self.model, "account": self.account, "data": self.data}

    def to_json(self) -> str:
        """Return it as a journal has it: letters beyond ASCII by their escapes."""
        return json.dumps(self.value())

    @classmethod
    def of(cls, value: Any) -> Opaque:
        """Return what a value of JSON holds.

        Raises:
            InputError: if it is no object.
        """
        held = _object(value, "what a provider wants back")
        model, account = (str(held.get(name) or "") for name in ("model", "account"))
        return cls(model, account, held.get("data"))

    @classmethod
    def from_json(cls, text: str) -> Opaque | None:
        """Read what :meth:`to_json` wrote; nothing from an empty text.

        Raises:
            InputError: if it is something else.
        """
        return cls.of(_read(text, "what a provider wants back")) if text else None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: str
    """one of :data:`ROLES`"""
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    """of the assistant's"""
    opaque: Opaque | None = None
    """of the assistant's: for its provider alone"""
    tool_call_id: str = ""
    """of a tool's: the call that it answers"""
    name: str = ""
    """of a tool's: which tool it is"""
    reasoning: str = ""
    """of the assistant's: what it openly thought before it said this, where its provider offers
    that; no part of ``content``"""

    def value(self) -> dict[str, Any]:
        """Return it as JSON has it, its keys in the order of all journals and columns."""
        if self.role == "tool":
            named = {"role": "tool", "tool_call_id": self.tool_call_id, "name": self.name}
            return {**named, "content": self.content}
        found: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.reasoning:
            found["reasoning_content"] = self.reasoning
        if self.opaque is not None:
            found["opaque"] = self.opaque.value()
        if self.tool_calls:
            found["tool_calls"] = [call.value() for call in self.tool_calls]
        return found

    @classmethod
    def of(cls, value: Any) -> Turn:
        """Return the turn that a value of JSON is; a content of nothing is an empty one.

        Raises:
            InputError: if it is no object, or of no role that is known.
        """
        turn = _object(value, "a turn")
        role = turn.get("role")
        if role not in ROLES:
            msg = f"a turn is of {role!r:.60}; one of {', '.join(ROLES)} is meant"
            raise InputError(msg)
        opaque = turn.get("opaque")
        return cls(
            role,
            str(turn.get("content") or ""),
            tuple(ToolCall.of(call) for call in _list(turn.get("tool_calls"), "calls of tools")),
            None if opaque is None else Opaque.of(opaque),
            str(turn.get("tool_call_id") or ""),
            str(turn.get("name") or ""),
            str(turn.get("reasoning_content") or "") if role == "assistant" else "",
        )


@dataclass(frozen=True, slots=True)
class Conversation:
    """Turns in the order in which they were said; false where there are none."""

    turns: tuple[Turn, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything was said."""
        return bool(self.turns)

    def __len__(self) -> int:
        """Return the number of turns."""
        return len(self.turns)

    def __iter__(self) -> Iterator[Turn]:
        """Go through the turns."""
        return iter(self.turns)

    def __getitem__(self, place: int) -> Turn:
        """Return a turn by its place."""
        return self.turns[place]

    def then(self, *turns: Turn) -> Conversation:
        """Return it with more turns at its end."""
        return Conversation((*self.turns, *turns))

    def said_by(self, role: str) -> tuple[Turn, ...]:
        """Return the turns of a role."""
        return tuple(turn for turn in self.turns if turn.role == role)

    @property
    def system(self) -> str:
        """What both are told: the texts of all system turns, by empty lines."""
        return "\n\n".join(turn.content for turn in self.said_by("system") if turn.content)

    @property
    def last_answer(self) -> str:
        """The text of the last turn of an assistant; empty if there is none."""
        return next((turn.content for turn in reversed(self.turns) if turn.role == "assistant"), "")

    def shown(self) -> Conversation:
        """Return it as anybody may see it: what is for a provider alone is left out."""
        if all(turn.opaque is None for turn in self.turns):
            return self
        return Conversation(tuple(replace(turn, opaque=None) for turn in self.turns))

    def without_reasoning(self) -> Conversation:
        """Return it as it is asked on: no provider wants the reasoning of earlier turns as text."""
        if not any(turn.reasoning for turn in self.turns):
            return self
        return Conversation(tuple(replace(turn, reasoning="") for turn in self.turns))

    def one_system(self) -> Conversation:
        """Return it with all system text in one turn before the others, by empty lines.

        Templates of chat models take one such turn, at the beginning, or none.
        """
        others = tuple(turn for turn in self.turns if turn.role != "system")
        told = self.system
        return Conversation((Turn("system", told), *others) if told else others)

    def system_in_user(self) -> Conversation:
        """Return it with its system text before the first user's, by an empty line.

        Where no user says anything, the system text is what the user says.
        """
        told = self.system
        others = [turn for turn in self.turns if turn.role != "system"]
        if not told:
            return Conversation(tuple(others))
        for place, turn in enumerate(others):
            if turn.role == "user":
                content = f"{told}\n\n{turn.content}" if turn.content else told
                others[place] = replace(turn, content=content)
                return Conversation(tuple(others))
        return Conversation((Turn("user", told), *others))

    @property
    def only_system_is_odd(self) -> bool:
        """Whether there is a system turn, and what stands beside it is what any model takes.

        That is: user and assistant by turns, a user first and last.
        """
        others = [turn.role for turn in self.turns if turn.role != "system"]
        wanted = ["user", "assistant"] * (len(others) // 2 + 1)
        return len(others) < len(self) and len(others) % 2 == 1 and others == wanted[: len(others)]

    def transcript(self) -> str:
        """Return it up to its last turn, as a judge reads it: one turn as it stands."""
        turns = [turn for turn in self.turns[:-1] if turn.role != "system"]
        if len(turns) == 1:
            return turns[0].content
        lines = []
        for turn in turns:
            name = f"Result of {turn.name}" if turn.role == "tool" else turn.role.capitalize()
            said = turn.content or not turn.tool_calls
            lines += [f"{name}: {turn.content}"] if said else []
            lines += [f"{name} calls {call.name}: {call.arguments}" for call in turn.tool_calls]
        return "\n\n".join(lines)

    def value(self) -> list[dict[str, Any]]:
        """Return its turns as JSON has them."""
        return [turn.value() for turn in self.turns]

    def to_json(self) -> str:
        """Return it as digests, journals and columns have it; empty if nothing was said."""
        return _text(self.value()) if self.turns else ""

    @classmethod
    def of(cls, values: Any) -> Conversation:
        """Return the conversation that a list of JSON is.

        Raises:
            InputError: if it is no list, or something in it no turn.
        """
        return cls(tuple(Turn.of(value) for value in _list(values, "a conversation")))

    @classmethod
    def from_json(cls, text: str) -> Conversation:
        """Read what :meth:`to_json` wrote; an empty text has no turns.

        Raises:
            InputError: if it is something else.
        """
        return cls.of(_read(text, "a conversation")) if text else cls()


NOTHING_SAID = Conversation()


def calls_to_json(calls: Iterable[ToolCall]) -> str:
    """Return calls as journals have them; empty if there are none."""
    found = [call.value() for call in calls]
    return _text(found) if found else ""


def calls_from_json(text: str) -> tuple[ToolCall, ...]:
    """Read what :func:`calls_to_json` wrote.

    Raises:
        InputError: if it is something else.
    """
    listed = _list(_read(text, "calls of tools"), "calls of tools") if text else ()
    return tuple(ToolCall.of(call) for call in listed)


def tools_to_json(tools: Iterable[Tool]) -> str:
    """Return tools as digests, journals and columns have them; empty if there are none."""
    found = [tool.value() for tool in tools]
    return json.dumps(found, ensure_ascii=False, sort_keys=True) if found else ""


def tools_from_json(text: str) -> tuple[Tool, ...]:
    """Read what :func:`tools_to_json` wrote.

    Raises:
        InputError: if it is something else.
    """
    listed = _list(_read(text, "a list of tools"), "a list of tools") if text else ()
    return tuple(Tool.of(tool) for tool in listed)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{text!r:.80} is not {what} in JSON: {error!s:.200}"
        raise InputError(msg) from error


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"{what} is {value!r:.60}; an object is meant"
        raise InputError(msg)
    return value


def _list(value: Any, what: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        msg = f"{what}: {value!r:.60} is no list"
        raise InputError(msg)
    return value or []


def _string(held: Mapping[str, Any], key: str, what: str) -> str:
    if not isinstance(held.get(key), str):
        msg = f"{what} has {key} = {held.get(key)!r:.60}; text is meant"
        raise InputError(msg)
    return str(held[key])
