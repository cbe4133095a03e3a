"""What a teacher with another tokenizer reads of each of a student's sequences, aligned.

The teacher reads the same rows by its own template and tokens. A row of which nothing can be
aligned is learned from by its text alone, if at all, and counted by the reason.
"""

from __future__ import annotations

import json
import os
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.parsing import read_json
from mashbill.core.store import write_atomically
from mashbill.models.learned_rows import LearnedRows, NotLearnedError
from mashbill.models.token_alignment import Answered, Group, Reader, UnalignedError, align

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.models.conversation_tokens import Encoded
    from mashbill.train.examples import Examples
    from mashbill.train.learning_keys import LearningSpec

_ROWS = 1024
_ANY = 1 << 30  # tokens: of a sequence that is not cut
_DONE = "aligned.json"
_TOLD = 600  # characters
_KEPT = 64
"""answers that are kept by themselves, to try the signal on"""
GROUP = ("student begin", "student end", "teacher begin", "teacher end", "bytes", "exact")
"""columns of groups: places in sequences, as :class:`Group` has them"""


@dataclass(frozen=True)
class Pair:
    """One answer as student and teacher read it."""

    student: Answered
    teacher: Answered


@dataclass
class AlignedPair:
    """A sequence of the student's, what the teacher reads of it, and their groups."""

    student: np.ndarray
    """ids, int64"""
    teacher: list[np.ndarray]
    """ids of each sequence, int64; several where its template writes earlier turns otherwise"""
    groups: np.ndarray
    """int64, shape (groups, 6), columns as GROUP; the teacher's places go on from one of its
    sequences to the next"""


@dataclass
class AlignedRows:
    """Of each of the student's sequences: the teacher's, and groups."""

    tokens: np.ndarray
    """the teacher's ids, int32"""
    ends: np.ndarray
    """where each of the teacher's sequences ends, int64"""
    of: np.ndarray
    """how many of them are of the student's sequences up to each, it included, int64"""
    groups: np.ndarray
    """int32, shape (groups, 6), columns as GROUP"""
    group_ends: np.ndarray
    """where the groups of each of the student's sequences end, int64"""
    kept: list[Pair] = field(default_factory=list)
    """some answers, the same for the same rows"""
    counts: dict[str, Any] = field(default_factory=dict)
    """answers, aligned ones, and why others are not"""

    def pair(self, number: int, ids: np.ndarray) -> AlignedPair:
        """Return what a sequence of the student's is aligned with.

        Args:
            number: of the sequence.
            ids: its tokens.
        """
        first = int(self.of[number - 1]) if number else 0
        begins = np.concatenate([[0], self.ends])
        teacher = [
            np.asarray(self.tokens[begins[n] : begins[n + 1]], np.int64)
            for n in range(first, int(self.of[number]))
        ]
        return AlignedPair(ids, teacher, self.groups_of(number))

    def groups_of(self, number: int) -> np.ndarray:
        """Return the groups of a sequence of the student's, int64, shape (groups, 6)."""
        begin = int(self.group_ends[number - 1]) if number else 0
        return np.asarray(self.groups[begin : int(self.group_ends[number])], np.int64)


