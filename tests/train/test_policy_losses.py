"""Losses by advantages, held to plain ones in float64; and divided by counts of a whole step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.train.policy_losses import Clip, PolicyLoss, linear_policy, token_weights

NORMALISE = ("constant", "token", "sequence")
MOST = 7


def plain_weights(tokens, which, normalise):
    chosen = [n for n, yes in zip(tokens, which, strict=True) if yes]
    found = []
    for n, yes in zip(tokens, which, strict=True):
        if not yes or not n:
            found.append(0.0)
        elif normalise == "constant":
            found.append(1 / (len(chosen) * MOST))
        elif normalise == "token":
            found.append(1 / sum(chosen))
        else:
            found.append(1 / (sum(1 for each in chosen if each) * n))
    return found


def plain_loss(logprobs, sampled, advantages, weights, clip, kl, base, of_kl):
    """Return the loss of tokens, with torch's own gradient."""
    ratio = (logprobs - sampled).exp()
    bounded = ratio.clamp(1 - clip.low, 1 + clip.high)
    loss = -(weights * torch.minimum(ratio * advantages, bounded * advantages)).sum()
    if kl:
        apart = base - logprobs
        loss = loss + kl * (of_kl * (apart.exp() - apart - 1)).sum()
    return loss


CASES = st.lists(
    st.tuples(st.integers(1, MOST), st.floats(-2, 2), st.booleans(), st.booleans()),
    min_size=1, max_size=6,
)  # fmt: skip


class Step:
    """Attempts of a step with states of their own, in float64."""

    def __init__(self, cases, normalise, kl, clip, seed):
        random = torch.Generator().manual_seed(seed)
        self.tokens = np.array([n for n, *_ in cases])
        self.kept = np.array([kept for *_, kept in cases])
        self.counted = np.array([counts for _, _, counts, _ in cases]) & self.kept
        self.advantages = np.where(self.counted, [a for _, a, *_ in cases], 0.0)
        self.weights = token_weights(self.tokens, self.counted, self.kept, normalise, MOST)
        total = int(self.tokens.sum())
        self.owner = np.repeat(np.arange(len(cases)), self.tokens)
        self.hidden = torch.randn(total, 5, generator=random, dtype=torch.double)
        self.head = torch.randn(11, 5, generator=random, dtype=torch.double)
        self.targets = torch.randint(0, 11, (total,), generator=random)
        at = torch.log_softmax(self.hidden @ self.head.T, 1).gather(1, self.targets[:, None])[:, 0]
        self.sampled = at + 0.3 * torch.randn(total, generator=random, dtype=torch.double)
        self.base = at + 0.5 * torch.randn(total, generator=random, dtype=torch.double)
        self.kl, self.clip = kl, clip

    def per_token(self, values):
        return torch.from_numpy(np.asarray(values, float)[self.owner])

    def ours(self, attempts, hidden, head, tile=2**23):
        """Return the loss of some of the attempts."""
        which = torch.from_numpy(np.flatnonzero(np.isin(self.owner, attempts)))
        loss = PolicyLoss(
            self.sampled[which], self.per_token(self.advantages)[which],
            self.per_token(self.weights.reward_n)[which], self.clip, kl=self.kl,
            base_t=self.base[which] if self.kl else None,
            divergence_t=self.per_token(self.weights.divergence_n)[which],
        )  # fmt: skip
        return linear_policy(hidden[which], head, self.targets[which], loss, tile=tile)

    def plain(self, hidden, head, normalise):
        reward = plain_weights(self.tokens.tolist(), self.counted.tolist(), normalise)
        of_kl = plain_weights(self.tokens.tolist(), self.kept.tolist(), normalise)
        at = torch.log_softmax(hidden @ head.T, 1).gather(1, self.targets[:, None])[:, 0]
        return plain_loss(
            at, self.sampled, self.per_token(self.advantages), self.per_token(reward), self.clip,
            self.kl, self.base, self.per_token(of_kl),
        )  # fmt: skip


def gradients(loss, *leaves):
    return torch.autograd.grad(loss, leaves)


