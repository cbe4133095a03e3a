"""Losses across tokenizers against float64 references that are written out, gradients too."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_losses import whole_divergence

from mashbill.train.cross_losses import (
    chunk_nats,
    group_sums,
    is_told,
    outcome_logprobs,
    score_function,
    sorted_distance,
    token_logprobs,
)
from mashbill.train.divergences import Kind, divergence_of
from mashbill.train.losses import Divergence, FullTeacher

KINDS = get_args(Kind)
SEEDS = st.integers(0, 2**16)
WARMTH = st.sampled_from([0.5, 1.0, 3.0])


def drawn(seed, *shape, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double) * scale


def student(seed, n=5, d=3, v=7):
    """States, head and bias, differentiable, float64."""
    return [
        drawn(seed + k, *shape).requires_grad_() for k, shape in enumerate(((n, d), (v, d), (v,)))
    ]


def gradients(nats, of):
    return torch.autograd.grad(
        nats.sum(), of, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def close(found, expected, tolerance=1e-9):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def coarse(logprobs, outcome_v, outcomes):
    """Log-probabilities of outcomes, by sums of probabilities."""
    sums = [logprobs[:, outcome_v == o].exp().sum(1) for o in range(outcomes)]
    return torch.stack(sums, 1).log()


def apart(log_p, log_q, how):
    """A divergence over outcomes, by the reference: log-probabilities are logits, too."""
    teacher = FullTeacher(log_p, torch.eye(log_p.shape[1], dtype=torch.double))
    plain = Divergence(how.kind, how.skew, how.beta)
    return whole_divergence(log_q, teacher, plain) * how.temperature**2


@law(40)
@given(seed=SEEDS, t=WARMTH, tile=st.sampled_from([1, 14, 10_000]))
def test_log_probabilities_of_tokens_are_those_of_the_softmax(seed, t, tile):
    own = student(seed)
    targets = torch.randint(0, 7, (5,), generator=torch.Generator().manual_seed(seed))
    found = token_logprobs(own[0], own[1], targets, temperature=t, bias_v=own[2], tile=tile)
    z = (own[0] @ own[1].T + own[2]) / t
    expected = torch.log_softmax(z, 1)[torch.arange(5), targets]
    close([found], [expected])
    close(gradients(found, own), gradients(expected, own))


@law(60)
@given(seed=SEEDS, t=WARMTH, kind=st.sampled_from(KINDS), tile=st.sampled_from([1, 14, 10_000]))
def test_outcomes_are_sums_over_tokens_and_nothing_is_renormalised(seed, t, kind, tile):
    own, theirs = student(seed), drawn(seed + 9, 5, 9)
    random = torch.Generator().manual_seed(seed)
    maps = [torch.randint(0, 4, (size,), generator=random) for size in (7, 9)]
    for each in maps:
        each[:4] = torch.arange(4)  # each outcome has a token on either side
    found = outcome_logprobs(own[0], own[1], maps[0], 4, temperature=t, bias_v=own[2], tile=tile)
    log_q = coarse(torch.log_softmax((own[0] @ own[1].T + own[2]) / t, 1), maps[0], 4)
    close([found, found.exp().sum(1)], [log_q, torch.ones(5, dtype=torch.double)])
    log_p = coarse(torch.log_softmax(theirs / t, 1), maps[1], 4)
    how = Divergence(kind, 0.3, 0.4, t)
    nats, expected = divergence_of(log_p, found, how), apart(log_p, log_q, how)
    close([nats], [expected])
    if kind != "tv" or float((log_p.exp() - log_q.detach().exp()).abs().min()) > 1e-6:
        close(gradients(nats, own), gradients(expected, own), 1e-7)


def test_an_outcome_that_no_token_has_is_nothing_and_has_no_gradient():
    own = student(3)
    found = outcome_logprobs(*own[:2], torch.tensor([0, 0, 0, 2, 2, 2, 2]), 4)
    assert (found[:, [1, 3]] < -1000).all()
    log_p = coarse(torch.log_softmax(drawn(5, 5, 4), 1), torch.arange(4), 4)
    for kind in KINDS:
        nats = divergence_of(log_p, found, Divergence(kind))
        assert torch.isfinite(nats).all()
        assert all(
            torch.isfinite(each).all()
            for each in gradients(divergence_of(log_p, found, Divergence(kind)), own[:2])
        )


@law(60)
@given(seed=SEEDS, t=WARMTH, kind=st.sampled_from(KINDS))
def test_chunks_are_held_against_each_other_over_two_outcomes(seed, t, kind):
    own = student(seed)
    targets = torch.tensor([1, 0, 3, 2, 6])
    group = torch.tensor([0, 0, 1, 2, 2])
    log_q = token_logprobs(*own[:2], targets, temperature=t, bias_v=own[2])
    ours = group_sums(log_q, group, 3)
    theirs = -drawn(seed + 5, 3).abs() - 0.05
    how = Divergence(kind, 0.3, 0.4, t)
    found = chunk_nats(theirs, ours, how)

    def both(logprobs):
        return torch.stack([logprobs, (1 - logprobs.exp()).log()], 1)

    z = torch.log_softmax((own[0] @ own[1].T + own[2]) / t, 1)[torch.arange(5), targets]
    sums = torch.stack([z[:2].sum(), z[2], z[3:].sum()])
    expected = apart(both(theirs), both(sums), how)
    close([found], [expected], 1e-6)
    assert (found >= -1e-12).all()
    close(gradients(found, own), gradients(expected, own), 1e-5)


def test_a_group_that_the_student_is_sure_of_has_a_bounded_gradient():
    """In float32 nothing is left of what is not likely; by the logits the gradient is q - p."""
    z = torch.tensor([[40.0, 0.0, 0.0]], requires_grad=True)
    head = torch.eye(3)
    for kind in KINDS:
        own = token_logprobs(z, head, torch.tensor([0]))
        nats = chunk_nats(torch.tensor([-2.0]), own, Divergence(kind))
        (by,) = torch.autograd.grad(nats.sum(), z)
        assert torch.isfinite(nats).all()
        assert float(by.abs().max()) <= 2


def test_a_group_of_one_token_has_the_gradient_of_its_two_outcomes():
    z = drawn(1, 1, 4).requires_grad_()
    own = token_logprobs(z, torch.eye(4, dtype=torch.double), torch.tensor([2]))
    nats = chunk_nats(torch.tensor([-0.7]).double(), own, Divergence("forward"))
    (by,) = torch.autograd.grad(nats.sum(), z)
    assert float(by[0, 2]) == pytest.approx(float(own.detach().exp()) - math.exp(-0.7))


@law(40)
@given(seed=SEEDS)
def test_the_estimate_is_unbiased_over_all_that_can_be_sampled(seed):
    """Two tokens a group, drawn one after the other: value and gradient in the mean, exactly."""
    tables = drawn(seed, 4, 3).requires_grad_()  # the first token, and the second behind each
    theirs = torch.log_softmax(drawn(seed + 1, 9), 0)

    def logprob(first, second):
        steps = torch.log_softmax(tables, 1)
        return steps[0, first] + steps[1 + first, second]

    every = [(a, b) for a in range(3) for b in range(3)]
    ours = torch.stack([logprob(*each) for each in every])
    kl = (ours.exp() * (ours - theirs)).sum()
    weights = ours.exp().detach()
    estimate = (weights * score_function(theirs, ours)).sum()
    close([estimate], [kl])
    close(gradients(estimate, [tables]), gradients(kl, [tables]))
    # From what another sampled: weighted by how much likelier it is now.
    sampled = torch.log_softmax(drawn(seed + 2, 9), 0)
    moved = (sampled.exp() * score_function(theirs, ours, sampled)).sum()
    close([moved], [kl])
    close(gradients(moved, [tables]), gradients(kl, [tables]))


def test_what_a_teacher_did_not_score_is_in_neither_sum_nor_count():
    """PR #5594: minus infinity gave a finite loss and a gradient that is no number."""
    ours = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    theirs = torch.tensor([float("nan"), -float("inf"), -1.0])
    found = score_function(theirs, ours)
    assert found.tolist() == [0, 0, -2]
    assert is_told(theirs).tolist() == [False, False, True]
    (by,) = torch.autograd.grad(found.sum(), ours)
    assert by.tolist() == [0, 0, -2]
    assert score_function(theirs[2:], ours[2:], ours[2:].detach() - 9, most_ratio=2).tolist() == [
        -4
    ]


