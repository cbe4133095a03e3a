"""The sequences that a student learns from: rows of datasets, encoded once, on the disk.

A row is a conversation: of ``messages_json`` where it has one, of ``prompt`` and its text, of what
a prompt file makes of its columns and its text; or, where nothing was asked, a text that is learned
whole. What cannot be learned from is left out and counted by its reason; nothing is cut unseen.
"""

from __future__ import annotations

import json
import os
from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.cells import is_missing
from mashbill.core.chat import Conversation, Tool, Turn, tools_from_json
from mashbill.core.errors import InputError, TeacherError
from mashbill.core.parsing import read_json
from mashbill.core.store import write_atomically
from mashbill.core.thinking import parted
from mashbill.files.rows.cells import as_text
from mashbill.files.rows.conversations import UnfitError, conversation
from mashbill.prompts.prompt import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import ConversationTokens, Encoded
    from mashbill.train.learning_keys import LearningSpec

_ROWS = 1024
_LEARNED = np.uint32(1 << 31)  # beside a token's id, which is far below
_DONE = "examples.json"
_COLUMNS = ("messages_json", "prompt", "tools_json", "finish", "reasoning_content")


@dataclass
class Examples:
    """Sequences, by their tokens; a memory map, so that a set may be larger than memory."""

    tokens: np.ndarray
    """id of each token, its highest bit set where it is learned, uint32, shape (tokens,)"""
    ends: np.ndarray
    """where each sequence ends, int64, shape (sequences,)"""
    dataset: np.ndarray
    """number of the dataset that it is from, int32"""
    row: np.ndarray
    """position in it, int64"""
    counts: dict[str, Any] = field(default_factory=dict)
    """what was found: rows, left out, cut"""

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.ends)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each sequence."""
        return np.diff(self.ends, prepend=0)

    def ids(self, number: int) -> np.ndarray:
        """Return the token ids of a sequence, int64."""
        return (self._of(number) & ~_LEARNED).astype(np.int64)

    def learned(self, number: int) -> np.ndarray:
        """Return which tokens of a sequence are learned, bool."""
        return np.asarray((self._of(number) & _LEARNED) > 0)

    def learned_tokens(self) -> np.ndarray:
        """Return how many tokens of each sequence are learned, int64."""
        found = np.zeros(len(self), np.int64)
        for start in range(0, len(self), 4096):
            stop = min(start + 4096, len(self))
            begin = int(self.ends[start - 1]) if start else 0
            marks = (self.tokens[begin : self.ends[stop - 1]] & _LEARNED) > 0
            sums = np.concatenate([[0], np.cumsum(marks)])
            places = self.ends[start:stop] - begin
            found[start:stop] = np.diff(sums[places], prepend=0)
        return found

    def _of(self, number: int) -> np.ndarray:
        start = self.ends[number - 1] if number else 0
        return np.asarray(self.tokens[start : self.ends[number]])


class _NotLearnedError(Exception):
    """A row is not learned from; the message says why."""


def examples(
    spec: LearningSpec,
    names: Sequence[str],
    encoder: ConversationTokens,
    ctx: StageContext,
    key: str,
) -> Examples:
    """Return the sequences of datasets, encoding them unless a run that was cut off has.

    Args:
        spec: how rows are learned from.
        names: of the datasets.
        encoder: of the student.
        ctx: the stage's.
        key: names the files in its scratch.

    Raises:
        InputError: if no row can be learned from, naming the commonest reasons.
    """
    folder = ctx.work / key
    if (folder / _DONE).exists():
        return _read(folder)
    folder.mkdir(parents=True, exist_ok=True)
    reader = _Reader(spec, encoder, ctx)
    ends, rows, dataset = array("q"), array("q"), array("i")
    at = 0
    total = sum(ctx.input(name).num_rows for name in names)
    with (folder / "tokens.bin").open("wb") as stream:
        for number, name in enumerate(names):
            data = ctx.input(name)
            for row, sequences in reader.sequences(name, data):
                for sequence in sequences:
                    ids = np.array(sequence.ids, np.uint32)
                    ids |= np.where(sequence.learned, _LEARNED, np.uint32(0))
                    stream.write(ids.tobytes())
                    at += len(ids)
                    ends.append(at)
                    dataset.append(number)
                    rows.append(row)
                if row % _ROWS == 0:
                    ctx.progress(0, 0, f"read {reader.rows:,} of {total:,} rows")
        stream.flush()
        os.fsync(stream.fileno())
    np.savez(
        folder / "places.npz",
        ends=np.array(ends, np.int64),
        dataset=np.array(dataset, np.int32),
        row=np.array(rows, np.int64),
    )
    write_atomically(folder / _DONE, json.dumps(reader.told()).encode())
    if not ends:
        msg = (
            f"{', '.join(names)}: no row can be learned from "
            f"({reader.commonest()}); give it rows that have what was asked and an answer"
        )
        raise InputError(msg)
    return _read(folder)


def _read(folder: Path) -> Examples:
    places = np.load(folder / "places.npz", allow_pickle=False)
    size = (folder / "tokens.bin").stat().st_size // 4
    tokens = (
        np.memmap(folder / "tokens.bin", np.uint32, "r", shape=(size,))
        if size
        else np.empty(0, np.uint32)
    )
    return Examples(
        tokens,
        places["ends"],
        places["dataset"],
        places["row"],
        read_json(folder / _DONE),
    )


class _Reader:
    """Reads rows as sequences, and counts what it leaves out."""

    def __init__(self, spec: LearningSpec, encoder: ConversationTokens, ctx: StageContext) -> None:
        self._spec = spec
        self._encoder = encoder
        self._prompt = Prompt(ctx.recipe_folder / spec.prompt) if spec.prompt else None
        self.rows = 0
        self._left_out: dict[str, Counter[str]] = {}
        self._cut: Counter[str] = Counter()
        self._thought = 0

    def told(self) -> dict[str, Any]:
        """Return what was found, as measures have it."""
        found: dict[str, Any] = {"rows": self.rows}
        if any(self._left_out.values()):
            found["left_out"] = {
                name: dict(sorted(counts.items(), key=lambda item: -item[1]))
                for name, counts in self._left_out.items()
                if counts
            }
        if self._cut:
            found["cut_rows"] = dict(self._cut)
        if self._thought:
            found["reasoning_tokens"] = self._thought
        return found

    def commonest(self) -> str:
        """Return the reasons for which most rows were left out."""
        whole: Counter[str] = sum(self._left_out.values(), Counter())
        return "; ".join(f"{count:,} rows: {why}" for why, count in whole.most_common(3)) or (
            "there are no rows"
        )

    def sequences(self, name: str, data: Dataset) -> Iterator[tuple[int, list[Encoded]]]:
        """Yield (position, sequences) of each row that is learned from."""
        ref = str(data.manifest.ref)
        self._left_out.setdefault(ref, Counter())
        answer = self._spec.answer
        if answer not in data.columns:
            msg = (
                f"{name} has no column {answer!r}, and it is what is learned; it has "
                f"{', '.join(data.columns)}; correct 'answer' in the recipe"
            )
            raise InputError(msg)
        wanted = {*_COLUMNS, answer, *(data.columns if self._prompt else ())}
        columns = [column for column in data.columns if column in wanted]
        for start, piece in data.chunks(_ROWS, columns):
            for place, row in enumerate(piece.to_pylist()):
                self.rows += 1
                try:
                    found = self._row(row, f"{ref}, row {start + place}")
                except _NotLearnedError as error:
                    self._left_out[ref][str(error)] += 1
                    continue
                kept = [one for one in (self._bounded(one, ref) for one in found) if one]
                if kept:
                    yield start + place, kept
                else:
                    why = f"it is longer than max_tokens = {self._spec.max_tokens}"
                    self._left_out[ref][why] += 1

    def _row(self, row: dict[str, Any], where: str) -> list[Encoded]:
        text = row.get(self._spec.answer)
        text = "" if is_missing(text) else as_text(text)
        if row.get("finish") == "length":
            msg = "its answer was cut off"
            raise _NotLearnedError(msg)
        said = self._said(row, text, where)
        try:
            if said is None:
                if not text.strip():
                    msg = "its text is empty"
                    raise _NotLearnedError(msg)
                return [self._encoder.text(text)]
            tools = self._tools(row)
            made = self._encoder.conversation(said, tools, only_last=self._spec.turns == "last")
        except TeacherError as error:
            if "no chat template" in str(error):
                raise
            raise _NotLearnedError(str(error)) from error
        self._check_budget(made)
        self._thought += sum(one.thought for one in made)
        return made

    def _check_budget(self, made: list[Encoded]) -> None:
        most = self._spec.reasoning_tokens
        if most is not None and any(one.thought > most for one in made):
            msg = f"its reasoning is longer than reasoning_tokens = {most}"
            raise _NotLearnedError(msg)

    def _said(self, row: dict[str, Any], text: str, where: str) -> Conversation | None:
        """Return the conversation that a row is; None for a text that nobody asked for."""
        if self._prompt is not None:
            asked = self._prompt.render(row, where)
            told = (Turn("system", asked.system),) if asked.system else ()
            beside = row.get("reasoning_content")
            answer = Turn("assistant", text, reasoning="" if is_missing(beside) else str(beside))
            turns: list[Turn] = [*told, Turn("user", asked.user), answer]
            if not text.strip():
                msg = "its answer is empty"
                raise _NotLearnedError(msg)
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
                raise _NotLearnedError(str(error)) from error
        if any(getattr(turn, "parts", ()) for turn in turns):
            msg = "a turn holds more than text"
            raise _NotLearnedError(msg)
        return Conversation(tuple(self._thinking(turn) for turn in turns))

    def _thinking(self, turn: Turn) -> Turn:
        """Return a turn with its reasoning apart, or without it."""
        if turn.role != "assistant":
            return turn
        thought = parted(turn.content)
        if thought.is_cut:
            msg = "its reasoning was cut off before it said anything"
            raise _NotLearnedError(msg)
        reasoning = turn.reasoning or thought.reasoning
        if self._spec.reasoning == "leave-out":
            reasoning = ""
        if not (thought.content.strip() or turn.tool_calls):
            msg = "it reasons, and says nothing"
            raise _NotLearnedError(msg)
        return replace(turn, content=thought.content, reasoning=reasoning)

    def _tools(self, row: dict[str, Any]) -> tuple[Tool, ...]:
        told = row.get("tools_json")
        if is_missing(told):
            return ()
        try:
            return tools_from_json(str(told))
        except InputError as error:
            msg = f"its tools cannot be read: {error}"
            raise _NotLearnedError(msg) from error

    def _bounded(self, one: Encoded, ref: str) -> Encoded | None:
        """Return a sequence as far as it fits; None if it is left out."""
        most = self._spec.max_tokens
        if len(one.ids) <= most:
            return one
        if self._spec.too_long == "leave-out" or not any(one.learned[1:most]):
            return None
        self._cut[ref] += 1
        return replace(one, ids=one.ids[:most], learned=one.learned[:most])
