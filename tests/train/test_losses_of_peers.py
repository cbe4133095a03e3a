"""What peers' users suffered, as inputs; and TRL's own numbers, where TRL is right."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import get_args

import pytest
import torch
from tests_tables import table

from mashbill.train.divergences import Kind
from mashbill.train.losses import (
    Divergence,
    FullTeacher,
    SampledTeacher,
    TopTeacher,
    linear_cross_entropy,
    linear_divergence,
)

KINDS = get_args(Kind)
ORACLE = json.loads(Path(__file__).with_name("trl_oracle.json").read_text("utf-8"))
"""written by benchmarks/training/trl_oracle.py"""


def eye(classes: int) -> torch.Tensor:
    """Return a head under which hidden states are logits."""
    return torch.eye(classes)


def divergence(logits, teacher, how=None, weights=None, **more):
    """Return the numerator of logits that are leaves."""
    weights = torch.ones(len(logits)) if weights is None else weights
    how = how or Divergence()
    return linear_divergence(logits, eye(logits.shape[1]), teacher, weights, how, **more)[0]


def full(logits: torch.Tensor) -> FullTeacher:
    """Return the teacher that has these logits."""
    return FullTeacher(logits, eye(logits.shape[1]))


@table("case", ORACLE["cases"], ids=lambda case: f"beta {case['beta']} T {case['temperature']}")
def test_equals_trl(case) -> None:
    hidden, head = (torch.tensor(case[name], requires_grad=True) for name in ("hidden", "head"))
    teacher = FullTeacher(torch.tensor(case["teacher_hidden"]), torch.tensor(case["teacher_head"]))
    kind = {0.0: "forward", 1.0: "reverse"}.get(case["beta"], "jsd")
    beta = case["beta"] if kind == "jsd" else 0.5
    how = Divergence(kind, beta=beta, temperature=case["temperature"])
    weights = torch.tensor(case["mask"]).float()
    ours = linear_divergence(hidden, head, teacher, weights, how, tile=10)[0]
    ours.backward()
    for theirs in (case["gkd"], case["tiled"]):
        square = case["temperature"] ** 2  # which TRL leaves out
        found = (ours.detach(), hidden.grad, head.grad)
        for one, other in zip(found, theirs, strict=True):
            torch.testing.assert_close(one / square, torch.tensor(other), rtol=1e-5, atol=1e-5)


def test_a_mix_is_the_sum_of_its_parts_at_the_temperature_that_is_said() -> None:
    """TRL PR #5731: 0.5 CE + 0.5 JSD at another temperature."""
    torch.manual_seed(2)
    z, teacher, targets = torch.randn(5, 9), full(torch.randn(5, 9)), torch.arange(5)
    how = Divergence("jsd", beta=0.3, temperature=3.0)
    ones = torch.ones(5)
    apart = linear_divergence(z, eye(9), teacher, ones, how)[0]
    known = linear_cross_entropy(z, eye(9), targets, ones)
    mixed, parts = linear_divergence(
        z, eye(9), teacher, ones, how, targets_n=targets, ce_weight=0.25
    )
    torch.testing.assert_close(mixed, 0.75 * apart + 0.25 * known)
    torch.testing.assert_close(parts, torch.stack([apart, known]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_square_of_the_temperature_is_in_the_gradient(kind: Kind) -> None:
    """axolotl's kernels/liger.py multiplies what is told, after gradients were taken."""
    torch.manual_seed(3)
    z, teacher = torch.randn(4, 6), full(torch.randn(4, 6))
    told, gradients = [], []
    for temperature in (1.0, 2.0):
        leaf = (z * temperature).requires_grad_()  # the same softened distribution
        other = FullTeacher(teacher.hidden_ne * temperature, teacher.head_ve)
        loss = divergence(leaf, other, Divergence(kind, temperature=temperature))
        loss.backward()
        told.append(loss.detach())
        gradients.append(leaf.grad)
    torch.testing.assert_close(told[1], 4 * told[0])
    torch.testing.assert_close(gradients[1], 2 * gradients[0])  # T squared, and 1/T inside


def test_jsd_vanishes_towards_its_ends_and_says_so() -> None:
    """TRL PR #3043: 4.43 at beta 0, 0.0004 at 1e-4."""
    z, teacher = torch.tensor([[9.0, 0.0, 0.0]]), full(torch.tensor([[0.0, 9.0, 0.0]]))
    forward = float(divergence(z, teacher))
    assert forward > 4
    for beta in (1e-4, 1 - 1e-4):
        assert float(divergence(z, teacher, Divergence("jsd", beta=beta))) < 1e-2 * forward
    for beta in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(ValueError, match="vanishes towards 0 and 1"):
            Divergence("jsd", beta=beta)
    for skew in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="skew is"):
            Divergence("skewed", skew=skew)
    for temperature in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="temperature is"):
            Divergence(temperature=temperature)


