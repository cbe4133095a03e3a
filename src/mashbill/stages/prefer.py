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
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.teacher import Asks, Choosing, Question
from mashbill.stages.joining import made_of, matches
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
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext

_SLOTS = ("prompt", "first", "second")


class PreferSpec(StageSpec):
    """``kind = "prefer"``."""

    streams = False
    merges = True
    heeds_trial: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("one", "other", "teacher")

    kind: Literal["prefer"] = "prefer"
    one: str
    """dataset of completions, with columns prompt and text"""
    other: str
    """dataset of other completions of the same prompts"""
    teacher: str
    """which of [teachers.*] judges"""
    prompt: FileName
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

    def choosings(self, folder: Path) -> tuple[Choosing, ...]:
        """The words that go on from the prompt."""
        before = Template(folder / self.prompt, _SLOTS).ending()
        words = {"answers[0]": self.answers[0], "answers[1]": self.answers[1]}
        return (Choosing(self.teacher, self.prompt, before, words),)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        Template(folder / self.prompt, _SLOTS)

    def asks(self, rows: Mapping[str, int], data: Mapping[str, Dataset], folder: Path) -> Asks:
        """One question a pair; how many there are, the completions say."""
        del folder
        names = (self.one, self.other)
        if not all(name in data for name in names):
            return Asks(0, 0, (self.teacher,), None)
        one, other = (data[name].read(0, rows[name], self.on) for name in names)
        pairs = len(matches(one, other, self.on, names)[0])
        return Asks(pairs, pairs, (self.teacher,), (self.teacher,))

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield prompt, chosen, rejected and margin (log-odds).

        Equal completions are rejected, and pairs that were not judged, with neither chosen.
        """
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
        if ctx.trial is not None:
            first, second = first[: ctx.trial], second[: ctx.trial]
        taken = one.take(pa.array(first))
        rival = other.take(pa.array(second))
        prompts = texts_of(taken, "prompt", self.one)
        texts = (texts_of(taken, "text", self.one), texts_of(rival, "text", self.other))
        empty = zip(
            empty_among(taken, ["prompt", "text"]), empty_among(rival, ["text"]), strict=True
        )
        reasons = [mine or its for mine, its in empty]
        calls, margins = self._judged(prompts, texts, reasons, ctx)
        unjudged = np.isnan(margins)
        best = (margins < 0).astype(int).tolist()
        chosen, rejected = ([texts[b ^ n][i] for i, b in enumerate(best)] for n in (0, 1))
        reasons = [
            reason or ("both completions are the same" if a == b else None)
            for reason, a, b in zip(reasons, *texts, strict=True)
        ]
        columns = {
            "prompt": pa.array(prompts, pa.string()),
            "chosen": pa.array(chosen, pa.string(), mask=unjudged),
            "rejected": pa.array(rejected, pa.string(), mask=unjudged),
            "margin": pa.array(np.abs(margins), mask=unjudged),
            FROM: made_of(first, one.num_rows + second),
            CALL: calls_column(calls),
            **marks("prefer", reasons),
        }
        ctx.measures["pairs"] = len(first)
        ctx.measures["unpaired"] = {
            self.one: one.num_rows - len(np.unique(first)),
            self.other: other.num_rows - len(np.unique(second)),
        }
        for name, alone in ctx.measures["unpaired"].items():
            if alone:
                ctx.warn(
                    f"{alone:,} row{'s' if alone > 1 else ''} of {name} found no other with equal "
                    f"{' and '.join(self.on)}, or have none of these; they are in no pair"
                )
        yield pa.RecordBatch.from_pydict(columns)

    def _judged(
        self,
        prompts: list[str],
        texts: tuple[list[str], list[str]],
        reasons: list[str | None],
        ctx: StageContext,
    ) -> tuple[list[str | None], np.ndarray]:
        """Return each pair's call, and the log-odds that the one is better, shape (pairs,).

        Pairs that have a reason are not judged, and those that were not answered get one; their
        log-odds are NaN.
        """
        template = Template(ctx.recipe_folder / self.prompt, _SLOTS)
        rows = list(zip(prompts, *texts, strict=True))
        swapped = np.array(
            [
                int(digest_bytes("\n".join((str(ctx.seed), *row)).encode())[0], 16) % 2
                for row in rows
            ]
        )
        questions = [
            Question(
                template.prefix,
                template.fill(
                    {"prompt": prompt, "first": (a, b)[s], "second": (b, a)[s]}, self.max_chars
                ),
                self.answers,
            )
            for (prompt, a, b), s in zip(rows, swapped.tolist(), strict=True)
        ]
        found = asked_where(ctx.teacher(self.teacher), questions, reasons)
        scores = scores_of(found, 2)
        lean = scores[:, 0] - scores[:, 1]
        judged = lean[~np.isnan(lean)]
        mean = float(judged.mean()) if len(judged) else 0.0
        ctx.measures["lean_to_the_first"] = mean
        return [call for call, _ in found], (lean - mean) * (1 - 2 * swapped)
