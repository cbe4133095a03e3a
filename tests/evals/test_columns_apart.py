"""Columns of rows, of answers and of the result that have one name never stand for each other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests_bases import table, write_base
from tests_laws import law
from tests_support import rows_of

from mashbill import InputError, RecipeError
from mashbill.core.record import OURS
from mashbill.evals.by_score import Asked, _beside
from mashbill.evals.columns_given import OVERLAPPED_BY, columns_of
from mashbill.evals.evaluate import EvaluateSpec
from tests.evals.test_scored import RIGHT, SUMS, TASKS, answers, evaluated

EVALUATE = '\n[stages.evaluation]\nkind = "evaluate"\ninput = "tasks"\nby = "same"\n'
ECHO = 'systems = { echo = "e" }\n'
NAMES = st.sampled_from(["text", "answer", "prompt", "text of the rows"])


@law(200)
@given(st.sets(NAMES, min_size=1), st.sets(NAMES, min_size=1), NAMES, NAMES, st.sets(NAMES))
def test_what_is_right_is_the_rows_and_what_is_scored_is_the_answers(
    own, theirs, column, reference, reads
):
    reads = reads - {column}
    answers, rows = (
        pa.table({name: [f"{of}: {name}"] for name in sorted(names)})
        for of, names in (("answer", own), ("row", theirs))
    )
    how = Asked(None, column, reference, "", 0.5, unanswered_is_wrong=False, warn=print)
    wanted = (answers, np.array([0]), rows, how, sorted(reads), "a")
    lacking = (reads | {reference}) - own - theirs
    if lacking or (reference == column and reference not in theirs):
        with pytest.raises(InputError, match=r"neither a nor|held against itself"):
            _beside(*wanted)
        return
    table, right = _beside(*wanted)
    of = "row" if reference in theirs else "answer"
    assert table.column(right).to_pylist() == [f"{of}: {reference}"]
    for name in own | reads:
        of = "answer" if name in own else "row"
        assert table.column(name).to_pylist() == [f"{of}: {name}"]


def test_a_reference_of_the_rows_may_be_called_as_what_is_scored(tmp_path, monkeypatch):
    """The fault: each answer was held against itself, and had all points."""
    monkeypatch.setitem(RIGHT, "echo", lambda a, b, _: f"{a} + {b}" if b % 2 else "no")
    keys = ECHO + 'reference = "text"\n'
    stages = answers("e", "echo")
    monkeypatch.setattr("tests.evals.test_scored.EVALUATE", EVALUATE)
    store = evaluated(tmp_path, monkeypatch, stages, keys)
    told = store.find("evaluation").measures["systems"]["echo"]
    assert told["score"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (ECHO + 'column = "prompt"\nreference = "prompt"', "held against itself"),
        (ECHO + 'reference = "answr"', "reference = 'answr' is no column of tasks or e; did you"),
        ('systems.own = "tasks"\nreference = "text"', "held against itself"),
    ],
)
def test_a_reference_that_is_the_answer_itself_is_told_before_anything_runs(
    keys, said, tmp_path, monkeypatch
):
    monkeypatch.setitem(RIGHT, "echo", lambda a, b, _: f"{a} + {b}")
    monkeypatch.setattr("tests.evals.test_scored.EVALUATE", EVALUATE)
    with pytest.raises(RecipeError, match=said):
        evaluated(tmp_path, monkeypatch, answers("e", "echo"), f"{keys}\n")


@pytest.mark.parametrize(
    ("keys", "looked_for", "held"),
    [
        # What is right counts as the answer to the rest,
        ('reference = "answer"\nlooked_for = ["text", "answer"]', 60, 60),
        # is looked for where nothing else is,
        ('reference = "answer"\nlooked_for = ["answer"]', 16, 60),
        # and where answers alone have it, rows have none to look for.
        ('reference = "prompt"\nlooked_for = ["text"]', 0, 0),
    ],
)
def test_what_is_right_may_be_looked_for_or_be_the_answers_own(
    keys, looked_for, held, tmp_path, monkeypatch
):
    rows = [{**row, "answer": f"the sum of both comes to {row['answer']}"} for row in SUMS]
    monkeypatch.setattr("tests.evals.test_scored.EVALUATE", EVALUATE)
    more = 'systems = { a = "a" }\ncontamination = true\nagainst = ["tasks"]\n'
    store = evaluated(tmp_path, monkeypatch, answers("a", "strong"), f"{more}{keys}\n", rows)
    told = store.find("evaluation").measures["contamination"]
    assert told["questions"] == 60
    assert (told["looked_for"], told["held"]) == (looked_for, held)


SYSTEMS = st.dictionaries(
    st.sampled_from(
        ["a", "a_1", "a_2", "a_1_came", "a_came", "a_reason", "a_nats", "a_tokens", "b", "b_came",
         "b_tokens", OVERLAPPED_BY]
    ),
    st.integers(1, 3),
    min_size=1,
    max_size=4,
)  # fmt: skip
METRICS = {
    "accuracy": ("systems", {}),
    "score": ("systems", {"by": "v"}),
    "bits_per_byte": ("models", {}),
}


@law(300)
@given(SYSTEMS, st.sampled_from(sorted(METRICS)), st.booleans())
def test_systems_whose_columns_collide_are_refused_and_no_others(systems, metric, contamination):
    key, more = METRICS[metric]
    given_ = [name for one, n in systems.items() for name in columns_of(metric, one, n)]
    given_ += [OVERLAPPED_BY] if contamination else []
    table = {
        name: "x" if seeds == 1 else [f"x{n}" for n in range(seeds)]
        for name, seeds in systems.items()
    }
    keys = {"input": "rows", key: table, "contamination": contamination, **more}
    if len(set(given_)) == len(given_) and not OURS & set(given_):
        assert EvaluateSpec(**keys).metric == metric
        return
    with pytest.raises(ValidationError, match="would both have the column"):
        EvaluateSpec(**keys)


def test_the_columns_of_a_system_are_those_that_it_gets(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.evals.test_scored.EVALUATE", EVALUATE + 'reference = "answer"\n')
    stages = answers("a", "seed0") + answers("b", "seed1")
    keys = 'systems = { one = "a", two = ["a", "b"] }\n'
    store = evaluated(tmp_path, monkeypatch, stages, keys)
    row = rows_of(store, "evaluation")[0]
    given_ = [*columns_of("score", "one", 1), *columns_of("score", "two", 2)]
    assert set(row) - OURS - set(rows_of(store, "tasks")[0]) == set(given_)


@pytest.mark.parametrize("column", ["prompt", "finish"])
def test_answers_of_models_are_not_called_as_what_stands_beside_them(column):
    keys = {"input": "rows", "models": {"m": "x"}, "by": "v", "column": column}
    with pytest.raises(ValidationError, match="a model's answers have a column of this name"):
        EvaluateSpec(**keys)
    assert EvaluateSpec(input="rows", systems={"m": "x"}, by="v", column=column)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ('reference = "number"', "column 'number of the rows' holds int64; text is needed"),
        ('reference = "answer"\nfinish = "sample"', "finish names a column with the word"),
    ],
)
def test_what_cannot_be_scored_is_told_before_a_model_answers(keys, said, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("mashbill.evals.evaluating.written_by", never)
    rows = [{**row, "number": at} for at, row in enumerate(SUMS)]
    base = write_base(tmp_path / "tiny")
    monkeypatch.setattr("tests.evals.test_scored.EVALUATE", EVALUATE)
    monkeypatch.setattr(
        "tests.evals.test_scored.TASKS", TASKS.replace('"topic"', '"topic", "number"')
    )
    stages = table("tiny", base) + answers("a", "strong", "samples = 2")
    keys = f'systems = {{ a = "a" }}\nmodels = {{ m = "tiny" }}\n{keys}\n'
    with pytest.raises(InputError, match=said):
        evaluated(tmp_path, monkeypatch, stages, keys, rows)
