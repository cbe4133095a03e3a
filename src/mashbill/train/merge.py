"""``merge``: one classifier whose weights are an average of others' (Wortsman et al., ICML 2022).

Each model's weights are divided by its temperature first, so that what is averaged are calibrated
scores, and the result needs no temperature of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from mashbill.core.errors import InputError
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.use import StudentKind
from mashbill.models.linear import LinearPredictor, linear_model, write_linear

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import ArtifactKind
    from mashbill.core.stage import StageContext


class MergeSpec(StageSpec):
    """``kind = "merge"``."""

    output: ClassVar[ArtifactKind] = "model"
    extras: ClassVar[tuple[str, ...]] = ("train",)
    draws: ClassVar[bool] = False
    student_kind: ClassVar[StudentKind] = "classifier"
    references: ClassVar[tuple[str, ...]] = ("models",)

    kind: Literal["merge"] = "merge"
    models: dict[str, Annotated[float, Field(ge=1e-6, le=1e6)]] = Field(min_length=2)
    """classifier -> its coefficient; they are divided by their sum"""

    def uses(self) -> tuple[Uses, ...]:
        """The weights of each."""
        return tuple(Uses(name, "base", Channel.WEIGHTS) for name in self.models)

    def expected_seconds(self, rows: int | None) -> float | None:
        """Next to nothing."""
        del rows
        return 0.1

    def train(self, ctx: StageContext, out: Path) -> None:
        """Average, and write weights.safetensors and config.json.

        Raises:
            InputError: naming the models whose labels, buckets or words differ.
        """
        models = {name: linear_model(ctx, name) for name in self.models}
        first_name, first = next(iter(models.items()))
        for name, model in models.items():
            shape, expected = ((m.labels, m.buckets) for m in (model, first))
            if shape != expected:
                msg = (
                    f"{ctx.name}: {name} has labels and buckets {shape}, {first_name} {expected}; "
                    "only models of one shape have an average"
                )
                raise InputError(msg)
            if model.rule != first.rule:
                older, newer = sorted((name, first_name), key=lambda each: models[each].rule)
                msg = (
                    f"{ctx.name}: {older} was trained by an earlier release, which took texts "
                    f"apart into other words than {newer}, so their weights have no average; raise "
                    "the version of the recipe, which trains both anew"
                )
                raise InputError(msg)
        total = sum(self.models.values())
        shares = np.array([coefficient / total for coefficient in self.models.values()])
        scores = shares / np.array([model.temperature for model in models.values()])
        averages = {
            "weights": (scores, [model.weights for model in models.values()]),
            "bias": (scores, [model.bias for model in models.values()]),
            "idf": (shares, [model.idf for model in models.values()]),
        }
        tensors = {
            name: np.tensordot(factors, np.stack(parts), 1).astype(np.float32)
            for name, (factors, parts) in averages.items()
        }
        ctx.trained = write_linear(out, tensors, first.labels, 1.0, first.rule)
        share = dict(zip(models, shares.tolist(), strict=True))
        ctx.measures |= {"shares": share, "parameters": int(np.count_nonzero(tensors["weights"]))}
        ctx.progress(1, 1, f"{len(models)} models averaged")

    @staticmethod
    def load(folder: Path, threads: int) -> LinearPredictor:
        """Load the model."""
        del threads
        return LinearPredictor.load(folder)
