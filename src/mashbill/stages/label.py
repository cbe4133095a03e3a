"""``label``: a teacher labels texts by the log-probability of the label words, few-shot.

Scores are batch-calibrated (Zhou et al., "Batch Calibration", ICLR 2024, arXiv 2309.17249): the
mean score over a batch of unlabelled inputs is taken as the teacher's bias and subtracted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from mashbill.core.source import Channel
from mashbill.core.stage import Question, StageSpec, Uses
from mashbill.stages.asking import Template
from mashbill.stages.labelling import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from mashbill.core.stage import StageContext


class LabelSpec(StageSpec):
    """``kind = "label"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher")

    kind: Literal["label"] = "label"
    input: str
    """dataset to label"""
    teacher: str
    """which of [teachers.*]"""
    prompt: str
    """file beside the recipe: the few-shot prompt, with {{ text }} where the document goes"""
    labels: dict[str, str]
    """label -> the word that the teacher would write next, with its leading space"""
    soft: bool = False
    """keep the whole distribution over the labels, in columns p_LABEL, to be learned from"""
    calibrate_on: int = Field(default=512, gt=0)
    """rows, evenly spaced over the input, over which the teacher's bias is taken"""
    max_chars: int = Field(default=400, gt=0)
    """longer documents are cut for the teacher"""
    shard_rows: int = Field(default=1024, gt=0)
    """rows a shard"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows, judged by the teacher; its distribution is its logits."""
        channel = Channel.LOGITS if self.soft else Channel.JUDGEMENT
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            Uses(self.teacher, "actor", channel, is_teacher=True),
        )

    def files(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        Template(folder / self.prompt, ["text"])

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield rows with label, calibrated confidence and the digest of the call."""
        teacher = ctx.teacher(self.teacher)
        sample = ctx.input(self.input).sample(self.calibrate_on, ["text"])
        asked = teacher.ask(self.questions(ctx.recipe_folder, sample.column(0).to_pylist()))
        bias = np.array([answer.logprobs for _, answer in asked]).mean(axis=0)
        ctx.measures["bias"] = dict(zip(self.labels, (bias - bias.mean()).tolist(), strict=True))
        start = 0
        for batch in records:
            texts = batch.column("text").to_pylist()
            asked = teacher.ask(self.questions(ctx.recipe_folder, texts))
            scores = np.array([answer.logprobs for _, answer in asked]) - bias
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            probabilities = odds / odds.sum(axis=1, keepdims=True)
            calls = [call for call, _ in asked]
            yield labelled(batch, start, list(self.labels), probabilities, calls, soft=self.soft)
            start += batch.num_rows

    def questions(self, folder: Path, texts: list[str]) -> list[Question]:
        """Return what the teacher is asked about each text."""
        template = Template(folder / self.prompt, ["text"])
        choices = tuple(self.labels.values())
        return [
            Question(template.prefix, template.fill({"text": text}, self.max_chars), choices)
            for text in texts
        ]
