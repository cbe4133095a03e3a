"""The network from scratch is transformers' Llama, and documents in a block are kept apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mashbill.models.llama import Llama, Rotations, Shape, config_of, named_as_transformers
from mashbill.train.losses import token_nats
from mashbill.train.muon import StackedMuon, _orthogonal
from mashbill.train.packed import Blocks, blocks_in_order, once, pack
from mashbill.train.rates import rate_at
from mashbill.train.token_file import PIECE, TokenFile

SHAPE = Shape(vocabulary=97, width=24, layers=2, heads=2, context=32)


@pytest.fixture(scope="module")
def model() -> Llama:
    torch.manual_seed(0)
    model = Llama(SHAPE)
    for parameter in model.parameters():  # what begins as zero or one would hide a wrong name
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def alone(*lengths: int) -> torch.Tensor:
    return torch.cat([torch.arange(length) for length in lengths])[None]


@torch.no_grad()
def test_it_says_what_transformers_says(model):
    from transformers import LlamaConfig, LlamaForCausalLM

    theirs = LlamaForCausalLM(
        LlamaConfig(**config_of(SHAPE, {"begin": 2, "end": 1, "pad": 0}))
    ).eval()
    lacking = theirs.load_state_dict(named_as_transformers(model), strict=False)
    assert not lacking.unexpected_keys
    assert set(lacking.missing_keys) <= {"lm_head.weight"}
    theirs.tie_weights()
    ids = torch.randint(0, 97, (3, 32))
    expected = theirs(ids).logits
    places = Rotations(SHAPE, torch.device("cpu")).places(alone(32).expand(3, -1))
    found = model(ids, places) @ model.embedding.T
    assert torch.allclose(found, expected, atol=2e-5, rtol=1e-4)
    assert sum(p.numel() for p in theirs.parameters()) == SHAPE.parameters


def file_of(documents: list[list[int]]) -> TokenFile:
    """Return documents as pieces, as they would be tokenised; none is longer than the context."""
    ids = np.array([token for document in documents for token in document], np.uint16)
    pieces = np.zeros(len(documents), PIECE)
    ends = np.cumsum([len(document) for document in documents])
    pieces["start"] = ends - [len(document) for document in documents]
    pieces["length"] = [len(document) - 1 for document in documents]
    pieces["row"] = np.arange(len(documents))
    return TokenFile(ids, pieces, (), ())


@torch.no_grad()
def nats_of(model: Llama, blocks: Blocks, block: np.ndarray, first: int) -> torch.Tensor:
    batch = blocks.batch([block])
    places = Rotations(SHAPE, torch.device("cpu")).places(batch.positions_bt)
    hidden_td = model(batch.ids_bt, places)[0]
    return token_nats(hidden_td, model.embedding, batch.targets_bt[0])[:first]


@given(
    st.lists(st.integers(0, 96), min_size=2, max_size=12),
    st.lists(st.integers(0, 96), min_size=2, max_size=18),
    st.lists(st.integers(0, 96), min_size=2, max_size=18),
)
def test_a_documents_loss_does_not_depend_on_its_neighbour(model, document, one, other):
    behind = []
    for neighbour in (one, other):
        blocks = Blocks(file_of([document, neighbour]), 32, 0, [1.0])
        told = len(document) - 1
        first = nats_of(model, blocks, np.array([0, 1]), told)
        behind.append(nats_of(model, blocks, np.array([1, 0]), 31)[len(neighbour) - 1 :][:told])
        by_itself = nats_of(model, blocks, np.array([0]), told)
        assert torch.allclose(first, by_itself, atol=1e-5)
        assert torch.allclose(behind[-1], by_itself, atol=1e-5)


@given(st.lists(st.integers(1, 16), max_size=60))
def test_every_piece_is_packed_once_and_fits(lengths):
    array = np.array(lengths, np.int64)
    blocks = pack(array, 16)
    assert sorted(place for block in blocks for place in block) == list(range(len(lengths)))
    assert all(array[block].sum() <= 16 for block in blocks)
    # Best fit: no two blocks could have been one.
    sizes = sorted(int(array[block].sum()) for block in blocks)
    assert len(sizes) < 2 or sizes[0] + sizes[1] > 16
    assert sorted(np.concatenate([*once(array, 16), []]).astype(int)) == list(range(len(lengths)))


def test_a_pass_has_every_piece_once_in_an_order_of_its_own():
    lengths = np.full(50, 16)
    blocks = blocks_in_order(lengths, 16, seed=3)
    first, second = ([int(next(blocks)[0]) for _ in range(50)] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    again = blocks_in_order(lengths, 16, seed=3)
    assert first == [int(next(again)[0]) for _ in range(50)]


def test_weights_count_by_dataset():
    tokens = file_of([[1, 2, 3], [4, 5]])
    tokens.pieces["set"] = [0, 1]
    blocks = Blocks(tokens, 8, 0, [1.0, 2.5])
    assert blocks.weight(np.array([0, 1])) == 2 + 2.5
    batch = blocks.batch([np.array([0, 1])])
    assert batch.weights_bt.tolist() == [[1.0, 1.0, 2.5]]
    assert batch.targets_bt.tolist() == [[2, 3, 5]]


def test_a_stack_is_made_orthogonal_as_each_matrix_is():
    torch.manual_seed(1)
    both, tall = torch.nn.Parameter(torch.randn(16, 12)), torch.nn.Parameter(torch.randn(20, 8))
    before = both.detach().clone(), tall.detach().clone()
    optimiser = StackedMuon([(both, 2), (tall, 1)], lr=0.1, weight_decay=0.0)
    both.grad, tall.grad = torch.randn(16, 12), torch.randn(20, 8)
    gradients = both.grad.clone(), tall.grad.clone()
    optimiser.step()
    for part in (slice(0, 8), slice(8, 16)):
        update = _orthogonal(gradients[0][part].lerp(gradients[0][part] * 0.05, 0.95))
        assert torch.allclose(both.detach()[part], before[0][part] - 0.1 * update, atol=1e-4)
    update = _orthogonal(gradients[1].lerp(gradients[1] * 0.05, 0.95)) * (20 / 8) ** 0.5
    assert torch.allclose(tall.detach(), before[1] - 0.1 * update, atol=1e-4)


def test_rates_rise_and_fall():
    for schedule in ("linear", "cosine", "stable", "constant"):
        rates = [rate_at(step, 200, schedule, 0.1) for step in range(200)]
        assert rates[0] == 0.05
        assert max(rates) <= 1.0
        assert all(a <= b for a, b in itertools.pairwise(rates[:16])), schedule
        assert (rates[-1] == 1.0) == (schedule == "constant")
        assert rates[-1] >= 0.05
    # What pretrain did before there were schedules.
    assert [rate_at(s, 90, "linear", None) for s in (0, 29, 45, 89)] == [
        min(1.0, (s + 1) / 30) * max(0.05, 1 - s / 90) for s in (0, 29, 45, 89)
    ]
