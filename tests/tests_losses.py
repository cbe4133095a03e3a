"""Losses written out in float64 with whole logits: what those by blocks are held against."""

from __future__ import annotations

import torch
from torch.nn import functional

from mashbill.train.losses import Divergence, FullTeacher, SampledTeacher, Teacher, TopTeacher


def outcomes(
    z_nv: torch.Tensor, teacher: Teacher, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-probabilities of teacher and student over the outcomes that are compared."""
    log_q = torch.log_softmax(z_nv / temperature, 1)
    if isinstance(teacher, FullTeacher):
        z = teacher.hidden_ne.double() @ teacher.head_ve.double().T
        z = z if teacher.bias_v is None else z + teacher.bias_v.double()
        return torch.log_softmax(z / temperature, 1), log_q
    assert isinstance(teacher, TopTeacher)
    listed = log_q.gather(1, teacher.ids_nk)
    of_others = torch.ones_like(log_q).scatter(1, teacher.ids_nk, 0)
    others = torch.logsumexp(log_q.masked_fill(of_others == 0, -torch.inf), 1, keepdim=True)
    p = teacher.logprobs_nk.double().exp()
    p = torch.cat([p, 1 - p.sum(1, keepdim=True)], 1)
    return p.log(), torch.cat([listed, others], 1)


def whole_divergence(z_nv: torch.Tensor, teacher: Teacher, how: Divergence) -> torch.Tensor:
    """Return the divergence of each position, float64, shape (n,)."""
    if isinstance(teacher, SampledTeacher):
        log_q = torch.log_softmax(z_nv / how.temperature, 1)
        nats = -(teacher.shares_nk.double() * log_q.gather(1, teacher.ids_nk)).sum(1)
        return nats * how.temperature**2
    log_p, log_q = outcomes(z_nv, teacher, how.temperature)
    p, q = log_p.exp(), log_q.exp()
    a, b = how.skew, how.beta
    if how.kind == "forward":
        apart = (p * (log_p - log_q)).sum(1)
    elif how.kind == "reverse":
        apart = (q * (log_q - log_p)).sum(1)
    elif how.kind == "skewed":
        apart = (p * (log_p - (a * p + (1 - a) * q).log())).sum(1)
    elif how.kind == "skewed-reverse":
        apart = (q * (log_q - (a * q + (1 - a) * p).log())).sum(1)
    elif how.kind == "jsd":
        log_m = (b * p + (1 - b) * q).log()
        apart = b * (p * (log_p - log_m)).sum(1) + (1 - b) * (q * (log_q - log_m)).sum(1)
    else:
        apart = (p - q).abs().sum(1) / 2
    return apart * how.temperature**2


def whole_cross_entropy(z_nv: torch.Tensor, targets_n: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each position, float64, shape (n,)."""
    return functional.cross_entropy(z_nv, targets_n, reduction="none")
