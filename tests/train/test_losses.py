"""Losses by blocks: equal to those written out in float64, however a batch is split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_losses import whole_cross_entropy, whole_divergence
from torch.utils._python_dispatch import TorchDispatchMode

from mashbill.models.products import is_faster_elsewhere
from mashbill.train.divergences import Kind
from mashbill.train.losses import (
    Divergence,
    FullTeacher,
    SampledTeacher,
    Teacher,
    TopTeacher,
    linear_cross_entropy,
    linear_divergence,
    token_nats,
)

KINDS = get_args(Kind)
NEAR = 1e-5  # of the largest number there, or of 1


@dataclass
class Case:
    """A batch, drawn."""

    hidden: torch.Tensor
    head: torch.Tensor
    bias: torch.Tensor | None
    targets: torch.Tensor
    weights: torch.Tensor
    teacher: Teacher
    how: Divergence
    ce: float
    tile: int

    @property
    def leaves(self) -> list[torch.Tensor]:
        """What gradients are taken by."""
        return [self.hidden, self.head, *([] if self.bias is None else [self.bias])]

    def loss(self, rows: slice = slice(None)) -> torch.Tensor:
        """Return the numerator of some of its positions, as we compute it."""
        return linear_divergence(
            self.hidden[rows],
            self.head,
            _rows(self.teacher, rows),
            self.weights[rows],
            self.how,
            targets_n=self.targets[rows],
            ce_weight=self.ce,
            tile=self.tile,
            bias_v=self.bias,
        )[0]

    def reference(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return it in float64 with whole logits, and its gradients."""
        leaves = [leaf.detach().double().requires_grad_() for leaf in self.leaves]
        is_kept = self.weights > 0
        z = leaves[0][is_kept] @ leaves[1].T + (leaves[2] if len(leaves) > 2 else 0)
        weights = self.weights[is_kept].double()
        apart = whole_divergence(z, _rows(self.teacher, is_kept), self.how)
        known = whole_cross_entropy(z, self.targets[is_kept])
        total = (weights * ((1 - self.ce) * apart + self.ce * known)).sum()
        total.backward()
        return total.detach(), [leaf.grad for leaf in leaves if leaf.grad is not None]


def _assert_near(ours: torch.Tensor | None, theirs: torch.Tensor | None) -> None:
    assert ours is not None
    assert theirs is not None
    ours, theirs = ours.detach().double(), theirs.detach().double()
    off = float((ours - theirs).abs().max())
    assert off <= NEAR * max(1.0, float(theirs.abs().max())), f"off by {off}: {ours} {theirs}"


def _rows(teacher: Teacher, rows: Any) -> Teacher:
    if isinstance(teacher, FullTeacher):
        return FullTeacher(teacher.hidden_ne[rows], teacher.head_ve, teacher.bias_v)
    if isinstance(teacher, TopTeacher):
        return TopTeacher(teacher.ids_nk[rows], teacher.logprobs_nk[rows])
    return SampledTeacher(teacher.ids_nk[rows], teacher.shares_nk[rows])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    torch.manual_seed(draw(st.integers(0, 2**31)))
    n, v = draw(st.integers(1, 9)), draw(st.integers(2, 41))
    d, e = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    reach = draw(st.sampled_from([0.01, 1.0, 2.0]))
    p = torch.log_softmax(torch.randn(n, v) * reach, 1)
    k = draw(st.integers(1, v - 1))
    which = draw(st.sampled_from(["full", "top", "sampled"]))
    teacher: Teacher
    if which == "full":
        bias = torch.randn(v) if draw(st.booleans()) else None
        teacher = FullTeacher(torch.randn(n, e) * reach, torch.randn(v, e), bias)
    elif which == "top":
        top = p.topk(k)
        teacher = TopTeacher(top.indices, top.values)
    else:
        teacher = SampledTeacher(torch.randint(v, (n, k)), torch.rand(n, k))
    how = Divergence(
        draw(st.sampled_from(KINDS)) if which != "sampled" else "forward",
        skew=draw(st.sampled_from([0.1, 0.5, 0.9])),
        beta=draw(st.sampled_from([0.1, 0.5, 0.9])),
        temperature=draw(st.sampled_from([0.5, 1.0, 2.0])),
    )
    bias = torch.randn(v, requires_grad=True) if draw(st.booleans()) else None
    return Case(
        (torch.randn(n, d) * reach).requires_grad_(),
        torch.randn(v, d, requires_grad=True),
        bias,
        torch.randint(v, (n,)),
        torch.rand(n) * (torch.rand(n) > draw(st.sampled_from([0.0, 0.4, 1.0]))),
        teacher,
        how,
        draw(st.sampled_from([0.0, 0.3, 1.0])),
        draw(st.integers(1, 200)),
    )


