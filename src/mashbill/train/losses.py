"""Losses of language models over a head's whole vocabulary, without its logits ever being there.

A loss is a *numerator*: the sum over positions of weight times nats. The caller divides by the sum
of the same weights, counted over all micro-batches of a step; so how a batch is split changes
nothing. A position of weight 0 is not computed at all, so nothing that stands there (padding,
a foreign id, not a number) reaches a gradient.

Positions are taken in blocks, so many that ``tile`` logits exist at once, whatever the vocabulary:
a block's logits, its float32 log-softmax and its gradient share one buffer, and the gradients of
hidden states and head are made in the forward pass, by three products a block. Measured against
tiles over the vocabulary, which need a fourth product since the log-sum comes last, blocks are 5
to 15 % faster on one core at 49,152 classes, and against plain cross-entropy 15 to 35 %.

What a student is held against, and how, is in :mod:`mashbill.train.divergences`.

Shapes: n positions, d width, v vocabulary, k classes kept, r positions of a block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from mashbill.models.products import fast_products
from mashbill.train.divergences import (
    Apart,
    Divergence,
    FullTeacher,
    SampledTeacher,
    Teacher,
    TopTeacher,
    apart_by,
    classes_of,
    exact_of,
    logits_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "TILE",
    "Divergence",
    "FullTeacher",
    "Rule",
    "SampledTeacher",
    "Teacher",
    "TopTeacher",
    "linear_cross_entropy",
    "linear_divergence",
    "linear_rule",
    "token_nats",
]

TILE = 2**23
"""logits that exist at once: 32 MB of float32"""


def linear_cross_entropy(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    targets_n: torch.Tensor,
    weights_n: torch.Tensor,
    *,
    tile: int = TILE,
    bias_v: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the sum of weight times nats of the targets, differentiable but for the weights.

    Args:
        hidden_nd: the states that predict: those of position i predict token i + 1.
        head_vd: output weights.
        targets_n: class of each position; anything where the weight is 0.
        weights_n: weight of each position, at least 0.
        tile: logits that exist at once.
        bias_v: of the head.

    Raises:
        ValueError: if shapes do not fit, or a target that counts is no class of the head.
    """
    kept = _kept(weights_n, hidden_nd, head_vd)
    targets = classes_of(targets_n[kept], len(head_vd), "a target")
    rule = _CrossEntropy(targets)
    total: torch.Tensor = _Tiled.apply(
        hidden_nd, head_vd, bias_v, kept, weights_n[kept], rule, tile
    )[0]
    return total


