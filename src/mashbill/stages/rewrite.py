"""``rewrite``: a teacher writes a text anew: cleaned, translated, corrected, in another style."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mashbill.core.record import CALL, FROM, user_columns
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import Question, StageSpec, Uses
from mashbill.stages.asking import Template, calls_column, marks, texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.stage import StageContext


class RewriteSpec(StageSpec):
    """``kind = "rewrite"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher")
    asks_to_write: ClassVar[bool] = True

    kind: Literal["rewrite"] = "rewrite"
    input: str
    """dataset whose texts are written anew"""
    teacher: str
    """which of [teachers.*]"""
    prompt: str
    """file beside the recipe, with {{ text }} where the text goes"""
    purpose: Literal["making", "cleaning"] = "making"
    """cleaning if what is said stays as it was; some definitions leave that out"""
    max_chars: int = Field(default=8000, gt=0)
    """longer texts are rejected: a part of them would be lost"""
    shard_rows: int = Field(default=1024, gt=0)
    """rows a shard"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows, transformed by the teacher."""
        purpose = Purpose(self.purpose)
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            Uses(self.teacher, "actor", Channel.TRANSFORM, is_teacher=True, purpose=purpose),
        )

    def files(self) -> tuple[str, ...]:
        """The prompt."""
        return (self.prompt,)

    def check(self, folder: Path) -> None:
        """Read the prompt."""
        Template(folder / self.prompt, ["text"])

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the rows with their new text; where nothing was written, the row is rejected."""
        teacher = ctx.teacher(self.teacher)
        template = Template(ctx.recipe_folder / self.prompt, ["text"])
        start = 0
        for batch in records:
            old = texts_of(batch, "text", self.input)
            asked = teacher.ask(
                [Question(template.prefix, template.fill({"text": t}, self.max_chars)) for t in old]
            )
            new = [answer.text.strip() for _, answer in asked]
            reasons = [
                f"longer than {self.max_chars} characters, so the teacher did not read all of it"
                if len(text) > self.max_chars
                else (None if written else "the teacher wrote nothing")
                for text, written in zip(old, new, strict=True)
            ]
            columns = {name: batch.column(name) for name in user_columns(batch.schema.names)}
            columns |= {
                "text": pa.array(new, pa.string()),
                FROM: pa.array(np.arange(start, start + batch.num_rows), pa.int64()),
                CALL: calls_column([call for call, _ in asked]),
                **marks("rewrite", reasons),
            }
            yield pa.RecordBatch.from_pydict(columns)
            start += batch.num_rows
