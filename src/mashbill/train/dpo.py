"""``dpo``: a base goes on to prefer one answer to another, from pairs, without a reward model.

Direct preference optimisation (Rafailov et al., NeurIPS 2023, arXiv 2305.18290), IPO (Azar et al.,
AISTATS 2024, arXiv 2310.12036) and KTO (Ethayarajh et al., ICML 2024, arXiv 2402.01306). Both texts
of a pair are learned from, the rejected one with the opposite sign: both are content on the bill.
The losses are in :mod:`mashbill.train.preference_losses` and the training in
:mod:`mashbill.train.preferring`, which need torch; this file is what a plan reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.errors import RecipeError
from mashbill.core.explaining import check_columns
from mashbill.core.extras import needs
from mashbill.files.rows.pairs import sides_in
from mashbill.train.adapter_keys import AdaptedSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext


class DpoSpec(AdaptedSpec):
    """``kind = "dpo"``."""

    rates: ClassVar[tuple[float, float]] = (5e-5, 1e-6)

    kind: Literal["dpo"] = "dpo"
    chosen: str = ""
    """column of the answer that is preferred: a text, or messages; if empty chosen, another name
    that public sets have for it, or text, which is what import makes of it"""
    rejected: str = ""
    """column of the answer that is not; if empty rejected, or another name for it"""
    loss: Literal["sigmoid", "ipo", "kto"] = "sigmoid"
    """DPO's own (sigmoid), IPO's squared distance from a margin of 1 / (2 beta), or KTO's, in which
    each answer is held against a reference point by itself"""
    beta: float = Field(default=0.1, ge=1e-4, le=1e3)
    """how much a log-ratio to the reference counts; the lower, the further the student may go"""
    smoothing: float = Field(default=0.0, ge=0, le=0.5)
    """share of pairs that are taken to be the wrong way round, for sigmoid"""
    normalise: Literal["auto", "answer", "token"] = "auto"
    """whether log-probabilities are those of a whole answer or means of its tokens, its end token
    included; auto takes tokens for ipo, and whole answers else"""
    reference: Literal["cached", "adapter"] = "cached"
    """the base's log-probabilities: computed once before the first step and kept in scratch, or in
    each step by the student with its adapters switched off (method lora)"""
    answer: Literal["text"] = "text"
    """not a key of pairs: their columns are chosen and rejected"""
    turns: Literal["last"] = "last"
    """the answers alone are scored, each the last turn"""
    too_long: Literal["leave-out"] = "leave-out"
    """a pair with a side longer than max_tokens is left out, and none is cut; how many is told"""
    batch: int = Field(default=16, gt=0)
    """pairs of an optimiser step"""

    @model_validator(mode="after")
    def _keys_fit(self) -> DpoSpec:
        if self.chosen and self.chosen == self.rejected:
            msg = f"chosen and rejected both name {self.chosen!r}; name two columns"
            raise ValueError(msg)
        if self.smoothing and self.loss != "sigmoid":
            msg = f"smoothing is for loss = 'sigmoid', and loss is {self.loss!r}; leave it out"
            raise ValueError(msg)
        if self.loss == "kto" and self.normalise == "token":
            msg = (
                "normalise = 'token', and the reference point of loss = 'kto' is a divergence of "
                "whole answers; leave normalise out"
            )
            raise ValueError(msg)
        if self.reference == "adapter" and self.method == "full":
            msg = (
                "reference = 'adapter' switches adapters off, and method = 'full' has none; set "
                "reference = 'cached', or method = 'lora'"
            )
            raise ValueError(msg)
        return self

    @property
    def per_token(self) -> bool:
        """Whether log-probabilities are means of an answer's tokens."""
        return self.normalise == "token" or (self.normalise == "auto" and self.loss == "ipo")

    def sides(self, there: Collection[str], of: str) -> tuple[str, str]:
        """Return the columns of chosen and rejected answers.

        Args:
            there: the columns that there are.
            of: the dataset.

        Raises:
            RecipeError: if one of them is not there, with what to do.
        """
        check_columns([("chosen", self.chosen), ("rejected", self.rejected)], there, of)
        chosen, rejected = sides_in(there)
        chosen, rejected = self.chosen or chosen or "text", self.rejected or rejected
        if not rejected or chosen not in there:
            shown = [name for name in there if not name.startswith("_")]
            lacking, key = ("rejected", "rejected") if not rejected else (chosen, "chosen")
            msg = (
                f"{of} has no column {lacking!r}, and pairs are learned from (there are "
                f"{', '.join(shown) or 'none'}); a stage `prefer` makes pairs, of shape text or "
                f"messages, or name the column by {key!r}"
            )
            raise RecipeError(msg)
        return chosen, rejected

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that both sides are there."""
        del folder
        for name in (*self.inputs, *([self.heldout] if self.heldout else ())):
            known = columns.get(name)
            if known is not None:
                self.sides(known, name)

    def train(self, ctx: StageContext, out: Path) -> None:
        """Train, and write what ``save_pretrained`` writes."""
        with needs("training a language model by preferences", "students"):
            from mashbill.train.preferring import train
        train(self, ctx, out)
