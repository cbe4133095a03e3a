"""Distillation by logits through the real runner: teacher and student of a few thousand weights."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import TEACHER, digest_of, with_rows
from transformers import AutoModelForCausalLM

from mashbill.core.curves import read_curves
from mashbill.core.errors import MashbillError
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.train import checkpoint, distilling
from mashbill.train.activations import recompute_activations

pytestmark = pytest.mark.usefixtures("short_samples")

CACHE = """
[stages.cached]
kind = "logits"
input = "said"
teacher = "big"
"""
STUDENT = """
[stages.student]
kind = "logit_kd"
inputs = ["cached"]
teacher = "big"
width = 16
layers = 1
heads = 2
steps = 6
batch = 4
rate = 0.01
dtype = "float32"
"""
LIVE = STUDENT.replace('["cached"]', '["said"]') + "live = true\n"
TEXTS = ["the red fox", "a blue bird", "yes or no", "it is good", "a name, a place", "it is bad"]


SMALL = """
[models.small]
kind = "folder"
name = "small"
folder = "small"
sha256 = "DIGEST"
"""
OF_NEW = "width = 16\nlayers = 1\nheads = 2\n"

OF_ROWS = (
    "turns = 'last'", "reasoning = 'leave-out'", "reasoning_tokens = 9", "max_tokens = 99",
    "too_long = 'leave-out'", "answer = 'text'", "prompt = 'p.jinja'",
)  # fmt: skip


def rows(times=2):
    return [{"text": text, "by": "a/b"} for text in TEXTS * times]


def run(folder, stages, given=None, teachers=TEACHER, **base):
    """Run stages over rows and a teacher; return the store."""
    big = make_base(folder / "big", **base)
    peaked(big)
    data = {"rows.jsonl": rows() if given is None else given}
    return run_stages(folder, with_rows(stages), data, teachers.replace("DIGEST", digest_of(big)))


def peaked(folder):
    """Let a new model be sure of something: larger weights of a head that is its embedding, too."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.embed_tokens.weight"] *= 25
    save_file(tensors, file, {"format": "pt"})


def curve(store, name="loss", of="student"):
    manifest = store.find(of)
    return read_curves(store.folder("model", manifest.ref))[name].values


def files_of(store, of="student"):
    return [item.sha256 for item in store.find(of).files]


def test_a_student_learns_from_a_cache_what_its_teacher_thinks(tmp_path):
    store = run(tmp_path / "r", CACHE + STUDENT.replace("steps = 6", "steps = 120"))
    divergence = curve(store, "divergence")
    assert divergence[-20:].mean() < 0.3 * divergence[:3].mean()
    manifest = store.find("student")
    folder = store.folder("model", manifest.ref)
    student = AutoModelForCausalLM.from_pretrained(folder)
    assert student.config.hidden_size == 16
    assert {"tokenizer.json", "chat_template.jinja", "generation_config.json"} <= {
        item.file for item in manifest.files
    }
    cached = store.find("cached")
    assert cached.measures["bytes_a_position"] == 37
    assert cached.measures["positions"] == cached.measures["tokens"] - 12 * 1


def test_cached_equals_live_where_all_classes_are_kept(tmp_path):
    """The same lines compute both: they differ in where the teacher's distribution comes from."""
    every = CACHE + 'form = "top"\nclasses = 255\n'
    kept = run(tmp_path / "kept", every + STUDENT, vocabulary=262)
    live = run(tmp_path / "live", LIVE, vocabulary=262)
    # Seven classes in one bucket, and log-probabilities in 12 bits: what is left of a difference.
    np.testing.assert_allclose(curve(kept), curve(live), rtol=5e-3)
    np.testing.assert_allclose(curve(kept, "rate"), curve(live, "rate"))


def test_sampled_equals_live_within_its_noise(tmp_path):
    """The first steps' gradients have the live one as their mean; so training goes alike."""
    stages = STUDENT.replace("steps = 6", "steps = 60")
    kept = run(tmp_path / "kept", CACHE + stages, rows(8))
    live = run(tmp_path / "live", stages.replace("cached", "said") + "live = true\n", rows(8))
    assert curve(kept)[0] == pytest.approx(curve(live)[0], abs=0.15)
    assert curve(kept)[-10:].mean() == pytest.approx(curve(live)[-10:].mean(), rel=0.2)


