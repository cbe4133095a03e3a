"""Soft labels, warm starts, averages and eight bits, through the real runner."""

import random

import numpy as np
import pytest
from tests_support import BAD, GOOD, PLAIN, rows_of, run_stages

from mashbill import InputError
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.audit import Auditor
from mashbill.models.linear import LinearPredictor

LABELS = """
labels = { good = " good", bad = " bad" }
calibrate_on = 32
"""

STAGES = f"""
[stages.texts]
kind = "import"
title = "texts"
source = "texts.jsonl"
generator = "by"

[stages.one]
kind = "split"
input = "texts"
range = [0.0, 0.5]

[stages.other]
kind = "split"
input = "texts"
range = [0.5, 1.0]

[stages.soft]
kind = "label"
input = "one"
teacher = "t"
prompt = "p.txt"
soft = true
{LABELS}

[stages.hard]
kind = "label"
input = "other"
teacher = "t"
prompt = "p.txt"
{LABELS}

[stages.softly]
kind = "classifier"
input = "soft"
soft = true
buckets = 2048

[stages.scratch]
kind = "classifier"
input = "hard"
buckets = 2048

[stages.warm]
kind = "classifier"
input = "hard"
base = "softly"
max_iter = 1
buckets = 2048

[stages.average]
kind = "merge"
models = {{ softly = 1.0, scratch = 3.0 }}

[stages.tiny]
kind = "quantise"
base = "average"

[stages.applied]
kind = "apply"
input = "texts"
model = "tiny"
"""


def some_texts(rows=160):
    draw = random.Random(2)
    texts = []
    for _ in range(rows):
        own, other = draw.sample([GOOD, BAD], 2)
        words = draw.choices(PLAIN, k=6) + draw.choices(own, k=2) + draw.choices(other, k=1)
        draw.shuffle(words)
        texts.append({"text": " ".join(words), "by": "human"})
    return texts


