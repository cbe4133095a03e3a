"""What a student is held against: a teacher's distributions, and how far apart two are.

With p the teacher's distribution and q the student's, both softened by the temperature T:

    forward         KL(p | q)
    reverse         KL(q | p)
    skewed          KL(p | a p + (1-a) q)                     Ko et al., DistiLLM, ICML 2024
    skewed-reverse  KL(q | a q + (1-a) p)                     the same
    jsd             b KL(p | m) + (1-b) KL(q | m), m = b p + (1-b) q     Agarwal et al., ICLR 2024
    tv              1/2 sum |p - q|                           Wen et al., f-DISTILL, ACL 2023

times T squared (Hinton et al., 2015), in the gradient as in the number told. ``jsd`` is no
interpolation between the two KLs: it vanishes towards both ends, where gradients are b, or 1-b,
times theirs; both ends are refused, and what is wanted there is ``forward`` or ``reverse``.

Shapes: n positions, d and e widths, v vocabulary, k classes kept, r positions of a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

FLOOR = -1e4
"""nats: what a class that a model rules out counts as, where its logarithm would be infinite"""
Kind = Literal["forward", "reverse", "skewed", "skewed-reverse", "jsd", "tv"]


@dataclass(frozen=True)
class Divergence:
    """How the student is held against the teacher; see the module."""

    kind: Kind = "forward"
    skew: float = 0.1
    """a of the skewed ones, within (0, 1)"""
    beta: float = 0.5
    """b of ``jsd``, within (0, 1)"""
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            ValueError: saying what to set instead.
        """
        if not 0 < self.temperature < float("inf"):
            msg = f"temperature is {self.temperature}, and must be above 0"
            raise ValueError(msg)
        if self.kind.startswith("skewed") and not 0 < self.skew < 1:
            msg = f"skew is {self.skew}; it lies within 0 and 1: at 0 say forward or reverse"
            raise ValueError(msg)
        if self.kind == "jsd" and not 0 < self.beta < 1:
            msg = (
                f"beta is {self.beta}; jsd vanishes towards 0 and 1, where its gradients are beta "
                "and 1 - beta times those of the two KLs: say forward (0) or reverse (1)"
            )
            raise ValueError(msg)


@dataclass(frozen=True)
class FullTeacher:
    """A whole distribution, as last hidden states and head, at the positions of the student."""

    hidden_ne: torch.Tensor
    head_ve: torch.Tensor
    bias_v: torch.Tensor | None = None


@dataclass(frozen=True)
class TopTeacher:
    """The likeliest classes and, in one bucket, all others: nothing is renormalised.

    The divergence is that of the two distributions over k + 1 outcomes, which is at most that of
    the whole ones, and nothing exactly where they agree so far; all kinds have a meaning there.
    """

    ids_nk: torch.Tensor
    """distinct within a position"""
    logprobs_nk: torch.Tensor
    """natural logarithms at the divergence's temperature"""


@dataclass(frozen=True)
class SampledTeacher:
    """Sampled classes, whose weights have the teacher's probabilities as their expectation.

    Cross-entropy is linear in the teacher, so its gradient is that of the whole teacher in the
    mean (Anshumann et al., Sparse Logit Sampling, ACL 2025): ``forward`` alone has that.
    """

    ids_nk: torch.Tensor
    """may repeat; those of weight 0 are any class"""
    shares_nk: torch.Tensor
    entropy_n: torch.Tensor | None = None
    """the teacher's, in nats: with it the number told is the divergence, without, cross-entropy"""


Teacher = FullTeacher | TopTeacher | SampledTeacher