@pytest.mark.parametrize("kind", KINDS)
def test_classes_that_are_ruled_out_spoil_no_gradient(kind: Kind) -> None:
    """TRL PR #5594: -inf padding, finite loss, gradient not a number."""
    ruled_out = -torch.inf
    for student, teacher in (
        ([1.0, 2.0, ruled_out], [2.0, 1.0, ruled_out]),
        ([1.0, 2.0, 3.0], [2.0, 1.0, ruled_out]),
        ([1.0, 2.0, ruled_out], [2.0, 1.0, 3.0]),
    ):
        bias = torch.tensor(student, requires_grad=True)
        hidden = torch.zeros(1, 2, requires_grad=True)
        teacher_bias = torch.tensor(teacher)
        given = FullTeacher(torch.zeros(1, 2), torch.zeros(3, 2), teacher_bias)
        loss = linear_divergence(
            hidden, torch.zeros(3, 2), given, torch.ones(1), Divergence(kind), bias_v=bias
        )[0]
        loss.backward()
        assert bool(torch.isfinite(loss))
        assert bias.grad is not None
        assert bool(torch.isfinite(bias.grad).all())


def test_reverse_kl_pushes_out_of_what_the_teacher_rules_out() -> None:
    bias = torch.tensor([0.0, 0.0, 3.0], requires_grad=True)
    teacher = FullTeacher(
        torch.zeros(1, 1), torch.zeros(3, 1), torch.tensor([0.0, 0.0, -torch.inf])
    )
    zero = torch.zeros(1, 1)
    linear_divergence(
        zero, torch.zeros(3, 1), teacher, torch.ones(1), Divergence("reverse"), bias_v=bias
    )[0].backward()
    assert bias.grad is not None
    assert bias.grad[2] > 0
    assert bool((bias.grad[:2] < 0).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reach", [1e2, 1e3, 3e3])
def test_extreme_logits(kind: Kind, reach: float) -> None:
    torch.manual_seed(4)
    z = (torch.randn(6, 13) * reach).requires_grad_()
    loss = divergence(z, full(torch.randn(6, 13) * reach), Divergence(kind))
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert float(loss.detach()) >= 0
    assert z.grad is not None
    assert bool(torch.isfinite(z.grad).all())
    same = divergence(z.detach(), full(z.detach()), Divergence(kind))
    assert abs(float(same)) < 1e-5


def test_foreign_ids_are_refused() -> None:
    """TRL #4562, #2215: scored silently."""
    z, ones, ids = torch.zeros(1, 3), torch.ones(1), torch.tensor([[3]])
    with pytest.raises(ValueError, match=r"a target is 3, and the head has 3 classes"):
        linear_cross_entropy(z, eye(3), torch.tensor([3]), ones)
    with pytest.raises(ValueError, match="a target is -100"):
        linear_cross_entropy(z, eye(3), torch.tensor([-100]), ones)
    for teacher in (TopTeacher(ids, ids * -1.0), SampledTeacher(ids, ids * 1.0)):
        with pytest.raises(ValueError, match="a class of the teacher is 3"):
            divergence(z, teacher)
    with pytest.raises(ValueError, match=r"the teacher's head has 4 classes, the student's 3"):
        divergence(z, full(torch.zeros(1, 4)))


def test_what_does_not_fit_is_refused() -> None:
    z, ones = torch.zeros(2, 3), torch.ones(2)
    with pytest.raises(ValueError, match="do not fit a head"):
        linear_cross_entropy(z, torch.zeros(4, 5), torch.zeros(2), ones)
    with pytest.raises(ValueError, match="for 2 positions"):
        linear_cross_entropy(z, eye(3), torch.zeros(2), torch.ones(3))
    for odd in (-1.0, math.nan):
        with pytest.raises(ValueError, match="a weight is negative or no number"):
            linear_cross_entropy(z, eye(3), torch.zeros(2), ones * odd)
    teacher = SampledTeacher(torch.zeros(2, 1).long(), torch.ones(2, 1))
    with pytest.raises(ValueError, match="is not linear in the teacher"):
        divergence(z, teacher, Divergence("reverse"))
    with pytest.raises(ValueError, match="needs targets"):
        divergence(z, teacher, ce_weight=0.5)
    with pytest.raises(ValueError, match="ce_weight is 2"):
        divergence(z, teacher, ce_weight=2.0)


def test_a_batch_of_which_nothing_counts_is_nothing() -> None:
    """TRL #3382, #6548: truncation leaves no completion, and the loss is not a number."""
    z = torch.randn(3, 4, requires_grad=True)
    for loss in (
        divergence(z, full(torch.randn(3, 4)), weights=torch.zeros(3)),
        divergence(z[:0], full(torch.randn(0, 4))),
        linear_cross_entropy(z, eye(4), torch.full((3,), -100), torch.zeros(3)),
    ):
        loss.backward()
        assert float(loss.detach()) == 0
        assert z.grad is not None
        assert bool((z.grad == 0).all())


def test_truncated_tokens_are_in_neither_sum() -> None:
    """TRL #6369: denominators kept truncated tokens, sum / 30 and not / 25."""
    torch.manual_seed(5)
    z, targets = torch.randn(30, 7), torch.randint(7, (30,))
    weights = (torch.arange(30) < 25).float()
    whole = linear_cross_entropy(z, eye(7), targets, weights) / weights.sum()
    kept = linear_cross_entropy(z[:25], eye(7), targets[:25], torch.ones(25)) / 25
    torch.testing.assert_close(whole, kept)


def _learned(teacher: TopTeacher, kind: Kind, classes: int) -> torch.Tensor:
    """Return the probabilities of a student that has learned all there is to learn."""
    z = torch.zeros(1, classes, requires_grad=True)
    optimiser = torch.optim.Adam([z], lr=0.05)
    for _ in range(600):
        optimiser.zero_grad()
        divergence(z, teacher, Divergence(kind)).backward()
        optimiser.step()
    return torch.softmax(z.detach(), 1)[0]


@pytest.mark.parametrize("kind", ["forward", "reverse", "jsd"])
def test_the_likeliest_classes_keep_their_share(kind: Kind) -> None:
    """DistillKit, axolotl, tinker-cookbook renormalise: mass 0.378 of top 4 becomes 1.000."""
    kept = torch.tensor([0.16, 0.10, 0.07, 0.048])
    teacher = TopTeacher(torch.tensor([[3, 1, 4, 0]]), kept.log()[None])
    q = _learned(teacher, kind, 20)
    assert float(q[[3, 1, 4, 0]].sum()) == pytest.approx(0.378, abs=2e-3)
    torch.testing.assert_close(q[[3, 1, 4, 0]], kept, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_one_class_teaches_too(kind: Kind) -> None:
    """Rethinking-OPD #15: of one class, renormalised, there is nothing to learn."""
    z = torch.zeros(1, 5, requires_grad=True)
    loss = divergence(z, TopTeacher(torch.tensor([[2]]), torch.tensor([[0.9]]).log()))
    loss.backward()
    assert float(loss.detach()) > 0.1
    assert z.grad is not None
    assert z.grad[0, 2] < 0
    sure = TopTeacher(torch.tensor([[2]]), torch.tensor([[0.999]]).log())
    left = divergence(torch.tensor([[0.0, 0.0, 9.0, 0.0, 0.0]]), sure, Divergence(kind))
    assert 0 <= float(left) < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_no_divergence_of_the_likeliest_is_negative(kind: Kind) -> None:
    """verl #7856: a truncated sum is no KL, and was clamped in 89 % of steps."""
    torch.manual_seed(6)
    for _ in range(50):
        p = torch.log_softmax(torch.randn(1, 30) * 2, 1).topk(4)
        z = torch.randn(1, 30)
        assert float(divergence(z, TopTeacher(p.indices, p.values), Divergence(kind))) >= -1e-6
        whole = divergence(z, full(torch.randn(1, 30)), Divergence(kind))
        assert float(whole) >= -1e-6


def test_a_student_that_leaves_what_the_teacher_kept_is_pulled_back() -> None:
    """verl PR #5041: reverse KL on the teacher's likeliest lets it leave the support."""
    z = torch.zeros(1, 10)
    z[0, 9] = 6.0
    z.requires_grad_()
    teacher = TopTeacher(torch.tensor([[0, 1]]), torch.tensor([[0.6, 0.39]]).log())
    divergence(z, teacher, Divergence("reverse")).backward()
    assert z.grad is not None
    assert z.grad[0, 9] > 0
    assert bool((z.grad[0, :2] < 0).all())


def test_samples_teach_what_the_whole_teacher_does() -> None:
    """The mean of gradients over all that may be drawn is that of the whole distribution."""
    torch.manual_seed(7)
    p = torch.softmax(torch.randn(5), 0)
    z = torch.randn(1, 5)
    mean = torch.zeros_like(z)
    for drawn, chance in enumerate(p):
        leaf = z.clone().requires_grad_()
        divergence(leaf, SampledTeacher(torch.tensor([[drawn]]), torch.ones(1, 1))).backward()
        assert leaf.grad is not None
        mean += chance * leaf.grad
    leaf = z.clone().requires_grad_()
    divergence(leaf, full(p.log()[None])).backward()
    torch.testing.assert_close(mean, leaf.grad)


def test_entropy_makes_cross_entropy_a_divergence() -> None:
    p = torch.tensor([[0.5, 0.3, 0.2]])
    ids = torch.tensor([[0, 1, 2]])
    entropy = -(p * p.log()).sum(1)
    z = torch.tensor([[0.3, -1.0, 2.0]])
    whole = divergence(z, full(p.log()))
    torch.testing.assert_close(divergence(z, SampledTeacher(ids, p, entropy)), whole)


def test_bfloat16_states_are_summed_in_float32() -> None:
    torch.manual_seed(8)
    hidden, head = torch.randn(64, 8), torch.randn(100, 8)
    targets, ones = torch.randint(100, (64,)), torch.ones(64)
    half = linear_cross_entropy(hidden.bfloat16(), head.bfloat16(), targets, ones)
    assert half.dtype == torch.float32
    whole = linear_cross_entropy(hidden.bfloat16().float(), head.bfloat16().float(), targets, ones)
    torch.testing.assert_close(half, whole, rtol=5e-3, atol=0)


def test_gradients_are_made_once() -> None:
    z = torch.zeros(1, 3, requires_grad=True)
    loss = divergence(z, full(torch.randn(1, 3)))
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="were taken already"):
        loss.backward()
