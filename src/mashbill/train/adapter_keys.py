"""Keys of trainers that change a base's whole weights, or adapters of low rank beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.extras import needs
from mashbill.train.learning_keys import LearningSpec

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.models.causal_writer import CausalWriter


class AdaptedSpec(LearningSpec):
    """What such trainers have in common."""

    rates: ClassVar[tuple[float, float]]
    """highest learning rate where a recipe says none: of adapters, and of whole weights"""

    method: Literal["lora", "full"] = "lora"
    """adapters of low rank beside the weights (Hu et al., ICLR 2022, arXiv 2106.09685), or all of
    the weights"""
    rank: int = Field(default=16, gt=0)
    """of the adapters"""
    alpha: int = Field(default=32, gt=0)
    """adapters are scaled by alpha / rank"""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """of what adapters read, while training"""
    targets: tuple[str, ...] = ()
    """names of the layers that get adapters; all linear ones but the head if empty"""
    merge: bool = True
    """whether adapters are added to the weights in the end; else they are saved beside a base that
    they need"""

    @model_validator(mode="after")
    def _adapters_are_lora(self) -> AdaptedSpec:
        for name in ("rank", "alpha", "dropout", "targets", "merge"):
            if self.method == "full" and name in self.model_fields_set:
                msg = f"{name} is about adapters, and method = 'full' has none; leave it out"
                raise ValueError(msg)
        return self

    @property
    def highest_rate(self) -> float:
        """Return the learning rate, by method where the recipe does not say it."""
        return self.rate or self.rates[self.method == "full"]

    @staticmethod
    def load(folder: Path, threads: int) -> CausalWriter:
        """Load the trained model, which writes."""
        with needs("using a language model", "students"):
            from mashbill.models.causal_writer import CausalWriter as Loaded
        return Loaded.load(folder, threads)