@given(
    CASES, st.sampled_from(NORMALISE), st.sampled_from([0.0, 0.05]),
    st.sampled_from([(0.2, 0.2), (0.2, 0.28), (0.01, 0.01)]), st.integers(0, 999),
)  # fmt: skip
@law(60)
def test_loss_and_gradients_are_those_of_a_plain_one(cases, normalise, kl, bounds, seed):
    step = Step(cases, normalise, kl, Clip(*bounds), seed)
    hidden, head = step.hidden.clone().requires_grad_(), step.head.clone().requires_grad_()
    plain = step.plain(hidden, head, normalise)
    wanted = gradients(plain, hidden, head)
    total, parts = step.ours(range(len(cases)), hidden, head, tile=23)
    assert total.item() == pytest.approx(plain.item(), abs=1e-9)
    assert (parts[0] + kl * parts[1]).item() == pytest.approx(plain.item(), abs=1e-9)
    for ours, own in zip(gradients(total, hidden, head), wanted, strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-7, atol=1e-9)


@given(
    CASES, st.sampled_from(NORMALISE), st.sampled_from([0.0, 0.05]), st.integers(0, 999),
    st.lists(st.integers(0, 2), min_size=6, max_size=6),
)  # fmt: skip
@law(40)
def test_how_a_step_is_split_changes_nothing(cases, normalise, kl, seed, owners):
    """trl 4719, and each trainer that divides by what a micro-batch has."""
    step = Step(cases, normalise, kl, Clip(0.2, 0.2), seed)
    hidden, head = step.hidden.clone().requires_grad_(), step.head.clone().requires_grad_()
    whole, _ = step.ours(range(len(cases)), hidden, head)
    wanted = gradients(whole, hidden, head)
    parts = [[n for n in range(len(cases)) if owners[n] == part] for part in range(3)]
    split = [step.ours(part, hidden, head)[0] for part in parts if part]
    assert sum(each.item() for each in split) == pytest.approx(whole.item(), abs=1e-10)
    sums = [torch.zeros_like(each) for each in wanted]
    for each in split:
        sums = [a + b for a, b in zip(sums, gradients(each, hidden, head), strict=True)]
    for ours, own in zip(sums, wanted, strict=True):
        torch.testing.assert_close(ours, own, rtol=1e-8, atol=1e-10)


@given(CASES, st.sampled_from(NORMALISE), st.integers(1, MOST), st.integers(0, 999))
@law(40)
def test_an_attempt_that_is_left_out_counts_in_no_denominator(cases, normalise, more, seed):
    """trl 6369: tokens of truncated attempts stood in the denominator (sum / 30, not / 25)."""
    step = Step(cases, normalise, 0.05, Clip(0.2, 0.2), seed)
    beside = token_weights(
        np.append(step.tokens, more), np.append(step.counted, [False]),
        np.append(step.kept, [False]), normalise, MOST,
    )  # fmt: skip
    for found, own in (
        (beside.reward_n, step.weights.reward_n),
        (beside.divergence_n, step.weights.divergence_n),
    ):
        assert found[-1] == 0
        np.testing.assert_array_equal(found[:-1], own)


def test_the_denominator_of_trl_6369():
    """25 tokens in attempts that count and 5 in one that was cut off: a token counts 1 / 25."""
    weights = token_weights(
        np.array([12, 13, 5]), np.array([True, True, False]), np.array([True, True, False]),
        "token", 16,
    )  # fmt: skip
    assert weights.reward_n.tolist() == [1 / 25, 1 / 25, 0]


@pytest.mark.parametrize("normalise", NORMALISE)
@pytest.mark.parametrize("tokens", [[], [0, 0], [3, 2]])
def test_nothing_that_counts_is_no_error_and_no_nan(normalise, tokens):
    """trl 3382 and 6548: truncation left nothing, and the loss was 0 / 0."""
    none = np.zeros(len(tokens), bool)
    weights = token_weights(np.array(tokens, int), none, none, normalise, MOST)
    assert weights.reward_n.tolist() == weights.divergence_n.tolist() == [0] * len(tokens)
    empty = torch.zeros(0, dtype=torch.double)
    loss = PolicyLoss(empty, empty, empty, Clip(0.2, 0.2))
    states = torch.zeros(0, 5, requires_grad=True)
    total, _ = linear_policy(states, torch.ones(7, 5), torch.zeros(0, dtype=torch.long), loss)
    total.backward()
    assert total.item() == 0
    assert states.grad.shape == (0, 5)


