"""``apply``: a trained model labels texts; the same step for every kind of model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mashbill.core.missing import missing_reasons
from mashbill.core.model import labelling
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.texts import texts_of
from mashbill.stages.judging import marks
from mashbill.stages.labelling import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from mashbill.core.stage import StageContext


class ApplySpec(StageSpec):
    """``kind = "apply"``."""

    repeats: ClassVar[bool] = True
    tolerance: ClassVar[float | None] = 1e-4
    keeps_texts: ClassVar[bool] = True
    added: ClassVar[frozenset[str]] = frozenset({"soft"})

    kind: Literal["apply"] = "apply"
    input: str
    """dataset to label"""
    model: str
    """stage that trained the model"""
    soft: bool = False
    """keep every label's probability, in a column p_LABEL"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows, judged by the model."""
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            Uses(self.model, "actor", Channel.JUDGEMENT),
        )

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """As many as the input."""
        return inputs.get(self.input)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield rows with label and confidence; a row without a text is rejected."""
        predictor = labelling(ctx.predictor(self.model), self.model)
        start = 0
        for batch in records:
            texts = texts_of(batch, "text", self.input)
            reasons = missing_reasons(batch, ["text"])
            there = np.array([reason is None for reason in reasons], bool)
            probabilities = np.full((len(texts), len(predictor.labels)), np.nan)
            if there.any():
                asked = [text for text, is_there in zip(texts, there, strict=True) if is_there]
                probabilities[there] = predictor.probabilities(asked)
            made = labelled(batch, start, predictor.labels, probabilities, soft=self.soft)
            for name, column in marks("apply", reasons).items():
                made = made.append_column(name, column)
            yield made
            start += batch.num_rows
