"""``pretrain``: a small language model, with a tokenizer of its own, trained from scratch.

There are two kinds of it, by whether the rows have labels:

* **Texts with labels.** Each text begins with the control token of its label (Keskar et al.,
  "CTRL", arXiv 1909.05858), so that the model learns p(text | label). It labels a text by asking
  under which control token the text is likeliest: a generative classifier. And it writes: it goes
  on from a text that begins with a control token, ``<good> the film``, under that one, and from any
  other under the one which makes it likeliest (:mod:`mashbill.train.decoder`).
* **Texts alone**, of any number of rows: a causal language model of the Llama architecture that
  writes, in files that plain transformers loads (:mod:`mashbill.train.scratch`).

The training itself needs torch; this file is what a plan reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.extras import needs
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.use import StudentKind
from mashbill.train.input_keys import check_held_out, check_weights

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import ArtifactKind
    from mashbill.core.model import Writer
    from mashbill.core.stage import StageContext


_TOKENS_A_SECOND = 12_000.0  # padding included, on two cores without AVX-512 (LOG.md)
_LABEL = "label"
_OF_TRANSFORMERS = "model.safetensors"
_OF_TEXTS = ("tokenizer", "heldout", "heldout_share", "heldout_every", "weights")
"""keys of models of texts alone"""


class PretrainSpec(StageSpec):
    """``kind = "pretrain"``."""

    output: ClassVar[ArtifactKind] = "model"
    student_kind: ClassVar[StudentKind] = "language-model"
    can_write: ClassVar[bool] = True
    knows_no_chat: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("inputs", "tokenizer", "heldout", "weights")
    added: ClassVar[frozenset[str]] = frozenset(
        {"labels", "column", "schedule", "warmup", *_OF_TEXTS}
    )
    pace: ClassVar[float | None] = 130.0  # 64 tokens each, batches of 16, one core (LOG.md)

    kind: Literal["pretrain"] = "pretrain"
    inputs: tuple[str, ...] = Field(min_length=1)
    """datasets to learn from, all with labels or all without"""
    labels: bool | None = None
    """whether to learn under labels; by whether the inputs have a column label, if absent"""
    column: str = "text"
    """column of the texts"""
    tokenizer: str = ""
    """which of [models.*], or a stage, to take the tokenizer of; trained on the inputs if empty"""
    weights: dict[str, float] = Field(default_factory=dict)
    """dataset -> weight of its tokens in the loss; 1 where nothing is said"""
    heldout: str = ""
    """dataset that nothing is learned from: the loss on it is measured as training goes"""
    heldout_share: float = Field(default=0.0, ge=0, lt=1)
    """share of the inputs' rows to hold out in its place"""
    heldout_every: int = Field(default=100, ge=0)
    """steps after which that loss is measured; 0 for the end alone"""
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
    """tokens of a block; longer texts are cut under labels, and learned piece by piece without"""
    matrix_rate: float = Field(default=0.02, ge=1e-9, le=1e30)
    """learning rate of the blocks' matrices (Muon)"""
    vector_rate: float = Field(default=0.003, ge=1e-9, le=1e30)
    """learning rate of embeddings and gains (Adam)"""
    weight_decay: float = Field(default=0.1, ge=0, le=100)
    """of the blocks' matrices"""
    schedule: Literal["linear", "cosine", "stable", "constant"] = "linear"
    """how rates fall after the warm-up: in a line, by a cosine, over the last fifth, or not"""
    warmup: float | None = Field(default=None, ge=0, lt=1)
    """share of the steps in which they rise; 30 steps if absent"""

    @model_validator(mode="after")
    def _heads_divide(self) -> PretrainSpec:
        if self.width % self.heads:
            msg = f"heads = {self.heads} must divide width = {self.width}"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _weights_are_of_inputs(self) -> PretrainSpec:
        check_weights(self.weights, self.inputs)
        if self.heldout and self.heldout_share:
            msg = "heldout names a dataset, and heldout_share draws rows of the inputs; set one"
            raise ValueError(msg)
        check_held_out(self.heldout, self.inputs, "set heldout_share")
        return self

    @model_validator(mode="after")
    def _keys_fit_labels(self) -> PretrainSpec:
        if self.labels and (key := self._of_texts()):
            msg = f"{key} is for texts without labels; leave it out, or set labels = false"
            raise ValueError(msg)
        return self

    def _of_texts(self) -> str:
        """Return a key that is set and is for texts without labels; empty if none is."""
        set_here = (key for key in _OF_TEXTS if getattr(self, key) != self._default(key))
        return next(set_here, "")

    def _default(self, key: str) -> object:
        return type(self).model_fields[key].get_default(call_default_factory=True)

    @property
    def extras(self) -> tuple[str, ...]:  # type: ignore[override]  # by what it learns from
        """Those of texts without labels, where the recipe says that there are none."""
        return ("students",) if self.labels is False else ("train",)

    @property
    def can_label(self) -> bool:  # type: ignore[override]  # by what it learns from
        """Whether its model labels: unknown before the rows are, unless the recipe says it."""
        return self.labels is not False

    def expected_seconds(self, rows: int | None) -> float | None:
        """Steps at the measured pace, whatever the rows."""
        del rows
        return self.steps * self.batch_tokens / _TOKENS_A_SECOND

    def uses(self) -> tuple[Uses, ...]:
        """The texts; what is held out beside them, and the base whose tokenizer reads them."""
        base = (Uses(self.tokenizer, "base", Channel.TRANSFORM),) if self.tokenizer else ()
        held = (Uses(self.heldout, "beside", Channel.JUDGEMENT),) if self.heldout else ()
        learned = (Uses(name, "trained-on", Channel.CONTENT) for name in self.inputs)
        return (*learned, *base, *held)

    def train(self, ctx: StageContext, out: Path) -> None:
        """Train, and write the model's files.

        Raises:
            InputError: if some inputs have labels and some have none, or keys do not fit that.
        """
        if self._is_labelled(ctx):
            with needs("training a language model", "train"):
                from mashbill.train.decoder import train
            train(self, ctx, out)
            return
        with needs("training a language model on texts without labels", "students"):
            from mashbill.train.scratch import train as train_on_texts
        train_on_texts(self, ctx, out)

    def _is_labelled(self, ctx: StageContext) -> bool:
        if self.labels is not None:
            return self.labels
        have = [name for name in self.inputs if _LABEL in ctx.input(name).columns]
        if have and len(have) < len(self.inputs):
            lack = [name for name in self.inputs if name not in have]
            msg = (
                f"{', '.join(have)} has a column {_LABEL!r} and {', '.join(lack)} has none; set "
                "labels = false to learn from the texts alone, or label the others"
            )
            raise InputError(msg)
        if have and (key := self._of_texts()):
            msg = (
                f"{key} is for texts without labels, and {', '.join(have)} has a column "
                f"{_LABEL!r}; set labels = false to learn from the texts alone, or leave it out"
            )
            raise InputError(msg)
        return bool(have)

    @staticmethod
    def load(folder: Path, threads: int) -> Writer:
        """Load the trained model: it writes and, where it learned under labels, labels too."""
        if (folder / _OF_TRANSFORMERS).exists():
            with needs("using a language model", "students"):
                from mashbill.models.causal_writer import CausalWriter
            return CausalWriter.load(folder, threads)
        with needs("using a language model", "train"):
            from mashbill.models.decoder_model import DecoderModel as Loaded
        return Loaded.load(folder, threads)
