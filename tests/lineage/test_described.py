"""What an artifact is said to be: on card, BOM and SPDX, from one value, and a use that runs."""

import contextlib
import io
import json
import shutil
import struct

import pytest
from cyclonedx.schema import SchemaVersion
from huggingface_hub import ModelCard
from spdx_python_model.bindings import v3_0_1
from tests_support import PLAIN, commit_manifest, run_stages
from tests_trained import MODEL, take
from typer.testing import CliRunner

import mashbill
from mashbill import InputError, Store, StoreError
from mashbill.cli import app
from mashbill.core.tensor_header import tensors_of
from mashbill.lineage.described import describe
from mashbill.lineage.exports import export

ODD = "so | so <b>"
WORDS = {"calm": ["lake", "quiet"], "angry": ["rage", "shout"], ODD: ["plain", "middling"]}
LABELS = "labels = { calm = ' calm', angry = ' angry', '" + ODD + "' = ' so' }\n"
TEACHER = '[teachers.t]\nkind = "fake"\nnoise = 0.5\n' + "".join(
    f"words.'{label}' = {json.dumps(words)}\n" for label, words in WORDS.items()
)
GOLD = "".join(f"gold.labels.'{label}'.equals = '{label}'\n" for label in WORDS)
STAGES = f"""
[stages.corpus]
kind = "corpus"
title = "moods"
source = "moods.jsonl"
gold.column = "mood"
{GOLD}
[stages.first]
kind = "split"
input = "corpus"
range = [0.0, 0.5]

[stages.heldout]
kind = "split"
input = "corpus"
range = [0.5, 1.0]
gold = "require"

[stages.labelled]
kind = "label"
input = "first"
teacher = "t"
prompt = "p.txt"
{LABELS}
[stages.classifier]
kind = "classifier"
input = "labelled"
buckets = 1024

[stages.other]
kind = "classifier"
input = "labelled"
buckets = 512

[stages.heldout-teacher]
kind = "label"
input = "heldout"
teacher = "t"
prompt = "p.txt"
{LABELS}
[stages.heldout-classifier]
kind = "apply"
input = "heldout"
model = "classifier"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems.teacher = "heldout-teacher"
systems.it = "heldout-classifier"
compare = [["teacher", "it"]]
"""


