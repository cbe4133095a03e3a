"""``prefer``: preference pairs: a judge says which of two completions of a prompt is better.

One question a pair: which completion is named first follows from a hash, and what the judge leans
to by place alone, its mean log-odds over all pairs, is subtracted (Zhou et al., "Batch
Calibration", ICLR 2024).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.record import CALL, FROM
from mashbill.core.source import Channel
from mashbill.core.stage import Question, StageSpec, Uses
from mashbill.stages.asking import Template, calls_column, marks, texts_of
from mashbill.stages.joining import made_of, matches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.stage import StageContext

_SLOTS = ("prompt", "first", "second")


class PreferSpec(StageSpec):
    """``kind = "prefer"``."""

    streams = False
    merges = True
    references: ClassVar[tuple[str, ...]] = ("one", "other", "teacher")

    kind: Literal["prefer"] = "prefer"
    one: str
    """dataset of completions, with columns prompt and text"""
    other: str
    """dataset of other completions of the same prompts"""
    teacher: str
    """which of [teachers.*] judges"""
    prompt: str
    """file beside the recipe, with {{ prompt }}, {{ first }} and {{ second }}"""
    on: tuple[str, ...] = ("prompt", "sample")
    """columns by which completions are paired"""
    answers: tuple[str, str] = (" A", " B")
    """what the judge would write next for the first and for the second"""
    max_chars: int = Field(default=4000, gt=0)
    """longer prompts and completions are cut for the judge"""

    @model_validator(mode="after")
    def _are_two(self) -> PreferSpec:
        if self.one == self.other or self.answers[0] == self.answers[1]:
            msg = "one and other must be two datasets, and answers two words"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The completions of both, judged by the teacher."""
        return (
            Uses(self.one, "rows", Channel.CONTENT),
            Uses(self.other, "rows", Channel.CONTENT),
            Uses(self.teacher, "actor", Channel.JUDGEMENT, is_teacher=True),
        )

    def files(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        Template(folder / self.prompt, _SLOTS)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield prompt, chosen, rejected and margin (log-odds); equal completions are rejected."""
        one = pa.Table.from_batches(records)
        data = ctx.input(self.other)
        other = data.read(0, data.num_rows)
        first, second = matches(one, other, self.on, (self.one, self.other))
        if not len(first):
            msg = (
                f"{self.one} and {self.other} have no {', '.join(self.on)} in common, so there are "
                "no pairs; make both from the same prompts, or set 'on'"
            )
            raise InputError(msg)
        taken = one.take(pa.array(first))
        prompts = texts_of(taken, "prompt", self.one)
        texts = (
            texts_of(taken, "text", self.one),
            texts_of(other.take(pa.array(second)), "text", self.other),
        )
        calls, margins = self._judged(prompts, texts, ctx)
        best = (margins < 0).astype(int).tolist()
        columns = {
            "prompt": pa.array(prompts, pa.string()),
            "chosen": pa.array([texts[b][i] for i, b in enumerate(best)], pa.string()),
            "rejected": pa.array([texts[1 - b][i] for i, b in enumerate(best)], pa.string()),
            "margin": pa.array(np.abs(margins)),
            FROM: made_of(first, one.num_rows + second),
            CALL: calls_column(calls),
            **marks(
                "prefer",
                ["both completions are the same" if a == b else None
                 for a, b in zip(*texts, strict=True)],
            ),
        }  # fmt: skip
        ctx.measures["pairs"] = len(first)
        ctx.measures["unpaired"] = {
            self.one: one.num_rows - len(np.unique(first)),
            self.other: other.num_rows - len(np.unique(second)),
        }
        yield pa.RecordBatch.from_pydict(columns)

    def _judged(
        self, prompts: list[str], texts: tuple[list[str], list[str]], ctx: StageContext
    ) -> tuple[list[str], np.ndarray]:
        """Return each pair's call, and the log-odds that the one is better, shape (pairs,)."""
        template = Template(ctx.recipe_folder / self.prompt, _SLOTS)
        rows = list(zip(prompts, *texts, strict=True))
        swapped = np.array(
            [
                int(digest_bytes("\n".join((str(ctx.seed), *row)).encode())[0], 16) % 2
                for row in rows
            ]
        )
        asked = ctx.teacher(self.teacher).ask(
            [
                Question(
                    template.prefix,
                    template.fill(
                        {"prompt": prompt, "first": (a, b)[s], "second": (b, a)[s]}, self.max_chars
                    ),
                    self.answers,
                )
                for (prompt, a, b), s in zip(rows, swapped.tolist(), strict=True)
            ]
        )
        scores = np.array([answer.logprobs for _, answer in asked], np.float64)
        lean = scores[:, 0] - scores[:, 1]
        ctx.measures["lean_to_the_first"] = float(lean.mean())
        return [call for call, _ in asked], (lean - lean.mean()) * (1 - 2 * swapped)
