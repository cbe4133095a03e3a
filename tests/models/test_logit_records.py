"""A position's distribution in a few bytes: unbiased, whatever is drawn and rounded."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.models.logit_records import Records, sampled


def dense(records: Records, logits: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is read of what was written, as whole distributions, and the entropies."""
    generator = torch.Generator().manual_seed(seed)
    draws = torch.rand(len(logits), records.draws, dtype=torch.float64, generator=generator)
    kept = records.read(records.write(logits, draws))
    assert kept.entropy_n is not None
    empty = torch.zeros(logits.shape, dtype=torch.float64)
    return empty.scatter_add_(1, kept.ids_nk, kept.values_nk.double()), kept.entropy_n


def test_twelve_classes_are_37_bytes() -> None:
    assert Records("sampled", 12, 49_152).bytes == 37
    assert Records("sampled", 12, 151_936).bytes == 37
    assert Records("top", 9, 49_152).bytes == 36
    written = Records("sampled", 12, 300).write(torch.randn(5, 300), torch.rand(5, 14).double())
    assert written.shape == (5, 37)
    assert written.dtype == torch.uint8


@law(25)
@given(
    st.integers(2, 60), st.integers(1, 14), st.sampled_from([0.1, 1.0, 3.0, 10.0]),
    st.integers(0, 999),
)  # fmt: skip
def test_the_mean_of_what_is_kept_is_the_distribution(
    vocabulary: int, classes: int, reach: float, seed: int
) -> None:
    torch.manual_seed(seed)
    logits = torch.randn(1, vocabulary) * reach
    records = Records("sampled", min(classes, vocabulary), vocabulary)
    p = torch.softmax(logits.double(), 1)[0]
    many = 3000
    found, entropies = dense(records, logits.expand(many, -1), seed)
    torch.testing.assert_close(found.sum(1), torch.ones(many).double(), rtol=0, atol=1e-5)
    off, spread = found.mean(0) - p, found.var(0).sum() + 1e-9
    # Six standard deviations of the mean, over all classes together.
    assert float(off.norm()) <= 6 * math.sqrt(float(spread) / many) + 1e-6
    entropy = float(-(p * p.clamp(min=1e-300).log()).sum())
    step = math.log(vocabulary) / 255
    assert float(entropies.mean()) == pytest.approx(entropy, abs=6 * step / math.sqrt(many) + 1e-5)


@law(50)
@given(st.integers(2, 300), st.integers(1, 12), st.integers(0, 999))
def test_classes_are_distinct_and_shares_add_up(vocabulary: int, classes: int, seed: int) -> None:
    torch.manual_seed(seed)
    classes = min(classes, vocabulary)
    logp = torch.log_softmax(torch.randn(20, vocabulary) * 3, 1)
    ids, shares = sampled(logp, classes, torch.rand(20).double())
    for row, own in zip(ids.tolist(), shares.tolist(), strict=True):
        there = [i for i, share in zip(row, own, strict=True) if share > 0]
        assert len(there) == len(set(there))
        assert own == sorted(own, reverse=True)
    torch.testing.assert_close(shares.sum(1), torch.ones(20).double(), rtol=0, atol=1e-5)


def test_it_varies_less_than_draws_with_replacement_that_keep_as_many_classes() -> None:
    torch.manual_seed(1)
    p = torch.softmax(torch.randn(400) * 3, 0).double()
    ours, _ = dense(Records("sampled", 12, 400), p.log()[None].expand(4000, -1), 3)
    rounds = 17
    drawn = torch.multinomial(p, 4000 * rounds, replacement=True).view(4000, rounds)
    share = torch.full(drawn.shape, 1 / rounds).double()
    theirs = torch.zeros(4000, 400).double().scatter_add_(1, drawn, share)
    assert 11 < float((theirs > 0).double().sum(1).mean()) < 13
    assert float(ours.var(0).sum()) < 0.8 * float(theirs.var(0).sum())


def test_what_is_certain_or_ruled_out() -> None:
    certain = torch.tensor([[0.0, 200.0, 0.0, 0.0]])
    found, entropy = dense(Records("sampled", 3, 4), certain, 0)
    assert found.tolist() == [[0, 1, 0, 0]]
    assert entropy.tolist() == [0]
    ruled_out = torch.tensor([[0.0, -torch.inf, 0.0, -torch.inf]]).expand(50, -1)
    found, _ = dense(Records("sampled", 3, 4), ruled_out, 0)
    torch.testing.assert_close(
        found.mean(0), torch.tensor([0.5, 0, 0.5, 0]).double(), atol=0.02, rtol=0
    )
    assert float(found[:, [1, 3]].sum()) == 0


def test_the_likeliest_are_kept_to_their_last_bits() -> None:
    torch.manual_seed(2)
    logits = torch.randn(30, 500) * 3
    records = Records("top", 8, 500)
    kept = records.read(records.write(logits, torch.empty(30, 0).double()))
    top = torch.log_softmax(logits, 1).topk(8)
    assert torch.equal(kept.ids_nk, top.indices)
    torch.testing.assert_close(kept.values_nk, top.values, rtol=0, atol=24 / 4095 / 2 + 1e-6)
    assert kept.entropy_n is None


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="0 classes of 9"):
        Records("sampled", 0, 9)
    with pytest.raises(ValueError, match="1 to 9 can"):
        Records("top", 10, 9)
    with pytest.raises(ValueError, match="larger than 1,048,576"):
        Records("top", 10, 2**20 + 1)
    with pytest.raises(ValueError, match="of a vocabulary of 9"):
        Records("sampled", 2, 9).read(torch.full((1, 7), 255, dtype=torch.uint8))
