"""Sampling with a model in training: right, whatever stands beside a text, and leaving no trace."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill.core.errors import InputError
from mashbill.core.model import Decoding
from mashbill.models import packed_attention, sampled, sampled_precision
from mashbill.models.causal_base import CausalBase
from mashbill.models.sampled import sample
from mashbill.models.sampled_cache import Reader, Way, attending, resting
from mashbill.models.sampled_drawing import drawn
from mashbill.train.activations import recompute_activations
from mashbill.train.adapters import adapted
from mashbill.train.sampling import likeliest
from mashbill.train.sft import SftSpec
from tests.models.test_causal_base import PACKED, made

WARM = Decoding(temperature=0.7)
OTHERS = [
    ("mamba", {"state_size": 4}),
    ("bloom", {"n_head": 4}),
    ("opt", {"word_embed_proj_dim": 32, "ffn_dim": 64}),
]
_BIG = 2**16


def sharp(kind="llama", **more):
    """A model whose distributions are far from even, with another one for each context."""
    model = made(kind, **more)
    torch.manual_seed(7)
    with torch.no_grad():
        for each in model.parameters():
            if each.ndim == 2:
                each.copy_(torch.randn_like(each) * 0.3)
    return model


def with_adapter(model):
    spec = SftSpec(inputs=("rows",), base="base", method="lora", rank=4)
    model = adapted(model, spec)
    torch.manual_seed(3)
    with torch.no_grad():
        for name, each in model.named_parameters():
            if "lora_B" in name:
                each.copy_(torch.randn_like(each) * 0.3)
    return model.train()


def prompts_of(*lengths):
    return [[(5 + 31 * a + 7 * b) % 320 for b in range(n)] for a, n in enumerate(lengths)]


def draws_of(number, seed=0):
    return [np.random.default_rng([seed, place]) for place in range(number)]


def taken(model, prompts, *, ends=(), most=6, decoding=WARM, batch_tokens=_BIG, seed=0):
    draws = draws_of(len(prompts), seed)
    return sample(model, prompts, draws, ends, most, decoding, batch_tokens=batch_tokens)


def plain_logprobs(model, prompt, ids, temperature):
    """Read a text whole, by itself; return log-probabilities of its last tokens, float64."""
    was, how = model.training, model.config._attn_implementation
    model.eval()
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    if how == packed_attention.NAME:
        plain.set_attn_implementation("sdpa")
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *ids]]), use_cache=False).logits[0]
    if how == packed_attention.NAME:
        plain.set_attn_implementation(how)
    model.train(was)
    told = torch.log_softmax(logits.double() / (temperature or 1), 1)[len(prompt) - 1 : -1]
    return told.gather(1, torch.tensor(ids)[:, None])[:, 0].numpy()


@pytest.mark.parametrize(("kind", "more"), [*PACKED, *OTHERS])
def test_log_probabilities_are_those_of_reading_each_text_by_itself(kind, more):
    """Padded, cached, taken out of the batch: a text's distribution is its own."""
    model = sharp(kind, **more)
    prompts = prompts_of(3, 9, 9, 1, 14)
    ends = [taken(model, prompts, most=9)[1].ids[2]]
    found = taken(model, prompts, ends=ends, most=9)
    assert len(found[1].ids) <= 3
    for prompt, each in zip(prompts, found, strict=True):
        told = plain_logprobs(model, prompt, each.ids, 0.7)
        np.testing.assert_allclose(each.logprobs, told, atol=2e-4)


def test_a_models_way_of_being_read_on_is_found_by_trying():
    found = {}
    for kind, more in [("llama", {}), *OTHERS]:
        model = made(kind, **more)
        with torch.no_grad(), resting(model), attending(model):
            found[kind] = Reader(model).way
    assert found["llama"] == found["bloom"] == found["opt"] == Way(caches=True, pads=True)
    assert found["mamba"] == Way(caches=False, pads=False)


@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("temperature", [0, 0.7, 1])
def test_adapters_and_packed_attention_are_as_plain_reading(adapter, temperature):
    base = CausalBase(sharp(), "tiny", packs=True)
    assert base.packs
    model = with_adapter(base.model) if adapter else base.model
    prompts = prompts_of(4, 2, 11)
    found = taken(model, prompts, decoding=Decoding(temperature=temperature))
    for prompt, each in zip(prompts, found, strict=True):
        told = plain_logprobs(model, prompt, each.ids, temperature)
        np.testing.assert_allclose(each.logprobs, told, atol=1e-5)
    if adapter:
        with model.disable_adapter():
            other = taken(model, prompts, decoding=Decoding(temperature=temperature))
        assert [each.logprobs for each in other] != [each.logprobs for each in found]