def test_every_learned_token_is_taught_and_no_other(tmp_path):
    """TRL #4390, DistillKit, axolotl: off by one, the first never taught, the one behind the end.

    And TRL PR #6357: where padding is the end of a turn, the end is taught all the same.
    """
    given = [{"prompt": "what is red?", "text": "fox", "by": "a/b"}]
    store = run(tmp_path / "r", CACHE + 'form = "top"\nclasses = 3\n', given)
    cached = store.dataset(store.find("cached").ref)
    row = cached.row(0)
    tokens = np.frombuffer(row["logit_tokens"], "<u4")
    learned = np.flatnonzero(tokens >> 31)
    ids = torch.from_numpy((tokens & (2**30 - 1)).astype(np.int64))
    teacher = AutoModelForCausalLM.from_pretrained(tmp_path / "r" / "big")
    end = teacher.generation_config.eos_token_id
    assert ids[learned[-1]] == end
    assert learned[-1] == len(ids) - 1
    with torch.no_grad():
        top = torch.log_softmax(teacher(ids[None]).logits[0, learned - 1], 1).topk(3)
    words = np.frombuffer(row["logits"], "<u4").reshape(-1, 3)
    assert (words & (2**20 - 1)).tolist() == top.indices.tolist()
    np.testing.assert_allclose((words >> 20) * (-24 / 4095), top.values, atol=0.004)


