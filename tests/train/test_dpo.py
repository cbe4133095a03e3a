"""Training by preferences through the real runner, on a base of a few thousand weights."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests_preferring import pairs, train
from tests_support import rows_of, run_stages
from tests_tiny_base import make_base
from tests_training import BASE, digest_of, student_of

from mashbill.core.curves import read_curves
from mashbill.core.errors import MashbillError
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.train import checkpoint, preferring, reference

pytestmark = pytest.mark.usefixtures("short_samples")

FULL = 'method = "full"\n'


@pytest.mark.few(3)
@pytest.mark.parametrize(
    "keys",
    ["", FULL, 'loss = "ipo"\n', 'loss = "kto"\n', 'reference = "adapter"\n'],
    ids=["lora", "full", "ipo", "kto", "adapter"],
)
def test_a_student_comes_to_prefer_what_was_preferred(tmp_path, keys):
    """The margin grows, and pairs that it never saw come out right more often than by chance."""
    store, _ = train(tmp_path / "r", f"steps = 60\n{keys}", pairs(6)[:-8], pairs(6)[-8:])
    manifest, folder = student_of(store)
    curves = read_curves(folder)
    margins = curves["margin"].values
    assert abs(margins[0]) < 1e-6
    assert curves["accuracy"].values[0] == pytest.approx(0.5, abs=0.5)
    assert margins[-8:].mean() > max(0.01, margins[:8].mean())
    told = manifest.measures
    assert told["held_out_accuracy"] > 0.7
    assert told["held_out_margin"] > told["held_out_margin_before"]
    assert told["held_out_loss"] < told["held_out_loss_before"]
    assert (told["pairs"], told["steps"]) == (16, 60)
    names = {
        "loss", "rate", "gradient_norm", "tokens", "chosen_reward", "rejected_reward", "margin",
        "accuracy", "chosen_logprob", "rejected_logprob", "chosen_tokens", "rejected_tokens",
        "held_out_loss", "held_out_margin", "held_out_accuracy",
    }  # fmt: skip
    assert curves.keys() == names | ({"reference_point"} if "kto" in keys else set())
    assert len(told["samples"]) == 4 if "samples" in told else True


@pytest.mark.few(1)
@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "kto"])
def test_how_a_step_is_split_packed_or_held_against_its_base_changes_nothing(tmp_path, loss):
    found = {}
    for name, how in {
        "whole": "",
        "split": "micro_tokens = 24\n",
        "alone": "packing = false\n",
        "adapter": 'reference = "adapter"\n',
    }.items():
        store, _ = train(tmp_path / name, f'steps = 4\nloss = "{loss}"\n{how}')
        found[name] = read_curves(student_of(store)[1])
    for curves in found.values():
        for name in ("loss", "margin", "gradient_norm"):
            np.testing.assert_allclose(
                curves[name].values, found["whole"][name].values, rtol=2e-4, atol=1e-5
            )


@pytest.mark.few(1)
@pytest.mark.parametrize("keys", ["dropout = 0.1\n", FULL, 'reference = "adapter"\nloss = "kto"\n'])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path, keys, monkeypatch):
    keys = f"steps = 9\n{keys}"
    whole, _ = train(tmp_path / "whole", keys, held=pairs(2))
    monkeypatch.setattr(checkpoint, "_EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0.0)
    learn = preferring._Training._learn
    calls = []

    def fail(self):
        calls.append(self.step)
        if len(calls) in {3, 7, 8}:
            raise KeyboardInterrupt
        return learn(self)

    monkeypatch.setattr(preferring._Training, "_learn", fail)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", keys, held=pairs(2))
    cut, _ = train(tmp_path / "cut", keys, held=pairs(2))
    assert len(calls) == 12
    one, other = student_of(whole), student_of(cut)
    assert [f.sha256 for f in one[0].files] == [f.sha256 for f in other[0].files]
    assert one[0].measures == other[0].measures


def test_the_reference_is_computed_once_and_never_by_a_student_that_learned(tmp_path, monkeypatch):
    """What is kept and bound to something else is made anew, before a checkpoint is taken up."""
    whole, _ = train(tmp_path / "whole", "steps = 6\n" + FULL)
    monkeypatch.setattr(checkpoint, "_EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0.0)
    learn, asked = preferring._Training._learn, []
    compute = reference.logprobs_of

    def count(student, sequences, dtype):
        asked.append(len(sequences))
        return compute(student, sequences, dtype)

    def fail(self):
        if self.step == 4:
            raise KeyboardInterrupt
        return learn(self)

    monkeypatch.setattr(reference, "logprobs_of", count)
    monkeypatch.setattr(preferring._Training, "_learn", fail)
    for again in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "cut", "steps = 6\n" + FULL)
        assert sum(asked) == 32, again
    (kept,) = (tmp_path / "cut" / "store").glob(".work/student*/reference-learned.pt")
    state = torch.load(kept, weights_only=True)
    torch.save({"bound": "another", "logprobs": state["logprobs"] + 1}, kept)
    monkeypatch.setattr(preferring._Training, "_learn", learn)
    cut, _ = train(tmp_path / "cut", "steps = 6\n" + FULL)
    assert sum(asked) == 64
    one, other = student_of(whole)[0], student_of(cut)[0]
    assert [f.sha256 for f in one.files] == [f.sha256 for f in other.files]


def test_what_is_no_pair_to_learn_from_is_left_out_and_told(tmp_path):
    long = " ".join(["name"] * 60)
    odd = [
        {"prompt": "a", "chosen": "same", "rejected": "same", "by": "a/b"},
        {"prompt": "b", "chosen": "good", "rejected": None, "by": "a/b"},
        {"prompt": "c", "chosen": "good", "rejected": long, "by": "a/b"},
        {"prompt": "d", "chosen": "<think>it is cut", "rejected": "bad", "by": "a/b"},
        {"prompt": "", "chosen": "good", "rejected": "bad", "by": "a/b"},
        *pairs(1),
    ]
    store, _ = train(tmp_path / "r", "max_tokens = 48\n", odd)
    measures = student_of(store)[0].measures
    assert measures["left_out"] == {
        "pairs@1": {
            "both answers are the same": 1,
            "neither answer is preferred": 1,
            "it is longer than max_tokens = 48": 1,
            "its reasoning was cut off before it said anything": 1,
            "column 'prompt' is empty, and nothing else says what was asked": 1,
        }
    }
    assert measures["pairs"] == 4
    losses = read_curves(student_of(store)[1])["loss"].values
    assert np.isfinite(losses).all()


def test_two_pairs_are_enough(tmp_path):
    store, _ = train(tmp_path / "r", 'loss = "kto"\n', pairs(1)[:2])
    assert student_of(store)[0].measures["steps"] == 3


@pytest.mark.parametrize(
    ("keys", "given", "says"),
    [
        ('chosen = "better"\n', None, "chosen = 'better' is no column of pairs"),
        ('chosen = "a"\nrejected = "a"\n', None, "chosen and rejected both name 'a'"),
        ("", [{"prompt": "a", "text": "b", "by": "a/b"}], "pairs has no column 'rejected'"),
        ('loss = "ipo"\nsmoothing = 0.1\n', None, "smoothing is for loss = 'sigmoid'"),
        ('loss = "kto"\nnormalise = "token"\n', None, "a divergence of whole answers"),
        (FULL + 'reference = "adapter"\n', None, "switches adapters off"),
        (FULL + "rank = 8\n", None, "rank is about adapters"),
        ('turns = "all"\n', None, "turns"),
        ('too_long = "cut"\n', None, "too_long"),
        ("beta = 0\n", None, "beta"),
        ('loss = "kto"\n', pairs(1)[:1] * 3, "no pair has another prompt near it"),
        ("max_tokens = 4\n", None, "no row can be learned from (16 rows: it is longer than"),
        ("", [{"prompt": "a", "chosen": "b", "rejected": "b", "by": "x"}] * 2,
         "no row can be learned from (2 rows: both answers are the same)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(tmp_path, keys, given, says):
    with pytest.raises(MashbillError, match=re.escape(says)):
        train(tmp_path / "r", keys, given)


def said(role, text):
    return {"role": role, "content": text}


def test_two_answers_to_different_questions_are_refused_with_their_row(tmp_path):
    one = [said("user", "what is red?"), said("assistant", "fox")]
    given = [{"chosen": one, "rejected": [one[0], said("assistant", "bird")], "by": "a/b"}] * 3
    other = [said("user", "what is blue?"), said("assistant", "bird")]
    given.append({"chosen": one, "rejected": other, "by": "a/b"})
    with pytest.raises(MashbillError, match=r"pairs@1, row 3: its two answers are not one turn"):
        train(tmp_path / "r", "", given)


COMPLETIONS = """
[stages.{0}]
kind = "import"
title = "{0}"
source = "{0}.jsonl"
generator = "by"
license = "CC0-1.0"
"""
PREFER = """
[stages.pairs]
kind = "prefer"
inputs = ["one", "other"]
how = "reward"
shape = "SHAPE"

