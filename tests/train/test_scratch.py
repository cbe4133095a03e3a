"""Language models from texts alone: what is written, read again, and learned from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tests_support import run_stages

import mashbill as mb
from mashbill.core.curves import read_curves
from mashbill.core.errors import MashbillError
from mashbill.core.model import Decoding
from mashbill.core.teacher import Question

TEXTS = """
[stages.texts]
kind = "corpus"
title = "some texts"
license = "CC0-1.0"
source = "texts.jsonl"
"""
SMALL = """
[stages.lm]
kind = "pretrain"
inputs = ["texts"]
steps = 6
batch_tokens = 64
width = 16
heads = 2
layers = 2
context = 16
vocabulary = 512
"""
WORDS = [
    "river",
    "stone",
    "mill",
    "field",
    "green",
    "train",
    "table",
    "film",
    "day",
    "water",
    "long",
    "old",
]


def texts(count: int, seed: int = 0) -> list[dict]:
    random = np.random.default_rng(seed)
    return [
        {"text": " ".join(random.choice(WORDS, size=int(random.integers(1, 30))))}
        for _ in range(count)
    ]


def trained(tmp_path, rows, more: str = "", texts_table: str = TEXTS, **files):
    store = run_stages(tmp_path, texts_table + SMALL + more, {"texts.jsonl": rows, **files}, "")
    return store, store.find("lm")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model of texts of every kind, and its store."""
    rows = [
        *texts(60),
        {"text": ""},
        {"text": "<end> <begin> <pad> are words here<end>"},
        {"text": "世界 مرحبا 👋🏽 é é ẞ\u200d"},
        {"text": "long " * 100},
        {"text": "\n\n\t spaces  \r\n"},
    ]
    return trained(
        tmp_path_factory.mktemp("made"), rows, "heldout_share = 0.2\nheldout_every = 3\n"
    )


def test_plain_transformers_loads_it_and_says_the_same(made):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    store, manifest = made
    folder = store.folder("model", manifest.ref)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer("the river", return_tensors="pt").input_ids
    assert ids[0, 0] == tokenizer.bos_token_id
    said = tokenizer.decode(
        model.generate(ids, max_new_tokens=5, do_sample=False)[0, ids.shape[1] :]
    )
    ours = mb.open(store.root)["lm"].writer()
    answer = ours.answer([Question("", "the river")], Decoding(max_tokens=5))[0]
    assert answer.text == said.replace("<end>", "")
    for text in ("世界 مرحبا 👋🏽 é é ẞ\u200d", "a  b\n\tc ", " <x>", "\r\n"):
        assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    assert torch.isfinite(model(ids).logits).all()


def test_its_curves_and_measures_say_what_was_learned(made):
    store, manifest = made
    curves = read_curves(store.folder("model", manifest.ref))
    assert curves["loss"].steps.tolist() == list(range(6))
    assert curves["held_out_loss"].steps.tolist() == [2, 5]
    measures = manifest.measures
    assert measures["perplexity"] == pytest.approx(math.exp(measures["held_out_loss"]))
    assert measures["held_out_loss"] == pytest.approx(curves["held_out_loss"].values[-1])
    assert measures["training_tokens"] == curves["tokens"].values.sum()


def test_one_text_longer_than_the_context_is_learned_whole(tmp_path):
    _, manifest = trained(tmp_path, [{"text": "river " * 200}])
    assert manifest.measures["training_tokens"] >= 6 * 16


@pytest.mark.parametrize("count", [1, 2])
def test_a_few_rows_are_enough(tmp_path, count):
    more = "heldout_share = 0.5\n"
    _, manifest = trained(tmp_path, [{"text": "a b"}, {"text": "c d"}][:count], more)
    assert ("perplexity" in manifest.measures) == (count == 2)


def refused(tmp_path, rows, more="", **given) -> str:
    with pytest.raises(MashbillError) as caught:
        trained(tmp_path, rows, more, **given)
    return str(caught.value)


def test_rows_without_a_text_are_told(tmp_path):
    told = refused(tmp_path, [{"text": None, "n": 1}, {"text": None, "n": 2}])
    assert "text" in told


def test_another_column_and_what_is_no_text(tmp_path):
    rows = [{"text": f"{n}", "body": "river stone" if n else None, "n": n} for n in range(4)]
    _, manifest = trained(tmp_path / "a", rows, 'column = "body"\n')
    assert manifest.measures["left_out"] == {"texts@1": {"body": 1}}
    assert "holds int64, and texts are wanted" in refused(tmp_path / "b", rows, 'column = "n"\n')
    assert "body" in refused(tmp_path / "c", rows, 'column = "bdy"\n')


TWO = TEXTS + TEXTS.replace("stages.texts", "stages.more").replace("texts.jsonl", "more.jsonl")


def test_two_inputs_have_weights(tmp_path):
    more = 'inputs = ["texts", "more"]\nweights = { more = 3.0 }\n'
    small = SMALL.replace('inputs = ["texts"]\n', "")
    files = {"texts.jsonl": texts(9), "more.jsonl": texts(9, seed=1)}
    store = run_stages(tmp_path, TWO + small + more, files, "")
    assert {use.name for use in store.find("lm").inputs} >= {"texts@1", "more@1"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("weights = { other = 2.0 }\n", "none of inputs"),
        ("weights = { texts = 0.0 }\n", "must be above 0"),
        ('heldout = "texts"\n', "which is learned from"),
        ('heldout = "x"\nheldout_share = 0.1\n', "set one"),
        ("labels = true\nheldout_share = 0.1\n", "is for texts without labels"),
        ("heads = 3\n", "heads"),
    ],
)
def test_keys_that_do_not_fit_are_told(tmp_path, more, told):
    if more.startswith("heads"):
        rows = {"texts.jsonl": texts(3)}
        with pytest.raises(MashbillError, match=told):
            run_stages(tmp_path, TEXTS + SMALL.replace("heads = 2\n", more), rows, "")
        return
    assert told in refused(tmp_path, texts(3), more)


def test_a_killed_run_ends_with_the_same_bytes(tmp_path, monkeypatch):
    from mashbill.train import scratch_loop

    whole = trained(tmp_path / "whole", texts(30), "heldout_every = 9\n")[1]
    monkeypatch.setattr(scratch_loop, "_STEPS_KEPT", 2)
    steps = 0

    def dies(self, step, blocks):
        nonlocal steps
        steps += 1
        if steps in {4, 7}:
            msg = "killed"
            raise KeyboardInterrupt(msg)
        return was(self, step, blocks)

    was = scratch_loop._Run._step
    monkeypatch.setattr(scratch_loop._Run, "_step", dies)
    root = tmp_path / "killed"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(root, texts(30), "heldout_every = 9\n")
    monkeypatch.undo()
    again = trained(root, texts(30), "heldout_every = 9\n")[1]
    assert [(f.file, f.sha256) for f in again.files] == [(f.file, f.sha256) for f in whole.files]
