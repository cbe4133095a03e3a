"""Prompts that a student samples from: rows of datasets, encoded once, on the disk.

A prompt is what a prompt file makes of a row, or its ``messages_json`` up to the last question, or
its ``prompt``, or, of rows that have neither column, their ``text``. Its tokens are those by which
the student will be asked the same when it is done (:mod:`mashbill.models.reading`): up to where an
answer begins.
"""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mashbill.core.cells import is_missing
from mashbill.core.chat import Conversation, Turn
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.parsing import json_value
from mashbill.core.teacher import Question
from mashbill.files.rows.cells import as_text
from mashbill.files.rows.conversations import UnfitError, turns_of
from mashbill.models.conversation_tokens import Encoded
from mashbill.models.learned_rows import ASKING, NotLearnedError
from mashbill.models.reading import Reading
from mashbill.train.examples import Examples, RowReader, examples

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import ConversationTokens
    from mashbill.train.sampled_keys import SampledSpec

_ROWS = 1024
_MESSAGES = "messages_json"


class PromptRows(RowReader):
    """Reads rows as prompts; and again, a row at a time, for whoever scores what is sampled."""

    spec: SampledSpec
    done: ClassVar[str] = "asked"
    wanted: ClassVar[str] = "a prompt, or messages_json"

    def __init__(
        self, spec: SampledSpec, encoder: ConversationTokens, folder: Path, ctx: StageContext
    ) -> None:
        """Take how prompts are read.

        Args:
            spec: the trainer's keys.
            encoder: of the student.
            folder: of the student, with its tokenizer and template.
            ctx: the stage's.

        Raises:
            InputError: if a student with a chat template is to be asked without it.
        """
        super().__init__(spec, encoder, ctx)
        self._reading = Reading(folder)
        self._data = [ctx.input(name) for name in spec.inputs]
        self._starts = np.cumsum([0, *(data.num_rows for data in self._data)])
        self._piece = lru_cache(maxsize=64)(self._read)

    def columns(self, there: Sequence[str], name: str) -> list[str]:
        """Return all columns: a prompt file may read any of them."""
        del name
        return list(there)

    def read(self, row: dict[str, Any], where: str) -> list[Encoded]:
        """Return the prompt of a row, of which nothing is learned.

        Raises:
            NotLearnedError: if there is none, or one that is too long.
        """
        ids = self.ids(row, where)
        return [Encoded(ids, [False] * len(ids))]

    def position(self, data: Examples, number: int) -> int:
        """Return the position of a prompt's row over all inputs."""
        return int(self._starts[data.dataset[number]] + data.row[number])

    def row(self, position: int) -> dict[str, Any]:
        """Return all columns of a row, by its position over all inputs."""
        number = int(np.searchsorted(self._starts, position, side="right")) - 1
        place = position - int(self._starts[number])
        start = place // _ROWS * _ROWS
        found: dict[str, Any] = self._piece(number, start)[place - start]
        return found

    def turns(self, row: dict[str, Any], where: str) -> list[Turn]:
        """Return what a row asks.

        Raises:
            NotLearnedError: if that is nothing.
        """
        if self.spec.prompt:
            return self.rows.asked(row, where)
        key = "text" if not row.keys() & set(ASKING) else "prompt"
        messages, prompt = (
            None if is_missing(row.get(each)) else row[each] for each in (_MESSAGES, key)
        )
        try:
            if messages is not None:
                value = messages
                if isinstance(messages, str):
                    value = json_value(messages, "its messages_json")
                turns: list[Turn] = list(turns_of(value, {}, Counter()))
            elif isinstance(prompt, list):
                turns = list(turns_of(prompt, {}, Counter()))
            else:
                turns = [Turn("user", as_text(prompt))] if prompt not in (None, "") else []
        except (UnfitError, InputError, TypeError, AttributeError) as error:
            raise NotLearnedError(str(error) or "its turns cannot be read") from error
        while turns and turns[-1].role == "assistant":
            turns.pop()
        if not any(turn.content.strip() for turn in turns):
            msg = "it asks nothing"
            raise NotLearnedError(msg)
        return turns

    def ids(self, row: dict[str, Any], where: str) -> list[int]:
        """Return the tokens of what a row asks.

        Raises:
            NotLearnedError: if there are none, or too many.
        """
        try:
            turns = Conversation(tuple(self.turns(row, where)))
            asked = self._reading.asked(Question("", "", turns=turns), self.spec.max_new_tokens)
        except TeacherError as error:
            raise NotLearnedError(str(error)) from error
        room = self.spec.max_tokens - self.spec.max_new_tokens
        if len(asked.ids) > room or asked.most < self.spec.max_new_tokens:
            msg = f"it is longer than max_tokens - max_new_tokens = {room}"
            raise NotLearnedError(msg)
        return asked.ids

    def said(self, position: int) -> str:
        """Return what a row asks as a text: of one turn its words, of several their JSON."""
        turns = self.turns(self.row(position), "")
        if len(turns) == 1:
            return turns[0].content
        return json.dumps(
            [{"role": turn.role, "content": turn.content} for turn in turns], ensure_ascii=False
        )

    def where(self, position: int) -> str:
        """Return which row a position is, for messages."""
        number = int(np.searchsorted(self._starts, position, side="right")) - 1
        return f"{self.spec.inputs[number]}, row {position - int(self._starts[number])}"

    def answer_ids(self, text: str) -> list[int]:
        """Return the tokens of a text that answers a prompt, without one that ends it."""
        return self._reading.ids(text)

    def text(self, ids: Sequence[int]) -> str:
        """Return what was sampled as a text, without the tokens that end it."""
        return self._reading.text(ids)

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens that end an answer."""
        return self._reading.ends

    def _read(self, number: int, start: int) -> list[dict[str, Any]]:
        data = self._data[number]
        stop = min(start + _ROWS, data.num_rows)
        found: list[dict[str, Any]] = data.read(start, stop).to_pylist()
        return found


def prompts(rows: PromptRows, encoder: ConversationTokens, ctx: StageContext) -> Examples:
    """Return all prompts, encoding them unless a run that was cut off has.

    Args:
        rows: reads them.
        encoder: of the student.
        ctx: the stage's; its scratch keeps them.

    Raises:
        InputError: if there is none, naming the commonest reasons.
    """
    return examples(rows.spec, rows.spec.inputs, encoder, ctx, "prompts", reader=rows)
