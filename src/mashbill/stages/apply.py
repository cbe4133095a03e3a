"""``apply``: a trained model labels texts; the same step for every kind of model."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.stages.labelling import labelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from mashbill.core.stage import StageContext


class ApplySpec(StageSpec):
    """``kind = "apply"``."""

    keeps_texts: ClassVar[bool] = True
    kind: Literal["apply"] = "apply"
    input: str
    """dataset to label"""
    model: str
    """stage that trained the model"""

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
        """Yield rows with label and confidence."""
        predictor = ctx.predictor(self.model)
        start = 0
        for batch in records:
            probabilities = predictor.probabilities(batch.column("text").to_pylist())
            yield labelled(batch, start, predictor.labels, probabilities)
            start += batch.num_rows
