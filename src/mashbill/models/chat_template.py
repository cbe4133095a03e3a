"""A model's own chat template: turns to token ids, as the model was trained to read them.

The template is Jinja, as GGUF files and tokenizers hold it; marks such as ``<|im_start|>`` are
tokens of their own, which text from a row can never become.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core.chat import Turn
from mashbill.core.errors import TeacherError
from mashbill.core.parsing import foreign
from mashbill.models import chat_turns
from mashbill.models.chat_filling import Filling
from mashbill.models.hidden_marks import HiddenMarks, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tokenizers import Tokenizer

    from mashbill.core.chat import Tool
    from mashbill.core.teacher import Question
    from mashbill.models.gguf_file import GgufFile

_CONTROL = 3  # llama.cpp's LLAMA_TOKEN_TYPE_CONTROL
FILE = "chat-template.json"


def describe(file: GgufFile) -> dict[str, Any]:
    """Return what a chat needs to know of a GGUF file, to be kept beside the converted model.

    Raises:
        TeacherError: if the file has no chat template.
    """
    template = file.value("tokenizer.chat_template")
    if not template:
        msg = f"{file.path.name} has no chat template, so it cannot be asked to write"
        raise TeacherError(msg)
    with foreign(file.path, "a file with a chat template", error=TeacherError):
        return _described(file, template)


def _described(file: GgufFile, template: str) -> dict[str, Any]:
    tokens = file.value("tokenizer.ggml.tokens")
    kinds = file.value("tokenizer.ggml.token_type") or []
    special = [t for t, kind in zip(tokens, kinds, strict=False) if kind == _CONTROL]
    ends = [file.value("tokenizer.ggml.eos_token_id"), file.value("tokenizer.ggml.eot_token_id")]
    begin = file.value("tokenizer.ggml.bos_token_id")
    return {
        "template": template,
        "context": file.value(f"{file.value('general.architecture')}.context_length") or 0,
        "special": sorted(special),
        "ends": sorted(
            {tokens.index(t) if isinstance(t, str) else t for t in ends if t is not None}
        ),
        "bos": tokens[begin] if begin is not None else "",
        "eos": tokens[ends[0]] if ends[0] is not None else "",
    }


class ChatTemplate:
    """See the module."""

    def __init__(self, told: Path | Mapping[str, Any], tokenizer: Tokenizer) -> None:
        """Take what :func:`describe` gave, or read it from the folder where it lies."""
        data = json.loads((told / FILE).read_text("utf-8")) if isinstance(told, Path) else told
        self.ends: tuple[int, ...] = tuple(data["ends"])
        """token ids that end an answer"""
        self.context: int = data["context"]
        """tokens, read and written, that the model was made for; 0 if it does not say"""
        self._tokenizer = tokenizer
        self._names = {"bos_token": data["bos"], "eos_token": data["eos"]}
        found = ((token, tokenizer.token_to_id(token)) for token in data["special"])
        self._special = {token: own for token, own in found if own is not None}
        marks = sorted(self._special, key=len, reverse=True)
        self._split = re.compile("(" + "|".join(map(re.escape, marks)) + ")" if marks else r"(\Z)")
        self._hidden = HiddenMarks(marks, data["template"])
        self._template = Filling(data["template"])
        self._takes_system: bool | None = None
        self._shows_results: bool | None = None

    def ids(self, question: Question) -> list[int]:
        """Return the token ids of a question as a conversation, up to where the answer begins.

        Where the template takes no system turn, the system text stands before the first user's.

        Raises:
            TeacherError: if the template refuses its turns.
        """
        said = question.conversation.shown()
        if question.system and self.refuses_system():
            said = said.system_in_user()
        kept: list[str] = []
        turns = [self.value(turn, kept) for turn in said]
        return self.ids_of(self.filled(turns, begins=True), kept)

    def filled(
        self, turns: Sequence[Mapping[str, Any]], *, begins: bool, tools: Sequence[Any] = ()
    ) -> str:
        """Return turns as the template writes them.

        Args:
            turns: as :meth:`value` gives them.
            begins: whether the assistant's next turn begins behind them.
            tools: declared, as :meth:`tool` gives them.

        Raises:
            TeacherError: if the template refuses them.
        """
        given = {"tools": list(tools)} if tools else {}
        return self._template.fill(
            messages=list(turns), add_generation_prompt=begins, **given, **self._names
        )

    def ids_of(self, text: str, kept: Sequence[str]) -> list[int]:
        """Return the token ids of what :meth:`filled` gave, or of a part of it.

        Args:
            text: marks in it are tokens of their own.
            kept: what was hidden in it.
        """
        found: list[int] = []
        for piece in self._split.split(text):
            if piece in self._special:
                found.append(self._special[piece])
            elif piece:
                found += self._tokenizer.encode(shown(piece, kept), add_special_tokens=False).ids
        return found

    def up_to_end(self, text: str) -> tuple[str, bool]:
        """Return a text up to the first mark that ends an answer, with it, and if there is one."""
        at = 0
        for piece in self._split.split(text):
            at += len(piece)
            if self._special.get(piece) in self.ends:
                return text[:at], True
        return text, False

    def refuses_system(self) -> bool:
        """Return whether the template takes a user's turn, and not with a system turn before it."""
        if self._takes_system is None:
            turns = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
            kept, alone = (
                self._template.takes(messages=some, add_generation_prompt=True, **self._names)
                for some in (turns, turns[1:])
            )
            self._takes_system = kept or not alone
        return not self._takes_system

    def asked(self, question: Question, most: int) -> list[int]:
        """Return the token ids of a question that is to be answered in ``most`` tokens.

        Raises:
            TeacherError: if it cannot be: it wants tools, is too long, or its turns are refused.
        """
        if question.tools:
            msg = "a model in this process calls no tools; ask a teacher of kind 'api' or 'server'"
            raise TeacherError(msg)
        if not question.conversation:
            msg = "nothing is asked: the question is empty"
            raise TeacherError(msg)
        ids = self.ids(question)
        if self.context and len(ids) + most > self.context:
            msg = (
                f"it is {len(ids)} tokens, and with max_tokens = {most} more than the "
                f"{self.context} that the model was made for"
            )
            raise TeacherError(msg)
        return ids

    def hide(self, text: str, kept: list[str]) -> str:
        """Return a row's text with something else in place of what could become a mark.

        Such a mark must stay text: it is taken out of the rendering and put back as text.

        Args:
            text: of a row.
            kept: gets what stood there.
        """
        return self._hidden.hide(text, kept)

    def value(self, turn: Turn, kept: list[str], *, inside: bool = False) -> dict[str, Any]:
        """Return a turn as the template reads it, each text of a row in it hidden.

        Args:
            turn: of a conversation.
            kept: see :meth:`hide`.
            inside: whether its reasoning stands between marks in what it says.
        """
        form = self.call_form if turn.tool_calls else chat_turns.CallForm()
        return chat_turns.turn_value(turn, lambda text: self.hide(text, kept), form, inside=inside)

    def tool(self, tool: Tool, kept: list[str]) -> dict[str, Any]:
        """Return the declaration of a tool as the template reads it, each text in it hidden."""
        return chat_turns.tool_value(tool, lambda text: self.hide(text, kept))

    @property
    def call_form(self) -> chat_turns.CallForm:
        """How the template takes calls of tools; the usual way if it takes none."""
        return self._writing or chat_turns.CallForm()

    def writes_calls(self) -> bool:
        """Return whether the template writes calls of tools, and does not pass over them."""
        return self._writing is not None

    @cached_property
    def _writing(self) -> chat_turns.CallForm | None:
        """How the template takes calls, found by trying; None if it does not write them."""
        turn, words, wrong = chat_turns.probe()
        for form in chat_turns.CALL_FORMS:
            text = self._tried(turn, form)
            if all(word in text for word in words) and not any(each in text for each in wrong):
                return form
        return None

    def shows_results(self) -> bool:
        """Return whether results of tools stand in what the template writes, found by trying."""
        if self._shows_results is None:
            call, words, _ = chat_turns.probe()
            name = call.tool_calls[0].name
            result = Turn("tool", "".join(words), tool_call_id=chat_turns.PROBE_ID, name=name)
            text = self._tried(call, self.call_form, result)
            self._shows_results = not text or result.content in text
        return self._shows_results

    def _tried(self, turn: Turn, form: chat_turns.CallForm, *more: Turn) -> str:
        """Return what the template writes of a question and what follows; empty if it refuses."""
        turns = [
            chat_turns.turn_value(each, str, form, inside=False)
            for each in (Turn("user", "a"), turn, *more)
        ]
        try:
            return self.filled(turns, begins=bool(more))
        except TeacherError:
            return ""

    def text(self, ids: Sequence[int]) -> str:
        """Return an answer's text, without the tokens that end it."""
        plain = [i for i in ids if i not in self.ends and i not in self._special.values()]
        return str(self._tokenizer.decode(plain, skip_special_tokens=False))