class Apart(Protocol):
    """How far apart student and teacher are at each position of a block."""

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return nats of logits divided by the temperature, (r,), and their gradient in place."""


class _Sampled:
    """Cross-entropy to samples of the teacher, less its entropy where that is known."""

    def __init__(
        self, ids_nk: torch.Tensor, shares_nk: torch.Tensor, entropy_n: torch.Tensor | None
    ) -> None:
        self._ids, self._shares, self._entropy = ids_nk, shares_nk, entropy_n

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        ids, shares = self._ids[rows], self._shares[rows].to(z_rv.dtype)
        z_rv.sub_(torch.logsumexp(z_rv, 1, keepdim=True))
        nats = -(shares * z_rv.gather(1, ids).clamp(min=FLOOR)).sum(1)
        if self._entropy is not None:
            nats = nats - self._entropy[rows]
        return nats, z_rv.exp_().mul_(shares.sum(1, keepdim=True)).scatter_add_(1, ids, -shares)


class _Full:
    """A divergence between whole distributions."""

    def __init__(self, teacher: FullTeacher, divergence: Divergence) -> None:
        self._teacher, self._divergence = teacher, divergence

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        teacher = self._teacher
        log_p = logits_of(teacher.hidden_ne[rows], teacher.head_ve, teacher.bias_v).to(z_rv.dtype)
        log_p /= self._divergence.temperature
        log_p.sub_(torch.logsumexp(log_p, 1, keepdim=True)).clamp_(min=FLOOR)
        log_q = z_rv.sub_(torch.logsumexp(z_rv, 1, keepdim=True)).clamp_(min=FLOOR)
        nats, by_q = _nats(log_p, log_q, self._divergence)
        return nats, by_q.sub_(log_q.exp_().mul_(by_q.sum(1, keepdim=True)))


class _Top:
    """A divergence between distributions over the classes kept, and all others together."""

    def __init__(
        self, ids_nk: torch.Tensor, logprobs_nk: torch.Tensor, divergence: Divergence
    ) -> None:
        self._ids, self._logprobs, self._divergence = ids_nk, logprobs_nk, divergence

    def __call__(self, z_rv: torch.Tensor, rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        ids = self._ids[rows]
        p = self._logprobs[rows].to(z_rv.dtype).exp()
        p = torch.cat([p, (1 - p.sum(1, keepdim=True)).clamp(min=0)], 1)
        log_p = (p / p.sum(1, keepdim=True)).log().clamp(min=FLOOR)
        listed = z_rv.gather(1, ids)
        z_rv.scatter_(1, ids, -torch.inf)
        others = torch.logsumexp(z_rv, 1, keepdim=True)
        coarse = torch.cat([listed, others], 1)
        log_q = (coarse - torch.logsumexp(coarse, 1, keepdim=True)).clamp(min=FLOOR)
        nats, by_q = _nats(log_p, log_q, self._divergence)
        gradient = by_q - log_q.exp() * by_q.sum(1, keepdim=True)
        # Within the bucket the gradient falls on classes by their share of it.
        z_rv.sub_(others.masked_fill(others == -torch.inf, 0)).exp_().mul_(gradient[:, -1:])
        return nats, z_rv.scatter_(1, ids, gradient[:, :-1])


def _nats(
    log_p: torch.Tensor, log_q: torch.Tensor, divergence: Divergence
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a divergence of each row, and q times its derivative by q but for a constant.

    The gradient by logits is that less q times its sum, in which a constant falls away.
    """
    q = log_q.exp()
    if divergence.kind == "reverse":
        apart = log_q - log_p
        nats = (q * apart).sum(1)
        # Where one class has all, its derivative is the constant, and would cancel in float32.
        constant = apart.gather(1, log_q.argmax(1, keepdim=True))
        return nats, apart.sub_(constant).mul_(q)
    p = log_p.exp()
    if divergence.kind == "forward":
        return (p * (log_p - log_q)).sum(1), p.neg_()
    if divergence.kind == "tv":
        return (p - q).abs_().sum(1) / 2, (q - p).sign_().mul_(q).div_(2)
    if divergence.kind == "skewed":
        a = divergence.skew
        m = (a * p).add_(q, alpha=1 - a)
        nats = (p * (log_p - _log(m))).sum(1)
        return nats, p.mul_(q).mul_(a - 1).div_(m.clamp_(min=torch.finfo(m.dtype).tiny))
    if divergence.kind == "skewed-reverse":
        a = divergence.skew
        m = (a * q).add_(p, alpha=1 - a)
        apart = log_q - _log(m)
        nats = (q * apart).sum(1)
        return nats, q * (apart - a * q / m.clamp_(min=torch.finfo(m.dtype).tiny))
    b = divergence.beta
    log_m = _log((b * p).add_(q, alpha=1 - b))
    by_q = q.mul_(log_q - log_m).mul_(1 - b)
    return by_q.sum(1) + b * (p.mul_(log_p - log_m)).sum(1), by_q


