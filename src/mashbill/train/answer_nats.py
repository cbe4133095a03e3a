"""Log-probabilities of answers, and a gradient for each of them, without a vocabulary's logits.

A loss of preferences is a function of a few numbers, the log-probability of each answer. So it is
gone back through in two steps, in both of which logits are there in blocks only
(:mod:`mashbill.train.losses`): the numbers are made without a gradient, and what the loss changes
by each of them is then the weight of that answer's tokens in a sum of nats, whose gradient is that
of the loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from mashbill.train.losses import linear_cross_entropy, token_nats
from mashbill.train.precision import autocast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.models.causal_base import CausalBase


@dataclass(frozen=True)
class Scored:
    """A sequence, and which of its tokens are scored: those of the answer, with its end."""

    ids: np.ndarray
    """int64, shape (tokens,)"""
    learned: np.ndarray
    """bool, shape (tokens,); the first is none of them, as nothing tells it"""


class Answers:
    """The answers of a micro-batch as a student computes them.

    ``student.together`` of their lengths must hold around this and around going back.
    """

    def __init__(self, student: CausalBase, sequences: Sequence[Scored], dtype: str) -> None:
        """Compute the states.

        Args:
            student: the model.
            sequences: the answers with their prompts.
            dtype: what products are computed in.
        """
        self._student = student
        device = student.model.device
        ids = [torch.from_numpy(each.ids) for each in sequences]
        groups = [ids] if student.packs else [[each] for each in ids]
        with autocast(dtype, device):
            states = torch.cat([student.states(group) for group in groups])
        # The state behind a token tells the next one: a sequence's last token tells nothing.
        targets = torch.cat([torch.roll(each, -1) for each in ids])
        told = np.concatenate([np.append(each.learned[1:], [False]) for each in sequences])
        owner = np.repeat(np.arange(len(ids)), [len(each) for each in ids])
        places = torch.from_numpy(np.flatnonzero(told)).to(device)
        self._states = states.float()[places]
        self._targets = targets.to(device)[places]
        self._owner = torch.from_numpy(owner[told]).to(device)
        self._count = len(ids)

    def logprobs(self) -> torch.Tensor:
        """Return the sum of each answer's log-probabilities, float64, without a gradient."""
        head, bias = self._student.head
        nats = token_nats(self._states.detach(), head, self._targets, bias_v=bias)
        found = torch.zeros(self._count, dtype=torch.double, device=nats.device)
        return found.index_add_(0, self._owner, nats.double()).neg_()

    def weighed(self, by: torch.Tensor) -> torch.Tensor:
        """Return the sum of log-probabilities, each times a number; differentiable but for these.

        Args:
            by: a number of each answer, of any sign, shape (answers,).
        """
        head, bias = self._student.head
        weights = -by.to(torch.float32)[self._owner]
        total = self._states.new_zeros(())
        for sign in (1, -1):  # what is weighed has no sign
            own = (sign * weights).clamp(min=0)
            total = total + sign * linear_cross_entropy(
                self._states, head, self._targets, own, bias_v=bias
            )
        return total


@torch.no_grad()
def logprobs_of(student: CausalBase, sequences: Sequence[Scored], dtype: str) -> torch.Tensor:
    """Return the log-probability of each answer, float64, of a model that does not drop out."""
    was_training = student.model.training
    student.model.eval()
    try:
        with student.together([len(each.ids) for each in sequences]):
            return Answers(student, sequences, dtype).logprobs()
    finally:
        student.model.train(was_training)
