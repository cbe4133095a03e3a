"""``verify``: a teacher says how sure it is that a row is right; rows below a threshold go.

Its word is used to check, not to learn from, so its channel is judgement for verifying.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.record import CALL, FROM, kept_beside
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.teacher import Choosing, Question
from mashbill.stages.judging import (
    FileName,
    Template,
    asked_where,
    calls_column,
    empty_among,
    marks,
    scores_of,
    texts_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.core.teacher import Answer


class VerifySpec(StageSpec):
    """``kind = "verify"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher")

    kind: Literal["verify"] = "verify"
    input: str
    """dataset to check"""
    teacher: str
    """which of [teachers.*]"""
    prompt: FileName
    """file beside the recipe, with {{ COLUMN }} where each of these columns goes"""
    columns: tuple[str, ...] = Field(default=("text",), min_length=1)
    """columns that the teacher sees"""
    right: str = " yes"
    """what it would write next if the row is right, with its leading space"""
    wrong: str = " no"
    """what it would write next if it is not"""
    threshold: float = Field(default=0.5, ge=0, le=1)
    """rows whose probability of being right is below this are rejected"""
    max_chars: int = Field(default=4000, gt=0)
    """longer texts are cut for the teacher"""
    shard_rows: int = Field(default=1024, gt=0)
    """rows a shard"""

    @model_validator(mode="after")
    def _answers_differ(self) -> VerifySpec:
        if self.right == self.wrong:
            msg = "right and wrong must differ"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows, verified by the teacher."""
        verifying = Purpose.VERIFYING
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            Uses(self.teacher, "actor", Channel.JUDGEMENT, is_teacher=True, purpose=verifying),
        )

    def files(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    def choosings(self, folder: Path) -> tuple[Choosing, ...]:
        """The words that go on from the prompt."""
        before = Template(folder / self.prompt, self.columns).ending()
        words = {"right": self.right, "wrong": self.wrong}
        return (Choosing(self.teacher, self.prompt, before, words),)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        Template(folder / self.prompt, self.columns)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows with ``right``, the probability; one that they have stays beside it.

        Those below the threshold are rejected, and those that the teacher did not answer.
        """
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
        """Return which rows have another probability of being right than their answers give."""
        del measures
        if choices != (self.right, self.wrong):
            return np.ones(len(answers), bool)  # it was another question
        given = [a.logprobs if a and a.logprobs else (np.nan, np.nan) for a in answers]
        scores = np.array(given, np.float64).reshape(len(answers), 2)
        right = 1 / (1 + np.exp(scores[:, 1] - scores[:, 0]))
        told = rows.column("right").to_numpy()
        denied: np.ndarray = ~np.isclose(told, right, rtol=0, atol=1e-6, equal_nan=True)
        return denied

    def taken_over(self, columns: Sequence[str]) -> dict[str, str]:
        """All columns but that which it gives."""
        return {name: name for name in columns if name != "right"}