def moods():
    labels = list(WORDS)
    return [
        {
            "text": " ".join([*PLAIN[n % 3 : n % 3 + 3], WORDS[label][n % 2], str(n)]),
            "mood": label,
        }
        for n in range(90)
        for label in [labels[n % 3]]
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    files = {"moods.jsonl": moods(), "p.txt": "Text: {{ text }} ->\n"}
    return run_stages(tmp_path_factory.mktemp("described"), STAGES, files, TEACHER)


@pytest.fixture(scope="module")
def folder(store, tmp_path_factory):
    to = tmp_path_factory.mktemp("published") / "out"
    mashbill.open(store.root)["classifier"].publish(str(to))
    return to


def bom(store, name):
    from cyclonedx.validation.json import JsonStrictValidator

    text = export(store, store.find(name), "cyclonedx-1.6")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    return json.loads(text)["metadata"]["component"]["modelCard"]


def spdx(store, name):
    document = json.loads(export(store, store.find(name), "spdx"))
    found = v3_0_1.SHACLObjectSet()
    v3_0_1.JSONLDDeserializer().deserialize_data(document, found)
    v3_0_1.JSONLDSerializer().write(found, io.BytesIO())
    manifest = store.find(name)
    return next(p for p in found.foreach_type("ai_AIPackage") if p.name == manifest.name)


def test_labels_come_with_the_rows_that_were_learned_from(store):
    described = describe(store, store.find("classifier"))
    rows = store.dataset(store.find("labelled").ref).column("label").to_pylist()
    assert {one.name: one.rows for one in described.labels} == {
        label: rows.count(label) for label in WORDS
    }
    assert described.task == "text-classification"
    assert described.what().startswith("a classifier of ")
    assert described.what().endswith("with 3 labels")
    assert any(f"It learned from {len(rows)} rows." in text for text in described.limits)


def test_which_system_of_an_evaluation_it_is_follows_from_who_answered(store):
    (own,) = describe(store, store.find("classifier")).own
    assert (own.name, own.held_out, own.own) == ("evaluation@1", "heldout@1", ("it",))
    assert describe(store, store.find("corpus")).own == ()
    other = describe(store, store.find("other"))
    assert not other.is_evaluated
    assert [text for text in other.limits if "not evaluated" in text]


def test_card_bom_and_spdx_say_the_same_number_with_its_interval_and_rows(store):
    told = store.find("evaluation").measures["systems"]["it"]
    rows = store.find("evaluation").measures["rows"]
    text = export(store, store.find("classifier"), "card")
    accuracy = next(r for r in ModelCard(text).data.eval_results if r.metric_type == "accuracy")
    assert accuracy.metric_value == pytest.approx(told["accuracy"], abs=1e-6)
    assert accuracy.metric_args == {
        "rows": rows, "low": pytest.approx(told["low"], abs=1e-6),
        "high": pytest.approx(told["high"], abs=1e-6),
    }  # fmt: skip
    said = f"Accuracy {told['accuracy']:.3f} (95% interval {told['low']:.3f} to {told['high']:.3f})"
    assert f"{said} over {rows} rows; always saying" in text
    card = bom(store, "classifier")
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    [metric] = [m for m in metrics if m["type"] == "accuracy"]
    assert json.loads(metric["value"]) == told["accuracy"]
    assert {k: json.loads(v) for k, v in metric["confidenceInterval"].items()} == {
        "lowerBound": told["low"], "upperBound": told["high"],
    }  # fmt: skip
    assert metric["slice"] == f"evaluation@1; rows of heldout@1; {rows} rows"
    recalls = [m for m in metrics if m["type"] == "recall"]
    assert len(recalls) == len(WORDS)
    assert [m for m in recalls if m["slice"].endswith(f"label {ODD}")]
    package = spdx(store, "classifier")
    values = {entry.key: entry.value for entry in package.ai_metric}
    assert values[f"accuracy; evaluation@1; rows of heldout@1; {rows} rows"].startswith(
        f"{told['accuracy']:.6g} (95% interval {told['low']:.6g}"
    )


def test_the_bom_says_how_it_is_built_and_what_comes_out(store):
    parameters = bom(store, "classifier")["modelParameters"]
    assert parameters["task"] == "text-classification"
    assert parameters["architectureFamily"] == "linear classifier"
    assert parameters["outputs"] == [{"format": f"one of 3 labels: angry, calm, {ODD}"}]


def test_what_was_not_evaluated_is_told_so_by_each(store):
    words = "It was not evaluated: no evaluation in its store measures it."
    text = export(store, store.find("other"), "card")
    assert words in text.split("## Evaluation")[1].split("\n## ")[0]
    assert ModelCard(text).data.eval_results is None
    card = bom(store, "other")
    assert words in card["considerations"]["technicalLimitations"]
    trained = card["quantitativeAnalysis"]["performanceMetrics"]
    assert {metric["slice"] for metric in trained} == {"measured while training"}
    assert words in spdx(store, "other").ai_limitation


def test_what_the_card_says_of_its_use_runs_over_the_published_folder(store, folder):
    text = (folder / "README.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code.replace("path/to/this/folder", str(folder)), {})  # noqa: S102 - our own text
    assert repr(tuple(sorted(WORDS))) in out.getvalue()
    ours = mashbill.load("classifier", store.root)
    theirs = mashbill.load(str(folder))
    texts = ["a quiet lake", "they shout", "(?)"]
    assert theirs.labels == ours.labels
    assert (theirs.probabilities(texts) == ours.probabilities(texts)).all()
    said = CliRunner().invoke(app, ["predict", str(folder), "--say", "a quiet lake"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["label"] in WORDS


def test_a_folder_that_is_no_published_model_is_told_with_what_to_name(store, folder, tmp_path):
    with pytest.raises(InputError, match=r"is no folder; name one that `mashbill publish` wrote"):
        mashbill.load(tmp_path / "none")
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        mashbill.load(tmp_path)
    with pytest.raises(InputError, match=r"is a store; name a model of it"):
        mashbill.load(store.root)
    data = tmp_path / "data"
    mashbill.open(store.root)["labelled"].publish(str(data))
    with pytest.raises(InputError, match=r"has no manifest\.json|holds the dataset"):
        mashbill.load(data)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "config.json").write_text("{}")
    with pytest.raises(StoreError, match=r"config\.json is not the file that was published"):
        mashbill.load(copy)
    (copy / "config.json").unlink()
    with pytest.raises(StoreError, match=r"config\.json cannot be read"):
        mashbill.load(copy)


def remeasured(store, to, change):
    """A copy of the store whose evaluation found something else of the classifier."""
    shutil.copytree(store.root, to)
    path = Store(to).folder("dataset", store.find("evaluation").ref) / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest["measures"]["systems"]["it"])
    commit_manifest(to, path, manifest)
    return Store(to)


def test_limits_are_said_from_what_was_measured(store, tmp_path):
    def worse(told):
        told |= {"accuracy": 0.2, "low": 0.1, "high": 0.3}
        told["labels"][ODD] |= {"said": 0, "recall": 0.0, "gold": 15}
        told["labels"]["calm"] |= {"said": 9, "recall": 0.1, "gold": 15}
        told["labels"]["angry"] |= {"said": 36, "recall": 0.9, "gold": 15}

    limits = describe(remeasured(store, tmp_path / "s", worse), store.find("classifier")).limits
    assert "By evaluation@1 it is below always saying the commonest label." in limits
    assert f"By evaluation@1 it never says {ODD}, which 15 held-out rows should have." in limits
    assert any(text.startswith("By evaluation@1 it finds 10% of the 15 rows") for text in limits)
    assert not any("angry" in text for text in limits if "evaluation" in text)


def test_what_was_not_scored_is_not_known_and_no_number(store, tmp_path):
    def nothing(told):
        told |= {"accuracy": -1.0, "low": None, "high": None}

    changed = remeasured(store, tmp_path / "s", nothing)
    text = export(changed, store.find("classifier"), "card")
    assert "Accuracy is not known: no row was scored." in text
    found = ModelCard(text).data.eval_results or []
    assert not [one for one in found if one.metric_type == "accuracy"]


def test_a_model_that_was_trained_elsewhere_is_told_by_its_files_and_as_said(tmp_path):
    taken = take(tmp_path, MODEL + "epochs = { said = 2, own = 1 }\n")
    described = describe(taken, taken.find("student"))
    assert described.built is not None
    assert described.built.form == "transformers"
    assert described.built.parameters == sum(
        one.size for one in tensors_of(tmp_path / "out" / "model.safetensors")
    )
    assert any(text.startswith("It was trained elsewhere: its recipe") for text in described.limits)
    assert bom(taken, "student")["modelParameters"]
    assert spdx(taken, "student").ai_limitation.startswith("It was trained elsewhere")
    text = export(taken, taken.find("student"), "card")
    assert "It was trained elsewhere" in text.split("## Limits")[1]


def test_what_was_removed_is_told_and_no_use_is(store, tmp_path):
    shutil.copytree(store.root, tmp_path / "s")
    for name in ("classifier", "labelled"):
        done = CliRunner().invoke(app, ["rm", name, "--store", str(tmp_path / "s"), "--yes"])
        assert done.exit_code == 0, done.output
    changed = Store(tmp_path / "s")
    described = describe(changed, changed.find("classifier"))
    assert described.usages == ()
    assert described.limits[0].startswith("Its weights were removed on ")
    assert described.is_evaluated
    assert "path/to/this/folder" not in export(changed, changed.find("classifier"), "card")
    other = describe(changed, changed.find("other"))  # its rows are gone, and so are their counts
    assert [one.rows for one in other.labels] == [None] * 3
    shown = CliRunner().invoke(app, ["show", "classifier", "--store", str(tmp_path / "s")])
    assert "A model of " in shown.output


HEADERS = {
    "empty": b"",
    "cut": struct.pack("<Q", 100) + b"{}",
    "too long": struct.pack("<Q", 1 << 40) + b"{}",
    "no table": struct.pack("<Q", 2) + b"[]",
    "no shape": struct.pack("<Q", 19) + b'{"w":{"dtype":"F"}}',
    "negative": struct.pack("<Q", 32) + b'{"w":{"dtype":"F","shape":[-1]}}',
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_cannot_be_is_refused(tmp_path, name):
    (tmp_path / "w.safetensors").write_bytes(HEADERS[name])
    with pytest.raises(StoreError, match=r"w\.safetensors"):
        tensors_of(tmp_path / "w.safetensors")


def test_a_header_says_what_the_formats_own_library_wrote(tmp_path):
    np = pytest.importorskip("numpy")
    save = pytest.importorskip("safetensors.numpy").save_file
    tensors = {"a": np.zeros((3, 4), np.float32), "b": np.zeros((), np.int8)}
    save(tensors, tmp_path / "w.safetensors", {"format": "np"})
    told = {
        one.name: (one.dtype, one.shape, one.size) for one in tensors_of(tmp_path / "w.safetensors")
    }
    assert told == {"a": ("F32", (3, 4), 12), "b": ("I8", (), 1)}
