"""Language models from texts alone: what is written, read again, and learned from."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests_support import run_stages

import mashbill as mb
from mashbill.core.curves import read_curves
from mashbill.core.errors import MashbillError
from mashbill.core.model import Decoding
from mashbill.core.store import LEARNED
from mashbill.core.teacher import Question
from mashbill.lineage.evidence.audit import Auditor

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


CHAIN = """
[teachers.it]
kind = "student"
model = "lm"

[stages.second]
kind = "pretrain"
inputs = ["texts"]
tokenizer = "lm"
steps = 2
batch_tokens = 32
width = 16
heads = 2
layers = 1
context = 16

[stages.marked]
kind = "label"
input = "texts"
teacher = "it"
prompt = "go.txt"
labels = { good = " x", bad = " y" }
"""


def test_its_tokenizer_is_taken_and_it_is_asked(tmp_path):
    files = {"go.txt": "{{ text }}"}
    store, first = trained(tmp_path, [{"text": word} for word in WORDS[:5]], CHAIN, **files)
    second = store.find("second")
    folders = [store.folder("model", each.ref) for each in (first, second)]
    one, other = ((folder / "tokenizer.json").read_bytes() for folder in folders)
    assert one == other
    assert store.find("marked").rows == 5
    table = mb.open(store.root).bill("second")
    assert "transform" in str(table.as_json() if hasattr(table, "as_json") else table)


def test_a_model_that_only_writes_is_not_asked_for_labels(tmp_path):
    more = '[stages.marked]\nkind = "apply"\ninput = "texts"\nmodel = "lm"\n'
    assert "writes and does not label" in refused(tmp_path / "found", texts(4), more)
    more = "labels = false\n" + more
    assert "a model that labels is needed" in refused(tmp_path / "said", texts(4), more)


def test_labels_are_left_aside_where_the_recipe_says_so(tmp_path):
    rows = [{**row, "label": "ab"[n % 2]} for n, row in enumerate(texts(8))]
    _, manifest = trained(tmp_path / "texts", rows, "labels = false\n")
    assert "model.safetensors" in {each.file for each in manifest.files}


def test_inputs_of_which_some_have_labels_are_told(tmp_path):
    more = 'inputs = ["texts", "more"]\n'
    small = SMALL.replace('inputs = ["texts"]\n', "")
    labelled = """
