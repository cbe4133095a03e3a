"""Fine-tuning through the real runner, on a base of a few thousand weights."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import ASKED, BASE, ROWS, SFT, digest_of, rows, run, student_of
from transformers import AutoModelForCausalLM, AutoTokenizer

from mashbill.core.chat import Conversation, Turn
from mashbill.core.curves import read_curves
from mashbill.core.errors import MashbillError
from mashbill.core.model import Decoding
from mashbill.core.teacher import Question
from mashbill.models.conversation_tokens import ConversationTokens
from mashbill.train import checkpoint, fine_tuning
from mashbill.train.sft import SftSpec

pytestmark = pytest.mark.usefixtures("short_samples")


def said_by(folder, asked):
    """What plain transformers has a student answer."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}], add_generation_prompt=True,
        return_tensors="pt", return_dict=True,
    )  # fmt: skip
    made = model.generate(**ids, max_new_tokens=40, do_sample=False)
    return tokenizer.decode(made[0, ids["input_ids"].shape[1] :], skip_special_tokens=False)


def weights_of(folder):
    return load_file(folder / "model.safetensors")


def test_a_student_learns_what_its_teacher_wrote_and_where_it_ends(tmp_path):
    """Padding and the end of a turn are one token, as SmolLM2-Instruct has it: it is taught."""
    store, _ = run(tmp_path / "r", SFT + 'method = "full"\nsteps = 120\n')
    manifest, folder = student_of(store)
    curve = read_curves(folder)["loss"]
    assert len(curve.values) == 120
    assert curve.values[-4:].mean() < 0.1 * curve.values[:4].mean()
    for word, answer in ASKED.items():
        assert said_by(folder, f"what is {word}?") == f"{answer}<|im_end|>"
    assert manifest.measures["passes"] == 30
    loaded = SftSpec.load(folder, 1)
    made = loaded.answer([Question("", "what is red?")], Decoding(max_tokens=8))
    assert (made[0].text, made[0].finish) == ("fox", "stop")


def test_adapters_learn_and_what_is_saved_is_what_was_trained(tmp_path):
    plain = SFT + "steps = 30\n"
    kept = plain.replace("student]", "kept]") + "merge = false\n"
    store, base = run(tmp_path / "r", plain + kept)
    manifest, folder = student_of(store)
    losses = read_curves(folder)["loss"].values
    assert losses[-4:].mean() < losses[:4].mean()
    before, after = weights_of(base), weights_of(folder)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.endswith("_proj.weight") for name in changed)
    assert 0 < manifest.measures["trained_parameters"] < manifest.measures["parameters"]
    _, apart = student_of(store, "kept")
    assert (apart / "adapter_model.safetensors").exists()
    assert said_by(apart, "what is red?") == said_by(folder, "what is red?")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_weights_are_rounded_in_memory_too_and_nothing_else_is(tmp_path, dtype):
    """The run holds what was saved against what was trained: angles of positions stay exact."""
    keys = f'steps = 20\nmethod = "full"\nweights_dtype = "{dtype}"\n'
    store, base = run(tmp_path / "r", SFT + keys)
    saved = weights_of(student_of(store)[1])
    assert {str(tensor.dtype) for tensor in saved.values()} == {f"torch.{dtype}"}
    assert saved.keys() == weights_of(base).keys()


@pytest.mark.few(1)
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_run_that_was_cut_off_ends_with_the_same_bits(tmp_path, method, monkeypatch):
    """Wherever it was: the curve and the weights are those of a run that was not."""
    stages = SFT + f'method = "{method}"\nsteps = 9\nheldout = "held"\n'
    if method == "lora":
        stages += "dropout = 0.1\n"
    whole, _ = run(tmp_path / "whole", stages)
    monkeypatch.setattr(checkpoint, "_EVERY", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 0.0)
    learn = fine_tuning._Training._learn
    calls = []

    def fail(self):
        calls.append(self.step)
        if len(calls) in {3, 7, 8}:
            raise KeyboardInterrupt
        return learn(self)

    monkeypatch.setattr(fine_tuning._Training, "_learn", fail)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut", stages)
    cut, _ = run(tmp_path / "cut", stages)
    assert len(calls) == 12
    one, other = student_of(whole), student_of(cut)
    assert [f.sha256 for f in one[0].files] == [f.sha256 for f in other[0].files]
    assert one[0].measures == other[0].measures
    assert read_curves(one[1]).keys() == {
        "loss", "rate", "gradient_norm", "tokens", "held_out_loss",
    }  # fmt: skip


def test_how_a_step_is_split_or_packed_changes_nothing(tmp_path):
    """One denominator for the whole step, whatever the micro-batches (trl#4719)."""
    found = {}
    for name, how in {
        "whole": "",
        "split": "micro_tokens = 24\n",
        "alone": "packing = false\n",
        "again": "checkpointing = true\n",
    }.items():
        given = [
            {"prompt": f"what is {word}?", "text": " ".join([answer] * (n + 1)), "by": "a/b"}
            for n, (word, answer) in enumerate(ASKED.items())
        ]
        stages = SFT.replace("epochs = 6", "steps = 3") + f'method = "full"\n{how}'
        store, _ = run(tmp_path / name, stages, given)
        found[name] = student_of(store)[1]
    first = read_curves(found["whole"])["loss"].values
    for folder in found.values():
        np.testing.assert_allclose(read_curves(folder)["loss"].values, first, rtol=2e-5)


