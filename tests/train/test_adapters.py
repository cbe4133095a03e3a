"""Adapters are laid where what is trained is what is saved, and refused elsewhere, by layer."""

from __future__ import annotations

import re

import pytest
import torch
from tests_training import SFT, run

from mashbill.core.errors import InputError, MashbillError
from mashbill.models.causal_base import CausalBase
from mashbill.train.adapters import adapted, merged
from mashbill.train.sft import SftSpec
from tests.models.test_causal_base import made

TIED = {"tie_word_embeddings": True}
ENDS = {"bos_token_id": 0, "eos_token_id": 0}
OPT = {"ffn_dim": 64, "word_embed_proj_dim": 32}


def spec_of(targets):
    return SftSpec(inputs=("said",), base="small", targets=targets, rank=2)


@pytest.mark.parametrize(
    ("kind", "more", "targets", "layer"),
    [
        ("llama", {}, ("q_proj", "lm_head"), "lm_head is the head"),
        ("llama", TIED, ("lm_head",), "lm_head is the head"),
        ("llama", TIED, ("v_proj", "embed_tokens"), "model.embed_tokens is the embedding"),
        ("qwen2", TIED, ("embed_tokens",), "model.embed_tokens is the embedding"),
        ("gpt2", ENDS, ("c_attn", "wte"), "transformer.wte is the embedding"),
        ("gpt2", ENDS, ("lm_head",), "lm_head is the head"),
        ("gpt_neox", {}, ("query_key_value", "lm_head"), "lm_head is the head"),
        ("phi", {}, ("lm_head",), "lm_head is the head"),
        ("opt", OPT, ("embed_tokens",), "model.decoder.embed_tokens is the embedding"),
        ("cohere", {}, ("embed_tokens",), "model.embed_tokens is the embedding"),
        ("mamba", {}, ("embeddings",), "backbone.embeddings is the embedding"),
        ("llama", {}, ("q_proj", "nothing"), "no layer of the base is called 'nothing'"),
        ("llama", {}, ("nothing",), "nothing"),
        ("llama", {}, ("_proj",), "_proj"),
        ("llama", {}, ("q_proj", "mlp"), "Target module LlamaMLP"),
    ],
)
def test_what_would_not_be_trained_as_it_is_saved_is_refused(kind, more, targets, layer):
    with pytest.raises(InputError, match=f"targets = {re.escape(str(list(targets)))}.*{layer}"):
        adapted(made(kind, **more), spec_of(targets))


@pytest.mark.parametrize(
    ("kind", "more", "targets"),
    [
        ("llama", {}, ()),
        ("llama", TIED, ()),
        ("llama", {}, ("q_proj", "embed_tokens")),
        ("llama", TIED, ("layers.0.self_attn.q_proj", "v_proj")),
        ("gpt2", ENDS, ()),
        ("gpt2", ENDS, ("c_attn", "wpe")),
        ("gpt_neox", {}, ("embed_in", "dense")),
        ("phi", {}, ()),
        ("opt", OPT, ()),
        ("cohere", {}, ()),
        ("mamba", {}, ("in_proj",)),
    ],
)
def test_every_adapter_learns_and_what_is_merged_is_what_was_trained(kind, more, targets):
    """Each has a gradient; and the loss of the merged model is that of the adapted one."""
    base = CausalBase(made(kind, **more), kind, packs=True)
    base.model = adapted(base.model, spec_of(targets))
    learned = [p for p in base.model.parameters() if p.requires_grad]
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in learned:
            parameter.normal_(std=0.1)
    ids = [torch.randint(3, 320, (n,)) for n in (5, 9)]

    def loss():
        total = 0.0
        for group in [ids] if base.packs else [[each] for each in ids]:
            with base.together([len(each) for each in group]):
                logits = torch.nn.functional.linear(base.states(group), *base.head)
                told = torch.cat(group)
                total = total + torch.nn.functional.cross_entropy(logits, told, reduction="sum")
        return total

    base.model.eval()
    trained = loss()
    trained.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in learned)
    base.model = merged(base.model)
    base.attend_as_loaded()
    own = sum(
        torch.nn.functional.cross_entropy(
            base.model(input_ids=each[None]).logits[0], each, reduction="sum"
        )
        for each in ids
    )
    torch.testing.assert_close(own, trained, rtol=1e-4, atol=1e-4)


def test_a_recipe_that_names_the_head_is_told(tmp_path):
    with pytest.raises(MashbillError, match="lm_head is the head"):
        run(tmp_path / "r", SFT + 'targets = ["q_proj", "lm_head"]\nsteps = 1\n')