@law(80)
@given(cases(), st.integers(1, 5), st.sampled_from([0.1, 1.0, 5.0]))
def test_rows_of_no_token_are_penalised_by_what_they_take(
    case: Case, more: int, reach: float
) -> None:
    """Over tokens alone the loss is what it was; and minus the log of their share is added."""
    padded = torch.randn(more, case.head.shape[1]) * reach
    whole = torch.cat([case.head.detach(), padded]).requires_grad_()
    bias = None
    if case.bias is not None:
        bias = torch.cat([case.bias.detach(), torch.randn(more)]).requires_grad_()
    ours, _ = linear_divergence(
        case.hidden, whole, case.teacher, case.weights, case.how, targets_n=case.targets,
        ce_weight=case.ce, tile=case.tile, bias_v=bias, classes=len(case.head),
    )  # fmt: skip
    leaves = [case.hidden, whole, *([] if bias is None else [bias])]
    found = torch.autograd.grad(ours, leaves, allow_unused=True)
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    kept = case.weights > 0
    z = exact[0][kept] @ exact[1].T + (exact[2] if bias is not None else 0)
    own = z[:, : len(case.head)]
    apart = whole_divergence(own, _rows(case.teacher, kept), case.how)
    known = whole_cross_entropy(own, case.targets[kept])
    lost = torch.logsumexp(z, 1) - torch.logsumexp(own, 1)
    weights = case.weights[kept].double()
    theirs = (weights * ((1 - case.ce) * apart + case.ce * known + lost)).sum()
    _assert_near(ours, theirs)
    for one, other in zip(found, torch.autograd.grad(theirs, exact), strict=True):
        _assert_near(one, other)


@law(300)
@given(cases())
def test_equals_the_loss_written_out_in_float64(case: Case) -> None:
    ours = case.loss()
    ours.backward()
    theirs, gradients = case.reference()
    _assert_near(ours.detach(), theirs)
    for leaf, gradient in zip(case.leaves, gradients, strict=True):
        assert leaf.grad is not None
        _assert_near(leaf.grad, gradient)


@law(100)
@given(cases(), st.integers(0, 9), st.integers(1, 200))
def test_splitting_a_batch_changes_nothing(case: Case, at: int, tile: int) -> None:
    whole = case.loss()
    whole.backward()
    expected = [leaf.grad for leaf in case.leaves]
    for leaf in case.leaves:
        leaf.grad = None
    case.tile = tile
    parts = [case.loss(slice(0, at)), case.loss(slice(at, None))]
    for part in parts:
        part.backward()
    _assert_near(parts[0] + parts[1], whole)
    for leaf, gradient in zip(case.leaves, expected, strict=True):
        _assert_near(leaf.grad, gradient)


