"""Losses of preferences against their formulas in float64, and gradients against whole logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_tiny_base import make_base
from transformers import AutoModelForCausalLM

from mashbill.models.causal_base import CausalBase
from mashbill.train.answer_nats import Answers, Scored, logprobs_of
from mashbill.train.examples import Examples
from mashbill.train.preference_losses import PreferenceLoss
from mashbill.train.preference_pairs import Pairs
from mashbill.train.preferring import Judged
from mashbill.train.reference import Comparing, Reference

LOGPROBS = st.floats(-300, 0)
FOUR = st.tuples(LOGPROBS, LOGPROBS, LOGPROBS, LOGPROBS)
BETAS = st.floats(1e-3, 10)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def log_sigmoid(x):
    return -math.log1p(math.exp(-x)) if x > -700 else x


def by_hand(kind, four, tokens, beta, smoothing, point, *, per_token):
    """The loss of a pair, as the papers write it."""
    chosen, rejected, chosen_ref, rejected_ref = four
    r_w, r_l = chosen - chosen_ref, rejected - rejected_ref
    if per_token:
        r_w, r_l = r_w / tokens[0], r_l / tokens[1]
    if kind == "ipo":
        return (r_w - r_l - 1 / (2 * beta)) ** 2
    if kind == "kto":
        return (1 - sigmoid(beta * (r_w - point)) + 1 - sigmoid(beta * (point - r_l))) / 2
    margin = beta * (r_w - r_l)
    return -(1 - smoothing) * log_sigmoid(margin) - smoothing * log_sigmoid(-margin)


@law(150)
@given(
    kind=st.sampled_from(["sigmoid", "ipo", "kto"]), pairs=st.lists(FOUR, min_size=1, max_size=5),
    tokens=st.tuples(st.integers(1, 400), st.integers(1, 400)), beta=BETAS,
    smoothing=st.floats(0, 0.5), point=st.floats(0, 50), per_token=st.booleans(),
)  # fmt: skip
def test_a_loss_is_its_formula(kind, pairs, tokens, beta, smoothing, point, per_token):
    loss = PreferenceLoss(kind, beta, smoothing, per_token=per_token)
    numbers = torch.tensor(pairs, dtype=torch.double).T
    scored = torch.tensor(tokens)[:, None].expand(2, len(pairs))
    found = loss.of(loss.ratios(numbers[:2], numbers[2:], scored), point)
    wanted = [by_hand(kind, each, tokens, beta, smoothing, point, per_token=per_token)
              for each in pairs]  # fmt: skip
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9, atol=1e-12)
    assert bool(torch.isfinite(found).all())


@law(60)
@given(four=FOUR, beta=BETAS, kind=st.sampled_from(["sigmoid", "kto"]))
def test_what_is_preferred_more_costs_less(four, beta, kind):
    loss = PreferenceLoss(kind, beta)
    numbers = torch.tensor(four, dtype=torch.double)[:, None]
    ratios = loss.ratios(numbers[:2], numbers[2:], torch.ones(2, 1)).requires_grad_()
    (by,) = torch.autograd.grad(loss.of(ratios, 1.0).sum(), ratios)
    assert by[0] <= 0 <= by[1]


def test_ipo_is_least_at_its_margin_and_no_further():
    loss = PreferenceLoss("ipo", 0.25)
    apart = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
    assert loss.of(apart).tolist() == [1.0, 0.0, 1.0]


def pairs_of(shapes, draw):
    """Pairs of random tokens; the last token of each answer ends it."""
    tokens, ends, at = [], [], 0
    for prompt, one, other in shapes:
        asked = draw.integers(3, 200, prompt)
        for size in (one, other):
            ids = np.concatenate([asked, draw.integers(3, 200, size - 1), [2]]).astype(np.uint32)
            ids[prompt:] |= np.uint32(1 << 31)
            tokens.append(ids)
            at += len(ids)
            ends.append(at)
    count = 2 * len(shapes)
    rows = np.arange(count) // 2
    return Pairs(Examples(np.concatenate(tokens), np.array(ends), np.zeros(count, np.int32), rows))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return make_base(tmp_path_factory.mktemp("base"), width=16, layers=1)


@pytest.fixture(scope="module")
def models(base, tmp_path_factory):
    """The student as transformers has it, its reference, and students that pack and do not."""
    other = make_base(tmp_path_factory.mktemp("other"), width=16, layers=1, seed=3)
    plain, reference = (AutoModelForCausalLM.from_pretrained(each) for each in (base, other))
    return plain, reference, [CausalBase.load(base, "it", packs=packs) for packs in (True, False)]


def plain_logprobs(model, data):
    """What transformers gives each answer, in float64 of whole logits, differentiable."""
    found = []
    for number in range(2 * len(data)):
        ids = torch.from_numpy(data.sides.ids(number))
        learned = torch.from_numpy(data.sides.learned(number))
        logits = model(input_ids=ids[None]).logits[0].double()
        told = torch.log_softmax(logits, 1)[:-1].gather(1, ids[1:, None])[:, 0]
        found.append(told[learned[1:]].sum())
    return torch.stack(found)


SHAPES = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6)), min_size=2, max_size=4
)


def learned(student, data, reference, loss, micros, point):
    """The gradient after micro-batches of a step, and what was summed."""
    student.model.zero_grad(set_to_none=True)
    comparing = Comparing(data)
    judged = Judged(
        student, comparing, Reference(student, comparing, "float32", reference), loss, "float32"
    )
    sums = sum(judged.learn(m, np.ones(len(m)), float(len(data)), point) for m in micros)
    return {n: p.grad.clone() for n, p in student.model.named_parameters()}, sums


@law(12)
@given(
    shapes=SHAPES, seed=st.integers(0, 99), beta=st.floats(0.05, 2), point=st.floats(0, 3),
    kind=st.sampled_from(["sigmoid", "ipo", "kto"]), smoothing=st.sampled_from([0.0, 0.2]),
)  # fmt: skip
def test_the_gradient_is_that_of_whole_logits_however_a_step_is_split(
    models, shapes, seed, beta, point, kind, smoothing
):
    """Prompts are masked, and the end token is scored though it is the padding token too."""
    plain, other, students = models
    data = pairs_of(shapes, np.random.default_rng(seed))
    loss = PreferenceLoss(kind, beta, smoothing, per_token=kind == "ipo")
    with torch.no_grad():
        ref = plain_logprobs(other, data).reshape(-1, 2)
    plain.zero_grad()
    given_2p = plain_logprobs(plain, data).reshape(-1, 2).T
    tokens = torch.from_numpy(data.answer_tokens.T.copy())
    wanted = loss.of(loss.ratios(given_2p, ref.T, tokens), point).sum() / len(data)
    wanted.backward()
    reference = np.concatenate([ref.numpy(), np.zeros((len(data), 1))], 1)
    numbers = list(range(len(data)))
    scale = max(float(p.grad.abs().max()) for p in plain.parameters())
    splits = ([numbers], [[n] for n in numbers], [numbers[:1], numbers[1:]])
    for student in students:
        for micros in splits:
            found, sums = learned(student, data, reference, loss, micros, point)
            assert sums[0] / len(data) == pytest.approx(float(wanted.detach()), rel=1e-4, abs=1e-6)
            for name, parameter in plain.named_parameters():
                torch.testing.assert_close(
                    found[name], parameter.grad, rtol=1e-3, atol=1e-4 * scale + 1e-7
                )


def test_answers_alone_are_scored_with_the_token_that_ends_them(base):
    """IPO's divisor counts what is scored and nothing else (trl#6879)."""
    data = pairs_of([(3, 4, 2), (1, 1, 5)], np.random.default_rng(1))
    assert data.answer_tokens.tolist() == [[4, 2], [1, 5]]
    student = CausalBase.load(base, "it", packs=True)
    sequences = [Scored(data.sides.ids(n), data.sides.learned(n)) for n in range(4)]
    found = logprobs_of(student, sequences, "float32")
    with torch.no_grad():
        wanted = plain_logprobs(AutoModelForCausalLM.from_pretrained(base), data)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    assert student.model.training


