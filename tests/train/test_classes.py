"""What a classifier is fitted on, how long it is expected to take, and what its labels lack."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from tests_support import run_stages

from mashbill.core.errors import MashbillError, RecipeError
from mashbill.models.linear import WORDS, LinearPredictor, idf_of, scaled, vectorizer, write_linear
from mashbill.train.classes import Task, check_target
from mashbill.train.classifier import ClassifierSpec

BUCKETS = 4096
OWN = {"angry": ["broken", "late", "refund"], "calm": ["thanks", "fine"], "lost": ["where", "how"]}


def _task(labels: list[str], rows: int = 60, *, soft: bool = False) -> Task:
    draw = np.random.default_rng(4)
    said = [labels[n % len(labels)] for n in range(rows)]
    common = [f"word{n}" for n in range(200)]
    texts = [" ".join([*draw.choice(common, 6), *draw.choice(OWN[word], 1)]) for word in said]
    truth = np.eye(len(labels))[[labels.index(word) for word in said]]
    if soft:
        truth = truth * 0.7 + draw.dirichlet(np.ones(len(labels)), rows) * 0.3
    return Task(texts, labels, truth, draw.uniform(0.1, 1, rows))


def _inputs(task: Task):
    counts = vectorizer(BUCKETS, WORDS).transform(task.texts)
    return scaled(counts, idf_of(counts, WORDS))


def _base(folder, rows: int) -> LinearPredictor:
    """Return a model with a weight in every bucket, also those that no text has."""
    draw = np.random.default_rng(9)
    tensors = {
        "weights": draw.normal(size=(rows, BUCKETS)).astype(np.float32),
        "bias": draw.normal(size=rows).astype(np.float32),
        "idf": np.ones(BUCKETS, np.float32),
    }
    labels = list(OWN)[: 3 if rows == 3 else 2]
    return write_linear(folder, tensors, labels, 1.0)


def _on_all(spec: ClassifierSpec, inputs, task: Task, rows, base) -> LogisticRegression:
    """Fit over every bucket, by scikit-learn alone."""
    model = LogisticRegression(
        C=spec.strength, max_iter=spec.max_iter, class_weight="balanced", warm_start=bool(base)
    )
    if base is not None:
        model.coef_, model.intercept_ = base.weights.astype(float), base.bias.astype(float)
    return model.fit(inputs[rows], task.target[rows], sample_weight=task.weight[rows])


@pytest.mark.parametrize("labels", [["angry", "calm"], list(OWN)])
@pytest.mark.parametrize(("with_base", "steps"), [(False, 500), (True, 500), (True, 3), (False, 3)])
def test_a_fit_on_the_buckets_that_occur_is_that_on_all(tmp_path, labels, with_base, steps):
    task = _task(labels)
    inputs, rows = _inputs(task), np.arange(0, 40)
    base = _base(tmp_path, len(labels) if len(labels) > 2 else 1) if with_base else None
    spec = ClassifierSpec(input="rows", buckets=BUCKETS, max_iter=steps)
    fitted = spec._fit(inputs, task, rows, base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # three steps are not enough
        whole = _on_all(spec, inputs, task, rows, base)
    assert fitted.coef_.shape == whole.coef_.shape
    assert fitted.n_iter_ == whole.n_iter_
    assert np.allclose(fitted.coef_, whole.coef_, rtol=0, atol=1e-8)
    assert np.allclose(fitted.intercept_, whole.intercept_, rtol=0, atol=1e-8)
    # Rows that it did not learn from have buckets that those it learned from have not.
    assert np.allclose(fitted.predict_proba(inputs), whole.predict_proba(inputs), atol=1e-8)


def test_buckets_that_no_row_has_are_not_fitted(monkeypatch):
    widths = []
    fit = LogisticRegression.fit

    def spied(self, inputs, *args, **keys):
        widths.append(inputs.shape[1])
        return fit(self, inputs, *args, **keys)

    monkeypatch.setattr(LogisticRegression, "fit", spied)
    for soft in (False, True):
        task = _task(list(OWN), soft=soft)
        inputs = _inputs(task)
        spec = ClassifierSpec(input="rows", buckets=BUCKETS, soft=soft)
        model = spec._fit(inputs, task, np.arange(60), None)
        occurring = set(inputs.indices.tolist())
        assert widths.pop() == len(occurring) < BUCKETS / 10
        assert set(np.flatnonzero(model.coef_.any(axis=0)).tolist()) <= occurring


def test_texts_without_a_word_are_fitted_by_their_bias():
    task = Task([""] * 12, ["no", "yes"], np.eye(2)[[0] * 6 + [1] * 6], np.ones(12))
    model = ClassifierSpec(input="rows", buckets=BUCKETS)._fit(
        _inputs(task), task, np.arange(12), None
    )
    assert model.coef_.shape == (1, BUCKETS)
    assert not model.coef_.any()
    assert model.predict_proba(_inputs(task))[:, 1] == pytest.approx(0.5)


def _tickets(**counts: int) -> list[dict]:
    said = [label for label, count in counts.items() for _ in range(count)]
    return [{"text": f"ticket {n} about {label}", "team": label} for n, label in enumerate(said)]


CORPUS = """
[stages.corpus]
kind = "corpus"
title = "tickets"
license = "CC0-1.0"
source = "tickets.jsonl"
keep = ["team"]
"""
LEARNED = """
[stages.classifier]
kind = "classifier"
input = "INPUT"
buckets = 4096
target = "TARGET"
"""


def _fails(folder, rows, stages: str, target: str, of: str = "corpus") -> str:
    stages += LEARNED.replace("INPUT", of).replace("TARGET", target)
    with pytest.raises(MashbillError) as failed:
        run_stages(folder, stages, {"tickets.jsonl": rows}, teachers="")
    return str(failed.value)


def test_labels_of_too_few_rows_are_named_with_what_they_may_be(tmp_path):
    rows = _tickets(billing=20, shipping=20, biling=1, odd=3)
    said = _fails(tmp_path, rows, CORPUS, "team")
    assert "'biling' (1 row; did you mean 'billing'?), 'odd' (3 rows) in column 'team'" in said
    assert "5 of each label" in said
    assert "spelling" in said
    assert "prompt" not in said


def test_one_label_alone_is_named_with_its_rows(tmp_path):
    said = _fails(tmp_path, _tickets(billing=20), CORPUS, "team")
    assert "only the label 'billing' in column 'team', of 20 rows" in said
    assert "prompt" not in said


def test_of_many_rare_labels_the_rarest_are_named(tmp_path):
    counts = {f"label{n}": 1 + n % 3 for n in range(30)}
    said = _fails(tmp_path, _tickets(**counts), CORPUS, "team")
    assert "and 25 more labels" in said
    assert said.count("(1 row)") == 5


GOLD = 'gold = { column = "team", labels.a.equals = "a", labels.b.equals = "b" }\n'
SPLIT = '\n[stages.first]\nkind = "split"\ninput = "corpus"\nrange = [0.0, 1.0]\n'


def test_gold_that_a_split_drops_is_told_before_anything_runs(tmp_path):
    said = _fails(tmp_path, _tickets(a=20, b=20), CORPUS + GOLD + SPLIT, "gold", "first")
    assert "first has no column 'gold'" in said
    assert 'gold = "require"' in said
    assert not list((tmp_path / "store").rglob("part-*.parquet"))


def test_gold_that_a_split_requires_is_learned(tmp_path):
    stages = CORPUS + GOLD + SPLIT + 'gold = "require"\n'
    stages += LEARNED.replace("INPUT", "first").replace("TARGET", "gold")
    store = run_stages(tmp_path, stages, {"tickets.jsonl": _tickets(a=20, b=20)}, teachers="")
    assert [one.name for one in store.manifests() if one.kind == "model"] == ["classifier"]


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("gold", 'write gold = "require" in stages.first'),
        ("label", 'a stage of kind "label" before'),
        ("teem", "did you mean 'team'?"),
        ("zzz", "name one of them in target"),
    ],
)
def test_a_column_of_labels_that_is_not_there_is_told_with_those_that_are(target, says):
    columns = ["text", "team", "_id"]
    with pytest.raises(RecipeError) as failed:
        check_target(target, columns, "first@1", "first", drops=True)
    assert "it has text, team" in str(failed.value)
    assert "_id" not in str(failed.value)
    assert says in str(failed.value)


def test_a_plan_expects_a_classifier_to_take_its_time():
    spec = ClassifierSpec(input="rows")
    assert spec.expected_seconds(None) is None
    few, many = spec.expected_seconds(114), spec.expected_seconds(20_000)
    assert few >= 0.1
    assert many > 2 * few
    slower = ClassifierSpec(input="rows", features="letters").expected_seconds(20_000)
    assert slower > many
