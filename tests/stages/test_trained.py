"""What is saved is what was trained: every trainer, two to seven labels, and old stores mended."""

import json
import random
from types import SimpleNamespace
from typing import ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tests_laws import law
from tests_support import execute, run_stages, run_toy

from mashbill import StoreError, load_recipe
from mashbill.cli import app
from mashbill.core.faults import LINEAR_FORMAT
from mashbill.core.stage import StageSpec
from mashbill.lineage.evidence.audit import Auditor
from mashbill.models.linear import LinearPredictor, write_linear
from mashbill.plan import build
from mashbill.run.executor import Execution
from mashbill.train import classifier
from mashbill.train.classes import Task

NAMES = ["amber", "blue", "coral", "dun", "ecru", "fawn", "green"]


def teachers(labels):
    words = "\n".join(f'words.{name} = ["{name}ish", "{name}like"]' for name in labels)
    return f'[teachers.t]\nkind = "fake"\nnoise = 0.1\n{words}\n'


def texts(labels, rows=140):
    draw = random.Random(4)
    plain = ["a", "day", "of", "rain", "was", "seen", "there", "again", "over", "town"]
    found = []
    for i in range(rows):
        name = labels[i % len(labels)]
        words = [*draw.choices(plain, k=6), f"{name}ish", f"{name}like"]
        draw.shuffle(words)
        found.append({"text": " ".join(words), "by": "human"})
    return found


def stages(labels, *, steps=2):
    named = ", ".join(f'{name} = " {name}"' for name in labels)
    return f"""
[stages.texts]
kind = "import"
title = "texts"
source = "texts.jsonl"
generator = "by"

[stages.labelled]
kind = "label"
input = "texts"
teacher = "t"
prompt = "p.txt"
soft = true
labels = {{ {named} }}

[stages.hard]
kind = "classifier"
input = "labelled"
buckets = 512

[stages.softly]
kind = "classifier"
input = "labelled"
soft = true
buckets = 512

[stages.warm]
kind = "classifier"
input = "labelled"
base = "hard"
buckets = 512

[stages.average]
kind = "merge"
models = {{ hard = 1.0, softly = 2.0 }}

[stages.tiny]
kind = "quantise"
base = "average"

[stages.scratch]
kind = "pretrain"
inputs = ["labelled"]
steps = {steps}
width = 16
layers = 1
heads = 2
vocabulary = 512
batch_tokens = 128

[stages.applied]
kind = "apply"
input = "texts"
model = "tiny"
"""


FILES = {"p.txt": "Text: {{ text }} ->\n"}


def made(folder, labels):
    files = {**FILES, "texts.jsonl": texts(labels)}
    return run_stages(folder, stages(labels), files, teachers(labels))


def rows(store, name):
    data = store.dataset(store.find(name).ref)
    return data.read(0, data.num_rows)


@pytest.mark.few(3)
@pytest.mark.parametrize("count", range(2, 8))
def test_every_trainer_saves_what_it_trained(tmp_path, count):
    labels = NAMES[:count]
    store = made(tmp_path, labels)
    truth = rows(store, "labelled").column("label").to_pylist()
    for name in ("hard", "softly", "warm", "average", "tiny"):
        folder = store.folder("model", store.find(name).ref)
        model = LinearPredictor.load(folder)
        guess = model.probabilities([row["text"] for row in texts(labels)])
        agreed = np.mean(
            [model.labels[i] == label for i, label in zip(guess.argmax(1), truth, strict=True)]
        )
        assert agreed > 0.95, (name, agreed)
        assert json.loads((folder / "config.json").read_bytes())["format"] == LINEAR_FORMAT
    agreed = np.mean(np.array(rows(store, "applied").column("label").to_pylist()) == truth)
    assert agreed > 0.95
    assert Auditor(store.root).run().holds


@given(
    labels=st.integers(2, 7),
    buckets=st.integers(1, 40),
    seed=st.integers(0, 2**31),
    order=st.sampled_from(["C", "F", "reversed", "strided", "view"]),
    kind=st.sampled_from(["float32", "int8"]),
)
@law(60)
def test_a_linear_model_comes_back_however_its_memory_lies(
    tmp_path_factory, labels, buckets, seed, order, kind
):
    draw = np.random.default_rng(seed)
    shape = (1 if labels == 2 else labels, buckets)
    weights = draw.normal(0, 40, shape).astype(kind)
    lying = {
        "C": weights,
        "F": np.asfortranarray(weights),
        "reversed": weights[::-1].copy()[::-1],
        "strided": np.repeat(weights, 2, axis=1)[:, ::2],
        "view": np.vstack([weights, weights])[: shape[0]],
    }[order]
    tensors = {
        "weights": lying,
        "bias": draw.normal(size=shape[0]).astype(np.float32),
        "idf": draw.random(buckets).astype(np.float32) + 1,
    }
    if kind == "int8":
        tensors["scale"] = draw.random(shape[0]).astype(np.float32)
    out = tmp_path_factory.mktemp("model")
    there = write_linear(out, tensors, NAMES[:labels], 1.5)
    again = LinearPredictor.load(out)
    said = ["a day of rain", "town over there again", ""]
    assert np.array_equal(there.probabilities(said), again.probabilities(said))
    expected = weights.astype(np.float32)
    if kind == "int8":
        expected *= tensors["scale"][:, None]
    assert np.array_equal(again.weights, expected)


