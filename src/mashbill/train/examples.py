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
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mashbill.core.errors import InputError
from mashbill.core.parsing import read_json
from mashbill.core.store import write_atomically
from mashbill.models.learned_rows import LearnedRows, NotLearnedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import ConversationTokens, Encoded
    from mashbill.train.learning_keys import LearningSpec

_ROWS = 1024
_LEARNED = np.uint32(1 << 31)  # beside a token's id, which is far below
_DONE = "examples.json"


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
        """Return how many tokens of each sequence are learned, int64.

        The first of a sequence is none of them, whatever it is: nothing before tells it.
        """
        found = np.zeros(len(self), np.int64)
        for start in range(0, len(self), 4096):
            stop = min(start + 4096, len(self))
            begin = int(self.ends[start - 1]) if start else 0
            marks = (self.tokens[begin : self.ends[stop - 1]] & _LEARNED) > 0
            places = self.ends[start:stop] - begin
            marks[np.concatenate([[0], places[:-1]])[self.lengths[start:stop] > 0]] = False
            sums = np.concatenate([[0], np.cumsum(marks)])
            found[start:stop] = np.diff(sums[places], prepend=0)
        return found

    def _of(self, number: int) -> np.ndarray:
        start = self.ends[number - 1] if number else 0
        return np.asarray(self.tokens[start : self.ends[number]])


def check_lengths(
    data: Examples, names: Sequence[str], context: int, whose: str, how: str = ""
) -> None:
    """Raise InputError if a sequence is longer than a model was made for.

    Args:
        data: the sequences.
        names: of their datasets, in order.
        context: tokens; 0 if the model knows no bound.
        whose: what messages call the model.
        how: where max_tokens is set, if that is not the trainer's own stage.
    """
    for number, name in enumerate(names if context else ()):
        longest = int(data.lengths[data.dataset == number].max(initial=0))
        if longest > context:
            msg = (
                f"{name}: its longest sequence has {longest:,} tokens, and {whose} was made for "
                f"{context:,}; set max_tokens = {context}{how}, or less"
            )
            raise InputError(msg)


def examples(
    spec: LearningSpec,
    names: Sequence[str],
    encoder: ConversationTokens,
    ctx: StageContext,
    key: str,
    *,
    reader: RowReader | type[RowReader] | None = None,
) -> Examples:
    """Return the sequences of datasets, encoding them unless a run that was cut off has.

    Args:
        spec: how rows are learned from.
        names: of the datasets.
        encoder: of the student.
        ctx: the stage's.
        key: names the files in its scratch.
        reader: makes sequences of a row; one that makes what the spec's answer is if absent.

    Raises:
        InputError: if no row can be learned from, naming the commonest reasons.
    """
    folder = ctx.work / key
    reader = reader or RowReader
    if (folder / _DONE).exists():
        found = _read(folder)
        _check_some(len(found), found.counts, names, reader)
        return found
    folder.mkdir(parents=True, exist_ok=True)
    rows_of = reader(spec, encoder, ctx) if isinstance(reader, type) else reader
    ends, rows, dataset = array("q"), array("q"), array("i")
    at = 0
    total = sum(ctx.input(name).num_rows for name in names)
    with (folder / "tokens.bin").open("wb") as stream:
        for number, name in enumerate(names):
            data = ctx.input(name)
            for row, sequences in rows_of.sequences(name, data):
                for sequence in sequences:
                    ids = np.array(sequence.ids, np.uint32)
                    ids |= np.where(sequence.learned, _LEARNED, np.uint32(0))
                    stream.write(ids.tobytes())
                    at += len(ids)
                    ends.append(at)
                    dataset.append(number)
                    rows.append(row)
                if row % _ROWS == 0:
                    ctx.progress(0, 0, f"read {rows_of.count:,} of {total:,} rows")
        stream.flush()
        os.fsync(stream.fileno())
    np.savez(
        folder / "places.npz",
        ends=np.array(ends, np.int64),
        dataset=np.array(dataset, np.int32),
        row=np.array(rows, np.int64),
    )
    told = rows_of.told()
    # Before the mark is written: a second run would find it, and have nothing to learn from.
    _check_some(len(ends), told, names, rows_of)
    write_atomically(folder / _DONE, json.dumps(told).encode())
    return _read(folder)


def _check_some(
    sequences: int,
    told: Mapping[str, Any],
    names: Sequence[str],
    reader: RowReader | type[RowReader],
) -> None:
    """Raise InputError unless there is a sequence."""
    if not sequences:
        msg = (
            f"{', '.join(names)}: no row can be {reader.done} "
            f"({_commonest(told)}); give it rows that have {reader.wanted}"
        )
        raise InputError(msg)


def _commonest(told: Mapping[str, Any]) -> str:
    """Return the reasons for which most rows were left out."""
    whole: Counter[str] = Counter()
    for counts in told.get("left_out", {}).values():
        whole.update(counts)
    return "; ".join(f"{count:,} rows: {why}" for why, count in whole.most_common(3)) or (
        "there are no rows"
    )


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


class RowReader:
    """Reads rows as sequences, and counts what it leaves out."""

    done: ClassVar[str] = "learned from"
    """what is done with a row, for messages"""
    wanted: ClassVar[str] = "what was asked and an answer"
    """what rows need for it"""

    def __init__(self, spec: LearningSpec, encoder: ConversationTokens, ctx: StageContext) -> None:
        """Take how rows are learned from.

        Args:
            spec: the trainer's keys.
            encoder: of the student.
            ctx: the stage's.
        """
        self.spec = spec
        self.rows = LearnedRows(spec, encoder, ctx.recipe_folder)
        self.count = 0
        """rows that were read"""
        self.thought = 0
        """tokens of reasoning in sequences"""
        self._left_out: dict[str, Counter[str]] = {}
        self._cut: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._ref = ""

    def told(self) -> dict[str, Any]:
        """Return what was found, as measures have it."""
        found: dict[str, Any] = {"rows": self.count}
        if any(self._left_out.values()):
            found["left_out"] = {
                name: dict(sorted(counts.items(), key=lambda item: -item[1]))
                for name, counts in self._left_out.items()
                if counts
            }
        for name, counted in (("cut_rows", self._cut), ("dropped_sequences", self._dropped)):
            if any(counted.values()):
                found[name] = {ref: count for ref, count in counted.items() if count}
        if self.thought:
            found["reasoning_tokens"] = self.thought
        return found

    def columns(self, there: Sequence[str], name: str) -> list[str]:
        """Return the columns that are read of those there are.

        Raises:
            InputError: if what is learned is none of them.
        """
        return self.rows.columns(there, name)

    def read(self, row: dict[str, Any], where: str) -> list[Encoded]:
        """Return the sequences of a row.

        Raises:
            NotLearnedError: if nothing is learned of it, saying why.
        """
        found = self.rows.row(row, where)
        self._cut[self._ref] += found.is_cut
        self._dropped[self._ref] += found.dropped
        self.thought += found.thought
        return found.sequences

    def sequences(self, name: str, data: Dataset) -> Iterator[tuple[int, list[Encoded]]]:
        """Yield (position, sequences) of each row that is learned from."""
        self._ref = ref = str(data.manifest.ref)
        self._left_out.setdefault(ref, Counter())
        columns = self.columns(data.columns, name)
        for start, piece in data.chunks(_ROWS, columns):
            for place, row in enumerate(piece.to_pylist()):
                self.count += 1
                try:
                    found = self.read(row, f"{ref}, row {start + place}")
                except NotLearnedError as error:
                    self._left_out[ref][str(error)] += 1
                    continue
                yield start + place, found