@pytest.mark.few(1)
@pytest.mark.parametrize("how", ["cached", "live"])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path, how, monkeypatch):
    stages = (CACHE + STUDENT) if how == "cached" else LIVE
    stages += 'heldout = "held"\nce_weight = 0.3\n'
    whole = run(tmp_path / "whole", stages)
    monkeypatch.setattr(checkpoint, "_EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0.0)
    learn, calls = distilling._Training._learn, []

    def fail(self, rate):
        calls.append(self.step)
        if len(calls) in {2, 5, 6}:
            raise KeyboardInterrupt
        return learn(self, rate)

    monkeypatch.setattr(distilling._Training, "_learn", fail)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", stages)
    cut = run(tmp_path / "cut", stages)
    assert len(calls) == 9
    assert files_of(whole) == files_of(cut)
    assert whole.find("student").measures == cut.find("student").measures
    assert "held_out_loss" in whole.find("student").measures


@pytest.mark.few(1)
@pytest.mark.parametrize("how", ["cached", "live"])
def test_how_a_step_is_split_changes_nothing(tmp_path, how):
    """TRL #4719, PR #6006: the divergence was averaged in each micro-batch."""
    found = {}
    for name, keys in {
        "whole": "",
        "split": "micro_tokens = 8\n",
        "alone": "packing = false\n",
    }.items():
        stages = (CACHE + STUDENT if how == "cached" else LIVE) + "ce_weight = 0.3\n" + keys
        found[name] = curve(run(tmp_path / name, stages))
    for values in found.values():
        np.testing.assert_allclose(values, found["whole"], rtol=2e-5)


def test_keys_of_how_rows_are_read_are_of_what_is_held_out_if_they_agree(tmp_path):
    cached = CACHE + 'max_tokens = 9\nturns = "last"\n'
    keys = 'heldout = "said"\nmax_tokens = 9\nturns = "last"\nanswer = "text"\n'
    store = run(tmp_path / "r", cached + STUDENT.replace("steps = 6", "steps = 1") + keys)
    assert "held_out_loss" in store.find("student").measures


@pytest.mark.few(1)
@pytest.mark.parametrize("new", [True, False], ids=["new", "base"])
def test_activations_are_computed_again_where_that_is_wanted(tmp_path, new, monkeypatch):
    """It takes memory and changes nothing of what is learned."""
    small = make_base(tmp_path / "r" / "small", width=16, layers=1, seed=3)
    stages = LIVE if new else LIVE.replace(OF_NEW, 'base = "small"\n')
    base = SMALL.replace("DIGEST", digest_of(small))
    plain = curve(run(tmp_path / "r", base + stages))
    models = []

    def spy(model):
        models.append(model)
        recompute_activations(model)

    monkeypatch.setattr(distilling, "recompute_activations", spy)
    again = stages.replace("student]", "again]") + "checkpointing = true\n"
    again = curve(run(tmp_path / "r", base + again), of="again")
    assert len(models) == 1
    np.testing.assert_allclose(again, plain, rtol=2e-5)


@pytest.mark.parametrize("stages", [CACHE + STUDENT, LIVE], ids=["cached", "live"])
def test_the_bill_has_the_teacher_by_its_logits(tmp_path, stages):
    store = run(tmp_path / "r", stages)
    lines = bill(Circuit.of_artifact(store, store.find("student")))
    assert ("tiny", ("logits",)) in {(line.source.name, tuple(line.channels)) for line in lines}


def test_a_base_goes_on_from_its_weights(tmp_path):
    small = make_base(tmp_path / "r" / "small", width=16, layers=1, seed=3)
    base = SMALL.replace("DIGEST", digest_of(small))
    keys = STUDENT.replace(OF_NEW, 'base = "small"\n')
    store = run(tmp_path / "r", base + CACHE + keys)
    assert len(curve(store)) == 6
    assert any(item.channel == "weights" for item in store.find("student").inputs)


def test_a_cache_of_another_tokenizer_is_refused_by_its_map_of_ids(tmp_path):
    """TRL 1.16 compares sizes: equal size, permuted ids passes there."""
    small = make_base(tmp_path / "r" / "small", width=16, layers=1)
    file = small / "tokenizer.json"
    told = json.loads(file.read_text())
    vocabulary = told["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    file.write_text(json.dumps(told))
    base = SMALL.replace("DIGEST", digest_of(small))
    for stages, says in (
        (CACHE + STUDENT, "over the tokens of another tokenizer: the map of ids has digest"),
        (LIVE, "the teacher has another tokenizer"),
    ):
        keys = stages.replace(OF_NEW, 'base = "small"\n')
        with pytest.raises(MashbillError, match=says):
            run(tmp_path / "r", base + keys)


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        (CACHE + STUDENT + "temperature = 2.0\n", "are kept at temperature 1, and"),
        (CACHE + STUDENT + 'divergence = "reverse"\n', "is not linear in the teacher's"),
        (STUDENT.replace("cached", "said"), "said holds no logits; put a stage"),
        (CACHE + STUDENT.replace('teacher = "big"\n', ""), "needs the teacher's tokenizer"),
        (
            LIVE.replace('teacher = "big"\n', 'base = "b"\n').replace(OF_NEW, ""),
            "live = true asks a teacher, and none is named",
        ),
        (CACHE + STUDENT + "beta = 1.0\n", "beta"),
        (CACHE + STUDENT.replace("heads = 2", "heads = 3"), "must be an even multiple of heads"),
        (CACHE + "batch_tokens = 9\n" + STUDENT, "a sequence is computed at once"),
        (CACHE + 'answer = "reply"\n' + STUDENT, "has no column 'reply'"),
        (CACHE + STUDENT.replace('"big"', '"other"'), "other"),
        *(
            (CACHE + STUDENT + keys + "\n", f"{keys.split(' ')[0]} is about how rows are read")
            for keys in OF_ROWS
        ),
        *(
            (CACHE + STUDENT + f'heldout = "said"\n{keys}\n', f"{keys} is about heldout here")
            for keys in OF_ROWS[:5]
        ),
        (CACHE + STUDENT.replace("0.01", "1e30"), "the training diverged at step"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(tmp_path, stages, says):
    with pytest.raises(MashbillError, match=re.escape(says)):
        run(tmp_path / "r", stages)


def test_a_teacher_without_weights_here_is_refused(tmp_path):
    fake = '[teachers.big]\nkind = "fake"\nname = "f"\nwords = { yes = ["red"] }\n'
    with pytest.raises(MashbillError, match="gives no logits over its whole vocabulary"):
        run(tmp_path / "r", CACHE, teachers=fake)
