"""Losses of a student by the advantages of what it sampled; no model is in them.

Of each token of an attempt with advantage ``A``, with ``r`` the token's probability now over that
as it was sampled, and ``b`` its log-ratio of base to student:

    reward part     -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A)
    divergence      exp(b) - b - 1

The first is PPO's (Schulman et al., 2017, arXiv 1707.06347), with bounds of its own above and below
(DAPO, 2025, arXiv 2503.14476). The second is the estimator *k3* of KL(student || base) by Schulman
("Approximating KL Divergence", 2020): of tokens that the student sampled it is unbiased, and never
below 0. Its own gradient is taken, as GRPO's authors do (arXiv 2402.03300); in expectation that is
the gradient of KL(base || student) at tokens that the student samples.

Each part is divided by a count of its own, over the whole step: all micro-batches of all processes.
So how a step is split changes nothing but rounding. Counts are, by ``normalise``:

    constant    attempts x max_new_tokens: Dr.GRPO's (arXiv 2503.20783), the same for each step
    token       tokens of the attempts
    sequence    attempts, each token by one over its attempt's tokens: a mean of means

of the attempts that the part is of, and of no others. The reward part is of those that were scored
beside another of their group; the divergence, which needs no reward, of all that are not left out.

Shapes: t tokens, n attempts, r tokens of a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mashbill.train.divergences import classes_of
from mashbill.train.losses import TILE, linear_rule

Normalise = Literal["constant", "token", "sequence"]
PARTS = ("reward_loss", "divergence", "clipped", "moved")
"""what :class:`PolicyLoss` gives in sum: its parts, each divided by its count; tokens whose ratio
is cut off by the bounds; and absolute log-ratios to the sampling"""
_MOST = 20.0
"""nats of a log-ratio from which on it grows no more, so that no exponential is infinite"""


@dataclass(frozen=True)
class Clip:
    """How far a token's probability may go from that of its sampling before it gets no gradient."""

    low: float
    high: float


@dataclass(frozen=True)
class TokenWeights:
    """What a token of each attempt counts in the parts of a step's loss."""

    reward_n: np.ndarray
    """float64: one over the count of the reward part; 0 where the attempt is no part of it"""
    divergence_n: np.ndarray
    """float64: the same of the divergence"""


def token_weights(
    tokens_n: np.ndarray,
    counted_n: np.ndarray,
    kept_n: np.ndarray,
    normalise: Normalise,
    most: int,
) -> TokenWeights:
    """Return the weight of a token of each attempt, from all attempts of a step.

    Args:
        tokens_n: sampled tokens of each.
        counted_n: those that have an advantage, bool.
        kept_n: those that are not left out, bool.
        normalise: see the module.
        most: max_new_tokens.
    """
    return TokenWeights(
        *(_weights(np.asarray(tokens_n, np.float64), which, normalise, most)
          for which in (counted_n, kept_n))
    )  # fmt: skip


def _weights(
    tokens_n: np.ndarray, which_n: np.ndarray, normalise: Normalise, most: int
) -> np.ndarray:
    which = which_n & (tokens_n > 0)
    found = np.zeros(len(tokens_n))
    if not which.any():
        return found
    if normalise == "token":
        found[which] = 1 / tokens_n[which].sum()
    elif normalise == "sequence":
        found[which] = 1 / (tokens_n[which] * which.sum())
    else:
        found[which] = 1 / (which_n.sum() * most)
    return found


class PolicyLoss:
    """The loss of tokens by their log-probabilities: see the module.

    It is what :func:`linear_policy` takes.
    """

    def __init__(
        self,
        sampled_t: torch.Tensor,
        advantage_t: torch.Tensor,
        reward_t: torch.Tensor,
        clip: Clip,
        *,
        kl: float = 0.0,
        base_t: torch.Tensor | None = None,
        divergence_t: torch.Tensor | None = None,
    ) -> None:
        """Take what is known of each token.

        Args:
            sampled_t: its log-probability as it was sampled.
            advantage_t: of its attempt.
            reward_t: its weight in the reward part.
            clip: the bounds of its ratio.
            kl: what the divergence counts in the loss.
            base_t: its log-probability by the base, where ``kl`` is above 0.
            divergence_t: its weight in the divergence.

        Raises:
            ValueError: if the divergence counts and the base says nothing.
        """
        if kl and (base_t is None or divergence_t is None):
            msg = "a divergence from the base needs the base's log-probabilities"
            raise ValueError(msg)
        self._sampled, self._advantage = sampled_t.double(), advantage_t.double()
        self._reward, self._clip = reward_t.double(), clip
        self._base = None if base_t is None else base_t.double()
        self._divergence = None if divergence_t is None else divergence_t.double()
        self._kl = kl
        self.shares: tuple[float, ...] = (1.0, kl, 0.0, 0.0)

    def __call__(self, logprobs_r: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the parts (see :data:`PARTS`) of tokens, and the derivative of the whole."""
        now = logprobs_r.double()
        moved = now - self._sampled[rows]
        ratio = moved.clamp(-_MOST, _MOST).exp()
        advantage, weight = self._advantage[rows], self._reward[rows]
        bounded = ratio.clamp(1 - self._clip.low, 1 + self._clip.high)
        free, held = ratio * advantage, bounded * advantage
        # The lower of two is taken; where both are the same, it is the free one that has a slope.
        is_free = free <= held
        reward = -weight * torch.minimum(free, held)
        slope = torch.where(is_free, -weight * free, 0.0)
        divergence = torch.zeros_like(now)
        if self._base is not None and self._divergence is not None:
            apart = self._base[rows] - now
            near = apart.clamp(-_MOST, _MOST)
            steep, own = torch.expm1(near), self._divergence[rows]
            # Beyond the bound it goes on as a straight line.
            divergence = own * (steep - near + steep * (apart - near))
            slope = slope - self._kl * own * steep
        used = weight > 0
        looked = torch.stack([(~is_free & used).double(), moved.abs() * used])
        return torch.cat([torch.stack([reward, divergence]), looked]), slope


def linear_policy(
    hidden_td: torch.Tensor,
    head_vd: torch.Tensor,
    targets_t: torch.Tensor,
    loss: PolicyLoss,
    *,
    tile: int = TILE,
    bias_v: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of tokens in sum, from a student's states, and its parts.

    Args:
        hidden_td: the states that predict the tokens, divided by the temperature of sampling.
        head_vd: output weights.
        targets_t: the tokens.
        loss: of them.
        tile: logits that exist at once.
        bias_v: of the head, divided by the temperature too.

    Returns:
        The whole, differentiable; and :data:`PARTS`, detached.

    Raises:
        ValueError: if shapes do not fit, or a token is no class of the head.
    """
    rule = _OfTokens(classes_of(targets_t, len(head_vd), "a token"), loss)
    ones = torch.ones(len(hidden_td), device=hidden_td.device)
    return linear_rule(hidden_td, head_vd, ones, lambda _kept, _classes: rule, tile=tile,
                       bias_v=bias_v)  # fmt: skip


class _OfTokens:
    """A function of each token's log-probability, over a block's logits."""

    def __init__(self, targets_t: torch.Tensor, loss: PolicyLoss) -> None:
        self._targets, self._loss = targets_t, loss
        self.shares = loss.shares

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        at = self._targets[rows, None]
        z_rv.sub_(torch.logsumexp(z_rv, 1, keepdim=True))
        parts, slope = self._loss(z_rv.gather(1, at)[:, 0], rows)
        slope = slope.to(z_rv.dtype)[:, None]
        return parts, z_rv.exp_().mul_(-slope).scatter_add_(1, at, slope)