def expected(logits, advantages, temperature=1.0):
    """Return the exact gradient of expected reward with respect to logits, by autograd."""
    z = logits.clone().requires_grad_()
    ((torch.softmax(z / temperature, 0) * advantages).sum()).backward()
    return z.grad


def test_its_gradient_is_that_of_expected_reward():
    """It depends on the token that was drawn: miles 2362, Rethinking-OPD 15 had an expected 0."""
    torch.manual_seed(1)
    logits, paid = torch.randn(6, dtype=torch.double), torch.rand(6, dtype=torch.double)
    q = torch.softmax(logits, 0)
    head = torch.eye(6, dtype=torch.double)
    total = torch.zeros(6, dtype=torch.double)
    for token in range(6):  # each token as often as it is drawn
        hidden = logits[None].clone().requires_grad_()
        loss = PolicyLoss(q.log()[[token]], paid[[token]], torch.ones(1), Clip(0.2, 0.2))
        made, _ = linear_policy(hidden, head, torch.tensor([token]), loss)
        total += q[token] * gradients(made, hidden)[0][0]
    torch.testing.assert_close(total, -expected(logits, paid), rtol=1e-6, atol=1e-8)
    assert total.abs().max() > 1e-2


def test_the_divergence_is_unbiased_and_never_below_nothing():
    """verl 7856: a divergence that was cut at 0 from below was so in 89 % of steps."""
    torch.manual_seed(2)
    student = torch.log_softmax(torch.randn(9, dtype=torch.double), 0)
    base = torch.log_softmax(torch.randn(9, dtype=torch.double), 0)
    loss = PolicyLoss(
        student, torch.zeros(9), torch.zeros(9), Clip(0.2, 0.2), kl=1.0, base_t=base,
        divergence_t=torch.ones(9),
    )  # fmt: skip
    parts, slope = loss(student, slice(None))
    assert (parts[1] >= 0).all()
    exact = (student.exp() * (student - base)).sum()
    assert (student.exp() * parts[1]).sum().item() == pytest.approx(exact.item(), abs=1e-12)
    assert torch.allclose(slope, 1 - (base - student).exp())


@pytest.mark.parametrize("apart", [-400.0, -20.5, 20.5, 90.0, 1e30])
def test_what_lies_far_apart_stays_finite_and_points_back(apart):
    base = torch.tensor([apart - 3.0], dtype=torch.double)
    loss = PolicyLoss(
        torch.tensor([-3.0 - min(apart, 700.0)]), torch.tensor([-1.0]), torch.ones(1),
        Clip(0.2, 0.2), kl=1.0, base_t=base, divergence_t=torch.ones(1),
    )  # fmt: skip
    parts, _ = loss(torch.tensor([-3.0]), slice(None))
    assert torch.isfinite(parts).all()
    only = PolicyLoss(
        torch.tensor([-3.0]), torch.zeros(1), torch.zeros(1), Clip(0.2, 0.2), kl=1.0,
        base_t=base, divergence_t=torch.ones(1),
    )  # fmt: skip
    slope = only(torch.tensor([-3.0]), slice(None))[1]
    assert math.copysign(1, slope.item()) == -math.copysign(1, apart)


@pytest.mark.parametrize(
    ("advantage", "ratio", "free"),
    [(1, 1.1, True), (1, 1.3, False), (1, 0.5, True), (-1, 0.9, True), (-1, 0.7, False),
     (-1, 1.5, True), (1, 1.25, False), (-1, 0.75, False)],
)  # fmt: skip
def test_a_token_that_went_far_in_its_direction_gets_no_gradient(advantage, ratio, free):
    loss = PolicyLoss(
        torch.zeros(1), torch.tensor([float(advantage)]), torch.ones(1), Clip(0.2, 0.2)
    )
    parts, slope = loss(torch.tensor([math.log(ratio)]), slice(None))
    assert (slope.item() != 0) == free
    assert parts[2].item() == (not free)
    assert parts[3].item() == pytest.approx(abs(math.log(ratio)), abs=1e-6)


def test_a_divergence_needs_the_base():
    with pytest.raises(ValueError, match="needs the base"):
        PolicyLoss(torch.zeros(1), torch.zeros(1), torch.ones(1), Clip(0.2, 0.2), kl=0.1)