@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_in_bfloat16_logits_are_of_a_head_in_float32_and_weights_come_back(adapter, tied):
    """As steps of training compute them: states under autocast, and the head's product whole."""
    base = CausalBase(sharp(tie_word_embeddings=tied), "tiny", packs=True)
    head, _ = base.head
    model = base.model = with_adapter(base.model) if adapter else base.model
    before = {name: (each.data_ptr(), each.dtype) for name, each in model.named_parameters()}
    prompts = prompts_of(6, 3, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = taken(model, prompts)
    after = {name: (each.data_ptr(), each.dtype) for name, each in model.named_parameters()}
    assert after == before
    assert "forward" not in vars(model.get_output_embeddings())
    model.eval()
    for prompt, each in zip(prompts, found, strict=True):
        ids = torch.tensor([*prompt, *each.ids])
        with torch.no_grad(), base.together([len(ids)]):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                states = base.states([ids])
            logits = states.float() @ head.T / 0.7
        told = torch.log_softmax(logits, 1)[len(prompt) - 1 : -1]
        told = told.gather(1, torch.tensor(each.ids)[:, None])[:, 0]
        np.testing.assert_allclose(each.logprobs, told, atol=0.2)
        assert np.abs(np.array(each.logprobs) - told.numpy()).mean() < 0.05


def test_rounding_weights_once_is_what_autocast_does_each_time(monkeypatch):
    model = sharp()
    prompts = prompts_of(6, 3, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = taken(model, prompts)

        @contextmanager
        def head_alone(plain, device):
            with sampled_precision._in_float32(plain.get_output_embeddings(), device):
                yield

        monkeypatch.setattr(sampled, "rounded_once", head_alone)
        assert taken(model, prompts) == found


def test_what_is_likeliest_is_what_others_find_likeliest():
    model = sharp()
    prompts = prompts_of(5, 1, 8, 8, 3)
    ends = set(range(0, 320, 11))
    found = taken(model, prompts, ends=sorted(ends), most=12, decoding=Decoding())
    for prompt, each in zip(prompts, found, strict=True):
        own = each.ids[:-1] if each.finish == "stop" else each.ids
        assert own == likeliest(model, prompt, ends, 12)


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=7),
    st.sampled_from([1, 40, 90, _BIG]),
    st.randoms(use_true_random=False),
    st.sampled_from([1.0, 0.6]),
)
@law(10)
def test_a_text_alone_and_among_others_is_the_same(lengths, batch_tokens, random, top_p):
    model = sharp()
    prompts, how = prompts_of(*lengths), Decoding(temperature=0.7, top_p=top_p)
    ends = list(range(0, 320, 8))
    order = list(range(len(prompts)))
    random.shuffle(order)
    draws = draws_of(len(prompts))
    together = sample(
        model, [prompts[n] for n in order], [draws[n] for n in order], ends, 7, how,
        batch_tokens=batch_tokens,
    )  # fmt: skip
    for place, number in enumerate(order):
        draw = draws_of(len(prompts))[number]
        (alone,) = sample(model, [prompts[number]], [draw], ends, 7, how, batch_tokens=_BIG)
        assert alone.ids == together[place].ids
        assert alone.finish == together[place].finish
        np.testing.assert_allclose(alone.logprobs, together[place].logprobs, atol=1e-5)


def test_samples_of_one_prompt_differ_by_their_generators_alone():
    model = sharp()
    (prompt,) = prompts_of(6)
    found = taken(model, [prompt] * 8)
    assert len({tuple(each.ids) for each in found}) > 1
    assert taken(model, [prompt] * 8) == found
    same = sample(
        model, [prompt] * 3, [np.random.default_rng(1) for _ in range(3)], (), 6, WARM,
        batch_tokens=_BIG,
    )  # fmt: skip
    assert same[0].ids == same[1].ids == same[2].ids


