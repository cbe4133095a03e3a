"""Losses on a student's own samples: equal to float64 references, and unbiased where sampled."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_losses import whole_divergence

from mashbill.train.divergences import Kind
from mashbill.train.losses import Divergence, FullTeacher, TopTeacher, linear_divergence
from mashbill.train.on_policy_losses import (
    Taught,
    averaged,
    exact,
    is_scored,
    sampled_reverse,
)

KINDS = get_args(Kind)
SEEDS = st.integers(0, 2**16)


def drawn(seed: int, *shape: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double) * scale


def student(seed: int, n: int = 4, d: int = 3, v: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """States and head, differentiable, float64."""
    hidden, head = drawn(seed, n, d), drawn(seed + 1, v, d)
    return hidden.requires_grad_(), head.requires_grad_()


def teacher(seed: int, n: int = 4, e: int = 5, v: int = 6) -> FullTeacher:
    return FullTeacher(drawn(seed + 2, n, e), drawn(seed + 3, v, e), drawn(seed + 4, v))


def logprobs(hidden: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(hidden @ head.T, 1)


def of_teacher(given: FullTeacher) -> torch.Tensor:
    assert given.bias_v is not None
    return torch.log_softmax(given.hidden_ne @ given.head_ve.T + given.bias_v, 1)


def gradients(total: torch.Tensor, *leaves: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(total, leaves))


def expected(
    hidden: torch.Tensor, head: torch.Tensor, log_p: torch.Tensor, log_m: torch.Tensor,
    weights: torch.Tensor, **more: float,
) -> tuple[float, list[torch.Tensor]]:  # fmt: skip
    """Return mean value and mean gradients of the estimate over all tokens that may be sampled."""
    value, sums = 0.0, [torch.zeros_like(hidden), torch.zeros_like(head)]
    for token in range(len(head)):
        at = torch.full((len(hidden),), token)
        chance = log_m[:, token].exp()
        # One position at a time is weighed by how likely its token is: the weights are linear.
        total, _ = sampled_reverse(
            hidden, head, at, log_p[:, token], log_m[:, token], weights * chance, **more
        )
        value += float(total.detach())
        sums = [a + b for a, b in zip(sums, gradients(total, hidden, head), strict=True)]
    return value, sums


@law(60)
@given(SEEDS, st.floats(0.0, 2.0))
def test_the_mean_of_the_estimate_is_the_reverse_kl_in_value_and_in_gradient(seed, moved):
    hidden, head = student(seed)
    given_by = teacher(seed)
    weights = drawn(seed + 5, 4).abs()
    # What it sampled by is another distribution: weights moved on, and a temperature.
    log_m = torch.log_softmax(logprobs(hidden, head).detach() / 1.3 + moved * drawn(seed, 4, 6), 1)
    value, sums = expected(hidden, head, of_teacher(given_by), log_m, weights)
    whole, _ = linear_divergence(hidden, head, given_by, weights, Divergence("reverse"))
    assert value == pytest.approx(float(whole.detach()), abs=1e-9)
    for ours, theirs in zip(sums, gradients(whole, hidden, head), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)


def test_without_the_ratio_a_temperature_in_sampling_would_bias_it():
    hidden, head = student(7)
    given_by = teacher(7)
    ones = torch.ones(4, dtype=torch.double)
    log_m = torch.log_softmax(logprobs(hidden, head).detach() / 2, 1)
    _, ours = expected(hidden, head, of_teacher(given_by), log_m, ones)
    _, cut = expected(hidden, head, of_teacher(given_by), log_m, ones, most_ratio=0.5)
    whole, _ = linear_divergence(hidden, head, given_by, ones, Divergence("reverse"))
    true = gradients(whole, hidden, head)
    assert torch.allclose(ours[0], true[0], atol=1e-9)
    assert not torch.allclose(cut[0], true[0], atol=1e-2)  # which is why none is cut by default


@law(60)
@given(SEEDS, st.sampled_from(KINDS), st.floats(0.3, 3.0), st.floats(0.01, 0.99))
def test_exact_losses_of_several_teachers_are_those_written_out(seed, kind, softening, part):
    hidden, head = student(seed)
    how = Divergence(kind, skew=part, beta=part, temperature=softening)
    teachers = [teacher(seed), teacher(seed + 10, e=2)]
    weights = [drawn(seed + 20 + i, 4).clamp(min=0) for i in range(2)]
    taught = [Taught(*each) for each in zip(teachers, weights, strict=True)]
    total, parts = exact(hidden, head, taught, how, tile=7)
    z = hidden @ head.T
    by_each = [
        (w * whole_divergence(z, t, how)).sum() for t, w in zip(teachers, weights, strict=True)
    ]
    assert parts == pytest.approx([float(each.detach()) for each in by_each], abs=1e-9)
    whole = by_each[0] + by_each[1]
    assert float(total.detach()) == pytest.approx(float(whole.detach()), abs=1e-9)
    if not any(bool((each > 0).any()) for each in weights):
        return
    for ours, theirs in zip(
        gradients(total, hidden, head), gradients(whole, hidden, head), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-8)


@law(40)
@given(SEEDS, st.integers(0, 4), st.booleans())
def test_splitting_a_step_into_micro_batches_changes_nothing(seed, at, is_exact):
    hidden, head = student(seed)
    given_by = teacher(seed)
    weights = drawn(seed + 5, 4).clamp(min=0)
    tokens = torch.randint(6, (4,), generator=torch.Generator().manual_seed(seed))
    log_p = of_teacher(given_by).gather(1, tokens[:, None])[:, 0]
    log_m = logprobs(hidden, head).detach().gather(1, tokens[:, None])[:, 0] - 0.1

    def loss(rows):
        if is_exact:
            own = FullTeacher(given_by.hidden_ne[rows], given_by.head_ve, given_by.bias_v)
            return exact(hidden[rows], head, [Taught(own, weights[rows])], Divergence("jsd"))[0]
        return sampled_reverse(
            hidden[rows], head, tokens[rows], log_p[rows], log_m[rows], weights[rows]
        )[0]

    whole, pieces = loss(slice(None)), loss(slice(at)) + loss(slice(at, None))
    assert float(whole.detach()) == pytest.approx(float(pieces.detach()), abs=1e-12)
    for ours, theirs in zip(
        gradients(pieces, hidden, head), gradients(whole, hidden, head), strict=True
    ):
        assert torch.allclose(ours, theirs, atol=1e-12)


@law(30)
@given(SEEDS, st.lists(st.sampled_from([float("nan"), -np.inf, -9999.0, -20_000.0, 0.0, -1.0]),
                       min_size=4, max_size=4))  # fmt: skip
def test_a_token_without_a_log_probability_is_in_no_sum_and_in_no_gradient(seed, given_by):
    """TRL's #5594: -inf in place of one gave a finite loss, and a gradient of NaN."""
    hidden, head = student(seed)
    log_p = torch.tensor(given_by, dtype=torch.double)
    log_m = torch.tensor([-1.0, -2.0, -np.inf, -0.5], dtype=torch.double)
    counts = is_scored(log_p.numpy(), log_m.numpy())
    assert counts.tolist() == [
        at != 2 and value in (0.0, -1.0) for at, value in enumerate(given_by)
    ]
    weights = torch.from_numpy(counts).double()
    tokens = torch.zeros(4, dtype=torch.long)
    total, ratios = sampled_reverse(hidden, head, tokens, log_p, log_m, weights)
    assert ratios.count == counts.sum()
    by_states, by_head = gradients(total, hidden, head)
    assert torch.isfinite(total).all()
    assert torch.isfinite(by_states).all()
    assert torch.isfinite(by_head).all()
    assert not by_states[torch.from_numpy(~counts)].any()
    rows = torch.from_numpy(counts)
    alone, _ = sampled_reverse(
        hidden[rows], head, tokens[rows], log_p[rows], log_m[rows], weights[rows]
    )
    assert float(alone.detach()) == pytest.approx(float(total.detach()), abs=1e-12)