FILES = {"texts.jsonl": some_texts(), "p.txt": "Text: {{ text }} ->\n"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run_stages(tmp_path_factory.mktemp("trained"), STAGES, FILES)


def model(store, name):
    return LinearPredictor.load(store.folder("model", store.find(name).ref))


def lines(store, name):
    found = bill(Circuit.of_artifact(store, store.find(name)))
    return {(line.source.name, line.channels) for line in found}


def test_soft_labels_are_the_distribution_and_come_as_logits(trained):
    for row in rows_of(trained, "soft"):
        assert row["p_good"] + row["p_bad"] == pytest.approx(1)
        assert row["confidence"] == max(row["p_good"], row["p_bad"])
        assert row["label"] == ("good" if row["p_good"] > row["p_bad"] else "bad")
    assert ("fake teacher", ("logits",)) in lines(trained, "soft")
    assert ("fake teacher", ("judgement",)) in lines(trained, "hard")
    assert "p_good" not in rows_of(trained, "hard")[0]


def test_a_soft_learner_comes_closer_to_the_distribution_than_a_hard_one(tmp_path):
    keys = 'input = "soft"\nbuckets = 2048\nstrength = 1000\n'
    stages = STAGES[: STAGES.index("[stages.hard]")]
    stages += f'[stages.softly]\nkind = "classifier"\nsoft = true\n{keys}'
    stages += f'[stages.hardly]\nkind = "classifier"\n{keys}'
    store = run_stages(tmp_path, stages, FILES)
    rows = rows_of(store, "soft")
    truth = np.array([[row["p_bad"], row["p_good"]] for row in rows])
    gap = {}
    for name in ("softly", "hardly"):
        learned = model(store, name)
        assert learned.labels == ("bad", "good")
        learned.temperature = 1.0  # what was learned, before it is calibrated on other rows
        guess = learned.probabilities([row["text"] for row in rows])
        gap[name] = float(np.abs(truth - guess).mean())
    assert gap["softly"] < 0.1, gap
    assert gap["hardly"] > 2 * gap["softly"]


def test_a_base_leaves_its_weights_and_its_history(trained):
    base, warm, scratch = (model(trained, name) for name in ("softly", "warm", "scratch"))
    assert np.abs(warm.weights - base.weights).max() > 0
    assert np.linalg.norm(warm.weights - base.weights) < np.linalg.norm(
        scratch.weights - base.weights
    )
    assert np.array_equal(warm.idf, base.idf)
    assert ("fake teacher", ("logits", "weights")) in lines(trained, "warm")
    assert ("fake teacher", ("logits", "weights")) not in lines(trained, "scratch")


def test_an_average_is_that_of_calibrated_scores(trained):
    one, other, both = (model(trained, name) for name in ("softly", "scratch", "average"))
    expected = 0.25 * one.weights / one.temperature + 0.75 * other.weights / other.temperature
    np.testing.assert_allclose(both.weights, expected, rtol=1e-5)
    assert both.temperature == 1.0
    members = NodeTable.of(trained, trained.find("average"))
    body = members.bodies[members.root]
    assert [(how, tokens) for how, _, tokens in body["members"]] == [("weights", None)] * 2


def test_eight_bits_keep_what_a_model_says(trained):
    whole, tiny = model(trained, "average"), model(trained, "tiny")
    texts = [row["text"] for row in rows_of(trained, "texts")]
    one, other = whole.probabilities(texts), tiny.probabilities(texts)
    assert np.abs(one - other).max() < 0.05
    step = np.abs(whole.weights).max() / 127
    assert np.abs(whole.weights - tiny.weights).max() <= step / 2 + 1e-7
    measures = trained.find("tiny").measures
    assert measures["weights_bytes"] == [2048 * 4, 2048 + 4]
    from safetensors.numpy import load_file

    files = load_file(trained.folder("model", trained.find("tiny").ref) / "weights.safetensors")
    assert files["weights"].dtype == np.int8


def test_what_a_small_model_labels_goes_back_to_all_its_parents(trained):
    found = lines(trained, "applied")
    assert ("fake teacher", ("judgement", "logits", "weights")) in found
    assert ("fake teacher", ("judgement", "weights")) in found
    assert Auditor(trained.root).run().holds


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('base = "softly"\nmax_iter = 1\nbuckets = 2048', 'base = "softly"\nbuckets = 1024',
         r"base 'softly' has buckets 2048, this classifier 1024"),
        ('input = "soft"\nsoft = true', 'input = "hard"\nsoft = true',
         r"hard@1 has no columns p_LABEL, which soft = true learns from; set"),
        ('input = "hard"\nbuckets = 2048', 'input = "hard"\nbuckets = 1024',
         r"average: scratch has labels and buckets .*1024.*, softly .*2048"),
    ],
)  # fmt: skip
def test_models_that_do_not_fit_are_told(tmp_path, old, new, message):
    assert STAGES.count(old) == 1
    stages = STAGES.replace(old, new)
    # What is learned from has to stand above.
    start, end = stages.index("[stages.hard]"), stages.index("[stages.softly]")
    soft = stages.index("[stages.soft]")
    stages = stages[:soft] + stages[start:end] + stages[soft:start] + stages[end:]
    with pytest.raises(InputError, match=message):
        run_stages(tmp_path, stages, FILES)


def test_a_model_of_another_kind_has_no_weights_to_take_over(tmp_path):
    stages = (
        STAGES[: STAGES.index("[stages.softly]")]
        + """
[stages.lm]
kind = "pretrain"
inputs = ["hard"]
steps = 1
width = 32
layers = 1
vocabulary = 512

[stages.small]
kind = "quantise"
base = "lm"
"""
    )
    with pytest.raises(InputError, match="lm is no linear classifier, so its weights cannot be"):
        run_stages(tmp_path, stages, FILES)