def test_an_end_token_is_kept_and_nothing_behind_it():
    model = sharp()
    prompts = prompts_of(3, 4, 5, 6, 7, 8)
    free = taken(model, prompts, most=10)
    assert {each.finish for each in free} == {"length"}
    assert {len(each.ids) for each in free} == {10}
    ends = {each.ids[at] for each, at in zip(free[:4], (0, 3, 9, 5), strict=True)}
    ended = taken(model, prompts, ends=sorted(ends), most=10)
    for whole, cut in zip(free, ended, strict=True):
        places = [at for at, token in enumerate(whole.ids) if token in ends]
        wanted = whole.ids[: places[0] + 1] if places else whole.ids
        assert cut.ids == wanted
        assert len(cut.logprobs) == len(wanted)
        assert cut.finish == ("stop" if places else "length")
    assert ended[2].finish == "stop" or len(ended[2].ids) < 10


def deviations(seen, wanted):
    """Return chi-square in standard deviations of a normal one (Wilson and Hilferty, 1931)."""
    freedom = len(wanted) - 1
    value = ((seen - wanted) ** 2 / wanted).sum()
    return ((value / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / np.sqrt(2 / (9 * freedom))


def frequencies(model, prompt, decoding, count):
    found = taken(model, [prompt] * count, most=1, decoding=decoding, seed=5)
    return np.bincount([each.ids[0] for each in found], minlength=320)


@pytest.mark.parametrize("temperature", [0.5, 1, 1.7])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature):
    model = sharp()
    (prompt,) = prompts_of(5)
    count = 6000
    seen = frequencies(model, prompt, Decoding(temperature=temperature), count)
    told = plain_probabilities(model, prompt, temperature)
    often = told * count >= 5
    wanted = np.append(told[often], told[~often].sum()) * count
    assert deviations(np.append(seen[often], seen[~often].sum()), wanted) < 3


def plain_probabilities(model, prompt, temperature):
    with torch.no_grad():
        logits = model.eval()(input_ids=torch.tensor([prompt])).logits[0, -1]
    return torch.softmax(logits.double() / temperature, 0).numpy()


@pytest.mark.parametrize("top_p", [0.05, 0.5, 0.9])
def test_top_p_draws_from_the_fewest_that_come_to_it_in_their_proportions(top_p):
    model = sharp()
    (prompt,) = prompts_of(5)
    count = 4000
    seen = frequencies(model, prompt, Decoding(temperature=1.3, top_p=top_p), count)
    told = plain_probabilities(model, prompt, 1.3)
    order = np.argsort(-told)
    kept = order[: int(np.searchsorted(np.cumsum(told[order]), top_p)) + 1]
    assert set(np.flatnonzero(seen)) <= set(kept.tolist())
    wanted = told[kept] / told[kept].sum() * count
    often = wanted >= 5
    if often.sum() > 1:
        assert deviations(seen[kept][often], wanted[often]) < 3


@given(
    st.integers(1, 700),
    st.floats(0.01, 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.3, 1.0, 2.0]),
)
@law(60)
def test_a_number_falls_where_sums_in_float64_say(size, top_p, seed, temperature):
    """Against a plain loop: sort, sum, look up; for vocabularies of any size, ties included."""
    random = np.random.default_rng(seed)
    logits = np.round(random.normal(0, 3, (4, size)), 1).astype(np.float32)
    numbers = random.random(4)
    tokens, logprobs = drawn(
        torch.from_numpy(logits.copy()), torch.from_numpy(numbers),
        Decoding(temperature=temperature, top_p=top_p),
    )  # fmt: skip
    for row, number, token, logprob in zip(logits, numbers, tokens, logprobs, strict=True):
        z = row.astype(np.float64) / temperature
        p = np.exp(z - z.max())
        whole = p.sum()
        order = np.argsort(-p, kind="stable")
        sums = np.cumsum(p[order])
        near = np.flatnonzero(np.abs(sums / whole - top_p) < 1e-6)
        if len(near) and top_p < 1:
            continue  # which of two is the last one is a matter of rounding
        if top_p < 1:
            p[order[int(np.searchsorted(sums, top_p * whole)) + 1 :]] = 0
        sums = np.cumsum(p)
        at = number * sums[-1]
        low = sums[token - 1] if token else 0.0
        assert low - 1e-5 * sums[-1] <= at <= sums[token] + 1e-5 * sums[-1]
        assert p[token] > 0
        assert float(logprob) == pytest.approx(z[token] - z.max() - np.log(whole), abs=1e-5)


