"""Losses of a student on its own samples, which one or several teachers score; no model is in them.

Where teachers' logits are at hand, each divergence of :mod:`mashbill.train.divergences` is computed
over the whole vocabulary (:func:`exact`). A *softening* temperature acts on both distributions, and
none on how the student sampled: that is a matter of which states are visited, no part of the loss.

Where only the log-probability of the token that was sampled is known, as a server gives it, the
gradient of KL(q | p), q the student and p the teacher, is estimated (:func:`sampled_reverse`). With
y drawn from m, the student as it sampled,

    grad KL(q | p) = E_m [ q(y) / m(y)  (log q(y) - log p(y))  grad log q(y) ]

(Williams, Machine Learning 8, 1992; the sum of q grad log q is nothing, so no further term is
there). The factor before the last one is a number and has no gradient of its own; q / m is 1 where
weights have not moved since, and sampling had no temperature. It is the gradient at the states that
were visited: as in GKD (Agarwal et al., ICLR 2024), none goes through which states these are.

What depends on no action has no such gradient: a divergence over the teacher's likeliest tokens,
taken as an advantage of the token sampled, adds nothing in the mean, so it is not offered. Nor are
forward KL and JSD, which need the teacher's probabilities of tokens that were not sampled.

A loss is a *numerator*, a sum over tokens of weight times nats, which the caller divides by the sum
of the same weights over all micro-batches of a step, counted after sampling; so how a step is split
changes nothing. Tokens without a log-probability (none, -inf, not a number) are in neither.

Shapes: n positions, d and e widths, v vocabulary, r positions of a block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from mashbill.core.foreign import ROUNDING, UNLIKELY
from mashbill.train.divergences import classes_of
from mashbill.train.losses import TILE, Divergence, FullTeacher, linear_divergence, linear_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST = 30.0
"""of log(q / m): what keeps a weight finite where a model sampled what it all but rules out"""


@dataclass(frozen=True)
class Taught:
    """What one teacher gives the positions of a micro-batch."""

    teacher: FullTeacher
    weights_n: torch.Tensor
    """of each position, at least 0; 0 where it does not score"""


def exact(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    taught: Sequence[Taught],
    how: Divergence,
    *,
    bias_v: torch.Tensor | None = None,
    classes: int | None = None,
    tile: int = TILE,
) -> tuple[torch.Tensor, list[float]]:
    """Return the sum of weight times divergence over all teachers, and each teacher's part of it.

    Args:
        hidden_nd: the student's states that predict.
        head_vd: its output weights.
        taught: what each teacher gives; a position may be scored by one, several or none.
        how: the divergence.
        bias_v: of the student's head.
        classes: rows of the head that stand for a token, the first ones; all if absent.
        tile: logits that exist at once, of each model.

    Raises:
        ValueError: if shapes do not fit, or a teacher has other classes.
    """
    total = hidden_nd.new_zeros(())
    parts = []
    for each in taught:
        apart, _ = linear_divergence(
            hidden_nd, head_vd, each.teacher, each.weights_n, how,
            bias_v=bias_v, classes=classes, tile=tile,
        )  # fmt: skip
        total = total + apart
        parts.append(float(apart.detach()))
    return total, parts


def averaged(teachers: Sequence[FullTeacher], shares: Sequence[float]) -> FullTeacher:
    """Return the teacher whose logits are the weighted mean of several teachers' logits.

    It is their normalised geometric mean. States stand side by side, and so do heads, so that no
    teacher's logits are there by themselves.

    Args:
        teachers: at the same positions, over the same classes.
        shares: weight of each.

    Raises:
        ValueError: if heads have different numbers of classes.
    """
    sizes = {len(each.head_ve) for each in teachers}
    if len(sizes) != 1:
        msg = f"logits of teachers with {sorted(sizes)} classes have no mean"
        raise ValueError(msg)
    pairs = list(zip(teachers, shares, strict=True))
    hidden = torch.cat([each.hidden_ne * share for each, share in pairs], 1)
    head = torch.cat([each.head_ve for each in teachers], 1)
    biases = [each.bias_v * share for each, share in pairs if each.bias_v is not None]
    return FullTeacher(hidden, head, sum(biases[1:], biases[0]) if biases else None)


def is_scored(teacher_n: np.ndarray, sampled_n: np.ndarray | None = None) -> np.ndarray:
    """Return at which tokens there is something to learn from, bool, shape (n,).

    Args:
        teacher_n: log-probabilities by a teacher; not a number where there is none. -inf, and
            what formats write in its place, is none that a gradient could follow.
        sampled_n: by the student as it sampled.
    """
    found: np.ndarray = np.isfinite(teacher_n) & (teacher_n > UNLIKELY)
    if sampled_n is not None:
        found &= np.isfinite(sampled_n)
    return found


@dataclass
class Ratios:
    """How far the student has moved since it sampled: q / m of the tokens that count."""

    count: int = 0
    total: float = 0.0
    largest: float = 0.0

    def take(self, ratio_r: torch.Tensor) -> None:
        """Count those of a block."""
        if len(ratio_r):
            self.count += len(ratio_r)
            self.total += float(ratio_r.double().sum())
            self.largest = max(self.largest, float(ratio_r.max()))


@dataclass
class _SampledReverse:
    """The estimate of each position, and its gradient by the student's logits."""

    tokens_n: torch.Tensor
    teacher_n: torch.Tensor
    sampled_n: torch.Tensor
    most: float
    ratios: Ratios
    shares: tuple[float, ...] = field(default=(1.0,))

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        at = self.tokens_n[rows, None]
        z_rv.sub_(torch.logsumexp(z_rv, 1, keepdim=True))
        log_q = z_rv.gather(1, at)[:, 0]
        moved = log_q - self.sampled_n[rows].to(log_q.dtype)
        ratio = moved.clamp(max=_LARGEST).exp()
        self.ratios.take(ratio)
        nats = ratio.clamp(max=self.most) * (log_q - self.teacher_n[rows].to(log_q.dtype))
        gradient = z_rv.exp_().mul_(-nats[:, None])
        return nats[None], gradient.scatter_add_(1, at, nats[:, None])