def _log(m: torch.Tensor) -> torch.Tensor:
    """Return logarithms, with the floor where there is nothing."""
    return m.log().clamp_(min=FLOOR)


def divergence_of(log_p_no: torch.Tensor, log_q_no: torch.Tensor, how: Divergence) -> torch.Tensor:
    """Return the divergence of each position times T squared, shape (n,), differentiable by q's.

    Args:
        log_p_no: the teacher's log-probabilities over all outcomes, whose sum is 1.
        log_q_no: the student's.
        how: which divergence; both are softened by its temperature already.
    """
    found: torch.Tensor = _Softened.apply(log_p_no, log_q_no, how)
    return found * how.temperature**2


class _Softened(torch.autograd.Function):
    """A divergence, with its gradient by log-probabilities that come of a softmax."""

    @staticmethod
    def forward(
        ctx: Any, log_p_no: torch.Tensor, log_q_no: torch.Tensor, how: Divergence
    ) -> torch.Tensor:
        log_p = log_p_no.to(log_q_no.dtype).clamp(min=FLOOR)
        log_q = log_q_no.clamp(min=FLOOR)
        q = log_q.exp()
        nats, by_q = _nats(log_p, log_q.clone(), how)
        # It is known but for q times a constant, which changes nothing where q's sum is 1.
        ctx.save_for_backward(by_q - q * by_q.sum(1, keepdim=True))
        return nats

    @staticmethod
    def backward(ctx: Any, by_n: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        (by_q,) = ctx.saved_tensors
        return None, by_q * by_n[:, None], None


def apart_by(teacher: Teacher, divergence: Divergence, kept: torch.Tensor, classes: int) -> Apart:
    """Return what holds the positions kept against a teacher, a block of logits at a time.

    It is given logits that were divided by the temperature, and returns the divergence of each,
    with its gradient by them in their place.

    Raises:
        ValueError: if a class is foreign, or if only samples of the teacher are there for a
            divergence that is not linear in it.
    """
    if isinstance(teacher, FullTeacher):
        if len(teacher.head_ve) != classes:
            msg = f"the teacher's head has {len(teacher.head_ve)} classes, the student's {classes}"
            raise ValueError(msg)
        states = teacher.hidden_ne.detach()[kept]
        bias = None if teacher.bias_v is None else teacher.bias_v.detach()
        return _Full(FullTeacher(states, teacher.head_ve.detach(), bias), divergence)
    ids = classes_of(teacher.ids_nk[kept], classes, "a class of the teacher")
    if isinstance(teacher, TopTeacher):
        return _Top(ids, teacher.logprobs_nk[kept], divergence)
    if divergence.kind != "forward":
        msg = (
            f"{divergence.kind} is not linear in the teacher's probabilities, so samples of them "
            "give a biased one: say forward, or keep the likeliest classes instead"
        )
        raise ValueError(msg)
    entropy = None if teacher.entropy_n is None else teacher.entropy_n[kept]
    return _Sampled(ids, teacher.shares_nk[kept], entropy)


def classes_of(ids: torch.Tensor, classes: int, what: str) -> torch.Tensor:
    """Return ids as int64, all of them classes of the head."""
    ids = ids.long()
    foreign = ids[(ids < 0) | (ids >= classes)]
    if len(foreign):
        msg = f"{what} is {int(foreign[0])}, and the head has {classes} classes: tokenizers differ"
        raise ValueError(msg)
    return ids


def logits_of(
    states_rd: torch.Tensor, head_vd: torch.Tensor, bias_v: torch.Tensor | None
) -> torch.Tensor:
    """Return a block's logits, in float32 at least."""
    z = (states_rd @ head_vd.T).to(exact_of(states_rd))
    return z if bias_v is None else z.add_(bias_v)


def exact_of(tensor: torch.Tensor) -> torch.dtype:
    """Return what sums and softmax are computed in: float32, or float64 where that came in."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32
