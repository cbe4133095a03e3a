"""What a student learns of a teacher with another tokenizer, group by group of aligned tokens.

    chunks      how likely each model finds the bytes of a group: log-probabilities of its tokens,
    in
                sum. On a given text the two are held against each other over two outcomes, these
                bytes and anything else (:func:`chunk_nats`); on what the student sampled, by an
                estimator of the reverse KL's gradient (:func:`score_function`), which needs no more
                of a served teacher than that.
    common      where a group is one token of the same bytes on each side, whole distributions over
                the outcomes of :mod:`mashbill.models.common_tokens` (:func:`outcome_logprobs`).
    uld         distributions over the next token, each sorted, and the sum of differences place by
                place (:func:`sorted_distance`): Boizard et al., 2024, arXiv 2402.12030.

The first two are divergences between coarser distributions of the same two models. They are at most
the divergence of the whole, and 0 where the models agree so far as they can be compared; nothing is
renormalised. Two things are not exact, whatever is computed here. A model's tokens are one way of
several to write the same bytes, and only that way is scored. And where a group ends depends on what
follows it, so that on sampled text the estimator is that of a divergence given where the cuts are.

``uld`` does not know which token has which probability: a teacher whose tokens are all exchanged
for others gives the same loss, and is not told from the true one. It is there to be compared with.

A loss is nats of each group. Whoever calls takes the sum, each with its weight, and divides by the
sum of the weights of all groups of the step, so that how a batch is split changes nothing.

Shapes: n positions, d width, v vocabulary, o outcomes, g groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.checkpoint import checkpoint

from mashbill.train.divergences import FLOOR, Divergence, divergence_of, logits_of
from mashbill.train.losses import TILE

if TYPE_CHECKING:
    from collections.abc import Callable

_LEAST_REST = 1e-6
"""probability of anything else that two outcomes are told apart by, in float32"""
_LARGEST = 30.0
"""of log(q / m): what keeps an estimate finite where a model sampled what it all but rules out"""


def token_logprobs(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    targets_n: torch.Tensor,
    *,
    temperature: float = 1.0,
    bias_v: torch.Tensor | None = None,
    tile: int = TILE,
) -> torch.Tensor:
    """Return the log-probability of each target, shape (n,), differentiable.

    Args:
        hidden_nd: the states that predict.
        head_vd: output weights.
        targets_n: class of each position.
        temperature: that logits are divided by.
        bias_v: of the head.
        tile: logits that exist at once.
    """

    def block(states: torch.Tensor, targets: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        z = logits_of(states, head, bias_v) / temperature
        return torch.log_softmax(z, 1).gather(1, targets[:, None])[:, 0]

    return _by_blocks(block, (hidden_nd, targets_n), head_vd, tile)


def outcome_logprobs(
    hidden_nd: torch.Tensor,
    head_vd: torch.Tensor,
    outcome_v: torch.Tensor,
    outcomes: int,
    *,
    temperature: float = 1.0,
    bias_v: torch.Tensor | None = None,
    tile: int = TILE,
) -> torch.Tensor:
    """Return the log-probability of each outcome, shape (n, o), differentiable.

    Args:
        hidden_nd: the states that predict.
        head_vd: output weights.
        outcome_v: of each class.
        outcomes: how many there are; one without a class has nothing, as far as numbers go.
        temperature: that logits are divided by.
        bias_v: of the head.
        tile: logits that exist at once.
    """

    def block(states: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        log_q = torch.log_softmax(logits_of(states, head, bias_v) / temperature, 1)
        places = outcome_v.expand(len(log_q), -1)
        with torch.no_grad():
            empty = log_q.new_full((len(log_q), outcomes), -torch.inf)
            highest = empty.scatter_reduce(1, places, log_q, "amax").clamp_(min=FLOOR)
        shares = (log_q - highest.gather(1, places)).exp()
        sums = torch.zeros_like(highest).index_add(1, outcome_v, shares)
        # Of an outcome without a class: the floor, and no gradient.
        return highest + sums.clamp(min=torch.finfo(sums.dtype).tiny).log().clamp(min=FLOOR)

    return _by_blocks(block, (hidden_nd,), head_vd, tile)


def chunk_nats(teacher_g: torch.Tensor, student_g: torch.Tensor, how: Divergence) -> torch.Tensor:
    """Return how far apart two models are on the bytes of each group: these, or anything else.

    Args:
        teacher_g: log-probability of the group's tokens, in sum.
        student_g: the same of the student, differentiable.
        how: which divergence, over the two outcomes.
    """
    return divergence_of(_with_rest(teacher_g.detach()), _with_rest(student_g), how)


def score_function(
    teacher_g: torch.Tensor,
    student_g: torch.Tensor,
    sampled_g: torch.Tensor | None = None,
    *,
    most_ratio: float = float("inf"),
) -> torch.Tensor:
    """Return estimates of KL(student | teacher) of each group that the student itself sampled.

    With q the student, p the teacher and m the student as it sampled, the value is q / m times
    (log q - log p); the gradient is that value, held fixed, times the one of log q, and its mean is
    the divergence's (Williams, Machine Learning 8, 1992). A group that the teacher did not score
    (not a number, or minus infinity, which no gradient could follow) has 0 and no gradient: leave
    it out of the count, too (:func:`is_told`).

    Args:
        teacher_g: log-probability of the group's tokens, in sum.
        student_g: the same of the student, differentiable.
        sampled_g: the same of the student as it sampled; the student as it is if absent.
        most_ratio: what q / m is cut to.
    """
    told = is_told(teacher_g)
    teacher = torch.where(told, teacher_g, 0.0)
    apart = (student_g - teacher).detach()
    if sampled_g is not None:
        moved = (student_g.detach() - sampled_g).clamp(max=_LARGEST)
        apart = apart * moved.exp().clamp(max=most_ratio)
    surrogate = apart * student_g
    return torch.where(told, surrogate + (apart - surrogate).detach(), 0.0)


def is_told(teacher_g: torch.Tensor) -> torch.Tensor:
    """Return which groups a teacher scored, bool, shape (g,)."""
    return torch.isfinite(teacher_g)


def sorted_distance(
    teacher: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None],
    student: tuple[torch.Tensor, torch.Tensor, torch.Tensor | None],
    *,
    temperature: float = 1.0,
    tile: int = TILE,
) -> torch.Tensor:
    """Return the sum of differences of sorted probabilities at each position, shape (n,).

    It is the Wasserstein distance between the two where all tokens are equally far apart. The
    shorter list goes on with 0. See the module for what it does not know.

    Args:
        teacher: its states (n, e), head (w, e), and the head's bias.
        student: its states (n, d), head (v, d), and bias.
        temperature: that both sides' logits are divided by.
        tile: logits that exist at once, of each model.
    """
    states_ne, head_we, bias_w = teacher
    states_nd, head_vd, bias_v = student
    most = max(len(head_we), len(head_vd))

    def ordered(z: torch.Tensor) -> torch.Tensor:
        q = torch.softmax(z / temperature, 1).sort(1, descending=True).values
        return torch.nn.functional.pad(q, (0, most - q.shape[1]))

    def block(own: torch.Tensor, theirs: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            p = ordered(logits_of(theirs, head_we, bias_w))
        return (ordered(logits_of(own, head, bias_v)) - p.to(own.device)).abs().sum(1)

    return _by_blocks(block, (states_nd, states_ne.detach()), head_vd, tile)


def group_sums(values_n: torch.Tensor, group_n: torch.Tensor, groups: int) -> torch.Tensor:
    """Return the sum of values of each group, shape (g,).

    Args:
        values_n: of tokens.
        group_n: number of the group of each.
        groups: how many there are.
    """
    return values_n.new_zeros(groups).index_add(0, group_n, values_n)


def _with_rest(logprob_g: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities of each group's bytes and of anything else, shape (g, 2)."""
    # Where next to nothing is left, the gradient of what is left goes on through the bound: by the
    # logits it is bounded, since there that of the log-probability goes to 0 as fast.
    bounded = logprob_g + (logprob_g.clamp(max=-_LEAST_REST) - logprob_g).detach()
    return torch.stack([bounded, torch.log(-torch.expm1(bounded))], 1)


def _by_blocks(
    block: Callable[..., torch.Tensor],
    rows: tuple[torch.Tensor, ...],
    head_vd: torch.Tensor,
    tile: int,
) -> torch.Tensor:
    """Return what is computed of positions, by blocks whose logits are made again going back."""
    size = max(1, tile // len(head_vd))
    is_learned = torch.is_grad_enabled() and (rows[0].requires_grad or head_vd.requires_grad)
    found = []
    for start in range(0, max(1, len(rows[0])), size):
        own = [each[start : start + size] for each in rows]
        if is_learned:
            found.append(checkpoint(block, *own, head_vd, use_reentrant=False))
        else:
            found.append(block(*own, head_vd))
    return torch.cat(found)
