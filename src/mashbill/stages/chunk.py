"""``chunk``: cut texts into pieces of so many words, which may overlap."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from mashbill.core.missing import missing_reasons
from mashbill.core.record import FROM, kept_beside
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.texts import texts_of
from mashbill.stages.judging import marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext

_WORD = re.compile(r"\S+")


class ChunkSpec(StageSpec):
    """``kind = "chunk"``."""

    repeats: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("input",)

    kind: Literal["chunk"] = "chunk"
    input: str
    """dataset whose texts are cut"""
    words: int = Field(gt=0)
    """words of a piece at most, by white space"""
    overlap: int = Field(default=0, ge=0)
    """words that a piece shares with the one before"""

    @model_validator(mode="after")
    def _moves_on(self) -> ChunkSpec:
        if self.overlap >= self.words:
            msg = f"overlap = {self.overlap} must be less than words = {self.words}"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows."""
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """Not known: it depends on how long the texts are."""
        del inputs
        return None

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield a row a piece, numbered by ``piece``; a text without words is rejected."""
        del ctx
        start = 0
        for batch in records:
            rows: list[int] = []
            texts: list[str] = []
            numbers: list[int] = []
            reasons: list[str | None] = []
            absent = missing_reasons(batch, ["text"])
            for row, text in enumerate(texts_of(batch, "text", self.input)):
                pieces = pieces_of(text, self.words, self.overlap)
                rows += [row] * max(len(pieces), 1)
                texts += pieces or [text]
                numbers += range(max(len(pieces), 1))
                reasons += [None] * len(pieces) if pieces else [absent[row] or "it has no words"]
            taken = pa.table(kept_beside(batch, {"piece"})).take(pa.array(rows, pa.int64()))
            columns = {name: taken.column(name).combine_chunks() for name in taken.column_names}
            columns |= {
                "text": pa.array(texts, pa.string()),
                "piece": pa.array(numbers, pa.int64()),
                FROM: pa.array([start + row for row in rows], pa.int64()),
                **marks("chunk", reasons),
            }
            yield pa.RecordBatch.from_pydict(columns)
            start += batch.num_rows


def pieces_of(text: str, words: int, overlap: int) -> list[str]:
    """Return the pieces of a text, with the white space inside them as it was."""
    spans = [match.span() for match in _WORD.finditer(text)]
    pieces = []
    for first in range(0, len(spans), words - overlap):
        last = min(first + words, len(spans))
        pieces.append(text[spans[first][0] : spans[last - 1][1]])
        if last == len(spans):
            break
    return pieces