def sampled_reverse(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    tokens_n: torch.Tensor,
    teacher_n: torch.Tensor,
    sampled_n: torch.Tensor,
    weights_n: torch.Tensor,
    *,
    most_ratio: float = float("inf"),
    bias_v: torch.Tensor | None = None,
    classes: int | None = None,
    tile: int = TILE,
) -> tuple[torch.Tensor, Ratios]:
    """Return the sum of weight times estimated KL(q | p), and how far the student has moved.

    Value and gradient are unbiased, where all that the student can write could be sampled; a single
    token's value may be below 0, as an estimate may.

    Args:
        hidden_nd: the student's states that predict.
        head_vd: its output weights.
        tokens_n: the tokens that were sampled.
        teacher_n: their log-probabilities by the teacher, finite where the weight is not 0.
        sampled_n: by the student as it sampled, likewise.
        weights_n: weight of each position, at least 0.
        most_ratio: what q / m is cut to, which is biased and of less variance; infinite for none.
        bias_v: of the student's head.
        classes: rows of the head that stand for a token, the first ones; all if absent.
        tile: logits that exist at once.

    Raises:
        ValueError: if shapes do not fit, a token is foreign, or a log-probability that counts is
            no number or above 0.
    """
    ratios = Ratios()

    def rule(kept: torch.Tensor, tokens: int) -> _SampledReverse:
        given, own = teacher_n.to(kept.device)[kept], sampled_n.to(kept.device)[kept]
        for what, each in (("teacher", given), ("student as it sampled", own)):
            if not bool((torch.isfinite(each) & (each <= ROUNDING)).all()):
                msg = f"a log-probability by the {what} is no number up to 0, and its weight not 0"
                raise ValueError(msg)
        at = classes_of(tokens_n.to(kept.device)[kept], tokens, "a sampled token")
        return _SampledReverse(at, given, own, most_ratio, ratios)

    total, _ = linear_rule(
        hidden_nd, head_vd, weights_n, rule, tile=tile, bias_v=bias_v, classes=classes
    )
    return total, ratios
