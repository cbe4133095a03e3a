"""``verify``: a verifier scores rows, or a teacher says how sure it is of them; low ones go.

Their word is used to check, not to learn from, so their channel is judgement for verifying. Where
the best of a group are chosen by it, it decided among outputs that were good enough, and is a
selection, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.controls import MOST_TRIED
from mashbill.core.errors import RecipeError
from mashbill.core.explaining import check_columns
from mashbill.core.naming import free_names
from mashbill.core.record import CALL, FROM, OURS, columns_beside, kept_beside
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import Uses
from mashbill.core.teacher import Asks, Choosing, Question
from mashbill.core.texts import calls_column, empty_among, texts_of
from mashbill.core.verifier import VerifierSpec
from mashbill.stages.by_verifier import GROUP, RANK, VERIFIER, Verifying, taken
from mashbill.stages.choosing import Choice
from mashbill.stages.columns_read import read_by
from mashbill.stages.judging import FileName, Template, asked_where, marks, scores_of
from mashbill.verifiers.asked_by import AsksVerifier
from mashbill.verifiers.scoring import given_by, held_to_itself

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.core.teacher import Answer

_OF_TEACHER = ("teacher", "prompt", "columns", "right", "wrong", "max_chars")
_OF_GROUPS = ("best", "fewer", "pass_at", "level")
_OF_VERIFIER = ("column", "reference", "finish", "undecided", "failed", "truncated", "passes",
                "accept", "group", *_OF_GROUPS)  # fmt: skip
_HALF = 0.5
_KS = 10  # of pass@k that a recipe may name


class VerifySpec(AsksVerifier):
    """``kind = "verify"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher")
    repeats: ClassVar[bool] = True
    added: ClassVar[frozenset[str]] = frozenset({"by", *_OF_VERIFIER})

    kind: Literal["verify"] = "verify"
    input: str
    """dataset to check"""
    by: str = ""
    """which of [verifiers.*] scores the rows; or a teacher does"""
    column: str = "text"
    """column that a verifier scores"""
    reference: str = ""
    """column with what is known to be right, for a verifier; empty if there is none"""
    finish: str = ""
    """column with why each output ended, as services say it (length is cut off), or with true where
    it was cut off: such an output is truncated, and not scored; empty if rows do not say"""
    undecided: Literal["reject", "keep"] = "reject"
    """what becomes of rows of which a verifier cannot tell"""
    failed: Literal["reject", "keep"] = "reject"
    """what becomes of rows that a verifier could not look at, as in an outage"""
    truncated: Literal["reject", "keep"] = "reject"
    """what becomes of rows whose output was cut off"""
    accept: int | None = Field(default=None, gt=0)
    """exactly so many rows stay, the first that are good; the stage fails if there are fewer. All
    that are good if absent"""
    group: tuple[str, ...] | None = None
    """columns by which rows are attempts at one prompt; [] for all rows as one group. They get the
    columns group, rank and verifier, and pass@k is measured; the whole input is scored first"""
    best: int | None = Field(default=None, gt=0)
    """how many of each group stay: those with the highest scores, from the threshold on"""
    fewer: Literal["keep", "reject"] = "keep"
    """what becomes of a group that has fewer than ``best`` rows that are good enough"""
    passes: float | None = Field(default=None, gt=0, le=1)
    """score from which an attempt passes, for measures; the threshold, or 0.5 where that is 0"""
    pass_at: tuple[int, ...] = ()
    """the k of pass@k; 1, 2, 4, ... and the commonest number of attempts if there are none"""
    level: str = ""
    """column by whose values pass rates are told apart, such as difficulty"""
    teacher: str = ""
    """which of [teachers.*]"""
    prompt: FileName = ""
    """file beside the recipe, with {{ COLUMN }} where each of these columns goes"""
    columns: tuple[str, ...] = Field(default=("text",), min_length=1)
    """columns that the teacher sees"""
    right: str = " yes"
    """what it would write next if the row is right, with its leading space"""
    wrong: str = " no"
    """what it would write next if it is not"""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """rows whose score, or probability of being right, is below this are rejected"""
    max_chars: int = Field(default=4000, gt=0)
    """longer texts are cut for the teacher"""
    shard_rows: int = Field(default=1024, gt=0)
    """rows a shard"""

    @model_validator(mode="after")
    def _one_of_both(self) -> VerifySpec:
        strange = self._set_among(_OF_TEACHER if self.by else _OF_VERIFIER)
        if self.by and strange:
            msg = f"by names a verifier, and {', '.join(strange)} is for a teacher: leave it out"
            raise ValueError(msg)
        if self.by:
            return self
        if not self.teacher or not self.prompt:
            msg = (
                "name who scores: by, one of [verifiers.*]; or teacher, one of [teachers.*], with "
                "the file prompt"
            )
            raise ValueError(msg)
        if strange:
            msg = f"{', '.join(strange)} is for a verifier, and no verifier is named: set by"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _groups_are_sound(self) -> VerifySpec:
        strange = self._set_among(_OF_GROUPS)
        if self.group is None and strange:
            msg = (
                f"{', '.join(strange)} is about groups of attempts: set group, such as "
                'group = ["prompt"], or group = [] for all rows as one group'
            )
            raise ValueError(msg)
        if self.best is None and self.fewer != "keep":
            msg = "fewer says what becomes of groups with fewer than best rows: set best"
            raise ValueError(msg)
        kept = [name for name in ("undecided", "failed", "truncated")
                if getattr(self, name) == "keep"]  # fmt: skip
        if self.best is not None and kept:
            msg = (
                f"best chooses by score, and a row that is {' or '.join(kept)} has none, so it can "
                f'never be among the best: leave out {kept[0]} = "keep"'
            )
            raise ValueError(msg)
        names = self.group or ()
        wrong = [name for name in names if not name or name in OURS or names.count(name) > 1]
        if wrong:
            msg = f"group names columns of the rows, each once, and {wrong[0]!r} is none or twice"
            raise ValueError(msg)
        ks = self.pass_at
        if any(k < 1 for k in ks) or len(set(ks)) < len(ks) or len(ks) > _KS:
            msg = f"pass_at lists at most {_KS} numbers from 1 on, each once"
            raise ValueError(msg)
        return self

    @property
    def streams(self) -> bool:  # type: ignore[override]
        """Whether each slice can be done alone: not where rows are held against their group."""
        return self.group is None

    @property
    def wanted(self) -> int | None:
        """As many rows as ``accept`` says; of groups the stage counts them itself."""
        return self.accept if self.streams else None

    @property
    def passing(self) -> float:
        """The score from which an attempt passes."""
        return self.passes if self.passes is not None else self.threshold or _HALF

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """As many as it is given, or as are wanted."""
        rows = inputs[self.input]
        return rows if self.accept is None else min(self.accept, rows)

    def _set_among(self, keys: Sequence[str]) -> list[str]:
        """Return which of some keys are set to another value than their default."""
        fields = type(self).model_fields
        return [key for key in keys if getattr(self, key) != fields[key].default]

    @model_validator(mode="after")
    def _answers_differ(self) -> VerifySpec:
        if self.right == self.wrong:
            msg = "right and wrong must differ"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows, checked by a verifier or a teacher."""
        by_verifier = bool(self.by)
        channels = (Channel.JUDGEMENT, *((Channel.SELECTION,) if self.best else ()))
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            *(
                Uses(
                    self.by or self.teacher,
                    "actor",
                    channel,
                    is_teacher=not by_verifier,
                    purpose=Purpose.VERIFYING,
                    is_verifier=by_verifier,
                )
                for channel in channels
            ),
            *(
                Uses(name, "actor", channel, is_teacher=True, purpose=Purpose.VERIFYING)
                for name in dict.fromkeys(self._asked)
                for channel in channels
            ),
        )

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """What its verifier asks about each row, and in negative controls at most."""
        if not self._asked:
            return super().asks(rows, data, folder)
        count = rows.get(self.input)
        if count is None:
            return Asks(0, 0, self._asked, None)
        return Asks(count, count + (MOST_TRIED if count else 0), self._asked, self._asked)

    def files(self) -> tuple[str, ...]:
        """The prompt of a teacher."""
        return () if self.by else (self.prompt,)

    def choosings(self, folder: Path) -> tuple[Choosing, ...]:
        """The words that go on from the prompt."""
        if self.by:
            return ()
        before = Template(folder / self.prompt, self.columns).ending()
        words = {"right": self.right, "wrong": self.wrong}
        return (Choosing(self.teacher, self.prompt, before, words),)

    def check(self, folder: Path) -> None:
        """Read the prompt of a teacher."""
        if not self.by:
            Template(folder / self.prompt, self.columns)

    def check_verifiers(self, verifiers: Mapping[str, VerifierSpec]) -> None:
        """See that a verifier that needs a reference is given one."""
        verifier = verifiers.get(self.by)
        if verifier is not None and verifier.rules.needs_reference and not self.reference:
            msg = (
                f"verifier {self.by!r} (kind {verifier.kind!r}) compares with what is known to be "
                'right; set reference = "COLUMN"'
            )
            raise RecipeError(msg)
        if self.by and self.reference == self.column:
            raise RecipeError(held_to_itself(self.reference, self.input))

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the columns that a verifier is given are there, where they are known."""
        del folder
        if not self.by:
            named = [("columns", name) for name in self.columns]
        else:
            keys = ("column", "reference", "finish", "level")
            named = [(key, getattr(self, key)) for key in keys]
            named += [("group", name) for name in self.group or ()]
            named += [] if self._by is None else read_by(f"verifiers.{self.by}", self._by)
        check_columns(named, columns.get(self.input), self.input)

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of its input, and what is said of them."""
        del files
        known = inputs.get(self.input)
        if known is None or (self.by and self._by is None):
            return None
        given = {"right"} if self._by is None else {*given_by(self._by), *self._of_rollouts}
        return columns_beside(known, taken(known, given))

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield rows with what was found of each; a column that they have stays beside it.

        A verifier gives ``score``, ``reason`` and a column for each component, a teacher
        ``right``, the probability. Rows below the threshold are rejected, and those that the
        teacher did not answer, or that a verifier did not score.
        """
        if not self.by:
            yield from self._judged(records, ctx)
        elif self.group is None:
            yield from Verifying(self, ctx).sliced(records)
        else:
            choice = Choice(
                self.group, self.threshold, self.passing, self.best, self.fewer, self.level,
                self.pass_at,
            )  # fmt: skip
            yield from Verifying(self, ctx).grouped(choice)

    def _judged(
        self, records: Iterator[pa.RecordBatch], ctx: StageContext
    ) -> Iterator[pa.RecordBatch]:
        teacher = ctx.teacher(self.teacher)
        template = Template(ctx.recipe_folder / self.prompt, self.columns)
        start = 0
        for batch in records:
            texts = {name: texts_of(batch, name, self.input) for name in self.columns}
            rows = [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]
            choices = (self.right, self.wrong)
            questions = [
                Question(template.prefix, template.fill(row, self.max_chars), choices)
                for row in rows
            ]
            reasons = empty_among(batch, self.columns)
            found = asked_where(teacher, questions, reasons)
            scores = scores_of(found, 2)
            right = 1 / (1 + np.exp(scores[:, 1] - scores[:, 0]))
            reasons = [
                reason
                or (None if p >= self.threshold else f"right at {p:.4f}, below {self.threshold}")
                for p, reason in zip(right.tolist(), reasons, strict=True)
            ]
            columns = kept_beside(batch, {"right"}) | {
                "right": pa.array(right, mask=np.isnan(right)),
                FROM: pa.array(np.arange(start, start + batch.num_rows), pa.int64()),
                CALL: calls_column([call for call, _ in found]),
                **marks("verify", reasons),
            }
            yield pa.RecordBatch.from_pydict(columns)
            start += batch.num_rows

    def denied(
        self,
        rows: pa.Table,
        answers: Sequence[Answer | None],
        choices: tuple[str, ...],
        measures: Mapping[str, Any],
    ) -> np.ndarray | None:
        """Return which rows have another probability of being right than their answers give.

        Of what a verifier comes to by answers to several questions, it cannot say.
        """
        del measures
        if self.by:
            return self._scored_else(rows, answers, choices)
        if choices != (self.right, self.wrong):
            return np.ones(len(answers), bool)  # it was another question
        given = [a.logprobs if a and a.logprobs else (np.nan, np.nan) for a in answers]
        scores = np.array(given, np.float64).reshape(len(answers), 2)
        right = 1 / (1 + np.exp(scores[:, 1] - scores[:, 0]))
        told = rows.column("right").to_numpy()
        denied: np.ndarray = ~np.isclose(told, right, rtol=0, atol=1e-6, equal_nan=True)
        return denied

    @property
    def rests_on_one_answer(self) -> bool:
        """Whether each score follows from one answer of a teacher."""
        return self._by is not None and self._by.rests_on_one_answer

    def _scored_else(
        self, rows: pa.Table, answers: Sequence[Answer | None], choices: tuple[str, ...]
    ) -> np.ndarray | None:
        if self._by is None or not self._by.rests_on_one_answer:
            return None
        found = self._by.says_again(answers, choices)
        wanted = np.array([np.nan if value is None else value for value in found], np.float64)
        told = rows.column("score").to_numpy()
        differ: np.ndarray = ~np.isclose(told, wanted, rtol=0, atol=1e-6, equal_nan=True)
        return differ

    @property
    def _of_rollouts(self) -> set[str]:
        return {GROUP, RANK, VERIFIER} if self.group is not None else set()

    def taken_over(self, columns: Sequence[str]) -> dict[str, str]:
        """All columns but those that it gives, of which one may be there under another name."""
        if not self.by:
            return {name: name for name in columns if name != "right"}
        given = set(given_by(self._by)) if self._by is not None else set()
        given |= self._of_rollouts
        names = free_names(columns, taken(columns, given))
        return {new: old for old, new in names.items()}
