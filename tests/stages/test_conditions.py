"""``filter`` by conditions on columns: comparisons, members, what is missing."""

import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from tests_tables import table

from mashbill import InputError
from mashbill.core.canonical import canonical
from mashbill.stages.apply import ApplySpec
from mashbill.stages.conditions import Condition
from mashbill.stages.filter import FilterSpec
from mashbill.workspace.space import open_workspace


def reasons(kind, values, **keys):
    batch = pa.RecordBatch.from_pydict({"x": pa.array(values, kind)})
    return Condition(column="x", **keys).reasons(batch, "got")


@table(
    ("kind", "values", "keys", "wanted"),
    [
        (pa.float64(), [0.1, 0.5, None, math.nan], {"at_least": 0.5},
         ["x 0.1 below 0.5", None, "x is missing", "x is missing"]),
        (pa.int64(), [1, 2, 3], {"above": 1, "below": 3},
         ["x 1 not above 1", None, "x 3 not below 3"]),
        (pa.int64(), [2**62 + 1], {"at_most": float(2**62)}, [f"x {2**62 + 1} above 4.61169e+18"]),
        (pa.string(), ["0.50", " 7 ", "x", "", None], {"at_least": 0.5},
         [None, None, "x 'x' is no number", "x is missing", "x is missing"]),
        (pa.string(), ["a", " b ", "c", "", None], {"one_of": ["a", "b"]},
         [None, None, "x 'c' is none of 'a', 'b'", "x '' is none of 'a', 'b'", "x is missing"]),
        (pa.string(), ["a", "b", None], {"none_of": ["a"]}, ["x 'a' is one of 'a'", None, None]),
        (pa.string(), ["3", " 4.0", "5", "x", "", None], {"one_of": [3, 4]},
         [None, None, "x '5' is none of 3, 4", "x 'x' is none of 3, 4", "x '' is none of 3, 4",
          "x is missing"]),
        (pa.string(), ["3", "4", "x"], {"none_of": [3]}, ["x '3' is one of 3", None, None]),
        (pa.string(), ["1", "true"], {"one_of": [True]},
         ["x '1' is none of True", "x 'true' is none of True"]),
        (pa.bool_(), [True, False, None], {"one_of": [True]},
         [None, "x False is none of True", "x is missing"]),
        (pa.int64(), [1, 0], {"one_of": [True, "1"]},
         ["x 1 is none of True, '1'", "x 0 is none of True, '1'"]),
        (pa.float64(), [1.0, 2.0], {"one_of": [1, 3]}, [None, "x 2.0 is none of 1, 3"]),
        (pa.decimal128(5, 2), [Decimal("1.50")], {"at_least": 1.5}, [None]),
        (pa.null(), [None], {"at_least": 1}, ["x is missing"]),
        (pa.null(), [None], {"none_of": ["a"]}, [None]),
        (pa.string(), ["中文", "🎉", "e\u0301"], {"one_of": ["中文", "🎉"]},
         [None, None, "x 'e\u0301' is none of '中文', '🎉'"]),
    ],
)  # fmt: skip
def test_conditions(kind, values, keys, wanted):
    assert reasons(kind, values, **keys) == wanted


def test_of_a_list_its_values_are_members(tmp_path):
    kind, lists = pa.list_(pa.string()), [["a", "b"], ["b"], [], None]
    assert reasons(kind, lists, one_of=["a"]) == [
        None, "x ['b'] is none of 'a'", "x [] is none of 'a'", "x is missing",
    ]  # fmt: skip
    assert reasons(kind, lists, none_of=["a"]) == ["x ['a', 'b'] is one of 'a'", None, None, None]
    stages = (
        '[stages.got]\nkind = "import"\ntitle = "t"\nsource = "set.jsonl"\ngenerator = "none"\n'
        '[stages.out]\nkind = "filter"\ninput = "got"\nby = "rule"\n'
        'where = [{ column = "tags", one_of = ["a", 2] }]\n'
    )
    rows = [{"text": str(n), "tags": tags} for n, tags in enumerate([["a"], ["b"], [2], [], None])]
    store = run_stages(tmp_path, stages, {"set.jsonl": rows})
    assert [row["text"] for row in rows_of(store, "out")] == ["0", "2"]


