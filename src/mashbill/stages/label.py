"""``label``: a teacher labels texts by the log-probability of the label words, few-shot.

Scores are batch-calibrated (Zhou et al., "Batch Calibration", ICLR 2024, arXiv 2309.17249): the
mean score over a batch of unlabelled inputs is taken as the teacher's bias and subtracted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mashbill.core.record import CALL, FROM
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.teacher import Choosing, Question
from mashbill.core.texts import calls_column, empty_among
from mashbill.stages.judging import FileName, Template, asked_where, marks, scores_of, unchosen
from mashbill.stages.labelling import GIVEN, differing, labelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext
    from mashbill.core.teacher import Answer


class LabelSpec(StageSpec):
    """``kind = "label"``."""

    keeps_texts: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("input", "teacher")
    heeds_trial: ClassVar[bool] = True

    kind: Literal["label"] = "label"
    input: str
    """dataset to label"""
    teacher: str
    """which of [teachers.*]"""
    prompt: FileName
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

    def choosings(self, folder: Path) -> tuple[Choosing, ...]:
        """The words that go on from the prompt."""
        before = Template(folder / self.prompt, ["text"]).ending()
        words = {f"labels.{label}": word for label, word in self.labels.items()}
        return (Choosing(self.teacher, self.prompt, before, words),)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        Template(folder / self.prompt, ["text"])

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield rows with label, calibrated confidence and the digest of the call.

        A row that the teacher did not answer is rejected, and counts for nothing in the bias.
        """
        if ctx.trial is not None:  # what is asked for the bias would be bought before it is seen
            yield self._tried(records, ctx.trial, ctx)
            return
        sample = ctx.input(self.input).sample(self.calibrate_on, ["text"])
        scores, _, reasons = self._asked(sample, ctx)
        answered = [reason is None for reason in reasons]
        bias = scores[answered].mean(axis=0) if any(answered) else None
        if bias is not None:
            lean = (bias - bias.mean()).tolist()
            ctx.overall["bias"] = dict(zip(self.labels, lean, strict=True))
        start = 0
        for batch in records:
            scores, calls, reasons = self._asked(batch, ctx)
            if bias is None:
                why = (
                    f"no row that the bias is taken over was answered ({self.calibrate_on} at most)"
                )
                reasons = [reason or why for reason in reasons]
                scores = np.full_like(scores, np.nan)
            else:
                scores = scores - bias
            odds = np.exp(scores - scores.max(axis=1, keepdims=True))
            probabilities = odds / odds.sum(axis=1, keepdims=True)
            made = labelled(batch, start, list(self.labels), probabilities, calls, soft=self.soft)
            for name, column in marks("label", reasons).items():
                made = made.append_column(name, column)
            yield made
            start += batch.num_rows

    def denied(
        self,
        rows: pa.Table,
        answers: Sequence[Answer | None],
        choices: tuple[str, ...],
        measures: Mapping[str, Any],
    ) -> np.ndarray | None:
        """Return which rows have another label or score than their answers give them."""
        bias = measures.get("bias")
        if not isinstance(bias, dict) or any(label not in bias for label in self.labels):
            return np.ones(len(answers), bool)  # without it no row has a label
        if sorted(choices) != sorted(self.labels.values()):
            return np.ones(len(answers), bool)  # it was another question
        # Literals do not keep the order of a table's keys; the calls say in which they were asked.
        labels = sorted(self.labels, key=lambda label: choices.index(self.labels[label]))
        nothing = (np.nan,) * len(labels)
        given = [answer.logprobs if answer and answer.logprobs else nothing for answer in answers]
        scores = np.array(given, np.float64).reshape(len(answers), -1)
        scores -= np.array([float(bias[label]) for label in labels])
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        return differing(rows, labels, probabilities, soft=self.soft)

    def measured_over(self, data: Dataset) -> np.ndarray:
        """Return the rows that the bias is taken over, by position."""
        return data.sampled(self.calibrate_on, ["text"])

    def measured_else(
        self, answers: Sequence[Answer | None], choices: Sequence[str], measures: Mapping[str, Any]
    ) -> str:
        """Say whether the bias is not that of these answers; empty if it is."""
        scores = [answer.logprobs for answer in answers if answer and not unchosen(answer)]
        told = measures.get("bias")
        if not scores or sorted(choices) != sorted(self.labels.values()):
            return ""  # no row has a label, or it was another question: found by the rows
        mean = np.array(scores, np.float64).mean(axis=0)
        lean = dict(zip(choices, (mean - mean.mean()).tolist(), strict=True))
        wanted = {label: lean[word] for label, word in self.labels.items()}
        if isinstance(told, dict) and told.keys() == wanted.keys() and all(
            math.isclose(told[label], wanted[label], rel_tol=1e-9, abs_tol=1e-9) for label in wanted
        ):  # fmt: skip
            return ""
        return f"its bias is {told}; by the answers in the journal it is {wanted}"

    def taken_over(self, columns: Sequence[str]) -> dict[str, str]:
        """All columns but those that it gives."""
        return {name: name for name in columns if name not in GIVEN and not name.startswith("p_")}

    def _tried(
        self, records: Iterator[pa.RecordBatch], trial: int, ctx: StageContext
    ) -> pa.RecordBatch:
        """Return the first rows with their calls, and why one has no label."""
        rows = pa.Table.from_batches(list(records)).slice(0, trial)
        _, calls, reasons = self._asked(rows, ctx)
        columns = {
            FROM: pa.array(range(rows.num_rows), pa.int64()),
            CALL: calls_column(calls),
            **marks("label", reasons),
        }
        return pa.RecordBatch.from_pydict(columns)

    def _asked(
        self, rows: pa.RecordBatch | pa.Table, ctx: StageContext
    ) -> tuple[np.ndarray, list[str | None], list[str | None]]:
        """Return scores of shape (rows, labels), calls, and why there is no score of a row."""
        reasons = empty_among(rows, ["text"])
        texts = [text or "" for text in rows.column("text").to_pylist()]
        if any(len(text) > self.max_chars for text in texts):
            ctx.warn(
                f"of texts longer than {self.max_chars:,} characters the teacher read the "
                "beginning: set max_chars higher, or cut them up by a stage of kind chunk"
            )
        questions = self.questions(ctx.recipe_folder, texts)
        found = asked_where(ctx.teacher(self.teacher), questions, reasons)
        return scores_of(found, len(self.labels)), [call for call, _ in found], reasons

    def questions(self, folder: Path, texts: list[str]) -> list[Question]:
        """Return what the teacher is asked about each text."""
        template = Template(folder / self.prompt, ["text"])
        choices = tuple(self.labels.values())
        return [
            Question(template.prefix, template.fill({"text": text}, self.max_chars), choices)
            for text in texts
        ]
