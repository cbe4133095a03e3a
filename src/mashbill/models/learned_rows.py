"""What a student learns of a row: the sequences that it is, or why there are none.

A row is a conversation: of ``messages_json`` where it has one, of ``prompt`` and text, of what a
prompt file makes of its columns and its text; or, where nothing was asked, a text that is learned
whole. A row means the same tokens to whoever trains on it, caches logits of it or measures on it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mashbill.core.cells import is_missing
from mashbill.core.chat import Conversation, Tool, Turn, tools_from_json
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.stage import StageSpec
from mashbill.core.thinking import parted
from mashbill.files.rows.cells import as_text
from mashbill.files.rows.conversations import UnfitError, conversation
from mashbill.prompts.prompt import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.models.conversation_tokens import ConversationTokens, Encoded

ASKING = ("messages_json", "prompt")
"""columns that say what was asked"""
_COLUMNS = ("messages_json", "prompt", "tools_json", "finish", "reasoning_content")


NO_TEMPLATE = (
    "the model has no chat template, which would write it; take one that has, or set "
    'asked_as = "text": then the answer is learned as a text that goes on from what was asked, and '
    "the student is asked so, too"
)
HAS_TEMPLATE = (
    'asked_as = "text", and the model has a chat template, by which its student will be asked; '
    "leave asked_as out"
)


class NotLearnedError(Exception):
    """A row is not learned from; the message says why."""


class LearnedRowKeys(StageSpec):
    """Keys of what is learned of a row."""

    added: ClassVar[frozenset[str]] = frozenset({"asked_as"})

    prompt: str = ""
    """Jinja file beside the recipe: what the student is asked, made of a row's columns; empty where
    rows say it (messages_json, or prompt)"""
    answer: str = "text"
    """column of what it is to answer"""
    asked_as: Literal["chat", "text"] = "chat"
    """whether the base's chat template writes what was asked, or, where it has none, the answer is
    a text that goes on from it"""
    turns: Literal["all", "last"] = "all"
    """of a conversation, whether each of the assistant's turns is learned or the last alone"""
    reasoning: Literal["learn", "leave-out"] = "learn"
    """whether reasoning that a teacher openly offered is learned with its turn"""
    reasoning_tokens: int | None = Field(default=None, gt=0)
    """rows whose reasoning is longer are left out; any length if absent"""
    max_tokens: int = Field(default=1024, gt=1)
    """of a sequence; longer ones are cut, or left out"""
    too_long: Literal["cut", "leave-out"] = "cut"
    """what becomes of longer ones; how many rows they are is told"""

    def files(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,) if self.prompt else ()

    def check(self, folder: Path) -> None:
        """Raise RecipeError if the prompt is none."""
        if self.prompt:
            Prompt(folder / self.prompt)


@dataclass(frozen=True)
class Learned:
    """What is learned of a row."""

    sequences: list[Encoded]
    is_conversation: bool
    """whether a chat template wrote it"""
    is_cut: bool
    """whether a sequence was longer than may be"""
    thought: int = 0
    """tokens of reasoning"""
    dropped: int = 0
    """sequences that were too long and of which nothing is learned, beside others that are"""