class Forgetful(StageSpec):
    """A trainer of somebody else's whose file is not its model."""

    output: ClassVar = "model"
    kind: Literal["forgetful"] = "forgetful"
    input: str
    how: str = "scrambled"

    def uses(self):
        from mashbill import Channel, Uses

        return (Uses(self.input, "trained-on", Channel.CONTENT),)

    def train(self, ctx, out):
        (out / "how.txt").write_text(self.how)
        ctx.seen[self.input] = np.ones(ctx.input(self.input).num_rows, np.int64)
        if self.how != "silent":
            ctx.trained = Said(("a", "b", "c"), 0)

    @staticmethod
    def load(folder, threads):  # noqa: ARG004
        how = (folder / "how.txt").read_text()
        labels = ("a", "c", "b") if how == "renamed" else ("a", "b", "c")
        return Said(labels, 1 if how == "scrambled" else 0, broken=how == "nan")


class Said:
    def __init__(self, labels, likeliest, *, broken=False):
        self.labels, self._likeliest, self._broken = labels, likeliest, broken

    def probabilities(self, asked):
        odds = np.full((len(asked), 3), 0.1)
        odds[:, self._likeliest] = np.nan if self._broken else 0.8
        return odds


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("scrambled", r"answers otherwise than the one it trained: probabilities 0.7 apart"),
        ("renamed", r"with the labels \['a', 'c', 'b'\], and trained one with \['a', 'b', 'c'\]"),
        ("nan", r"answers otherwise than the one it trained"),
        ("silent", r"does not set ctx.trained"),
    ],
)
def test_a_trainer_whose_file_is_not_its_model_commits_nothing(tmp_path, monkeypatch, how, message):
    from mashbill.core import registry

    found = registry.find

    def find(kind, *groups):
        return Forgetful if kind == "forgetful" else found(kind, *groups)

    monkeypatch.setattr(registry, "find", find)
    some = f'[stages.bad]\nkind = "forgetful"\ninput = "texts"\nhow = "{how}"\n'
    head = stages(NAMES[:2]).split("[stages.labelled]")[0]
    with pytest.raises(StoreError, match=message):
        run_stages(tmp_path, head + some, {"texts.jsonl": texts(NAMES[:2])}, teachers(NAMES[:2]))
    assert not (tmp_path / "store" / "models" / "bad@1" / "manifest.json").exists()


def scramble(store, name):
    """Write a model as release 0.1 did, and sign it as its own: what an old store holds."""
    from mashbill.core.artifact import FileDigest
    from mashbill.core.canonical import canonical, digest_bytes, digest_file
    from mashbill.core.store import MANIFEST

    manifest = store.find(name)
    folder = store.folder("model", manifest.ref)
    tensors = load_file(folder / "weights.safetensors")
    tensors["weights"] = np.ascontiguousarray(tensors["weights"].T).reshape(
        tensors["weights"].shape
    )
    save_file(tensors, folder / "weights.safetensors")
    config = json.loads((folder / "config.json").read_bytes())
    del config["format"]
    (folder / "config.json").write_bytes(canonical(config))
    files = tuple(
        FileDigest(file=item.file, sha256=digest_file(folder / item.file))
        for item in manifest.files
    )
    old = manifest.model_copy(update={"files": files})
    data = canonical(old.model_dump(mode="json"))
    (folder / MANIFEST).write_bytes(data)
    subjects = {store.relative(folder / item.file): item.sha256 for item in (*files, old.nodes)}
    subjects[store.relative(folder / MANIFEST)] = digest_bytes(data)
    facts = {"artifact": str(old.ref), "kind": "model", "fingerprint": old.fingerprint}
    store.ledger.append("commit", subjects, digest=old.digest, **facts)
    return old


def test_models_that_an_older_release_scrambled_are_found_and_made_anew(tmp_path):
    """The old model first, then what was made from it, from a store of which it is the input."""
    labels = NAMES[:4]
    files = {**FILES, "texts.jsonl": texts(labels)}
    head, _, _ = stages(labels).partition("[stages.warm]")
    head = head.replace("[stages.softly]", "[stages.other]")
    store = run_stages(tmp_path, head, files, teachers(labels))
    old = scramble(store, "hard")
    path = tmp_path / "some.toml"
    path.write_text(
        path.read_text() + "[stages.applied]\nkind = 'apply'\ninput = 'texts'\n"
        "model = 'hard'\n[stages.surest]\nkind = 'filter'\ninput = 'applied'\n"
        "column = 'confidence'\nby = 'hard'\nkeep_top = 0.5\n"
    )
    recipe = load_recipe(path)
    with pytest.raises(StoreError, match=r"hard@1 has 4 labels and was written by release 0\.1"):
        LinearPredictor.load(store.folder("model", old.ref))
    found = [str(finding) for finding in Auditor(store.root).run().findings]
    assert any("hard@1" in line and "nearly random" in line for line in found), found
    planned = {stage.name: stage for stage in build(recipe, store).stages}
    assert planned["hard"].status == "to do"
    assert "nearly random" in planned["hard"].anew
    assert planned["other"].status == "done"
    execute(build(recipe, store), store, Execution(tmp_path / "cache", threads=1))
    mended = store.find("hard")
    assert mended.digest != old.digest
    truth = rows(store, "labelled").column("label").to_pylist()
    assert np.mean(np.array(rows(store, "applied").column("label").to_pylist()) == truth) > 0.95
    result = Auditor(store.root).run()
    assert result.holds, [str(finding) for finding in result.findings]
    again = execute(build(recipe, store), store, Execution(tmp_path / "cache", threads=1))
    assert all(item.was_cached for item in again)