def linear_divergence(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    teacher: Teacher,
    weights_n: torch.Tensor,
    divergence: Divergence,
    *,
    targets_n: torch.Tensor | None = None,
    ce_weight: float = 0.0,
    tile: int = TILE,
    bias_v: torch.Tensor | None = None,
    classes: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of weight times loss, and its two parts, from logits that are made once.

    The loss is (1 - ce_weight) times the divergence plus ce_weight times the cross-entropy of the
    targets, which knows no temperature.

    Args:
        hidden_nd: the student's states that predict.
        head_vd: its output weights.
        teacher: its distributions at the same positions, over the same classes.
        weights_n: weight of each position, at least 0.
        divergence: which, and at which temperature.
        targets_n: class of each position, where there is a ``ce_weight``.
        ce_weight: share of cross-entropy, within 0 and 1.
        tile: logits that exist at once, of each model.
        bias_v: of the student's head.
        classes: rows of the head that stand for a token, the first ones; all if absent. What the
            student gives to the others is penalised in both parts, by minus the logarithm of what
            it leaves: so cross-entropy is that of the whole head, as is KL to a teacher that
            gives them nothing, and divergences that would be infinite stay what they are.

    Returns:
        The numerator; and divergence and cross-entropy by themselves, detached, shape (2,).

    Raises:
        ValueError: if shapes do not fit, if a class is foreign, or if only samples of the teacher
            are there for a divergence that is not linear in it.
    """
    if not 0 <= ce_weight <= 1:
        msg = f"ce_weight is {ce_weight}, and lies within 0 and 1"
        raise ValueError(msg)
    if ce_weight and targets_n is None:
        msg = "a ce_weight needs targets"
        raise ValueError(msg)
    kept = _kept(weights_n, hidden_nd, head_vd)
    tokens = len(head_vd) if classes is None else classes
    apart = apart_by(teacher, divergence, kept, tokens)
    ce = None
    if ce_weight and targets_n is not None:
        ce = _CrossEntropy(classes_of(targets_n[kept], tokens, "a target"))
    rule: Rule = _Mixed(apart, divergence.temperature, ce, ce_weight)
    if tokens < len(head_vd):
        rule = _OfTokens(rule, tokens)
    total, parts = _Tiled.apply(hidden_nd, head_vd, bias_v, kept, weights_n[kept], rule, tile)
    return total, parts


def linear_rule(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    weights_n: torch.Tensor,
    rule_of: Callable[[torch.Tensor, int], Rule],
    *,
    tile: int = TILE,
    bias_v: torch.Tensor | None = None,
    classes: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of weight times a loss of one's own, and its parts, detached.

    Args:
        hidden_nd: the student's states that predict.
        head_vd: its output weights.
        weights_n: weight of each position, at least 0.
        rule_of: makes the loss, given the positions that count and how many classes there are.
        tile: logits that exist at once.
        bias_v: of the head.
        classes: as of :func:`linear_divergence`.

    Raises:
        ValueError: if shapes do not fit.
    """
    kept = _kept(weights_n, hidden_nd, head_vd)
    tokens = len(head_vd) if classes is None else classes
    rule = rule_of(kept, tokens)
    if tokens < len(head_vd):
        rule = _OfTokens(rule, tokens)
    total, parts = _Tiled.apply(hidden_nd, head_vd, bias_v, kept, weights_n[kept], rule, tile)
    return total, parts


@torch.no_grad()
@fast_products()
def token_nats(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    targets_n: torch.Tensor,
    *,
    tile: int = TILE,
    bias_v: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return what each target costs, in nats, shape (n,): minus its log-probability.

    Raises:
        ValueError: if shapes do not fit, or a target is no class of the head.
    """
    kept = _kept(torch.ones(len(hidden_nd)), hidden_nd, head_vd)
    rule = _CrossEntropy(classes_of(targets_n, len(head_vd), "a target"))
    nats = [
        rule(logits_of(hidden_nd[rows], head_vd, bias_v), rows)[0][0]
        for rows in _blocks(len(kept), len(head_vd), tile)
    ]
    return torch.cat(nats) if nats else hidden_nd.new_zeros(0, dtype=torch.float32)


class Rule(Protocol):
    """A loss of each position of a block, with its gradient."""

    shares: tuple[float, ...]
    """what each of its parts counts in the whole"""

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return nats in parts, shape (parts, r), and the gradient of all in ``z_rv``'s place."""


class _Tiled(torch.autograd.Function):
    """Sums a rule over blocks of positions, and makes both gradients on the way."""

    @staticmethod
    @fast_products()
    def forward(
        ctx: Any,
        hidden_nd: torch.Tensor,
        head_vd: torch.Tensor,
        bias_v: torch.Tensor | None,
        kept: torch.Tensor,
        weights_n: torch.Tensor,
        rule: Rule,
        tile: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        is_wanted = ctx.needs_input_grad[:3]
        exact = exact_of(hidden_nd)
        states = hidden_nd[kept]
        weights = weights_n.to(states.device, exact)
        to_states = torch.empty_like(states) if is_wanted[0] else None
        to_head = torch.zeros_like(head_vd, dtype=exact) if is_wanted[1] else None
        to_bias = torch.zeros_like(bias_v, dtype=exact) if is_wanted[2] else None
        sums: list[torch.Tensor] = []
        for rows in _blocks(len(states), len(head_vd), tile):
            nats, z = rule(logits_of(states[rows], head_vd, bias_v), rows)
            sums.append((nats.double() * weights[rows]).sum(-1))
            z *= weights[rows, None]
            if to_bias is not None:
                to_bias += z.sum(0)
            z = z.to(head_vd.dtype)
            if to_states is not None:
                torch.mm(z, head_vd, out=to_states[rows])
            if to_head is not None and to_head.dtype == z.dtype:
                to_head.addmm_(z.T, states[rows])
            elif to_head is not None:
                to_head += z.T @ states[rows]
        ctx.gradients = (to_states, to_head, to_bias)
        ctx.kept, ctx.like = kept, (hidden_nd, head_vd.dtype)
        none = torch.zeros(len(rule.shares), dtype=torch.double, device=states.device)
        parts = sum(sums, none)
        total = sum((share * part for share, part in zip(rule.shares, parts, strict=True)), none[0])
        ctx.mark_non_differentiable(told := parts.to(exact))
        return total.to(exact), told

    @staticmethod
    def backward(ctx: Any, by: torch.Tensor, _: Any) -> tuple[torch.Tensor | None, ...]:
        if ctx.gradients is None:
            msg = "the gradients of this loss were made once, and were taken already"
            raise RuntimeError(msg)
        to_states, to_head, to_bias = ctx.gradients
        ctx.gradients = None
        hidden, dtype = ctx.like
        to_hidden = None
        if to_states is not None:
            to_hidden = torch.zeros_like(hidden)
            to_hidden[ctx.kept] = to_states.mul_(by)
        if to_head is not None:
            to_head = to_head.mul_(by).to(dtype)
        if to_bias is not None:
            to_bias = to_bias.mul_(by).to(dtype)
        return to_hidden, to_head, to_bias, None, None, None, None


class _CrossEntropy:
    """Minus the log-probability of a class."""

    shares = (1.0,)

    def __init__(self, targets_n: torch.Tensor) -> None:
        self._targets = targets_n

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        at = self._targets[rows, None]
        nats = -z_rv.sub_(torch.logsumexp(z_rv, 1, keepdim=True)).gather(1, at)[:, 0]
        q_rv = z_rv.exp_()
        return nats[None], q_rv.scatter_add_(1, at, -torch.ones_like(at, dtype=z_rv.dtype))


class _Mixed:
    """A divergence at its temperature, and cross-entropy at none, of the same logits."""

    def __init__(
        self, apart: Apart, temperature: float, ce: _CrossEntropy | None, ce_weight: float
    ) -> None:
        self._apart, self._temperature, self._ce = apart, temperature, ce
        self.shares: tuple[float, ...] = (1 - ce_weight, ce_weight)

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        t, ce_gradient = self._temperature, None
        ce_nats = z_rv.new_zeros(1, len(z_rv))
        if self._ce is not None:
            ce_nats, ce_gradient = self._ce(z_rv.clone(), rows)
        nats, gradient = self._apart(z_rv if t == 1 else z_rv.div_(t), rows)
        gradient *= t * self.shares[0]  # T squared, and 1/T since the logits were divided
        if ce_gradient is not None:
            gradient.add_(ce_gradient, alpha=self.shares[1])
        return torch.cat([t**2 * nats[None], ce_nats]), gradient


class _OfTokens:
    """A rule over the classes that are tokens, and minus the logarithm of their share of all."""

    def __init__(self, rule: Rule, classes: int) -> None:
        self._rule, self._classes = rule, classes
        self.shares = rule.shares

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        whole = torch.logsumexp(z_rv, 1, keepdim=True)
        lost = whole - torch.logsumexp(z_rv[:, : self._classes], 1, keepdim=True)
        gradient = (z_rv - whole).exp_()
        nats, of_tokens = self._rule(z_rv[:, : self._classes], rows)
        # Of a token: its share of all, less its share of tokens.
        gradient[:, : self._classes] *= -torch.expm1(lost)
        gradient[:, : self._classes] += of_tokens
        return nats + lost.T, gradient


def _kept(weights_n: torch.Tensor, hidden_nd: torch.Tensor, head_vd: torch.Tensor) -> torch.Tensor:
    """Return the positions that count, shape (kept,)."""
    if hidden_nd.ndim != 2 or head_vd.ndim != 2 or hidden_nd.shape[1] != head_vd.shape[1]:
        msg = f"hidden states {tuple(hidden_nd.shape)} do not fit a head {tuple(head_vd.shape)}"
        raise ValueError(msg)
    if weights_n.shape != hidden_nd.shape[:1]:
        msg = f"weights {tuple(weights_n.shape)} for {len(hidden_nd)} positions"
        raise ValueError(msg)
    if not bool((weights_n >= 0).all()):
        msg = "a weight is negative or no number"
        raise ValueError(msg)
    return weights_n.nonzero()[:, 0].to(hidden_nd.device)


def _blocks(positions: int, classes: int, tile: int) -> list[slice]:
    """Return the positions in blocks of as many as have ``tile`` logits together, at least one."""
    size = max(1, tile // classes)
    return [slice(start, start + size) for start in range(0, positions, size)]
