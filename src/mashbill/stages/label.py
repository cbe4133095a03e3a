"""``label``: a teacher labels texts by the log-probability of the label words, few-shot.

Scores are batch-calibrated (Zhou et al., "Batch Calibration", ICLR 2024, arXiv 2309.17249): the
mean score over a batch of unlabelled inputs is taken as the teacher's bias and subtracted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mashbill.core.errors import RecipeError
from mashbill.core.source import Channel
from mashbill.core.stage import Question, StageSpec, Uses
from mashbill.stages.labelling import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from mashbill.core.stage import StageContext

_SLOT = "{{ text }}"


class LabelSpec(StageSpec):
    """``kind = "label"``."""

    kind: Literal["label"] = "label"
    input: str
    """dataset to label"""
    teacher: str
    """which of [teachers.*]"""
    prompt: str
    """file beside the recipe: the few-shot prompt, with {{ text }} where the document goes"""
    labels: dict[str, str]
    """label -> the word that the teacher would write next, with its leading space"""
    calibrate_on: int = Field(default=512, gt=0)
    """rows, evenly spaced over the input, over which the teacher's bias is taken"""
    max_chars: int = Field(default=400, gt=0)
    """longer documents are cut for the teacher"""
    shard_rows: int = Field(default=1024, gt=0)
    """rows a shard"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows, judged by the teacher."""
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            Uses(self.teacher, "actor", Channel.JUDGEMENT, is_teacher=True),
        )

    def files(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        self._template(folder)

    def _template(self, folder: Path) -> tuple[str, str]:
        template = (folder / self.prompt).read_text(encoding="utf-8").rstrip("\n")
        if template.count(_SLOT) != 1:
            msg = (
                f"{folder / self.prompt} has {_SLOT} {template.count(_SLOT)} times; once is needed"
            )
            raise RecipeError(msg)
        before, after = template.split(_SLOT)
        return before, after

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
            yield labelled(
                batch, start, list(self.labels), probabilities, [call for call, _ in asked]
            )
            start += batch.num_rows

    def questions(self, folder: Path, texts: list[str]) -> list[Question]:
        """Return what the teacher is asked about each text."""
        before, after = self._template(folder)
        # The space before the document belongs to its first token, so it is not in the prefix.
        prefix = before.rstrip(" ")
        gap = before[len(prefix) :]
        choices = tuple(self.labels.values())
        return [
            Question(prefix, f"{gap}{' '.join(text[: self.max_chars].split())}{after}", choices)
            for text in texts
        ]