def test_what_was_made_from_a_scrambled_model_is_made_anew_with_it(tmp_path, monkeypatch):
    labels = NAMES[:3]
    files = {**FILES, "texts.jsonl": texts(labels)}
    monkeypatch.setattr("mashbill.models.linear.linear_fault", lambda _: "")
    monkeypatch.setattr("mashbill.models.linear.LINEAR_FORMAT", 1)  # as release 0.1 wrote
    monkeypatch.setattr(
        "mashbill.models.linear.np.ascontiguousarray",
        lambda t: t.T.copy().reshape(t.shape) if t.ndim == 2 else t,
    )
    monkeypatch.setattr("mashbill.models.linear.np.array_equal", lambda *_, **__: True)
    monkeypatch.setattr("mashbill.run.trained.check_written", lambda *_: None)
    store = run_stages(tmp_path, stages(labels), files, teachers(labels))
    wrong = rows(store, "applied").column("label").to_pylist()
    truth = rows(store, "labelled").column("label").to_pylist()
    assert np.mean(np.array(wrong) == truth) < 0.8
    monkeypatch.undo()
    store, done = run_toy(tmp_path / "some.toml", store.root)
    anew = {item.name for item in done if not item.was_cached}
    assert anew == {"hard", "softly", "warm", "average", "tiny", "applied"}
    assert np.mean(np.array(rows(store, "applied").column("label").to_pylist()) == truth) > 0.95
    assert Auditor(store.root).run().holds
    assert len({m.ref for m in store.manifests()}) == len(store.manifests())
    store, done = run_toy(tmp_path / "some.toml", store.root)
    assert all(item.was_cached for item in done)


@pytest.mark.parametrize(
    ("answered", "agreement", "message"),
    [
        ([0] * 60 + [1] * 30 + [2] * 10, 0.98, None),
        ([1] * 50 + [0] * 40 + [2] * 10, 0.9, "agrees with its labeller on 20.0% of the rows"),
        ([0] * 60 + [1] * 30 + [2] * 10, 0.4, "the commonest label would on 60.0%"),
    ],
)
def test_a_model_that_knows_less_than_it_said_is_told(answered, agreement, message):
    target = np.array([0] * 60 + [1] * 30 + [2] * 10)
    task = Task(["x"] * 100, NAMES[:3], np.eye(3)[target], np.ones(100))
    told = []
    written = SimpleNamespace(probabilities=lambda _: np.eye(3)[answered])
    context = SimpleNamespace(warn=told.append)
    classifier._check_written(written, task, agreement, "its labeller", context)
    assert len(told) == (message is not None)
    assert all(message in text for text in told)


def test_what_a_stage_warns_of_is_on_the_line_and_on_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        classifier, "_check_written", lambda *given: given[-1].warn("is <b>no</b> good")
    )
    head = stages(NAMES[:3]).split("[stages.softly]")[0]
    run_stages(tmp_path, head, {**FILES, "texts.jsonl": texts(NAMES[:3])}, teachers(NAMES[:3]))
    for _ in range(2):
        app(
            ["run", str(tmp_path / "some.toml"), "--store", str(tmp_path / "store")],
            standalone_mode=False,
        )
        assert "hard: warning: is <b>no</b> good" in capsys.readouterr().out
    page = (tmp_path / "store" / "reports" / "hard@1.html").read_text()
    assert "<b>hard@1</b> is &lt;b&gt;no&lt;/b&gt; good." in page


@pytest.mark.parametrize("value", [0.3, "hello", None])
def test_columns_of_the_rows_are_no_labels_of_a_soft_learner(tmp_path, value):
    labels = NAMES[:3]
    some = [{**row, "p_x": value, "p_amber": value} for row in texts(labels)]
    head = stages(labels).split("[stages.warm]")[0]
    store = run_stages(tmp_path, head, {**FILES, "texts.jsonl": some}, teachers(labels))
    soft = LinearPredictor.load(store.folder("model", store.find("softly").ref))
    assert soft.labels == tuple(labels)
    first = store.dataset(store.find("labelled").ref).row(0)
    assert first["original_p_x"] == value
    assert sum(first[f"p_{label}"] for label in labels) == pytest.approx(1)
