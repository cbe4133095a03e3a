"""Any causal model can be a base; what it cannot do is found by trying, and told."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from transformers import AutoConfig, AutoModelForCausalLM

from mashbill.core.errors import TeacherError
from mashbill.models import packed_attention
from mashbill.models.causal_base import CausalBase

SIZES = {
    "vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
GPT2 = {"vocab_size": 320, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}


def made(kind, **more):
    sizes = {**(GPT2 if kind == "gpt2" else SIZES), **more}
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes)).train()


PACKED = [
    ("llama", {}),
    ("llama", {"tie_word_embeddings": True}),
    ("qwen2", {}),
    ("qwen3", {"head_dim": 8}),
    ("mistral", {"sliding_window": 4}),
    ("gemma3_text", {"head_dim": 8}),
    ("gpt2", {"bos_token_id": 0, "eos_token_id": 0}),
    ("gpt_neox", {}),
    ("phi3", {}),
    ("olmo2", {}),
    ("smollm3", {}),
    ("granite", {"logits_scaling": 8.0}),
    ("cohere", {}),
]


@pytest.mark.parametrize(("kind", "more"), PACKED)
def test_sequences_one_behind_the_other_are_each_by_itself(kind, more):
    """No state depends on a neighbour, and every logit is the model's own."""
    base = CausalBase(made(kind, **more), kind, packs=True)
    assert base.packs
    base.model.eval()
    head, bias = base.head
    torch.manual_seed(2)
    ids = [torch.randint(3, 320, (n,)) for n in (5, 1, 11, 7)]
    with torch.no_grad():
        with base.together([len(each) for each in ids]):
            whole = base.states(ids)
        base.model.set_attn_implementation("sdpa")
        alone = [base.model(input_ids=each[None]).logits[0] for each in ids]
    logits = torch.nn.functional.linear(whole, head, bias)
    torch.testing.assert_close(logits, torch.cat(alone), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "more"), PACKED)
def test_a_base_that_packs_writes_as_it_does_without(kind, more):
    """Samples of before a training are taken so: a prompt, then a token at a time from a cache."""
    base = CausalBase(made(kind, **more), kind, packs=True)
    base.model.eval()
    torch.manual_seed(4)
    ids = torch.randint(3, 320, (1, 9))
    found = []
    for how in (packed_attention.NAME, "sdpa"):
        base.model.set_attn_implementation(how)
        past, logits = None, []
        for piece in ids.split([5, 1, 2, 1], dim=1):
            with torch.no_grad():
                out = base.model(input_ids=piece, past_key_values=past, use_cache=True)
            past = out.past_key_values
            logits.append(out.logits[0])
        found.append(torch.cat(logits))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["mamba", "qwen3_next", "gpt_oss"])
def test_what_cannot_be_packed_is_computed_one_by_one(kind):
    more = {"head_dim": 8} if kind != "mamba" else {}
    base = CausalBase(made(kind, **more), kind, packs=True)
    assert not base.packs


def test_logits_that_are_capped_are_refused():
    with pytest.raises(TeacherError, match="a cap, it seems"):
        CausalBase(made("gemma2", head_dim=8), "a gemma", packs=True)


def test_what_is_not_wanted_is_not_packed():
    assert not CausalBase(made("llama"), "tiny", packs=False).packs


@pytest.mark.parametrize("short", [0, 512])
@pytest.mark.parametrize(("kind", "more"), PACKED)
def test_what_goes_on_from_one_prompt_is_as_behind_its_own(kind, more, short, monkeypatch):
    """By one masked product of a family, and completion by completion."""
    base = CausalBase(made(kind, **more), kind, packs=True)
    assert base.shares
    base.model.eval()
    monkeypatch.setattr(packed_attention, "_SHORT", short)
    torch.manual_seed(5)
    lengths, follows = (6, 3, 1, 5, 4, 7, 2), (False, True, True, True, False, False, True)
    ids = [torch.randint(3, 320, (n,)) for n in lengths]
    with torch.no_grad():
        with base.together(lengths, follows):
            shared = base.states(ids, follows).split(list(lengths))
        base.model.set_attn_implementation("sdpa")
        prompt = 0
        for number, is_behind in enumerate(follows):
            prompt = prompt if is_behind else number
            whole = torch.cat([ids[prompt], ids[number]]) if is_behind else ids[number]
            alone = base.body(input_ids=whole[None], use_cache=False).last_hidden_state[0]
            scale = base._scale
            torch.testing.assert_close(
                shared[number], alone[-len(ids[number]) :] * scale, rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("kind", ["mamba", "qwen3_next", "gpt_oss"])
def test_what_does_not_pack_shares_nothing(kind):
    more = {"head_dim": 8} if kind != "mamba" else {}
    assert not CausalBase(made(kind, **more), kind, packs=True).shares
    assert not CausalBase(made("llama"), "tiny", packs=False).shares


@law(15)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 5))
def test_a_gradient_depends_on_no_neighbour(lengths, place):
    """The loss of one sequence moves nothing that stands in another."""
    base = CausalBase(made("llama"), "tiny", packs=True)
    place %= len(lengths)
    torch.manual_seed(3)
    ids = [torch.randint(3, 320, (n,)) for n in lengths]
    others = [
        each if i == place else torch.randint(3, 320, (len(each),)) for i, each in enumerate(ids)
    ]
    found = []
    for given_ids in (ids, others):
        base.model.zero_grad()
        start = sum(lengths[:place])
        with base.together(lengths):
            states = base.states(given_ids)[start : start + lengths[place]]
            states.square().sum().backward()
        found.append(base.model.model.layers[0].self_attn.q_proj.weight.grad.clone())
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)
