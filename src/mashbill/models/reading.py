"""How a student reads a question and writes its answer: token ids from and to texts, by its folder.

* With a chat template a question is a conversation, by the folder's own template, and the answer is
  the assistant's turn. A choice is that turn too: without the spaces around it, and with the token
  that ends it, so that ``1`` does not win over ``10`` for being shorter.
* Without one, a text goes on from all that is asked, and a choice from where the text ends.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.errors import TeacherError
from mashbill.models.chat_template import ChatTemplate
from mashbill.models.folder import context_of, describe, ends_of, plain_tokenizer, template_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.teacher import Question


@dataclass(frozen=True)
class Asked:
    """A question as token ids, and those of its choices."""

    ids: list[int]
    choices: tuple[list[int], ...]
    most: int
    """tokens that may be written"""


class Reading:
    """See the module."""

    def __init__(self, folder: Path) -> None:
        """Read a folder's tokenizer and template.

        Args:
            folder: has tokenizer.json and config.json, and as far as there are such,
                tokenizer_config.json, chat_template.jinja and generation_config.json.

        Raises:
            TeacherError: if the tokenizer, or a template that is there, is none.
        """
        self.tokenizer, self.begin = plain_tokenizer(folder)
        self.context = context_of(folder)
        """tokens, read and written, that the model was made for; 0 if it does not say"""
        self.ends: tuple[int, ...] = ()
        """tokens that end a text; none where the folder names none, and texts go on"""
        with contextlib.suppress(TeacherError):
            self.ends = ends_of(folder, self.tokenizer)
        self._chat: ChatTemplate | None = None
        self._end: int | None = None
        if template_of(folder):
            self._chat = ChatTemplate(describe(folder, self.tokenizer), self.tokenizer)
        else:
            self.tokenizer.encode_special_tokens = True  # a mark in a text is a text

    def ids(self, text: str) -> list[int]:
        """Return a text as token ids, with nothing before it."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def asked(self, question: Question, most: int) -> Asked:
        """Return a question as token ids.

        Args:
            question: with or without choices.
            most: tokens that may be written.

        Raises:
            TeacherError: if it cannot be answered.
        """
        if self._chat is not None:
            choices: tuple[list[int], ...] = ()
            if question.choices:
                end = self._end_of_turn(self._chat)
                choices = tuple([*self.ids(c.strip()), end] for c in question.choices)
            longest = max((len(choice) for choice in choices), default=most)
            return Asked(self._chat.asked(question, longest), choices, most)
        if question.tools:
            msg = "a model without a chat template calls no tools"
            raise TeacherError(msg)
        said = "\n\n".join(turn.content for turn in question.conversation if turn.content)
        ids = [*self.begin, *self.ids(said)] or list(self.ends[:1])
        if not ids:
            msg = "nothing is asked, and the model's tokenizer has no token that begins a text"
            raise TeacherError(msg)
        choices = tuple(self.ids(choice) for choice in question.choices)
        left = self.context - len(ids) if self.context else most
        if left < max((len(choice) for choice in choices), default=1):
            msg = f"it is {len(ids)} tokens, and the model reads and writes {self.context} in all"
            raise TeacherError(msg)
        return Asked(ids, choices, min(most, left))

    def text(self, ids: Sequence[int]) -> str:
        """Return what was written as a text, without the tokens that end it."""
        if self._chat is not None:
            return self._chat.text(ids)
        plain = [token for token in ids if token not in self.ends]
        return str(self.tokenizer.decode(plain, skip_special_tokens=True))

    def _end_of_turn(self, chat: ChatTemplate) -> int:
        """Return the token by which the template ends an assistant's turn."""
        if self._end is None:
            self._end = chat.ends[0]
            turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
            with contextlib.suppress(TeacherError):
                begun = chat.filled(turns[:1], begins=True)
                answer, has_end = chat.up_to_end(chat.filled(turns, begins=False)[len(begun) :])
                self._end = chat.ids_of(answer, ())[-1] if has_end else self._end
        return self._end
