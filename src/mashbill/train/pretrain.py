"""``pretrain``: a small language model, with a tokenizer of its own, trained from scratch.

Each text begins with the control token of its label (Keskar et al., "CTRL", arXiv 1909.05858), so
that the model learns p(text | label). It labels a text by asking under which control token the
text is likeliest: a generative classifier. And it writes, where it is asked as a teacher
(``kind = "student"``): it goes on from a text that begins with a control token, ``<good> the
film``, under that one, and from any other under the one which makes it likeliest.

The training itself is in :mod:`mashbill.train.decoder`, which needs torch; this file is what a
plan reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.extras import needs
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.use import StudentKind

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import ArtifactKind
    from mashbill.core.stage import StageContext
    from mashbill.models.decoder_model import DecoderModel


_TOKENS_A_SECOND = 12_000.0  # padding included, on two cores without AVX-512 (LOG.md)


class PretrainSpec(StageSpec):
    """``kind = "pretrain"``."""

    output: ClassVar[ArtifactKind] = "model"
    extras: ClassVar[tuple[str, ...]] = ("train",)
    student_kind: ClassVar[StudentKind] = "language-model"
    can_write: ClassVar[bool] = True
    pace: ClassVar[float | None] = 130.0  # 64 tokens each, batches of 16, one core (LOG.md)

    kind: Literal["pretrain"] = "pretrain"
    inputs: tuple[str, ...] = Field(min_length=1)
    """labelled datasets to learn from"""
    shuffle_labels: bool = False
    """control: give each text a label drawn from the others'"""
    steps: int = Field(gt=0)
    """optimiser steps"""
    batch_tokens: int = Field(default=1536, gt=0)
    """tokens a step, padding included"""
    vocabulary: int = Field(default=2048, ge=512)
    """tokens of the byte-level BPE, trained on the inputs"""
    width: int = Field(default=128, gt=0)
    """of the residual stream"""
    layers: int = Field(default=3, gt=0)
    """transformer blocks"""
    heads: int = Field(default=4, gt=0)
    """attention heads"""
    context: int = Field(default=96, gt=8)
    """longest text in tokens; longer ones are cut"""
    matrix_rate: float = Field(default=0.02, gt=0)
    """learning rate of the blocks' matrices (Muon)"""
    vector_rate: float = Field(default=0.003, gt=0)
    """learning rate of embeddings and gains (Adam)"""
    weight_decay: float = Field(default=0.1, ge=0)
    """of the blocks' matrices"""

    @model_validator(mode="after")
    def _heads_divide(self) -> PretrainSpec:
        if self.width % self.heads:
            msg = f"heads = {self.heads} must divide width = {self.width}"
            raise ValueError(msg)
        return self

    def expected_seconds(self, rows: int | None) -> float | None:
        """Steps at the measured pace, whatever the rows."""
        del rows
        return self.steps * self.batch_tokens / _TOKENS_A_SECOND

    def uses(self) -> tuple[Uses, ...]:
        """The texts with their labels."""
        return tuple(Uses(name, "trained-on", Channel.CONTENT) for name in self.inputs)

    def train(self, ctx: StageContext, out: Path) -> None:
        """Train, and write weights.safetensors, tokenizer.json and config.json."""
        with needs("training a language model", "train"):
            from mashbill.train.decoder import train
        train(self, ctx, out)

    @staticmethod
    def load(folder: Path, threads: int) -> DecoderModel:
        """Load the trained model, which labels and writes."""
        with needs("using a language model", "train"):
            from mashbill.models.decoder_model import DecoderModel as Loaded
        return Loaded.load(folder, threads)
