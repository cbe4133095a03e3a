"""Keys of trainers whose student samples while it learns, and the two artifacts that they make.

Such a stage ``NAME`` is made as two. ``NAME-rollouts`` is a dataset: it goes through the training
and yields each step's rollouts, which are committed before that step learns from them. ``NAME`` is
the model, which was trained on that dataset: it takes the weights over where the scratch of the
first is left, and makes the same steps again from the rollouts where it is not. So a model that
learned from what it did has a bill as any other has, and can be made again without sampling.

What a student samples adds no source and no hop: a rollout rests on its prompt, on the weights that
its student began with, and on whoever scored it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.extras import needs
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.models.learned_rows import ASKING
from mashbill.train.adapter_keys import AdaptedSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa

    from mashbill.core.artifact import ArtifactKind
    from mashbill.core.stage import StageContext
    from mashbill.models.sampled import Sampled
    from mashbill.train.prompts import PromptRows
    from mashbill.train.rollouts import Asked
    from mashbill.train.sampled_steps import Around, Learner

ROLLOUTS = "-rollouts"
"""behind the name of a trainer: the dataset of what its student sampled"""
COLUMNS = ("prompt", "completion", "prompt_ids", "ids", "logprobs", "finish", "step", "group",
           "sample")  # fmt: skip
"""of a rollout, beside who scored it and how: see :mod:`mashbill.train.rollouts`"""


class SampledSpec(AdaptedSpec):
    """What such trainers have in common."""

    part: Literal["", "rollouts", "model"] = ""
    """which of its two artifacts this is: set as a recipe is read, and written by nobody"""
    rollouts: str = ""
    """the stage of its rollouts: set as a recipe is read, and written by nobody"""
    batch: int = Field(default=8, gt=0, le=65_536)
    """prompts of an optimiser step"""
    attempts: int = Field(default=4, gt=0, le=4096)
    """completions that are sampled of each prompt in a step"""
    max_new_tokens: int = Field(default=128, gt=0, le=131_072)
    """tokens of a completion, at most"""
    temperature: float = Field(default=1.0, ge=0.01, le=100)
    """that the student samples at"""
    top_p: float = Field(default=1.0, ge=1e-6, le=1)
    """share of the likeliest tokens that are sampled from; below 1 it is not what is learned of"""
    sample_tokens: int = Field(default=16_384, gt=0)
    """tokens, of prompts and completions, that are sampled at once at most"""
    answer: Literal["text"] = "text"
    """not a key of prompts: what answers them is sampled"""
    turns: Literal["last"] = "last"
    """not a key of prompts: the completion alone is learned"""
    reasoning: Literal["learn"] = "learn"
    """not a key of prompts: what the student thinks is part of its completion"""
    too_long: Literal["leave-out"] = "leave-out"
    """a prompt that leaves no room for max_new_tokens within max_tokens is left out"""

    @field_validator("heldout", "weights")
    @classmethod
    def _of_given_answers(cls, value: Any, info: ValidationInfo) -> Any:
        if value and info.field_name == "heldout":
            msg = (
                "is for trainers that learn from given answers; measure what the student samples "
                "by a stage of kind 'evaluate', before and after"
            )
            raise ValueError(msg)
        if value:
            msg = "are of given answers; take prompts as often as they are to count"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _keys_are_of_samples(self) -> SampledSpec:
        if self.reasoning_tokens is not None:
            msg = "reasoning_tokens is about given answers; bound completions by max_new_tokens"
            raise ValueError(msg)
        if self.max_new_tokens >= self.max_tokens:
            msg = (
                f"max_new_tokens = {self.max_new_tokens} leaves no room for a prompt within "
                f"max_tokens = {self.max_tokens}; raise max_tokens, or lower max_new_tokens"
            )
            raise ValueError(msg)
        return self

    @property
    def output(self) -> ArtifactKind:  # type: ignore[override]
        """What it makes, by its part."""
        return "dataset" if self.part == "rollouts" else "model"

    @property
    def streams(self) -> bool:  # type: ignore[override]
        """Steps follow one from the other."""
        return False

    @property
    def hands_on(self) -> bool:
        """The rollouts leave the weights that they came to."""
        return self.part == "rollouts"

    @property
    def goes_on_from(self) -> str:
        """The model is that of its rollouts."""
        return self.rollouts if self.part == "model" else ""

    def made_as(self, name: str) -> dict[str, StageSpec]:
        """Return the rollouts, and the model that was trained on them.

        Raises:
            RecipeError: if the recipe sets what only the program sets.
        """
        if self.part or self.rollouts:
            msg = f"stages.{name}: part and rollouts are set by the program; leave them out"
            raise RecipeError(msg)
        beside = f"{name}{ROLLOUTS}"
        rows = self.batch * self.attempts
        return {
            beside: self.model_copy(update={"part": "rollouts", "shard_rows": rows}),
            name: self.model_copy(update={"part": "model", "rollouts": beside}),
        }

    def whole(self) -> StageSpec:
        """Return it as a recipe writes it."""
        rows = type(self).model_fields["shard_rows"].default
        return self.model_copy(update={"part": "", "rollouts": "", "shard_rows": rows})

    def scorers(self) -> tuple[Uses, ...]:
        """Return who scores what is sampled: teachers by their logits, verifiers, judges."""
        raise NotImplementedError

    def live_teachers(self) -> tuple[str, ...]:
        """Return the teachers whose weights are at hand where it learns, by name."""
        return ()

    def learns_from(self) -> tuple[Uses, ...]:
        """Return who teaches the model beside its rollouts: teachers that score as it learns."""
        return tuple(use for use in self.scorers() if use.channel is Channel.LOGITS)

    def uses(self) -> tuple[Uses, ...]:
        """The prompts, the base and who scores; of the model, its rollouts."""
        base = Uses(self.base, "base", Channel.WEIGHTS)
        if self.part == "model":
            return (
                Uses(self.rollouts, "trained-on", Channel.CONTENT),
                *(Uses(name, "beside", Channel.PROMPT) for name in self.inputs),
                base,
                *self.learns_from(),
            )
        prompts = (Uses(name, "rows", Channel.PROMPT) for name in self.inputs)
        return (*prompts, base, *self.scorers())

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that prompts are there."""
        del folder
        for name in self.inputs:
            known = columns.get(name)
            if known is not None and not self.prompt and not {*ASKING, "text"} & set(known):
                shown = [each for each in known if not each.startswith("_")]
                msg = (
                    f"{name} says nothing that could be asked: it has none of "
                    f"{', '.join(ASKING)}, text (there are {', '.join(shown) or 'none'}); set "
                    "prompt = a file beside the recipe that makes a prompt of its columns"
                )
                raise RecipeError(msg)

    def steps_of(self, prompts: int) -> int:
        """Return the optimiser steps that so many prompts make."""
        return self.steps or max(1, -(-round(self.epochs * prompts) // self.batch))

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """As many rollouts as steps sample."""
        known = [inputs[name] for name in self.inputs if name in inputs]
        if len(known) < len(self.inputs):
            return None
        return self.steps_of(sum(known)) * self.batch * self.attempts

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of a rollout, and what its scorers say."""
        del inputs, files
        return None

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the rollouts of each step, and learn from them."""
        del records
        with needs("training on what a student samples", "students"):
            from mashbill.train.sampled_loop import rollouts
        yield from rollouts(self, ctx)

    def train(self, ctx: StageContext, out: Path) -> None:
        """Take the trained weights over, or make the steps again; write the student's files."""
        with needs("training on what a student samples", "students"):
            from mashbill.train.sampled_loop import train
        train(self, ctx, out)

    def given_answers(
        self, step: int, asked: Sequence[Asked], rows: PromptRows, seed: int
    ) -> list[Sampled] | None:
        """Return answers that are learned from in place of sampled ones; None where it samples.

        Args:
            step: of the optimiser.
            asked: attempts that are to be made.
            rows: of the prompts.
            seed: of the recipe.
        """
        del step, asked, rows, seed
        return None

    def learner(self, around: Around) -> Learner:
        """Return what scores rollouts and learns from them."""
        raise NotImplementedError