class LearnedRows:
    """See the module."""

    def __init__(self, spec: LearnedRowKeys, encoder: ConversationTokens, folder: Path) -> None:
        """Read the prompt, if there is one.

        Args:
            spec: the keys.
            encoder: of the student.
            folder: that of the recipe.

        Raises:
            InputError: if a student with a chat template is to be asked without it.
        """
        if spec.asked_as == "text" and encoder.has_chat:
            raise InputError(HAS_TEMPLATE)
        self._spec = spec
        self._encoder = encoder
        self._prompt = Prompt(folder / spec.prompt) if spec.prompt else None

    def columns(self, there: Sequence[str], name: str) -> list[str]:
        """Return the columns that are read.

        Args:
            there: those that the rows have.
            name: what messages call the dataset.

        Raises:
            InputError: if what is learned is none of them.
        """
        answer = self._spec.answer
        if answer not in there:
            msg = (
                f"{name} has no column {answer!r}, and it is what is learned; it has "
                f"{', '.join(there)}; correct 'answer' in the recipe"
            )
            raise InputError(msg)
        wanted = {*_COLUMNS, answer, *(there if self._prompt else ())}
        return [column for column in there if column in wanted]

    def bound(self, there: Sequence[str]) -> list[str]:
        """Return the columns that say what is learned of a row, of those there are or may be.

        What has none of a name is as if it were empty, so that one which comes later counts as a
        change. How an answer ended says whether it is learned, and not what.

        Args:
            there: those that the rows have.
        """
        read = {*_COLUMNS, self._spec.answer} - {"finish"}
        if self._prompt is not None:
            read -= {"messages_json", "prompt"}
            read |= self._prompt.reads([name for name in there if not name.startswith("_")])
        return sorted(read)

    def row(self, row: dict[str, Any], where: str) -> Learned:
        """Return what is learned of a row.

        Args:
            row: its columns.
            where: what messages call it.

        Raises:
            NotLearnedError: if nothing is, saying why.
        """
        return self._within(*self._row(row, where))

    def asked(self, row: dict[str, Any], where: str) -> list[Turn]:
        """Return what the prompt file makes of a row; nothing where there is none.

        Args:
            row: its columns.
            where: what messages call it.
        """
        if self._prompt is None:
            return []
        asked = self._prompt.render(row, where, row)
        told = (Turn("system", asked.system),) if asked.system else ()
        return [*told, Turn("user", asked.user)]

    def said(self, turns: Sequence[Turn], row: dict[str, Any], where: str) -> Learned:
        """Return what is learned of a conversation.

        Args:
            turns: its turns.
            row: where it stands, for what is beside it: tools.
            where: what messages call it.

        Raises:
            NotLearnedError: if nothing is, saying why.
        """
        try:
            made = self._made(row, self._thought(turns, ""), where)
        except TeacherError as error:
            raise NotLearnedError(str(error)) from error
        return self._within(made, self._spec.asked_as == "chat")

    def _within(self, whole: list[Encoded], is_conversation: bool) -> Learned:
        """Return what is left of sequences within ``max_tokens``."""
        most = self._spec.max_tokens
        kept: list[Encoded] = []
        is_cut, thought = False, 0
        for one in whole:
            before = len(kept)
            if len(one.ids) <= most:
                kept.append(one)
            elif self._spec.too_long == "cut" and any(one.learned[1:most]):
                kept.append(replace(one, ids=one.ids[:most], learned=one.learned[:most]))
                is_cut = True
            thought += one.thought * (len(kept) - before)
        if not kept:
            cut = ", and nothing of its answer would be left" * (self._spec.too_long == "cut")
            msg = f"it is longer than max_tokens = {most}{cut}"
            raise NotLearnedError(msg)
        return Learned(kept, is_conversation, is_cut, thought, len(whole) - len(kept))

    def _row(self, row: dict[str, Any], where: str) -> tuple[list[Encoded], bool]:
        text = row.get(self._spec.answer)
        text = "" if is_missing(text) else as_text(text)
        if row.get("finish") == "length":
            msg = "its answer was cut off"
            raise NotLearnedError(msg)
        said = self._said(row, text, where)
        try:
            if said is None:
                if not text.strip():
                    msg = "its text is empty"
                    raise NotLearnedError(msg)
                return [self._encoder.text(text)], False
            made = self._made(row, said, where)
        except TeacherError as error:
            raise NotLearnedError(str(error)) from error
        return made, self._spec.asked_as == "chat"

    def _made(self, row: dict[str, Any], said: Conversation, where: str) -> list[Encoded]:
        made = self._encoded(row, said, where)
        if not made:
            msg = "each of its answers that would be learned has weight 0"
            raise NotLearnedError(msg)
        self._check_budget(made)
        return made

    def _encoded(self, row: dict[str, Any], said: Conversation, where: str) -> list[Encoded]:
        only_last, but = self._spec.turns == "last", _weightless(said)
        tools = self._tools(row)
        if self._spec.asked_as == "text":
            if tools:
                msg = "a text has no place for tools; take a base with a chat template"
                raise NotLearnedError(msg)
            return self._encoder.as_texts(said, only_last=only_last, but=but)
        if not self._encoder.has_chat:
            msg = f"{where}: something was asked here, and {NO_TEMPLATE}"
            raise InputError(msg)
        return self._encoder.conversation(said, tools, only_last=only_last, but=but)

    def _check_budget(self, made: list[Encoded]) -> None:
        most = self._spec.reasoning_tokens
        if most is not None and any(one.thought > most for one in made):
            msg = f"its reasoning is longer than reasoning_tokens = {most}"
            raise NotLearnedError(msg)

    def _said(self, row: dict[str, Any], text: str, where: str) -> Conversation | None:
        """Return the conversation that a row is; None for a text that nobody asked for."""
        if self._prompt is not None:
            turns: list[Turn] = [*self.asked(row, where), Turn("assistant", text)]
            if not text.strip():
                msg = "its answer is empty"
                raise NotLearnedError(msg)
        else:
            messages, prompt = (
                None if is_missing(row.get(key)) else row[key]
                for key in ("messages_json", "prompt")
            )
            if messages is None and prompt in (None, ""):
                return None
            try:
                turns = list(conversation(messages, prompt, text, {}, Counter()))
            except UnfitError as error:
                raise NotLearnedError(str(error)) from error
        beside = row.get("reasoning_content")
        return self._thought(turns, "" if is_missing(beside) else as_text(beside))

    def _thought(self, turns: Sequence[Turn], thought: str) -> Conversation:
        """Return a conversation with the reasoning of its turns apart.

        Args:
            turns: its turns.
            thought: reasoning that the row has beside them, for the last.
        """
        if any(getattr(turn, "parts", ()) for turn in turns):
            msg = "a turn holds more than text"
            raise NotLearnedError(msg)
        *before, last = turns
        told_before = (self._thinking(turn) for turn in before)
        return Conversation((*told_before, self._thinking(last, thought)))

    def _thinking(self, turn: Turn, beside: str = "") -> Turn:
        """Return a turn with its reasoning apart, or without it.

        Args:
            turn: of a row.
            beside: reasoning that the row has beside its turns, for one that has none itself.
        """
        if turn.role != "assistant":
            return turn
        thought = parted(turn.content)
        if thought.is_cut:
            msg = "its reasoning was cut off before it said anything"
            raise NotLearnedError(msg)
        reasoning = turn.reasoning or thought.reasoning or beside.strip()
        if self._spec.reasoning == "leave-out":
            reasoning = ""
        if not (thought.content.strip() or turn.tool_calls):
            msg = "it reasons, and says nothing"
            raise NotLearnedError(msg)
        return replace(turn, content=thought.content, reasoning=reasoning)

    def _tools(self, row: dict[str, Any]) -> tuple[Tool, ...]:
        told = row.get("tools_json")
        if is_missing(told):
            return ()
        try:
            return tools_from_json(str(told))
        except InputError as error:
            msg = f"its tools cannot be read: {error}"
            raise NotLearnedError(msg) from error


def _weightless(said: Conversation) -> set[int]:
    """Return which of the assistant's turns have weight 0, from 0: they are not trained on.

    Raises:
        NotLearnedError: if one has a weight that means nothing here.
    """
    found = set()
    for number, turn in enumerate(said.said_by("assistant")):
        weight = getattr(turn, "weight", None)
        if is_missing(weight):
            continue
        if weight not in (0, 1):
            msg = "a turn has a weight other than 0 and 1; set it to one of them, or remove it"
            raise NotLearnedError(msg)
        if weight == 0:
            found.add(number)
    return found