@law(100)
@given(cases(), st.sampled_from([float("nan"), float("inf"), -float("inf")]), st.integers(-9, 99))
def test_what_is_masked_is_not_looked_at(case: Case, odd: float, foreign: int) -> None:
    clean = case.loss()
    clean.backward()
    expected = [leaf.grad for leaf in case.leaves]
    masked = case.weights == 0
    hidden = case.hidden.detach().clone()
    hidden[masked] = odd
    case.hidden = hidden.requires_grad_()
    for leaf in case.leaves:
        leaf.grad = None
    case.targets = case.targets.masked_fill(masked, foreign)
    if not isinstance(case.teacher, FullTeacher):
        case.teacher.ids_nk[masked] = foreign
    spoilt = case.loss()
    spoilt.backward()
    assert torch.equal(spoilt, clean)
    for leaf, gradient in zip(case.leaves, expected, strict=True):
        assert leaf.grad is not None
        assert gradient is not None
        assert torch.equal(leaf.grad, gradient)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind: Kind) -> None:
    torch.manual_seed(1)
    hidden = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    head = torch.randn(7, 3, dtype=torch.double, requires_grad=True)
    bias = torch.randn(7, dtype=torch.double, requires_grad=True)
    weights = torch.tensor([1.0, 0.0, 2.0, 0.5], dtype=torch.double)
    full = FullTeacher(torch.randn(4, 5).double(), torch.randn(7, 5).double())
    top = torch.log_softmax(torch.randn(4, 7).double(), 1).topk(3)
    for teacher in (full, TopTeacher(top.indices, top.values)):

        def loss(*leaves: torch.Tensor, teacher: Teacher = teacher) -> torch.Tensor:
            return linear_divergence(
                leaves[0],
                leaves[1],
                teacher,
                weights,
                Divergence(kind, temperature=1.7, beta=0.3),
                targets_n=torch.tensor([1, 2, 3, 4]),
                ce_weight=0.4,
                tile=10,
                bias_v=leaves[2],
            )[0]

        for leaf in (hidden, head, bias):
            leaf.grad = None
        loss(hidden, head, bias).backward()
        for leaf in (hidden, head, bias):
            assert leaf.grad is not None
            torch.testing.assert_close(leaf.grad, _by_differences(loss, (hidden, head, bias), leaf))


def _by_differences(
    loss: Callable[..., torch.Tensor], leaves: tuple[torch.Tensor, ...], leaf: torch.Tensor
) -> torch.Tensor:
    """Return the gradient by one of them, from the loss a step to either side."""
    gradient, step = torch.zeros_like(leaf), 1e-6
    with torch.no_grad():
        for place in range(leaf.numel()):
            value = float(leaf.view(-1)[place])
            ends = []
            for moved in (value + step, value - step):
                leaf.view(-1)[place] = moved
                ends.append(float(loss(*leaves)))
            leaf.view(-1)[place] = value
            gradient.view(-1)[place] = (ends[0] - ends[1]) / (2 * step)
    return gradient


def test_cross_entropy_of_each_token_and_of_all() -> None:
    torch.manual_seed(1)
    hidden, head = torch.randn(11, 4), torch.randn(23, 4)
    targets, weights = torch.randint(23, (11,)), torch.rand(11)
    expected = whole_cross_entropy(hidden.double() @ head.double().T, targets)
    nats = token_nats(hidden, head, targets, tile=50)
    _assert_near(nats, expected)
    total = linear_cross_entropy(hidden, head, targets, weights, tile=50)
    _assert_near(total, (weights.double() * expected).sum())


class _Largest(TorchDispatchMode):
    """Watches the largest tensor that anything makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor):
                self.numbers = max(self.numbers, one.numel())
        return made


@pytest.mark.parametrize("vocabulary", [500, 5_000, 50_000])
@pytest.mark.parametrize("which", ["ce", "full", "top", "sampled"])
def test_whole_logits_never_exist(which: str, vocabulary: int) -> None:
    """Memory is flat in the vocabulary: nothing is larger than a tile, or than the head itself."""
    count, width, tile = 400, 4, 100_000
    hidden = torch.randn(count, width, requires_grad=True)
    head = torch.randn(vocabulary, width, requires_grad=True)
    ones, ids = torch.ones(count), torch.randint(vocabulary // 5, (count, 5))
    ids += torch.arange(5) * (vocabulary // 5)
    is_faster_elsewhere()  # which tries it, once a process
    watched = _Largest()
    with watched:
        if which == "ce":
            loss = linear_cross_entropy(hidden, head, ids[:, 0], ones, tile=tile)
        else:
            teacher = {
                "full": FullTeacher(torch.randn(count, 3), torch.randn(vocabulary, 3)),
                "top": TopTeacher(ids, torch.full(ids.shape, 0.1).log()),
                "sampled": SampledTeacher(ids, torch.full(ids.shape, 0.2)),
            }[which]
            loss, _ = linear_divergence(hidden, head, teacher, ones, Divergence(), tile=tile)
        loss.backward()
    assert watched.numbers <= max(tile, head.numel())
    assert watched.numbers < count * vocabulary
