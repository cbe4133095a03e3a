"""What a student learns of a conversation: its token ids, and which of them are to be learned.

A turn of the assistant is learned, with the token that ends it, and nothing else is: not what
stands before it, not the role's own marks. It is tokenised as it is when the model answers: the
tokens up to where the answer begins are those of the prompt, and the answer's follow. So what a
student learns at a place is what it will be asked for there.

Some templates write earlier turns otherwise than the last one; Qwen3's and DeepSeek-R1's leave out
their reasoning. Then a conversation is several sequences, one for each turn that stands otherwise
when it is answered than later on, and no sequence holds what the model would not see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.chat import ToolCall, Turn
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.parsing import json_value
from mashbill.core.thinking import MARKS
from mashbill.models.chat_template import ChatTemplate
from mashbill.models.folder import describe, ends_of, plain_tokenizer
from mashbill.models.tokenizer_identity import reading_digest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.chat import Conversation, Tool

Form = Literal["key", "inside", "composed", "none"]
"""how reasoning gets into a turn: by the template's own key, between marks within the content, put
together here where the template leaves it out, or no way is found"""
_PROBE = "xyzzy"
_OPENS, _CLOSES = MARKS[0]


@dataclass
class Encoded:
    """A sequence of tokens."""

    ids: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)
    """of each token, whether it is to be learned"""
    thought: int = 0
    """tokens of reasoning among those that are learned"""

    def add(self, ids: Sequence[int], *, learned: bool) -> None:
        """Add tokens at the end."""
        self.ids += ids
        self.learned += [learned] * len(ids)


class ConversationTokens:
    """See the module."""

    def __init__(self, folder: Path) -> None:
        """Read tokenizer and template of a folder as ``save_pretrained`` writes it.

        Raises:
            TeacherError: if there is no tokenizer, or nothing says which token ends a text.
        """
        self._folder = folder
        self.tokenizer, self._begin = plain_tokenizer(folder)
        self.ends = ends_of(folder, self.tokenizer)
        """token ids that end an answer or a text; the first is taught where a template has none"""
        self._chat: ChatTemplate | None = None
        self._form: Form | None = None
        self._calls: bool | None = None

    @cached_property
    def reading(self) -> str:
        """Identity of how texts become ids."""
        return reading_digest(self.tokenizer, self._begin)

    @property
    def chat(self) -> ChatTemplate:
        """The folder's chat template.

        Raises:
            TeacherError: if there is none.
        """
        if self._chat is None:
            self._chat = ChatTemplate(describe(self._folder, self.tokenizer), self.tokenizer)
        return self._chat

    def text(self, text: str) -> Encoded:
        """Return a text that is learned whole, with the token that ends it."""
        found = Encoded()
        found.add(self._begin, learned=False)
        found.add(self.tokenizer.encode(text, add_special_tokens=False).ids, learned=True)
        found.add(self.ends[:1], learned=True)
        return found

    def count(self, text: str) -> int:
        """Return how many tokens a text is."""
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def conversation(
        self, said: Conversation, tools: Sequence[Tool] = (), *, only_last: bool = False
    ) -> list[Encoded]:
        """Return the sequences that a conversation is learned by.

        Args:
            said: its turns; reasoning of the assistant's turns is learned with them.
            tools: that were declared.
            only_last: whether the last turn of the assistant alone is learned.

        Raises:
            TeacherError: if the template refuses the turns, or writes a turn otherwise than it
                begins it, so that no answer of the model's could be learned.
        """
        said = said.one_system()
        if said.system and self.chat.refuses_system():
            said = said.system_in_user()
        turns = list(said)
        places = [i for i, turn in enumerate(turns) if turn.role == "assistant"]
        learned = set(places[-1:] if only_last else places)
        found: list[Encoded] = []
        so_far = ""
        for place in places:
            if place not in learned:
                continue
            kept: list[str] = []
            before = [self._value(turn, kept) for turn in turns[:place]]
            given = [_declared(tool) for tool in tools]
            asked = self.chat.filled(before, begins=True, tools=given)
            answer, thought = self._answer(asked, before, turns[place], kept, given)
            goes_on = bool(found) and asked.startswith(so_far)
            if not goes_on:
                found.append(Encoded())
                found[-1].add(self._begin_of(asked, kept), learned=False)
            sequence = found[-1]
            sequence.add(
                self.chat.ids_of(asked[len(so_far) if goes_on else 0 :], kept), learned=False
            )
            whole, has_end = self.chat.up_to_end(answer)
            sequence.add(self.chat.ids_of(whole, kept), learned=True)
            if not has_end:
                sequence.add(self.ends[:1], learned=True)
            sequence.thought += thought
            so_far = asked + whole
        return found

    def writes_calls(self) -> bool:
        """Return whether the template writes calls of tools, and does not pass over them.

        Raises:
            TeacherError: if it refuses a call.
        """
        if self._calls is None:
            turn = Turn("assistant", tool_calls=(ToolCall("call00001", _PROBE, "{}"),))
            turns = [self._value(one, []) for one in (Turn("user", "a"), turn)]
            self._calls = _PROBE in self.chat.filled(turns, begins=False)
        return self._calls

    def _begin_of(self, text: str, kept: Sequence[str]) -> list[int]:
        """Return what every text begins with, unless the template has written it."""
        ids = self.chat.ids_of(text, kept) if self._begin else []
        return [] if ids[: len(self._begin)] == self._begin else self._begin

    def _answer(
        self, asked: str, before: list[dict[str, Any]], turn: Turn, kept: list[str],
        tools: list[Any],
    ) -> tuple[str, int]:  # fmt: skip
        """Return what a turn adds to what was asked, as text, and the tokens of its reasoning."""
        form = self._thinking() if turn.reasoning else "key"
        if turn.reasoning and form in {"composed", "none"}:
            return self._composed(asked, turn, kept)
        value = self._value(turn, kept, inside=form == "inside")
        whole = self.chat.filled([*before, value], begins=False, tools=tools)
        if not whole.startswith(asked):
            if asked.rstrip().endswith(_OPENS) and not turn.tool_calls:
                return self._composed(asked, turn, kept)
            msg = (
                f"{self._folder}: its chat template writes a turn of the assistant otherwise than "
                f"it begins one: it begins {asked[-40:]!r}, so what would be learned is not what "
                "the model is asked for; correct the template"
            )
            raise TeacherError(msg)
        return whole[len(asked) :], self.count(turn.reasoning) if turn.reasoning else 0

    def _composed(self, asked: str, turn: Turn, kept: list[str]) -> tuple[str, int]:
        """Put a turn together where the template leaves its reasoning out, or begins it itself."""
        content = self.chat.hide(turn.content, kept)
        opened = asked.rstrip().endswith(_OPENS)
        if not turn.reasoning:
            return (f"\n{_CLOSES}\n\n{content}" if opened else content), 0
        thought = self.chat.hide(turn.reasoning, kept)
        head = "" if opened else f"{_OPENS}\n"
        return f"{head}{thought}\n{_CLOSES}\n\n{content}", self.count(turn.reasoning)

    def _thinking(self) -> Form:
        """Return how the template takes reasoning, found by trying."""
        if self._form is None:
            self._form = self._tried()
        return self._form

    def _tried(self) -> Form:
        asked = [self._value(Turn("user", "a"), [])]
        turn = Turn("assistant", "b", reasoning=_PROBE)
        try:
            begun = self.chat.filled(asked, begins=True)
            for form in ("key", "inside"):
                value = self._value(turn, [], inside=form == "inside")
                whole = self.chat.filled([*asked, value], begins=False)
                if whole.startswith(begun) and _PROBE in whole[len(begun) :]:
                    return "key" if form == "key" else "inside"
        except TeacherError:
            return "none"
        return "composed"

    def _value(self, turn: Turn, kept: list[str], *, inside: bool = False) -> dict[str, Any]:
        """Return a turn as templates read it, in the form of transformers' chats."""
        value: dict[str, Any] = {"role": turn.role, "content": self.chat.hide(turn.content, kept)}
        if turn.reasoning:
            thought = self.chat.hide(turn.reasoning, kept)
            if inside:
                value["content"] = f"{_OPENS}\n{thought}\n{_CLOSES}\n\n{value['content']}"
            else:
                value |= {"reasoning_content": thought, "thinking": thought}
        if turn.tool_calls:
            value["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": _arguments(call.arguments)},
                }
                for call in turn.tool_calls
            ]
        if turn.role == "tool":
            value |= {"tool_call_id": turn.tool_call_id, "name": turn.name}
        return value


def _declared(tool: Tool) -> dict[str, Any]:
    return {"type": "function", "function": tool.value()}


def _arguments(text: str) -> Any:
    try:
        return json_value(text, "the arguments of a call")
    except InputError:
        return text
