"""What a student learns of a conversation: its token ids, and which of them are to be learned.

A turn of the assistant is learned, with the token that ends it, and nothing else is: not what
stands before it, not the role's own marks. It is tokenised as it is when the model answers: the
tokens up to where the answer begins are those of the prompt, and the answer's follow. So what a
student learns at a place is what it will be asked for there.

Some templates write earlier turns otherwise than the last one; Qwen3's and DeepSeek-R1's leave out
their reasoning. Then a conversation is several sequences, one for each turn that stands otherwise
when it is answered than later on, and no sequence holds what the model would not see. So is one of
a template that ends no turn: the token that ends an answer is taught, and is in no prompt.

A turn that calls tools is learned as the template writes calls, or not at all: nothing is put
together here that has them, and what the template leaves out is not taken for what was said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.chat import Turn
from mashbill.core.errors import TeacherError
from mashbill.models.chat_template import ChatTemplate
from mashbill.models.chat_turns import CLOSES, OPENS, stand_in
from mashbill.models.folder import describe, ends_of, plain_tokenizer, template_of
from mashbill.models.tokenizer_identity import reading_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from mashbill.core.chat import Conversation, Tool

Form = Literal["key", "inside", "composed", "none"]
"""how reasoning gets into a turn: by the template's own key, between marks within the content, put
together here where the template leaves it out, or no way is found"""
_PROBE = "xyzzy"


@dataclass
class Encoded:
    """A sequence of tokens."""

    ids: list[int] = field(default_factory=list)
    learned: list[bool] = field(default_factory=list)
    """of each token, whether it is to be learned; the first is not, since nothing tells it"""
    thought: int = 0
    """tokens of reasoning among those that are learned"""
    text_from: int = -1
    """of a text that is learned whole, where its tokens begin: the first may not be learned"""

    def add(self, ids: Sequence[int], *, learned: bool) -> None:
        """Add tokens at the end; the first of all is not learned, as nothing stands before it."""
        self.learned += [
            learned and place > 0 for place in range(len(self.ids), len(self.ids) + len(ids))
        ]
        self.ids += ids


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

    @cached_property
    def has_chat(self) -> bool:
        """Whether the folder has a chat template."""
        return template_of(self._folder) is not None

    def text(self, text: str) -> Encoded:
        """Return a text that is learned whole, with the token that ends it."""
        found = Encoded(text_from=len(self._begin))
        found.add(self._begin, learned=False)
        found.add(self.tokenizer.encode(text, add_special_tokens=False).ids, learned=True)
        found.add(self.ends[:1], learned=True)
        return found

    def count(self, text: str) -> int:
        """Return how many tokens a text is."""
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def conversation(
        self, said: Conversation, tools: Sequence[Tool] = (), *, only_last: bool = False,
        but: Collection[int] = (),
    ) -> list[Encoded]:  # fmt: skip
        """Return the sequences that a conversation is learned by.

        Args:
            said: its turns; reasoning of the assistant's turns is learned with them.
            tools: that were declared.
            only_last: whether the last turn of the assistant alone is learned.
            but: which of the assistant's turns are not learned, from 0.

        Raises:
            TeacherError: if the template refuses the turns, writes a turn otherwise than it begins
                it, so that no answer of the model's could be learned, or has no place for what a
                turn that calls tools holds, or for their results.
        """
        said = said.one_system()
        if said.system and self.chat.refuses_system():
            said = said.system_in_user()
        turns = list(said)
        found: list[Encoded] = []
        so_far, has_end = "", False
        for place in _learned(turns, but, only_last=only_last):
            self._check_results(turns[:place])
            kept: list[str] = []
            given = [self.chat.tool(tool, kept) for tool in tools]
            before = [self.chat.value(turn, kept) for turn in turns[:place]]
            asked = self.chat.filled(before, begins=True, tools=given)
            answer, thought = self._answer(asked, before, turns[place], kept, given)
            goes_on = has_end and asked.startswith(so_far)
            if not goes_on:
                found.append(Encoded())
                found[-1].add(self._begin_of(asked, kept), learned=False)
            sequence = found[-1]
            sequence.add(
                self.chat.ids_of(asked[len(so_far) if goes_on else 0 :], kept), learned=False
            )
            whole, has_end = self.chat.up_to_end(answer)
            sequence.add(self.chat.ids_of(whole, kept), learned=True)
            if not has_end:  # no prompt has this end: what follows is another sequence
                sequence.add(self.ends[:1], learned=True)
            sequence.thought += thought
            so_far = asked + whole
        return found

    def as_texts(
        self, said: Conversation, *, only_last: bool = False, but: Collection[int] = ()
    ) -> list[Encoded]:
        """Return the sequences that a conversation is learned by where no template writes it.

        Each answer goes on from all that was said before it, by empty lines, as a student without
        a template is asked (:mod:`mashbill.models.reading`).

        Args:
            said: its turns.
            only_last: see :meth:`conversation`.
            but: see :meth:`conversation`.

        Raises:
            TeacherError: if a turn that is learned calls a tool.
        """
        turns, found = list(said), []
        for place in _learned(turns, but, only_last=only_last):
            turn = turns[place]
            if turn.tool_calls:
                msg = "a text has no place for a call of a tool; take a base with a chat template"
                raise TeacherError(msg)
            before = "\n\n".join(each.content for each in turns[:place] if each.content)
            asked = self.tokenizer.encode(before, add_special_tokens=False).ids
            thought = f"{OPENS}\n{turn.reasoning}\n{CLOSES}\n\n" if turn.reasoning else ""
            answer = self.tokenizer.encode(f"{thought}{turn.content}", add_special_tokens=False)
            one = Encoded(thought=self.count(turn.reasoning) if turn.reasoning else 0)
            one.add([*self._begin, *asked] or self.ends[:1], learned=False)
            one.add([*answer.ids, *self.ends[:1]], learned=True)
            found.append(one)
        return found

    def writes_calls(self) -> bool:
        """Return whether the template writes calls of tools, and does not pass over them."""
        return self.chat.writes_calls()

    def _begin_of(self, text: str, kept: Sequence[str]) -> list[int]:
        """Return what every text begins with, unless the template has written it."""
        ids = self.chat.ids_of(text, kept) if self._begin else []
        return [] if ids[: len(self._begin)] == self._begin else self._begin

    def _check_results(self, before: Sequence[Turn]) -> None:
        """Raise TeacherError if a turn answers results of tools that the template leaves out."""
        if any(turn.role == "tool" for turn in before) and not self.chat.shows_results():
            msg = (
                "the base's chat template has no place for results of tools, and a turn answers "
                "one; take a base whose template has"
            )
            raise TeacherError(msg)

    def _answer(
        self, asked: str, before: list[dict[str, Any]], turn: Turn, kept: list[str],
        tools: list[Any],
    ) -> tuple[str, int]:  # fmt: skip
        """Return what a turn adds to what was asked, as text, and the tokens of its reasoning."""
        form = self._thinking() if turn.reasoning else "key"
        if turn.reasoning and form in {"composed", "none"} and not turn.tool_calls:
            return self._composed(asked, turn, kept)
        value = self.chat.value(turn, kept, inside=form == "inside")
        whole = self.chat.filled([*before, value], begins=False, tools=tools)
        if not whole.startswith(asked):
            if asked.rstrip().endswith(OPENS) and not turn.tool_calls:
                return self._composed(asked, turn, kept)
            msg = (
                f"{self._folder}: its chat template writes a turn of the assistant otherwise than "
                f"it begins one: it begins {asked[-40:]!r}, so what would be learned is not what "
                "the model is asked for; correct the template"
            )
            raise TeacherError(msg)
        if turn.tool_calls:
            self._check_calls(asked, before, turn, tools, inside=form == "inside")
        return whole[len(asked) :], self.count(turn.reasoning) if turn.reasoning else 0

    def _check_calls(
        self, asked: str, before: list[dict[str, Any]], turn: Turn, tools: list[Any], *,
        inside: bool,
    ) -> None:  # fmt: skip
        """Raise TeacherError if something of a turn with calls is not in what is learned of it."""
        twin, words = stand_in(turn)
        value = self.chat.value(twin, [], inside=inside)
        whole = self.chat.filled([*before, value], begins=False, tools=tools)
        learned, _ = self.chat.up_to_end(whole[len(asked) :])
        if not whole.startswith(asked):
            learned = ""
        if all(word in learned for word in words):
            return
        beside = [
            *(["its reasoning"] if turn.reasoning and twin.reasoning not in learned else ()),
            *(["what it says"] if turn.content.strip() and twin.content not in learned else ()),
        ]
        is_whole = all(call.name in learned for call in twin.tool_calls)
        if is_whole and beside:
            lost, remedy = f"{' and '.join(beside)} beside a call", ""
            if turn.reasoning and twin.reasoning not in learned:
                remedy = ', or leave reasoning out (reasoning = "leave-out")'
        else:
            many = len(turn.tool_calls) > 1
            lost = "all calls of a turn with their arguments" if many else "a call of a tool"
            remedy = ""
        msg = (
            f"the base's chat template has no place for {lost}, so that something else would be "
            f"learned; take a base whose template has{remedy}"
        )
        raise TeacherError(msg)

    def _composed(self, asked: str, turn: Turn, kept: list[str]) -> tuple[str, int]:
        """Put a turn together where the template leaves its reasoning out, or begins it itself."""
        content = self.chat.hide(turn.content, kept)
        opened = asked.rstrip().endswith(OPENS)
        if not turn.reasoning:
            return (f"\n{CLOSES}\n\n{content}" if opened else content), 0
        thought = self.chat.hide(turn.reasoning, kept)
        head = "" if opened else f"{OPENS}\n"
        return f"{head}{thought}\n{CLOSES}\n\n{content}", self.count(turn.reasoning)

    def _thinking(self) -> Form:
        """Return how the template takes reasoning, found by trying."""
        if self._form is None:
            self._form = self._tried()
        return self._form

    def _tried(self) -> Form:
        asked = [self.chat.value(Turn("user", "a"), [])]
        turn = Turn("assistant", "b", reasoning=_PROBE)
        try:
            begun = self.chat.filled(asked, begins=True)
            for form in ("key", "inside"):
                value = self.chat.value(turn, [], inside=form == "inside")
                whole = self.chat.filled([*asked, value], begins=False)
                if whole.startswith(begun) and _PROBE in whole[len(begun) :]:
                    return "key" if form == "key" else "inside"
        except TeacherError:
            return "none"
        return "composed"


def _learned(turns: Sequence[Turn], but: Collection[int], *, only_last: bool) -> list[int]:
    """Return the places of the assistant's turns that are learned."""
    places = [i for i, turn in enumerate(turns) if turn.role == "assistant"]
    learned = [place for number, place in enumerate(places) if number not in but]
    return [place for place in learned if not only_last or place == places[-1]]