def test_lists_have_no_bound():
    with pytest.raises(InputError, match="holds lists or objects"):
        reasons(pa.list_(pa.int64()), [[1]], at_least=1)


@law(100)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), max_size=20),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_is_kept_at_a_bound_is_what_is_not_below_it(values, bound):
    kept = [reason is None for reason in reasons(pa.float64(), values, at_least=bound)]
    assert kept == [v is not None and not math.isnan(v) and v >= bound for v in values]
    other = [reason is None for reason in reasons(pa.float64(), values, below=bound)]
    there = [v is not None and not math.isnan(v) for v in values]
    assert [a or b for a, b in zip(kept, other, strict=True)] == there


def test_old_filters_have_the_literals_that_they_had():
    old = FilterSpec(input="a", column="c", by="rule", keep_top=0.5)
    assert old.model_dump(mode="json") == {
        "kind": "filter", "input": "a", "column": "c", "by": "rule", "keep_top": 0.5,
        "version": None, "shard_rows": 4096,
    }  # fmt: skip
    new = FilterSpec(input="a", where=[{"column": "c", "at_least": 1}], by="rule")
    assert new.model_dump(mode="json")["where"] == [{"column": "c", "at_least": 1.0}]
    assert canonical(new.model_dump(mode="json"))


CHAIN = """
[stages.corpus]
kind = "corpus"
title = "t"
license = "CC0-1.0"
source = "toy.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"

[stages.labelled]
kind = "label"
input = "corpus"
teacher = "t"
prompt = "toy.txt"
labels = { good = " good", bad = " bad" }

[stages.classifier]
kind = "classifier"
input = "labelled"
buckets = 512

[stages.applied]
kind = "apply"
input = "corpus"
model = "classifier"

[stages.out]
kind = "filter"
input = "applied"
by = "classifier"
where = [{ column = "label", one_of = ["good"] }, { column = "confidence", at_least = 0.6 }]
"""


def test_a_classifier_of_the_recipe_filters(tmp_path):
    rows = [
        {"text": f"{'lovely' if n % 2 else 'awful'} day {n}", "mood": "good" if n % 2 else "bad"}
        for n in range(40)
    ]
    files = {"toy.jsonl": rows, "toy.txt": "Text: a kind day -> good\nText: {{ text }} ->\n"}
    store = run_stages(tmp_path, CHAIN, files)
    kept = rows_of(store, "out")
    assert kept
    assert {row["label"] for row in kept} == {"good"}
    assert min(row["confidence"] for row in kept) >= 0.6
    (actor,) = [item for item in store.find("out").inputs if item.role == "actor"]
    assert (actor.name, actor.channel) == ("classifier@1", "selection")
    told = {row["_reason"].split(" ")[0] for row in rows_of(store, "out", "rejected")}
    assert told <= {"label", "confidence"}
    assert store.find("out").measures["conditions"]["0: label"] >= 1


def test_a_classifier_filters_by_the_probability_of_one_label(tmp_path):
    rows = [
        {"text": f"{'lovely' if n % 2 else 'awful'} day {n}", "mood": "good" if n % 2 else "bad"}
        for n in range(40)
    ]
    files = {"toy.jsonl": rows, "toy.txt": "Text: a kind day -> good\nText: {{ text }} ->\n"}
    chain = CHAIN.replace('model = "classifier"', 'model = "classifier"\nsoft = true')
    chain = chain[: chain.index("where")] + 'where = [{ column = "p_good", at_least = 0.6 }]\n'
    store = run_stages(tmp_path, chain, files)
    assert min(row["p_good"] for row in rows_of(store, "out")) >= 0.6
    assert all("p_good " in row["_reason"] for row in rows_of(store, "out", "rejected"))
    found = open_workspace(store.root).audit(deep=True)
    assert found.holds, found.findings
    assert ApplySpec(input="a", model="b").model_dump(mode="json") == {
        "kind": "apply", "input": "a", "model": "b", "version": None, "shard_rows": 4096,
    }  # fmt: skip