def test_what_counts_and_is_no_number_is_refused():
    hidden, head = student(3)
    fine = torch.full((4,), -1.0, dtype=torch.double)
    ones, tokens = torch.ones(4, dtype=torch.double), torch.zeros(4, dtype=torch.long)
    for value in (float("nan"), -np.inf, 0.5):
        bad = fine.clone()
        bad[1] = value
        with pytest.raises(ValueError, match="by the teacher is no number"):
            sampled_reverse(hidden, head, tokens, bad, fine, ones)
        with pytest.raises(ValueError, match="by the student as it sampled is no number"):
            sampled_reverse(hidden, head, tokens, fine, bad, ones)
    with pytest.raises(ValueError, match="tokenizers differ"):
        sampled_reverse(hidden, head, tokens + 6, fine, fine, ones)


def test_a_teacher_that_is_the_student_teaches_nothing_token_by_token():
    hidden, head = student(11)
    tokens = torch.tensor([0, 3, 5, 2])
    own = logprobs(hidden, head).detach().gather(1, tokens[:, None])[:, 0]
    total, ratios = sampled_reverse(
        hidden, head, tokens, own, own, torch.ones(4, dtype=torch.double)
    )
    assert abs(float(total.detach())) < 1e-12
    assert ratios.total == pytest.approx(4)
    assert ratios.largest == pytest.approx(1)
    assert gradients(total, hidden)[0].abs().max() < 1e-12


def test_a_student_far_from_what_it_sampled_by_gives_finite_sums():
    hidden = torch.tensor([[1.0]], requires_grad=True)
    head = torch.tensor([[50.0], [-50.0]], requires_grad=True)
    total, ratios = sampled_reverse(
        hidden, head, torch.tensor([0]), torch.tensor([-1.0]), torch.tensor([-500.0]),
        torch.ones(1),
    )  # fmt: skip
    assert torch.isfinite(total)
    assert ratios.largest == pytest.approx(np.exp(30.0), rel=1e-5)
    assert torch.isfinite(gradients(total, head)[0]).all()


