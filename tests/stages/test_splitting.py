"""``split`` by group: nothing leaks, whatever ties rows together, however they are cut."""

import json
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from tests_tables import table
from typer.testing import CliRunner

from mashbill import InputError, RecipeError
from mashbill.cli import app
from mashbill.files.rows.text import place, place_of_key
from mashbill.stages.grouping import group_keys, hashed, joined
from mashbill.stages.split import SplitSpec
from mashbill.workspace.space import open_workspace

IMPORT = '[stages.got]\nkind = "import"\ntitle = "t"\nsource = "set.jsonl"\ngenerator = "none"\n'


def stages(by, more="", cuts=(0, 0.3, 0.6, 1)):
    return IMPORT + "".join(
        f'[stages.s{n}]\nkind = "split"\ninput = "got"\nrange = [{low}, {high}]\nby = {by}\n'
        f"{more}\n"
        for n, (low, high) in enumerate(pairwise(cuts))
    )


def rows(count=240):
    return [
        {"text": f"answer {n}", "user": f"u{n % 23}", "task": f"Task {n % 31}!", "n": n,
         "cluster": n // 6 if n % 4 else None}
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [1, 37, 4096])
@pytest.mark.parametrize("by", [["user"], ["task"], ["cluster"]])
def test_no_group_is_divided(tmp_path, by, size):
    more = f'shard_rows = {size}\nungrouped = "alone"\n'
    store = run_stages(tmp_path, stages(json.dumps(by), more), {"set.jsonl": rows()})
    sides = [{row["n"]: row[by[0]] for row in rows_of(store, f"s{n}")} for n in range(3)]
    assert sorted(n for side in sides for n in side) == list(range(240))  # each row in one
    for one in range(3):
        for other in range(one):
            shared = set(sides[one].values()) & set(sides[other].values())
            assert shared <= {None}


@law(60)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), st.integers(0, 8))), max_size=40),
    st.integers(1, 9),
    st.integers(0, 5),
)
def test_components_are_those_of_a_walk(pairs, size, seed):
    del size, seed
    links = [(a, 9 + b) for a, b in pairs if b is not None]
    found = joined(np.arange(18), np.array(links, np.int64).reshape(-1, 2).T)
    wanted = list(range(18))
    for _ in range(18):
        for a, b in links:
            wanted[a] = wanted[b] = min(wanted[a], wanted[b])
    assert found.tolist() == wanted


def test_a_long_chain_is_one_group_in_few_rounds():
    count = 100_000
    order = np.random.default_rng(1).permutation(count)
    found = joined(np.arange(count), np.stack([order[:-1], order[1:]]))
    assert (found == 0).all()


