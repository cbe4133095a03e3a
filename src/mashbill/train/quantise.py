"""``quantise``: a classifier's weights in eight bits, one scale for each row of them.

Symmetric: a weight w of a row becomes round(w / s), with s the row's largest weight over 127.
Bias, idf and temperature stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.use import StudentKind
from mashbill.models.linear import LinearPredictor, linear_model, write_linear

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import ArtifactKind
    from mashbill.core.stage import StageContext


class QuantiseSpec(StageSpec):
    """``kind = "quantise"``."""

    output: ClassVar[ArtifactKind] = "model"
    extras: ClassVar[tuple[str, ...]] = ("train",)
    draws: ClassVar[bool] = False
    student_kind: ClassVar[StudentKind] = "classifier"
    references: ClassVar[tuple[str, ...]] = ("base",)

    kind: Literal["quantise"] = "quantise"
    base: str
    """classifier to make smaller"""

    def uses(self) -> tuple[Uses, ...]:
        """The weights."""
        return (Uses(self.base, "base", Channel.WEIGHTS),)

    def expected_seconds(self, rows: int | None) -> float | None:
        """Next to nothing."""
        del rows
        return 0.1

    def train(self, ctx: StageContext, out: Path) -> None:
        """Round, and write weights.safetensors and config.json."""
        model = linear_model(ctx, self.base)
        largest = np.abs(model.weights).max(axis=1)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        small = np.rint(model.weights / scale[:, None]).astype(np.int8)
        tensors: dict[str, np.ndarray] = {
            "weights": small,
            "scale": scale,
            "bias": model.bias,
            "idf": model.idf,
        }
        ctx.trained = write_linear(out, tensors, model.labels, model.temperature, model.rule)
        ctx.measures |= {
            "weights_bytes": [model.weights.nbytes, small.nbytes + scale.nbytes],
            "largest_error": float(np.abs(model.weights - small * scale[:, None]).max()),
            "parameters": int(np.count_nonzero(small)),
        }
        ctx.progress(1, 1, "rounded to eight bits")

    @staticmethod
    def load(folder: Path, threads: int) -> LinearPredictor:
        """Load the model."""
        del threads
        return LinearPredictor.load(folder)
