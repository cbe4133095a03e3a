"""Keys of trainers that go on from a base: what is learned of a row, and how steps are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.explaining import near
from mashbill.core.source import Channel
from mashbill.core.stage import Uses
from mashbill.core.use import StudentKind
from mashbill.models.learned_rows import ASKING, HAS_TEMPLATE, NO_TEMPLATE, LearnedRowKeys
from mashbill.train.input_keys import check_held_out, check_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.artifact import ArtifactKind


class LearningSpec(LearnedRowKeys):
    """What such trainers have in common."""

    output: ClassVar[ArtifactKind] = "model"
    extras: ClassVar[tuple[str, ...]] = ("students",)
    student_kind: ClassVar[StudentKind] = "language-model"
    can_label: ClassVar[bool] = False
    can_write: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("inputs", "base", "heldout", "weights")

    inputs: tuple[str, ...] = Field(min_length=1)
    """datasets to learn from"""
    base: str
    """which of [models.*], or a stage that made such a model, its weights start from"""
    weights: dict[str, float] = Field(default_factory=dict)
    """dataset -> weight of its tokens in the loss; 1 where nothing is said"""
    heldout: str = ""
    """dataset that nothing is learned from: the loss on it is measured as training goes"""
    epochs: float = Field(default=1.0, ge=1e-6, le=10_000)
    """times that each row is learned from, unless there are steps"""
    steps: int | None = Field(default=None, gt=0)
    """optimiser steps, in place of epochs"""
    batch: int = Field(default=16, gt=0)
    """sequences of an optimiser step"""
    micro_tokens: int = Field(default=2048, gt=0)
    """tokens that are computed at once; gradients of a step are summed over them"""
    packing: bool = True
    """whether sequences stand one behind the other, where the model can keep them apart"""
    rate: float | None = Field(default=None, ge=1e-9, le=1e30)
    """highest learning rate; by method if absent"""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """how it falls after the warm-up: to a tenth, to nothing, or not"""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """share of the steps in which it rises"""
    weight_decay: float = Field(default=0.0, ge=0, le=100)
    """AdamW's, of matrices"""
    clip: float = Field(default=1.0, ge=1e-6, le=1e9)
    """norm that gradients are cut to"""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """what products are computed in; auto measures both once, before the first step"""
    checkpointing: bool = False
    """whether activations are computed again going back, which takes less memory and more time"""
    weights_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """what weights are saved in"""

    @field_validator("inputs")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            msg = f"inputs names {twice!r} twice; set weights.{twice} = 2 for a double weight"
            raise ValueError(msg)
        return names

    @model_validator(mode="after")
    def _weights_are_of_inputs(self) -> LearningSpec:
        check_weights(self.weights, self.inputs)
        instead = "name a dataset of other rows, such as a range that `split` takes"
        check_held_out(self.heldout, self.inputs, instead)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows, the base, and what is held out beside them."""
        held = (Uses(self.heldout, "beside", Channel.JUDGEMENT),) if self.heldout else ()
        return (
            *(Uses(name, "trained-on", Channel.CONTENT) for name in self.inputs),
            Uses(self.base, "base", Channel.WEIGHTS),
            *held,
        )

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that what is learned is there."""
        del folder
        for name in (*self.inputs, *([self.heldout] if self.heldout else ())):
            known = columns.get(name)
            if known is not None and self.answer not in known:
                there = near(self.answer, known) or f"; it has {', '.join(known)}"
                msg = f"answer = {self.answer!r} is no column of {name}{there}"
                raise RecipeError(msg)

    def check_base(
        self, has_chat: bool | None, columns: Mapping[str, Sequence[str]]
    ) -> tuple[str, ...]:
        """See that what was asked can stand before its answer."""
        if has_chat and self.asked_as == "text":
            raise RecipeError(HAS_TEMPLATE)
        if has_chat is not False or self.asked_as == "text":
            return ()
        if self.prompt:
            msg = f"prompt = {self.prompt!r} asks something, and {NO_TEMPLATE}"
            raise RecipeError(msg)
        asking = [name for name in (*self.inputs, self.heldout)
                  if any(key in columns.get(name, ()) for key in ASKING)]  # fmt: skip
        if not asking:
            return ()
        return (
            f"a row of {', '.join(asking)} in which something was asked ends it: {NO_TEMPLATE}",
        )

    def expected_seconds(self, rows: int | None) -> float | None:
        """Unknown before the base is: it depends on its size."""
        del rows
        return None