[stages.student]
kind = "dpo"
inputs = ["pairs"]
base = "small"
steps = 3
batch = 4
dtype = "float32"
"""


def preferred(folder, shape):
    """A student of pairs that `prefer` made of two writers' completions."""
    base = make_base(folder / "base")
    given = pairs(1)
    sets = {
        "one": [{"prompt": p["prompt"], "text": p["chosen"], "score": 1.0, "by": "w/one"}
                for p in given],
        "other": [{"prompt": p["prompt"], "text": p["rejected"], "score": 0.2, "by": "w/other"}
                  for p in given],
    }  # fmt: skip
    stages = BASE.replace("DIGEST", digest_of(base))
    stages += "".join(COMPLETIONS.format(name) for name in sets) + PREFER.replace("SHAPE", shape)
    return run_stages(folder, stages, {f"{n}.jsonl": own for n, own in sets.items()})


@pytest.mark.parametrize("shape", ["text", "messages", "implicit-messages", "ultrafeedback"])
def test_each_shape_of_pairs_that_prefer_makes_is_the_same_to_learn_from(tmp_path, shape):
    store = preferred(tmp_path / shape, shape)
    plain = preferred(tmp_path / "plain", "text")
    assert len(rows_of(store, "pairs")) == 4
    one, other = student_of(store), student_of(plain)
    losses = [read_curves(folder)["loss"].values for _, folder in (one, other)]
    np.testing.assert_array_equal(*losses)
    assert load_file(one[1] / "model.safetensors").keys()


