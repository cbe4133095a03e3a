"""Prompts that a student samples from: rows of datasets, encoded once, on the disk.

A prompt is what a prompt file makes of a row, or its ``messages_json`` up to the last question, or
its ``prompt``, or, of rows that have neither column, their ``text``. Its tokens are those by which
the student will be asked the same when it is done (:mod:`mashbill.models.reading`): up to where an
answer begins.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.cells import is_missing
from mashbill.core.chat import Conversation, Turn
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.parsing import json_value, read_json
from mashbill.core.store import write_atomically
from mashbill.core.teacher import Question
from mashbill.files.rows.cells import as_text
from mashbill.files.rows.conversations import UnfitError, turns_of
from mashbill.models.learned_rows import ASKING, LearnedRows
from mashbill.models.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import ConversationTokens
    from mashbill.train.sampled_keys import SampledSpec

_ROWS = 1024
_DONE = "prompts.json"
_MESSAGES = "messages_json"


class _NoPromptError(Exception):
    """A row is no prompt; the message says why."""


@dataclass
class Prompts:
    """Prompts by their tokens, in memory maps."""

    tokens: np.ndarray
    """uint32, shape (tokens,)"""
    ends: np.ndarray
    """where each prompt ends, int64, shape (prompts,)"""
    row: np.ndarray
    """position of each over all inputs, one behind the other, int64, shape (prompts,)"""
    counts: dict[str, Any]
    """what was found: rows, left out"""

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self.ends)

    def ids(self, number: int) -> list[int]:
        """Return the token ids of a prompt."""
        start = int(self.ends[number - 1]) if number else 0
        found: list[int] = self.tokens[start : self.ends[number]].tolist()
        return found


class PromptRows:
    """Reads rows as prompts; and again, a row at a time, for whoever scores what is sampled."""

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
        self._spec = spec
        self._rows = LearnedRows(spec, encoder, ctx.recipe_folder)
        self._reading = Reading(folder)
        self._data = [ctx.input(name) for name in spec.inputs]
        self._starts = np.cumsum([0, *(data.num_rows for data in self._data)])
        self._piece = lru_cache(maxsize=64)(self._read)

    @property
    def total(self) -> int:
        """Rows of all inputs."""
        return int(self._starts[-1])

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
            _NoPromptError: if that is nothing.
        """
        if self._spec.prompt:
            return self._rows.asked(row, where)
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
            raise _NoPromptError(str(error) or "its turns cannot be read") from error
        while turns and turns[-1].role == "assistant":
            turns.pop()
        if not any(turn.content.strip() for turn in turns):
            msg = "it asks nothing"
            raise _NoPromptError(msg)
        return turns

    def ids(self, row: dict[str, Any], where: str) -> list[int]:
        """Return the tokens of what a row asks.

        Raises:
            _NoPromptError: if there are none, or too many.
        """
        try:
            turns = Conversation(tuple(self.turns(row, where)))
            asked = self._reading.asked(Question("", "", turns=turns), self._spec.max_new_tokens)
        except TeacherError as error:
            raise _NoPromptError(str(error)) from error
        room = self._spec.max_tokens - self._spec.max_new_tokens
        if len(asked.ids) > room or asked.most < self._spec.max_new_tokens:
            msg = f"it is longer than max_tokens - max_new_tokens = {room}"
            raise _NoPromptError(msg)
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
        return f"{self._spec.inputs[number]}, row {position - int(self._starts[number])}"

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

    def all(self) -> list[tuple[str, int, Dataset]]:
        """Return (name, position of its first row, rows) of each input."""
        return [
            (name, int(start), data)
            for name, start, data in zip(self._spec.inputs, self._starts, self._data, strict=False)
        ]

    def _read(self, number: int, start: int) -> list[dict[str, Any]]:
        data = self._data[number]
        stop = min(start + _ROWS, data.num_rows)
        found: list[dict[str, Any]] = data.read(start, stop).to_pylist()
        return found


def prompts(rows: PromptRows, ctx: StageContext) -> Prompts:
    """Return all prompts, encoding them unless a run that was cut off has.

    Args:
        rows: reads them.
        ctx: the stage's; its scratch keeps them.

    Raises:
        InputError: if there is none, naming the commonest reasons.
    """
    folder = ctx.work / "prompts"
    if not (folder / _DONE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        _encode(rows, ctx, folder)
    places = np.load(folder / "places.npz", allow_pickle=False)
    path = folder / "tokens.bin"
    size = path.stat().st_size // 4
    tokens = np.memmap(path, np.uint32, "r", shape=(size,)) if size else np.empty(0, np.uint32)
    return Prompts(tokens, places["ends"], places["row"], read_json(folder / _DONE))


def _encode(rows: PromptRows, ctx: StageContext, folder: Path) -> None:
    ends, places, at = array("q"), array("q"), 0
    left: dict[str, Counter[str]] = {}
    with (folder / "tokens.bin").open("wb") as stream:
        for name, first, data in rows.all():
            reasons = left.setdefault(str(data.manifest.ref), Counter())
            for start, piece in data.chunks(_ROWS):
                for place, row in enumerate(piece.to_pylist(), first + start):
                    try:
                        ids = rows.ids(row, f"{name}, row {place - first}")
                    except _NoPromptError as error:
                        reasons[str(error)] += 1
                        continue
                    stream.write(np.array(ids, np.uint32).tobytes())
                    at += len(ids)
                    ends.append(at)
                    places.append(place)
                ctx.progress(0, 0, f"read {first + start + piece.num_rows:,} of {rows.total:,}")
    told: dict[str, Any] = {"rows": rows.total, "prompts": len(ends)}
    if any(left.values()):
        told["left_out"] = {ref: dict(each.most_common()) for ref, each in left.items() if each}
    if not len(ends):
        whole: Counter[str] = sum(left.values(), Counter())
        why = "; ".join(f"{count:,} rows: {why}" for why, count in whole.most_common(3))
        msg = (
            f"{', '.join(name for name, _, _ in rows.all())}: no row can be asked "
            f"({why or 'there are no rows'}); give it rows that have a prompt, or messages_json"
        )
        raise InputError(msg)
    np.savez(folder / "places.npz", ends=np.array(ends, np.int64), row=np.array(places, np.int64))
    write_atomically(folder / _DONE, json.dumps(told).encode())