@law(30)
@given(seed=SEEDS, t=WARMTH, tile=st.sampled_from([1, 10_000]))
def test_sorted_probabilities_are_compared_place_by_place(seed, t, tile):
    own, theirs, head = student(seed), drawn(seed + 7, 5, 2), drawn(seed + 8, 9, 2)
    found = sorted_distance(
        (theirs, head, None), (own[0], own[1], own[2]), temperature=t, tile=tile
    )
    q = torch.softmax((own[0] @ own[1].T + own[2]) / t, 1).sort(1).values.flip(1)
    p = torch.softmax(theirs @ head.T / t, 1).sort(1).values.flip(1)
    expected = (torch.cat([q, torch.zeros(5, 2)], 1) - p).abs().sum(1)
    close([found], [expected])
    close(gradients(found, own), gradients(expected, own))


def test_sorted_probabilities_do_not_know_which_token_is_which():
    """ULD's known flaw: a teacher whose tokens are exchanged is not told from the true one."""
    own = student(1)
    theirs, head = drawn(2, 5, 3), drawn(3, 7, 3)
    other = head[torch.tensor([3, 1, 0, 6, 2, 4, 5])]
    found = [sorted_distance((theirs, each, None), (*own[:2], None)) for each in (head, other)]
    close(found[:1], found[1:])
    outcomes = torch.arange(7)
    told = [
        divergence_of(
            outcome_logprobs(theirs, each, outcomes, 7),
            outcome_logprobs(*own[:2], outcomes, 7),
            Divergence(),
        )
        for each in (head, other)
    ]
    assert float((told[0] - told[1]).abs().min().detach()) > 1e-3
