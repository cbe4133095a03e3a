"""Completions behind their prompts: each token is told by what stands before it, shared or not."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM

from mashbill.models.causal_base import CausalBase
from mashbill.train.completions import Completions
from mashbill.train.rollouts import Rollouts

TOKENS = st.integers(3, 96)


@st.composite
def families(draw):
    """Prompts, each with completions, some of them empty; two prompts may be alike."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        prompt = draw(st.lists(TOKENS, min_size=1, max_size=5))
        answers = draw(st.lists(st.lists(TOKENS, max_size=5), min_size=1, max_size=4))
        found += [(prompt, ids) for ids in answers]
    return found


def told_by(asked):
    """Return of each target what stands before it in what it sees, and the target."""
    row, prompt = [], []
    for each, is_behind in zip(asked.sequences, asked.follows, strict=True):
        prompt = prompt if is_behind else []
        before = [*prompt, *each.tolist()]
        row += [before[: len(prompt) + n + 1] for n in range(len(each))]
        prompt = prompt if is_behind else each.tolist()
    told = [row[place] for place in asked.told.tolist()]
    return list(zip(told, asked.targets.tolist(), strict=True))


@law(60)
@given(families(), st.booleans())
def test_each_token_of_a_completion_is_told_by_all_before_it(pairs, shared):
    asked = Completions.of(pairs, shared=shared)
    expected = [
        ([*prompt, *ids[:place]], token) for prompt, ids in pairs for place, token in enumerate(ids)
    ]
    assert told_by(asked) == expected
    assert asked.owner.tolist() == [n for n, (_, ids) in enumerate(pairs) for _ in ids]
    assert all(asked.lengths)
    if shared:
        assert sum(asked.lengths) <= sum(len(prompt) + len(ids) for prompt, ids in pairs)
    else:
        assert not any(asked.follows)


@pytest.fixture(scope="module")
def base():
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        "llama", vocab_size=97, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    return CausalBase(AutoModelForCausalLM.from_config(config).train(), "tiny", packs=True)


@law(12)
@given(families())
def test_a_shared_prompt_gives_the_same_losses_and_gradients(base, pairs):
    if not any(ids for _, ids in pairs):
        return
    found = []
    for shared in (False, True):
        asked = Completions.of(pairs, shared=shared)
        base.model.zero_grad()
        with base.together(asked.lengths, asked.follows):
            states = base.states(asked.sequences, asked.follows)[asked.told]
            logits = functional.linear(states, base.head[0])
            nats = functional.cross_entropy(logits, asked.targets, reduction="none")
            (nats * torch.linspace(1, 2, len(nats))).sum().backward()
        grads = [each.grad.clone() for each in base.model.parameters()]
        found.append((nats.detach(), grads))
    (nats, grads), (others, other_grads) = found
    torch.testing.assert_close(nats, others, rtol=1e-4, atol=1e-5)
    for one, other in zip(grads, other_grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@law(60)
@given(families(), st.integers(1, 40), st.integers(1, 3), st.booleans())
def test_micro_batches_hold_each_rollout_once_and_prompts_together(pairs, most, size, shared):
    groups = [0]
    for (one, _), (other, _) in pairwise(pairs):
        groups.append(groups[-1] + (one is not other))
    rows = Rollouts(pa.table({
        "prompt_ids": pa.array([prompt for prompt, _ in pairs], pa.list_(pa.int32())),
        "ids": pa.array([ids for _, ids in pairs], pa.list_(pa.int32())),
        "group": pa.array(groups, pa.int32()),
    }))  # fmt: skip
    micros = [
        micro for rank in range(size) for micro in rows.micro(most, rank, size, shared=shared)
    ]
    assert sorted(number for micro in micros for number in micro) == list(range(len(pairs)))
    for micro in micros:
        asked = Completions.of(rows.pairs(micro), shared=shared)
        assert sum(asked.lengths) <= most or len(micro) == 1
    if shared and most == 40 and size == 1 and len(set(groups)) > 1:
        for group in set(groups):
            holding = [micro for micro in micros if any(groups[n] == group for n in micro)]
            own = sum(len(pairs[n][1]) for n in range(len(pairs)) if groups[n] == group)
            prompt = len(pairs[groups.index(group)][0])
            assert len(holding) == 1 or prompt + own > most