def aligned_rows(
    spec: LearningSpec,
    ctx: StageContext,
    data: Examples,
    student: Reader,
    teacher: Reader,
    context: int,
) -> AlignedRows:
    """Align all sequences with what the teacher reads, unless a run that was cut off has.

    Args:
        spec: how rows are learned from.
        ctx: the stage's.
        data: the student's sequences.
        student: how it reads.
        teacher: how the teacher reads.
        context: tokens of a sequence that the teacher takes; any number if 0.
    """
    folder = ctx.work / "aligned"
    if not (folder / _DONE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        _Aligning(spec, ctx, data, student, teacher, context).keep(folder)
    places = np.load(folder / "places.npz", allow_pickle=False)
    told = read_json(folder / _DONE)
    kept = [Pair(*(Answered(*side) for side in pair)) for pair in told.pop("kept")]
    tokens, groups = (_mapped(folder / name) for name in ("tokens.bin", "groups.bin"))
    return AlignedRows(
        tokens, places["ends"], places["of"], groups.reshape(-1, len(GROUP)),
        places["group_ends"], kept, told,
    )  # fmt: skip


def _mapped(path: Path) -> np.ndarray:
    size = path.stat().st_size // 4
    return np.memmap(path, np.int32, "r", shape=(size,)) if size else np.empty(0, np.int32)


class _Aligning:
    """Aligns rows, and writes what is found."""

    def __init__(
        self,
        spec: LearningSpec,
        ctx: StageContext,
        data: Examples,
        student: Reader,
        teacher: Reader,
        context: int,
    ) -> None:
        self._spec, self._ctx, self._data = spec, ctx, data
        self._student, self._teacher, self._context = student, teacher, context
        whole = spec.model_copy(update={"max_tokens": _ANY})
        asked_as = "chat" if teacher.encoder.has_chat else "text"
        theirs = whole.model_copy(update={"asked_as": asked_as, "reasoning_tokens": None})
        self._own_rows = LearnedRows(whole, student.encoder, ctx.recipe_folder)
        self._their_rows = LearnedRows(theirs, teacher.encoder, ctx.recipe_folder)
        self._why: Counter[str] = Counter()
        self._such_as: dict[str, str] = {}
        self._answers = self._aligned = 0
        self._kept: list[Pair] = []
        self._each = max(1, len(data) // _KEPT)
        """how far apart the sequences are whose answers are kept"""

    def keep(self, folder: Path) -> None:
        ends, of, group_ends = array("q"), array("q"), array("q")
        at = 0
        with (
            (folder / "tokens.bin").open("wb") as tokens,
            (folder / "groups.bin").open("wb") as out,
        ):
            for theirs, groups in self._sequences():
                for ids in theirs:
                    tokens.write(np.asarray(ids, np.int32).tobytes())
                    at += len(ids)
                    ends.append(at)
                of.append(len(ends))
                out.write(np.asarray(groups, np.int32).tobytes())
                group_ends.append((group_ends[-1] if group_ends else 0) + len(groups))
            for stream in (tokens, out):
                stream.flush()
                os.fsync(stream.fileno())
        np.savez(
            folder / "places.npz",
            ends=np.array(ends, np.int64),
            of=np.array(of, np.int64),
            group_ends=np.array(group_ends, np.int64),
        )
        told = {
            "answers": self._answers,
            "aligned": self._aligned,
            "left_out": dict(self._why.most_common()),
            "such_as": self._such_as,
            "kept": [
                [[list(map(int, one.ids)), *one[1:]] for one in (kept.student, kept.teacher)]
                for kept in self._kept
            ],
        }
        write_atomically(folder / _DONE, json.dumps(told).encode())

    def _sequences(self) -> Iterator[tuple[list[Sequence[int]], list[list[int]]]]:
        """Yield what is aligned with each of the student's sequences, in their order."""
        number, many = 0, len(self._data)
        for dataset, name in enumerate(self._spec.inputs):
            rows = self._ctx.input(name)
            columns = self._own_rows.columns(rows.columns, name)
            for start, piece in rows.chunks(_ROWS, columns):
                for place, row in enumerate(piece.to_pylist(), start):
                    first = number
                    while number < many and (
                        self._data.dataset[number] == dataset and self._data.row[number] == place
                    ):
                        number += 1
                    if number > first:
                        where = f"{rows.manifest.ref}, row {place}"
                        yield from self._row(row, where, range(first, number))
                self._ctx.progress(0, 0, f"aligned {number:,} of {many:,} sequences")

    def _row(
        self, row: dict[str, Any], where: str, numbers: range
    ) -> Iterator[tuple[list[Sequence[int]], list[list[int]]]]:
        own = self._own_rows.row(row, where).sequences
        try:
            theirs = self._their_rows.row(row, where).sequences
        except NotLearnedError as error:
            theirs = []
            self._say("the teacher's template or tokenizer cannot read it", str(error))
        answers = self._student.answers(own)
        read = [
            (place, answer)
            for place, found in enumerate(self._teacher.answers(theirs))
            for answer in found
        ]
        if theirs and len(read) != sum(map(len, answers)):
            why = "the two templates write different numbers of answers"
            self._say(why, where)
            read = []
        waiting = iter(numbers)
        at = 0
        for sequence, found in zip(own, answers, strict=True):
            its = read[at : at + len(found)]
            at += len(found)
            if self._is_learned(sequence):
                yield self._aligned_with(next(waiting), found, its, theirs)

    def _say(self, why: str, of_one: str) -> None:
        """Count what is not aligned, and keep what is said of the first."""
        self._why[why] += 1
        self._such_as.setdefault(why, of_one[:_TOLD])

    def _is_learned(self, whole: Encoded) -> bool:
        """Return whether something of a sequence is learned, cut or not: see LearnedRows."""
        most = self._spec.max_tokens
        return len(whole.ids) <= most or (
            self._spec.too_long == "cut" and any(whole.learned[1:most])
        )

    def _aligned_with(
        self,
        number: int,
        answers: list[Answered],
        read: list[tuple[int, Answered]],
        theirs: Sequence[Encoded],
    ) -> tuple[list[Sequence[int]], list[list[int]]]:
        ids = self._data.ids(number)
        groups: list[tuple[int, Group]] = []
        for answer, (place, told) in zip(answers, read, strict=False):
            if answer.begin >= len(ids):
                break  # it was cut
            self._answers += 1
            own = answer._replace(ids=ids.tolist(), end=min(answer.end, len(ids)))
            try:
                found = align(self._student, own, self._teacher, told, context=self._context)
            except UnalignedError as error:
                self._say(error.kind, str(error))
                continue
            self._aligned += bool(found)
            groups += [(place, group) for group in found]
            if found and number % self._each == 0 and len(self._kept) < _KEPT:
                self._kept.append(Pair(own, told))
        return _written(groups, theirs)


def _written(
    groups: list[tuple[int, Group]], theirs: Sequence[Encoded]
) -> tuple[list[Sequence[int]], list[list[int]]]:
    """Return the teacher's sequences as far as groups need them, and groups as rows of GROUP."""
    needed: dict[int, int] = {}
    for place, group in groups:
        needed[place] = max(needed.get(place, 0), group.teacher[1])
    begins, at = {}, 0
    for place, size in needed.items():
        begins[place] = at
        at += size
    return [theirs[place].ids[:size] for place, size in needed.items()], [
        row_of(group, begins[place]) for place, group in groups
    ]


def row_of(group: Group, teacher_from: int = 0) -> list[int]:
    """Return a group as a row of GROUP.

    Args:
        group: of one answer.
        teacher_from: where the teacher's sequence begins among those that are read with it.
    """
    begin, end = group.teacher
    return [*group.student, begin + teacher_from, end + teacher_from, group.bytes, group.is_exact]