[stages.more]
kind = "import"
title = "more texts"
source = "more.jsonl"
generator = "by"
"""
    files = {
        "texts.jsonl": texts(9),
        "more.jsonl": [{**row, "by": "human", "label": "a"} for row in texts(9)],
    }
    with pytest.raises(MashbillError, match="labels = false"):
        run_stages(tmp_path, TEXTS + labelled + small + more, files, "")


def file_of(folder, rows, slices, monkeypatch, stops=None):
    """Tokenise rows by so many at once; stop behind so many slices, as one that is killed."""
    import pyarrow as pa
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    from mashbill.train import token_file

    class Rows:
        columns = ("text",)

        def __init__(self):
            self.table = pa.table({"text": pa.array(rows, pa.string())})
            self.schema, self.num_rows = self.table.schema, len(rows)

        def chunks(self, *_):
            for start in range(0, self.num_rows, slices):
                yield start, self.table.slice(start, slices)

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<pad>", "<end>", "<begin>"]
    tokenizer.train_from_iterator(
        ["a b <end>"],
        trainers.BpeTrainer(
            special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )  # fmt: skip
    tokenizer.encode_special_tokens = True
    done = 0

    def progress(*_):
        nonlocal done
        done += 1
        if done == stops:
            raise KeyboardInterrupt

    folder.mkdir(exist_ok=True)
    return token_file.write_tokens(
        folder, [Rows(), Rows()], "text", tokenizer, token_file.Marks(2, 1, 0), 4, progress
    )


ROWS = ["a b", None, "", "<end>", "long " * 9, "世界", "<begin><pad>"]


def test_what_a_text_spells_out_is_no_mark_and_each_token_is_told_once(tmp_path, monkeypatch):
    found = file_of(tmp_path / "a", ROWS, 3, monkeypatch)
    ids, pieces = np.asarray(found.ids), found.pieces
    there = [row for row in ROWS if row is not None]
    for mark in (1, 2):
        assert (ids == mark).sum() == 2 * len(there)
    assert not (ids == 0).any()
    told = np.concatenate([np.arange(p["start"] + 1, p["start"] + p["length"] + 1) for p in pieces])
    assert len(told) == len(set(told.tolist())) == len(ids) - 2 * len(there)
    assert (ids[told] == 2).sum() == 0
    assert max(pieces["length"]) <= 4
    assert list(found.left_out) == [{"text": 1}, {"text": 1}]
    assert set(pieces["row"].tolist()) == {n for n in range(14) if ROWS[n % 7] is not None}
    assert pieces["set"].tolist() == [int(row >= 7) for row in pieces["row"]]


@pytest.mark.parametrize("stops", [1, 2, 3, 5])
def test_tokenising_goes_on_where_it_was_killed(tmp_path, monkeypatch, stops):
    whole = file_of(tmp_path / "whole", ROWS, 3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        file_of(tmp_path / "cut", ROWS, 3, monkeypatch, stops)
    with (tmp_path / "cut" / "ids.bin").open("ab") as file:  # written, and not yet noted
        file.write(b"\x07" * 11)
    again = file_of(tmp_path / "cut", ROWS, 3, monkeypatch)
    assert np.array_equal(again.ids, whole.ids)
    assert np.array_equal(again.pieces, whole.pieces)
    assert again.left_out == whole.left_out


@pytest.mark.slow
def test_threads_change_no_more_than_rounding(tmp_path):
    from tests_support import execute

    from mashbill import Signer, Store, load_recipe
    from mashbill.plan import build
    from mashbill.run.executor import Execution

    one = trained(tmp_path / "one", texts(20))
    plan = tmp_path / "one" / "some.toml"
    store = Store(tmp_path / "two" / "store", Signer.default())
    execute(build(load_recipe(plan, ()), store), store, Execution(tmp_path / "cache", threads=2))
    curves = [
        read_curves(each.folder("model", each.find("lm").ref))["loss"].values
        for each in (one[0], store)
    ]
    assert np.allclose(*curves, rtol=2e-4)


LONG = TEXTS.replace("texts", "long")
BOTH = 'inputs = ["texts", "long"]\n'


@pytest.mark.parametrize("more", ["", "heldout_share = 0.3\n", "steps = 40\n"])
def test_of_long_documents_the_bill_has_the_pieces_that_were_read(tmp_path, more):
    rows = [{"text": "river stone"}] * 60
    random = np.random.default_rng(0)
    long = [{"text": " ".join(random.choice(WORDS, size=150))} for _ in range(10)]
    small = SMALL.replace('inputs = ["texts"]\n', BOTH)
    if more.startswith("steps"):
        small = small.replace("steps = 6\n", "")
    store = run_stages(
        tmp_path, TEXTS + LONG + small + more, {"texts.jsonl": rows, "long.jsonl": long}, ""
    )
    manifest = store.find("lm")
    read = manifest.measures["training_tokens"]
    assert read == sum(each.seen for each in manifest.learned_from) == manifest.tokens
    assert all(each.weight == each.seen for each in manifest.learned_from)
    learned = pq.read_table(store.folder("model", manifest.ref) / LEARNED)
    assert learned.column_names == ["input", "times", "tokens", "seen_tokens"]
    is_long = np.array(learned["input"]) == "long@1"
    times, tokens, seen = (np.array(learned[name])[is_long] for name in learned.column_names[1:])
    assert ((seen > 0) & (seen < times * tokens)).any()  # a document was read in part
    assert Auditor(store.root).run().holds