@pytest.mark.few(1)
@pytest.mark.parametrize("size", [1, 50, 4096])
def test_what_ties_rows_together_through_others_is_not_divided(tmp_path, size):
    # u0 - t0 - u1 - t1 - u2 ...: chains of ten users each
    chained = [
        {"text": f"{n}", "user": f"u{n // 2}", "task": f"t{(n + 1) // 2}", "chain": n // 20}
        for n in range(200)
        if n % 20 != 19
    ]
    by = stages('["user", "task"]', f"shard_rows = {size}\n", (0, 0.5, 1))
    store = run_stages(tmp_path, by, {"set.jsonl": chained})
    sides = [{row["chain"] for row in rows_of(store, f"s{n}")} for n in range(2)]
    assert not sides[0] & sides[1]
    assert sides[0]
    assert sides[1]
    space = open_workspace(store.root)
    assert space.overlap("s0", "s1", ["user", "task"]).is_apart
    places = [[row["_from"] for row in rows_of(store, f"s{n}")] for n in range(2)]
    again = run_stages(
        tmp_path / "again", by.replace(f"= {size}\n", "= 7\n"), {"set.jsonl": chained}
    )
    assert places == [[row["_from"] for row in rows_of(again, f"s{n}")] for n in range(2)]


def test_rows_that_are_all_one_group_are_told(tmp_path):
    tied = [{"text": f"{n}", "user": f"u{n % 3}", "task": f"t{n % 4}"} for n in range(24)]
    with pytest.raises(InputError, match="user and task tie all 24 rows together into one group"):
        run_stages(tmp_path, stages('["user", "task"]'), {"set.jsonl": tied})
    tied += [{"text": "x", "user": f"w{n}", "task": f"s{n}"} for n in range(9)]
    store = run_stages(tmp_path / "b", stages('["user", "task"]'), {"set.jsonl": tied})
    measures = store.find("s0").measures
    assert (measures["groups"], measures["rows_of_largest_group"]) == (10, 24)
    assert "24 of 33 rows are one group by user, task" in measures["warnings"][0]


def test_a_row_without_a_group_is_rejected_or_alone(tmp_path):
    given_ = [{"text": "a", "user": "x"}, {"text": "b"}, {"text": "c", "user": " "}]
    store = run_stages(tmp_path, stages('["user"]', cuts=(0, 1)), {"set.jsonl": given_})
    assert [row["text"] for row in rows_of(store, "s0")] == ["a"]
    assert {row["_reason"] for row in rows_of(store, "s0", "rejected")} == {"user is missing"}
    alone = stages('["user"]', 'ungrouped = "alone"\n', (0, 1))
    store = run_stages(tmp_path / "alone", alone, {"set.jsonl": given_})
    assert [row["text"] for row in rows_of(store, "s0")] == ["a", "b", "c"]


def test_a_group_stays_where_it_is_however_the_rows_grow(tmp_path):
    few = run_stages(tmp_path, stages('["user"]'), {"set.jsonl": rows(60)})
    many = run_stages(tmp_path / "many", stages('["user"]'), {"set.jsonl": rows(240)})
    for n in range(3):
        before = {row["user"] for row in rows_of(few, f"s{n}")}
        assert before <= {row["user"] for row in rows_of(many, f"s{n}")}


def test_splits_of_before_are_the_same():
    old = SplitSpec(input="a", range=(0, 0.5))
    assert old.model_dump(mode="json") == {
        "kind": "split", "input": "a", "range": [0.0, 0.5], "gold": "drop", "version": None,
        "shard_rows": 4096,
    }  # fmt: skip
    for text in ("Ein Buch, eine Kuh.", "C++", "用户", "", "x" * 99):
        batch = pa.RecordBatch.from_pydict({"x": [text]})
        (key,) = group_keys(batch, "x", "got")
        if key is not None:
            assert place_of_key(key, 3) == place(text, 3)


@table(
    ("kind", "values", "same"),
    [
        (pa.int64(), [5, 5, 6, None], [0, 0, 1, None]),
        (pa.float64(), [5.0, float("nan"), 5.5], [0, None, 1]),
        (pa.string(), ["A b", "a  B!", "", "ab"], [0, 0, None, 1]),
        (pa.bool_(), [True, False, True], [0, 1, 0]),
        (pa.list_(pa.string()), [["a", "b"], ["a", "b"], ["ab"], None], [0, 0, 1, None]),
        (pa.binary(), [b"\x00\x01", b"\x00\x01", b"\x02"], [0, 0, 1]),
        (pa.null(), [None, None], [None, None]),
        (pa.string(), ["用户甲", "用户乙", "🎉", "e\u0301", "é"], [0, 1, 2, 3, 3]),
    ],
)
def test_values_of_every_type_are_groups(kind, values, same):
    batch = pa.RecordBatch.from_pydict({"x": pa.array(values, kind)})
    keys = group_keys(batch, "x", "got")
    assert [key is None for key in keys] == [each is None for each in same]
    for a, mine in zip(keys, same, strict=True):
        for b, its in zip(keys, same, strict=True):
            if a is not None and b is not None:
                assert (a == b) == (mine == its)
    assert [int(value) == 0 for value in hashed(keys, "x")] == [key is None for key in keys]


def test_a_number_and_a_text_that_writes_it_are_one_group():
    tables = [pa.array([5, 12]), pa.array([5.0, 12.0]), pa.array(["5", "12"])]
    keys = [group_keys(pa.RecordBatch.from_pydict({"x": each}), "x", "got") for each in tables]
    assert keys[0] == keys[1] == keys[2]


@table(
    ("keys", "says"),
    [
        ('["usr"]', "by = 'usr' is no column of got; did you mean 'user'"),
        ('["user", "user"]', "names a column twice"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(keys, says):
    with tempfile.TemporaryDirectory() as folder, pytest.raises(RecipeError, match=says):
        run_stages(Path(folder), stages(keys), {"set.jsonl": rows(4)})


def test_what_two_datasets_share_is_told(tmp_path):
    by_text = IMPORT + (
        '[stages.s0]\nkind = "split"\ninput = "got"\nrange = [0, 0.5]\n'
        '[stages.s1]\nkind = "split"\ninput = "got"\nrange = [0.5, 1]\n'
    )
    store = run_stages(tmp_path, by_text, {"set.jsonl": rows()})
    asked = ["overlap", "s0", "s1", "--store", str(store.root)]
    apart = CliRunner().invoke(app, asked)
    assert apart.exit_code == 0, apart.output
    assert "They share nothing there" in apart.output
    shared = CliRunner().invoke(app, [*asked, "--by", "user", "--by", "cluster", "--json"])
    assert shared.exit_code == 1
    told = json.loads(shared.output)
    users, clusters = told["columns"]
    assert (users["column"], users["groups"], told["is_apart"]) == ("user", 23, False)
    assert sum(users["rows"]) == 240
    assert sum(clusters["missing"]) == 60
    one, other = users["examples"][0]
    assert rows_of(store, "s0")[one]["user"] == rows_of(store, "s1")[other]["user"]
    lacking = CliRunner().invoke(app, [*asked, "--by", "nothing"])
    assert isinstance(lacking.exception, InputError)
    assert "by = 'nothing' is no column of s0@1; it has text" in str(lacking.exception)