def test_a_shape_without_pairs_is_refused_with_what_to_do(tmp_path):
    with pytest.raises(MashbillError, match="a stage `prefer` makes pairs, of shape text"):
        preferred(tmp_path / "r", "ranking")


JUDGE = """
[teachers.u]
kind = "fake"
name = "Judge"
words.A = ["lovely"]
words.B = ["lovely"]
noise = 0.5
"""


def test_the_bill_has_both_writers_by_content_the_judge_and_the_base(tmp_path):
    """What is rejected is learned from, too; and an audit derives it again."""
    base = make_base(tmp_path / "base")
    asked = [f"p{number}" for number in range(4)]
    files = {
        f"{name}.jsonl": [{"prompt": p, "text": f"{word} {p}", "by": f"w/{name}"} for p in asked]
        for name, word in (("one", "lovely"), ("other", "red"))
    } | {"better.txt": "Ask: {{ prompt }}\nA: {{ first }}\nB: {{ second }}\nBetter:"}
    judged = PREFER.replace('how = "reward"', 'judges = ["u"]\nprompt = "better.txt"')
    stages = BASE.replace("DIGEST", digest_of(base)) + COMPLETIONS.format("one")
    stages += COMPLETIONS.format("other") + judged.replace("SHAPE", "messages")
    store = run_stages(tmp_path, stages, files, JUDGE)
    assert {row["chosen"][0]["content"].split()[0] for row in rows_of(store, "pairs")} == {"lovely"}
    manifest, _ = student_of(store)
    lines = bill(Circuit.of_artifact(store, manifest))
    found = {line.source.name: {channel.value for channel in line.channels} for line in lines}
    assert found["w/one"] == found["w/other"] == {"content"}
    assert found["Judge"] == {"judgement"}
    assert "weights" in found["tiny"]
    (learned,) = manifest.learned_from
    assert (learned.name, learned.rows) == ("pairs@1", 4)
    assert manifest.tokens == manifest.measures["learned_tokens"]
    assert Auditor(store.root).run().holds
