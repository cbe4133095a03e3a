"""``logit_kd``: a student learns what a teacher thinks likely at each token, not what is there.

Knowledge distillation (Hinton, Vinyals and Dean, 2015, arXiv 1503.02531) of a language model, word
by word (Kim and Rush, EMNLP 2016, arXiv 1606.07947): at each token that is learned the student's
distribution is held against the teacher's. The teacher runs once, in a stage of kind ``logits``,
and its rows are what is learned from; or it runs live beside the student. The training itself is in
:mod:`mashbill.train.distilling`, which needs torch; this file is what a plan reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.extras import needs
from mashbill.core.source import Channel
from mashbill.core.stage import Uses
from mashbill.models.logit_cache import LOGITS
from mashbill.train.learning_keys import LearningSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.models.causal_writer import CausalWriter

_OF_NEW = ("width", "layers", "heads", "context")
HOW_READ = ("asked_as", "turns", "reasoning", "reasoning_tokens", "max_tokens", "too_long")
"""keys of how rows are read, which of rows with logits was settled when they were made"""
_OF_ROWS = ("prompt", "answer", *HOW_READ)


class LogitKdSpec(LearningSpec):
    """``kind = "logit_kd"``."""

    added: ClassVar[frozenset[str]] = frozenset({"across"})
    references: ClassVar[tuple[str, ...]] = (*LearningSpec.references, "teacher")

    kind: Literal["logit_kd"] = "logit_kd"
    base: str = ""
    """which of [models.*], or a stage that made such a model, its weights start from; a new model
    of ``width`` and ``layers`` in the teacher's tokenizer if empty"""
    teacher: str = ""
    """which of [teachers.*]: who is asked live, or whose tokenizer a new student gets; where inputs
    hold logits they have to be its"""
    live: bool = False
    """whether the teacher runs beside the student; else inputs hold its logits"""
    across: Literal["refuse", "chunks", "common", "prefixes", "uld"] = "refuse"
    """what is learned of a live teacher with another tokenizer, by tokens that are the same bytes:
    how likely it finds the bytes (chunks); its distribution over the tokens that both have, all
    others being one (common) or of the token that they begin with (prefixes), and chunks elsewhere;
    sorted probabilities, which tell no token from another (uld)"""
    divergence: Literal["forward", "reverse", "skewed", "skewed-reverse", "jsd", "tv"] = "forward"
    """what the student's distribution is held against the teacher's by; sampled logits take
    forward alone"""
    skew: float = Field(default=0.1, ge=1e-6, le=1 - 1e-6)
    """part of the other distribution in what a skewed divergence is taken to"""
    beta: float = Field(default=0.5, ge=1e-6, le=1 - 1e-6)
    """of jsd, which vanishes towards 0 and 1: say forward or reverse there"""
    temperature: float = Field(default=1.0, ge=0.01, le=1000)
    """that both distributions are softened by; cached logits have to be kept at it"""
    ce_weight: float = Field(default=0.0, ge=0, le=1)
    """part of the loss that is cross-entropy of the text itself; at 1 nothing is learned of the
    teacher"""
    width: int = Field(default=256, gt=0, le=65_536)
    """of a new student"""
    layers: int = Field(default=4, gt=0, le=1024)
    """of a new student"""
    heads: int = Field(default=4, gt=0)
    """of a new student's attention"""
    context: int = Field(default=2048, gt=1)
    """tokens that a new student is made for"""

    def check_base(
        self, has_chat: bool | None, columns: Mapping[str, Sequence[str]]
    ) -> tuple[str, ...]:
        """Rows that bring their tokens along are written by no template any more."""
        return super().check_base(has_chat, columns) if self.live else ()

    @model_validator(mode="after")
    def _has_somebody_to_learn_from(self) -> LogitKdSpec:
        if self.live and not self.teacher:
            msg = "live = true asks a teacher, and none is named; add teacher = one of [teachers.*]"
            raise ValueError(msg)
        if not self.base and not self.teacher:
            msg = (
                "neither base nor teacher is there: a new student needs the teacher's tokenizer; "
                "add teacher = one of [teachers.*], or base = one of [models.*]"
            )
            raise ValueError(msg)
        stray = [name for name in _OF_NEW if self.base and name in self.model_fields_set]
        if stray:
            msg = f"{stray[0]} is of a new student, and this one starts from {self.base!r}"
            raise ValueError(msg)
        if self.width % self.heads or self.width // self.heads % 2:
            msg = f"width = {self.width} must be an even multiple of heads = {self.heads}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _is_across_two_tokenizers(self) -> LogitKdSpec:
        if self.across == "refuse":
            return self
        if not self.live:
            msg = (
                f"across = {self.across!r} aligns what student and teacher read, and logits that "
                "are kept are of one tokenizer's tokens: set live = true and a teacher, or leave "
                "it out"
            )
            raise ValueError(msg)
        if not self.base:
            msg = (
                f"across = {self.across!r} is of a base with a tokenizer of its own, and a new "
                "student gets the teacher's: add base = one of [models.*], or leave it out"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _rows_are_read_here(self) -> LogitKdSpec:
        if self.live or self.heldout:
            return self
        stray = [name for name in _OF_ROWS if name in self.model_fields_set]
        if stray:
            msg = (
                f"{stray[0]} is about how rows are read, and rows with logits were read when these "
                "were made; set it in the stage of kind 'logits', and leave it out here (it would "
                "be about heldout, which is not set)"
            )
            raise ValueError(msg)
        return self

    @property
    def highest_rate(self) -> float:
        """Return the learning rate, by where it starts if the recipe does not say it."""
        return self.rate or (1e-4 if self.base else 2e-3)

    def uses(self) -> tuple[Uses, ...]:
        """The rows, the teacher's logits, the base, and what is held out beside them."""
        teacher = Uses(self.teacher, "actor", Channel.LOGITS, is_teacher=True)
        base = Uses(self.base, "base", Channel.WEIGHTS)
        held = Uses(self.heldout, "beside", Channel.JUDGEMENT)
        return (
            *(Uses(name, "trained-on", Channel.CONTENT) for name in self.inputs),
            *([teacher] if self.teacher else []),
            *([base] if self.base else []),
            *([held] if self.heldout else []),
        )

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that inputs hold logits where no teacher is asked."""
        if self.live:
            super().check_inputs(folder, columns)
            return
        for name in self.inputs:
            known = columns.get(name)
            if known is not None and LOGITS not in known:
                msg = (
                    f"{name} holds no logits; put a stage of kind 'logits' before, or set live = "
                    "true and a teacher"
                )
                raise RecipeError(msg)

    def train(self, ctx: StageContext, out: Path) -> None:
        """Train, and write what ``save_pretrained`` writes."""
        with needs("distilling a language model", "students"):
            from mashbill.train.distilling import train
        train(self, ctx, out)

    @staticmethod
    def load(folder: Path, threads: int) -> CausalWriter:
        """Load the trained model, which writes."""
        with needs("using a language model", "students"):
            from mashbill.models.causal_writer import CausalWriter as Loaded
        return Loaded.load(folder, threads)
