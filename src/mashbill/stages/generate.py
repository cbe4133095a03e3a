"""``generate``: a teacher writes completions of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from mashbill.core.record import CALL, FROM
from mashbill.core.source import Channel
from mashbill.core.stage import Question, StageSpec, Uses
from mashbill.stages.asking import Template, calls_column, marks, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.stage import StageContext


class GenerateSpec(StageSpec):
    """``kind = "generate"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher")
    asks_to_write: ClassVar[bool] = True

    kind: Literal["generate"] = "generate"
    input: str
    """dataset of the prompts"""
    teacher: str
    """which of [teachers.*]"""
    column: str = "text"
    """column of the prompts"""
    template: str = ""
    """file beside the recipe, with {{ prompt }} where the prompt goes; the prompt alone if empty"""
    samples: int = Field(default=1, gt=0)
    """completions of each prompt"""
    max_chars: int = Field(default=8000, gt=0)
    """longer prompts are cut for the teacher"""
    shard_rows: int = Field(default=1024, gt=0)
    """prompts a shard"""

    def uses(self) -> tuple[Uses, ...]:
        """The prompts, as what was asked, and the teacher, as who wrote."""
        return (
            Uses(self.input, "rows", Channel.PROMPT),
            Uses(self.teacher, "actor", Channel.CONTENT, is_teacher=True),
        )

    def files(self) -> tuple[str, ...]:
        """The template, if there is one."""
        return (self.template,) if self.template else ()

    def check(self, folder: Path) -> None:
        """Read the template."""
        self._template(folder)

    def _template(self, folder: Path) -> Template | None:
        return Template(folder / self.template, ["prompt"]) if self.template else None

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """So many completions of each prompt."""
        return inputs[self.input] * self.samples

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield prompt, text (the completion) and sample; an empty completion is rejected."""
        teacher = ctx.teacher(self.teacher)
        start = 0
        for batch in records:
            prompts = texts_of(batch, self.column, self.input)
            asked = teacher.ask(self.questions(ctx.recipe_folder, prompts))
            texts = [answer.text.strip() for _, answer in asked]
            rows = [i for i in range(len(prompts)) for _ in range(self.samples)]
            columns = {
                "prompt": pa.array([prompts[i] for i in rows], pa.string()),
                "text": pa.array(texts, pa.string()),
                "sample": pa.array(list(range(self.samples)) * len(prompts), pa.int64()),
                FROM: pa.array([start + i for i in rows], pa.int64()),
                CALL: calls_column([call for call, _ in asked]),
                **marks("generate", [None if t else "the teacher wrote nothing" for t in texts]),
            }
            yield pa.RecordBatch.from_pydict(columns)
            start += batch.num_rows

    def questions(self, folder: Path, prompts: list[str]) -> list[Question]:
        """Return what the teacher is asked: each sample of a prompt is a call of its own.

        The first sample is asked without a number, so that more samples buy only what is new.
        """
        template = self._template(folder)
        prefix = template.prefix if template else ""
        numbers = [f"[sample {n + 1}]\n" if n else "" for n in range(self.samples)]
        bodies = [
            template.fill({"prompt": prompt}, self.max_chars)
            if template
            else prompt[: self.max_chars]
            for prompt in prompts
        ]
        return [Question(number + prefix, body) for body in bodies for number in numbers]