def test_numbers_of_any_sign_weigh_answers(base):
    data = pairs_of([(2, 3, 2)], np.random.default_rng(2))
    student = CausalBase.load(base, "it", packs=True)
    sequences = [Scored(data.sides.ids(n), data.sides.learned(n)) for n in range(2)]
    with student.together([len(each.ids) for each in sequences]):
        answers = Answers(student, sequences, "float32")
        one, two = answers.logprobs().tolist()
        for by in ([1.0, 0.0], [0.5, -2.0], [-1.0, -1.0]):
            found = float(answers.weighed(torch.tensor(by)).detach())
            assert found == pytest.approx(by[0] * one + by[1] * two, rel=1e-5)


@law(20)
@given(shapes=SHAPES, seed=st.integers(0, 50), most=st.integers(6, 12))
def test_an_answer_to_another_prompt_is_one(shapes, seed, most):
    data = pairs_of(shapes, np.random.default_rng(seed))
    partner = data.mismatched(most)
    prompts = [data.sides.ids(2 * n)[: data.begins(2 * n)].tolist() for n in range(len(data))]
    for number, side in enumerate(partner.tolist()):
        if side < 0:
            continue
        assert prompts[side // 2] != prompts[number]
        ids, scored = data.with_answer_of(number, side)
        begin = data.begins(2 * number)
        assert len(ids) <= most
        assert ids[:begin].tolist() == prompts[number]
        assert ids[begin:].tolist() == data.sides.ids(side)[data.begins(side) :].tolist()
        assert scored.tolist() == [False] * begin + [True] * (len(ids) - begin)