def nats_of(base, given):
    """What transformers says of some answers: nats in sum, and tokens that are learned."""
    encoder = ConversationTokens(base)
    model = AutoModelForCausalLM.from_pretrained(base)
    nats = tokens = 0.0
    for row in given:
        said = Conversation((Turn("user", row["prompt"]), Turn("assistant", row["text"])))
        (one,) = encoder.conversation(said)
        told = [t if is_it else -100 for t, is_it in zip(one.ids, one.learned, strict=True)]
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([one.ids]), labels=torch.tensor([told])).loss
        nats += float(loss) * sum(one.learned)
        tokens += sum(one.learned)
    return nats, tokens


def test_the_loss_is_that_of_transformers_over_what_is_learned(tmp_path):
    store, base = run(tmp_path / "r", SFT.replace("epochs = 6", "steps = 1"))
    logged = read_curves(student_of(store)[1])["loss"].values[0]
    order = np.random.default_rng([5, 0]).permutation(16)[:4]
    nats, tokens = nats_of(base, [rows()[place] for place in order])
    assert logged == pytest.approx(nats / tokens, rel=1e-5)


def test_a_weight_counts_as_so_many_more_of_the_rows(tmp_path):
    """Its tokens count so often, above and below the line."""
    more = ROWS.replace("said]", "others]").replace("rows.jsonl", "others.jsonl")
    stages = SFT.replace('inputs = ["said"]', 'inputs = ["said", "others"]')
    stages = stages.replace("epochs = 6", "steps = 1").replace("batch = 4", "batch = 8")
    folder = tmp_path / "r"
    folder.mkdir()
    base = make_base(folder / "base")
    data = {"rows.jsonl": rows(1), "others.jsonl": [{**r, "text": "red"} for r in rows(1)]}
    store = run_stages(
        folder,
        BASE.replace("DIGEST", digest_of(base)) + ROWS + more + stages + "weights.others = 3\n",
        data,
    )
    logged = read_curves(student_of(store)[1])["loss"].values[0]
    (one, few), (three, many) = (nats_of(base, data[name]) for name in data)
    assert logged == pytest.approx((one + 3 * three) / (few + 3 * many), rel=1e-5)
    assert logged != pytest.approx((one + three) / (few + many), rel=1e-4)


def test_what_cannot_be_learned_from_is_left_out_and_told(tmp_path):
    long = " ".join(["name"] * 60)
    odd = [
        {"prompt": "a", "text": "<think>it is cut", "by": "a/b"},
        {"prompt": "b", "text": "<think>so</think>", "by": "a/b"},
        {"prompt": "c", "text": long, "by": "a/b"},
        {"prompt": "d", "text": "name", "finish": "length", "by": "a/b"},
        {"prompt": "e", "text": f"<think>{long}</think>good", "by": "a/b"},
        {"prompt": "", "text": "only a text", "by": "a/b"},
        *rows(1),
    ]
    stages = SFT.replace("epochs = 6", "steps = 2") + "max_tokens = 48\nreasoning_tokens = 20\n"
    store, _ = run(tmp_path / "r", stages, odd)
    measures = student_of(store)[0].measures
    assert measures["left_out"] == {
        "said@1": {
            "its reasoning was cut off before it said anything": 1,
            "it reasons, and says nothing": 1,
            "its answer was cut off": 1,
            "its reasoning is longer than reasoning_tokens = 20": 1,
        }
    }
    assert measures["cut_rows"] == {"said@1": 1}
    left_out, cut = measures["warnings"]
    assert left_out.startswith("said@1: 4 rows were not learned from (1: its ")
    assert cut == "said@1: 1 row was cut at max_tokens = 48"
    assert measures["sequences"] == 6


def test_reasoning_is_learned_or_left_out(tmp_path):
    thinking = [{**r, "text": f"<think>a name</think>{r['text']}"} for r in rows()]
    how = 'method = "full"\nsteps = 120\n'
    arms = {"learn": how, "leave": how + 'reasoning = "leave-out"\n'}
    for name, keys in arms.items():
        store, _ = run(tmp_path / name, SFT + keys, thinking)
        said = said_by(student_of(store)[1], "what is red?")
        assert said == {
            "learn": "<think>\na name\n</think>\n\nfox<|im_end|>", "leave": "fox<|im_end|>",
        }[name]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "given", "says"),
    [
        ('answer = "reply"\n', None, "answer = 'reply' is no column of said"),
        ("weights = { nobody = 2 }\n", None, "which is none of inputs"),
        ('method = "full"\nrank = 8\n', None, "rank is about adapters"),
        ('targets = ["nothing"]\n', None, "targets = ['nothing']"),
        ("", [{"prompt": "a", "text": "<think>b", "by": "a/b"}], "no row can be learned from"),
        ('inputs = ["said", "said"]\n', None, "names 'said' twice"),
    ],
)
def test_what_cannot_be_is_told(tmp_path, keys, given, says):
    stages = SFT
    if keys.startswith("inputs"):
        stages, keys = SFT.replace('inputs = ["said"]\n', keys), ""
    with pytest.raises(MashbillError, match=re.escape(says)):
        run(tmp_path / "r", stages + keys, given)


def test_two_rows_are_enough(tmp_path):
    store, _ = run(tmp_path / "r", SFT, rows(1)[:2])
    assert student_of(store)[0].measures["steps"] == 3