def test_a_divergence_of_likely_tokens_as_an_advantage_teaches_nothing_and_ours_does():
    """miles#2362: it does not depend on the token that was sampled, so its mean gradient is 0."""
    hidden, head = student(5)
    given_by = teacher(5)
    log_q, log_p = logprobs(hidden, head), of_teacher(given_by)
    top = log_p.topk(3, 1).indices
    apart = (log_q.exp() * (log_q - log_p)).gather(1, top).sum(1).detach()
    theirs = sum(
        (log_q[:, y].exp().detach() * apart * log_q[:, y]).sum() for y in range(6)
    )  # mean over the token sampled of advantage times log-probability
    assert gradients(theirs, hidden)[0].abs().max() < 1e-12
    _, ours = expected(hidden, head, log_p, log_q.detach(), torch.ones(4, dtype=torch.double))
    assert ours[0].abs().max() > 1e-2


@law(40)
@given(SEEDS, st.integers(1, 5))
def test_likely_tokens_alone_are_no_divergence_and_with_the_rest_they_are(seed, k):
    """verl#7856 and Rethinking-OPD#15: cut off it may fall below 0, and k = 1 renormalised is 0."""
    hidden, head = student(seed)
    log_p = of_teacher(teacher(seed))
    kept, ids = log_p.topk(k, 1)
    ones = torch.ones(4, dtype=torch.double)
    total, _ = linear_divergence(hidden, head, TopTeacher(ids, kept), ones, Divergence("reverse"))
    whole = (logprobs(hidden, head).exp() * (logprobs(hidden, head) - log_p)).sum()
    assert 0 <= float(total.detach()) <= float(whole.detach()) + 1e-9
    if k == 1:
        assert float(total.detach()) > 0


def test_jsd_is_no_interpolation_and_its_ends_are_refused():
    """TRL's #3043: it vanishes towards both ends, where one would think to have a KL."""
    hidden, head = student(9)
    taught = [Taught(teacher(9), torch.ones(4, dtype=torch.double))]
    for kind, beta, scale in (("forward", 1e-6, 1e-6), ("reverse", 1 - 1e-6, 1e-6)):
        kl, _ = exact(hidden, head, taught, Divergence(kind))
        near, _ = exact(hidden, head, taught, Divergence("jsd", beta=beta))
        assert float(near.detach()) < 1e-4 * float(kl.detach())
        by_kl, by_jsd = gradients(kl, hidden)[0], gradients(near, hidden)[0]
        assert torch.allclose(by_jsd / scale, by_kl, rtol=1e-2)
    for beta in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"forward \(0\) or reverse \(1\)"):
            Divergence("jsd", beta=beta)


@law(40)
@given(SEEDS, st.floats(0, 1), st.sampled_from(KINDS))
def test_averaged_logits_are_the_logits_of_the_mean(seed, share, kind):
    hidden, head = student(seed)
    one, other = teacher(seed), teacher(seed + 10, e=2)
    both = averaged([one, other], [share, 1 - share])
    assert both.bias_v is not None
    assert one.bias_v is not None
    assert other.bias_v is not None
    found = both.hidden_ne @ both.head_ve.T + both.bias_v
    means = share * (one.hidden_ne @ one.head_ve.T + one.bias_v) + (1 - share) * (
        other.hidden_ne @ other.head_ve.T + other.bias_v
    )
    assert torch.allclose(found, means)
    ones = torch.ones(4, dtype=torch.double)
    how = Divergence(kind)
    total, _ = exact(hidden, head, [Taught(both, ones)], how)
    z = hidden @ head.T
    plain = FullTeacher(means, torch.eye(6, dtype=torch.double))
    assert float(total.detach()) == pytest.approx(
        float(whole_divergence(z, plain, how).sum().detach()), abs=1e-9
    )


def test_teachers_with_other_classes_have_no_mean():
    with pytest.raises(ValueError, match="have no mean"):
        averaged([teacher(0), teacher(0, v=7)], [0.5, 0.5])


def test_rows_of_a_head_that_are_no_token_are_learned_to_be_nothing():
    hidden, head = student(13, v=8)
    given_by = teacher(13)
    tokens = torch.tensor([0, 3, 5, 2])
    log_m = torch.log_softmax(hidden.detach() @ head.detach()[:6].T, 1)
    own = log_m.gather(1, tokens[:, None])[:, 0]
    log_p = of_teacher(given_by).gather(1, tokens[:, None])[:, 0]
    ones = torch.ones(4, dtype=torch.double)
    total, _ = sampled_reverse(hidden, head, tokens, log_p, own, ones, classes=6)
    lost = -torch.log_softmax(hidden @ head.T, 1)[:, :6].logsumexp(1)
    assert float(total.detach()) == pytest.approx(float((own - log_p + lost).sum().detach()))
    leaves = gradients(total, hidden, head)
    true = (
        (own - log_p) * logprobs(hidden, head[:6]).gather(1, tokens[:, None])[:, 0] + lost
    ).sum()
    for ours, theirs in zip(leaves, gradients(true, hidden, head), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-9)
