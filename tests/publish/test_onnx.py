"""A classifier as ONNX: its numbers are ours, by onnxruntime and by nothing of this package."""

import json
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("sklearn")

from hypothesis import example, given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tests_support import run_stages  # noqa: E402

import mashbill as mb  # noqa: E402
from mashbill import InputError  # noqa: E402
from mashbill.core.canonical import digest_bytes  # noqa: E402
from mashbill.models.linear import features, first_features, vectorizer  # noqa: E402
from mashbill.models.linear_features import featuriser  # noqa: E402

TEXTS = [
    "", " ", "a", "The film was not good, and the weather is fine!", "Grüße, 42 Züge, 日本語 です",
    "e\u0301 é 🙂👍🏽 :) #1 .NET -5 C++", "สวัสดี नमस्ते Straße İstanbul", "nothing known qqq zzz",
]  # fmt: skip
WORDS = {"good": "lovely bright kind", "bad": "awful dull cruel", "so-so": "plain middling mild"}
STAGES = """
[stages.rows]
kind = "import"
title = "rows"
source = "rows.jsonl"
generator = "none"

[stages.first]
kind = "classifier"
input = "rows"
buckets = 4096

[stages.small]
kind = "quantise"
base = "first"
"""


def run(folder, labels):
    words = {label: WORDS[label].split() for label in labels}
    rows = [
        {
            "text": f"the film {n} was {words[label][n % 3]}, {words[label][n % 2]}",
            "label": label,
            "confidence": 0.9,
        }
        for n in range(40)
        for label in labels
    ]
    return mb.open(run_stages(folder, STAGES, {"rows.jsonl": rows}, "").root)


@pytest.fixture(scope="module", params=[("good", "bad"), ("good", "bad", "so-so")], ids=len)
def made(request, tmp_path_factory):
    return run(tmp_path_factory.mktemp("onnx"), request.param)


def taken(text):
    """The functions of a featuriser, as who runs the file gets them."""
    names = {"__name__": "features"}
    exec(compile(text, "features.py", "exec"), names)  # noqa: S102 - our own text
    return names


@pytest.mark.parametrize("name", ["first", "small"])
def test_probabilities_are_ours_to_1e_5(made, tmp_path, name):
    done = made[name].write_model("onnx", tmp_path / "model.onnx")
    assert [path.name for path in done.paths] == ["model.onnx", "bill.json", "features.py"]
    session = runtime.InferenceSession(str(done.paths[0]))
    read = taken(done.paths[2].read_text())["features"]
    model = made[name].load()
    texts = [*TEXTS, *made["rows"].to_arrow().column("text").to_pylist()]
    probabilities, label = session.run(None, {"features": read(texts)})
    own = model.probabilities(texts)
    assert np.abs(probabilities - own).max() < 1e-5
    sure = np.sort(own, axis=1)[:, -1] - np.sort(own, axis=1)[:, -2] > 1e-4
    assert [label[n] for n in np.flatnonzero(sure)] == [
        model.labels[own[n].argmax()] for n in np.flatnonzero(sure)
    ]
    assert f"{len(model.labels)} labels" in done.told
    again = made[name].write_model("onnx", tmp_path / "again.onnx")
    assert again.paths[0].read_bytes() == done.paths[0].read_bytes()


def test_the_graph_says_whose_it_is(made, tmp_path):
    file, bill, _ = made["first"].write_model("onnx", tmp_path / "model.onnx").paths
    told = {item.key: item.value for item in onnx.load(file).metadata_props}
    assert told["mashbill.artifact"] == "first@1"
    assert told["mashbill.bill.sha256"] == digest_bytes(bill.read_bytes())
    assert json.loads(told["labels"]) == list(made["first"].load().labels)


def test_who_has_the_files_alone_gets_the_same(made, tmp_path):
    made["first"].write_model("onnx", tmp_path / "model.onnx")
    program = (
        "import json, sys; sys.path.insert(0, '.'); import onnxruntime as o; "
        "from features import features; "
        "s = o.InferenceSession('model.onnx'); "
        "print(json.dumps(s.run(None, {'features': features(json.load(sys.stdin))})[0].tolist())); "
        "assert 'mashbill' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path, input=json.dumps(TEXTS), capture_output=True, text=True, check=True,
    )  # fmt: skip
    own = made["first"].load().probabilities(TEXTS)
    assert np.abs(np.array(json.loads(done.stdout)) - own).max() < 1e-5


@pytest.mark.parametrize("rule", [1, 2])
def test_features_of_any_text_are_those_of_the_vectorizer(rule):
    names = taken(featuriser("x@1", "0", 1000, rule))
    hashed = vectorizer(1000, rule)

    @given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
    @example(TEXTS)
    def check(texts):
        read = names["features"](texts)
        rows = hashed.transform(texts)
        for number in range(len(texts)):
            own = sorted(int(i) for i in rows[number].indices)
            assert [int(i) for i in read[number] if i < 1000] == own

    check()
    assert (features if rule == 2 else first_features)("ab") == ["ab"]


def test_what_is_no_linear_classifier_is_told(made, tmp_path):
    with pytest.raises(InputError, match="rows@1 is a dataset, and onnx holds a model"):
        made["rows"].write_model("onnx", tmp_path / "x.onnx")
    with pytest.raises(InputError, match="is no language model in a folder"):
        made["first"].write_model("gguf", tmp_path / "x.gguf")