def test_rows_of_a_head_that_stand_for_no_token_are_never_drawn():
    logits = torch.zeros(50, 300)
    numbers = torch.linspace(0, 1 - 2**-53, 50, dtype=torch.double)
    tokens, logprobs = drawn(logits, numbers, WARM, classes=10)
    assert tokens.tolist() == sorted(tokens.tolist())
    assert set(tokens.tolist()) == set(range(10))
    assert torch.allclose(logprobs, torch.full((50,), -np.log(300), dtype=torch.float32))
    best = torch.zeros(1, 300)
    best[0, 200], best[0, 4] = 5, 1
    assert drawn(best, numbers[:1], Decoding(), classes=10)[0].tolist() == [4]


def test_what_has_no_probability_is_never_drawn():
    logits = torch.full((3, 600), -torch.inf)
    logits[:, 299] = 0
    numbers = torch.tensor([0, 0.5, 1 - 2**-53], dtype=torch.double)
    tokens, logprobs = drawn(logits, numbers, WARM)
    assert tokens.tolist() == [299] * 3
    assert logprobs.tolist() == [0] * 3


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_end_the_sampling(value):
    model = sharp()
    with torch.no_grad():
        model.get_output_embeddings().weight[5] = value
    with pytest.raises(InputError, match=r"no numbers.*lower rate"):
        taken(model, prompts_of(3))
    assert model.training


def test_a_model_is_left_as_it_was():
    """Mode of each part, attention, gradients, torch's own numbers; also where it is an error."""
    base = CausalBase(sharp(), "tiny", packs=True)
    model = with_adapter(base.model)
    recompute_activations(model)
    part = model.get_base_model().model.layers[0]
    part.eval()
    (model(input_ids=torch.tensor([[4, 5]])).logits.sum()).backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    needs = [p.requires_grad for p in model.parameters()]
    state = torch.get_rng_state()
    modes = [each.training for each in model.modules()]
    taken(model, prompts_of(5, 3))
    assert torch.equal(torch.get_rng_state(), state)
    assert [each.training for each in model.modules()] == modes
    assert set(modes) == {False, True}
    assert model.config._attn_implementation == packed_attention.NAME
    assert [p.requires_grad for p in model.parameters()] == needs
    for name, each in model.named_parameters():
        assert (each.grad is None) == (name not in gradients)
        assert name not in gradients or torch.equal(each.grad, gradients[name])
    assert torch.is_grad_enabled()
    # It learns on as before: nothing that was made without a gradient is left in it.
    with base.together([2, 3]):
        states = base.states([torch.tensor([4, 5]), torch.tensor([6, 7, 8])])
        states.sum().backward()


@pytest.mark.parametrize(
    ("prompts", "most", "told"),
    [
        ([[1, 2], [3] * 100], 40, r"prompt 2 of 2 has 100 tokens and 40 may come.*140;.*128"),
        ([[1], []], 4, "prompt 2 of 2 has no tokens"),
        ([[1, 320]], 4, "prompt 1 of 1 has the token 320.*0 to 319"),
        ([[-1]], 4, "has the token -1"),
        ([[1]], 0, "max_new_tokens is 0"),
    ],
)
def test_what_cannot_be_gone_on_from_is_told_before_anything_is_computed(
    prompts, most, told, monkeypatch
):
    model = made("llama")
    monkeypatch.setattr(type(model), "forward", None)
    with pytest.raises(InputError, match=told):
        taken(model, prompts, most=most)


def test_a_batch_is_bounded_and_what_ended_leaves_it(monkeypatch):
    model = sharp()
    taken(model, prompts_of(3), most=1)  # how it is read on has been tried
    shapes = []
    plain = type(model).forward

    def counted(self, input_ids=None, **more):
        shapes.append(tuple(input_ids.shape))
        return plain(self, input_ids=input_ids, **more)

    monkeypatch.setattr(type(model), "forward", counted)
    prompts = prompts_of(*[4] * 40)
    taken(model, prompts, most=6, batch_tokens=100)
    assert max(rows for rows, _ in shapes) == 10
    assert sum(rows for rows, tokens in shapes if tokens == 4) == 40
    shapes.clear()
    taken(model, [prompts[0]] * 30, most=20, ends=range(0, 320, 4))
    assert shapes[0] == (1, 4), "a prompt is read once"
    read = [rows for rows, _ in shapes[1:]]
    assert read == sorted(read, reverse=True)
    assert read[-1] < 15
    shapes.clear()
    taken(model, prompts_of(9, 9, 9), most=2, batch_tokens=1)
    assert [rows for rows, _ in shapes] == [1] * 6


def test_nothing_to_sample_gives_nothing():
    assert taken(made("llama"), []) == []
