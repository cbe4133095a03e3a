"""``mix`` by weights: totals, caps, temperature, and which rows."""

import json
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages
from tests_tables import table

from mashbill import Acceptance, InputError, RecipeError
from mashbill.core.canonical import canonical
from mashbill.lineage.bills.bill import bill, summarised
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import table_of
from mashbill.publish.publish import Wish
from mashbill.stages.mix import MixSpec
from mashbill.stages.sharing import counts_of, largest_remainders, shares_of
from mashbill.workspace.space import open_workspace

NAMES = "abc"


def split(weights, sizes, total=None, caps=None, temperature=None, short="refuse"):
    shares = shares_of(weights, sizes, temperature)
    return counts_of(shares, caps or sizes, total, short)


@table(
    ("weights", "sizes", "more", "wanted"),
    [
        ({"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 600, "b": 300, "c": 100}, {}, (600, 300, 100)),
        ({"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 99, "b": 99, "c": 99}, {"total": 10}, (6, 3, 1)),
        ({"a": 1, "b": 1, "c": 1}, {"a": 99, "b": 99, "c": 99}, {"total": 10}, (4, 3, 3)),
        ({"a": 1, "b": 1, "c": 1}, {"a": 900, "b": 90, "c": 10}, {"temperature": 1}, (900, 90, 10)),
        # T = 2: roots of 900, 100 and 25 are 30, 10 and 5
        ({"a": 1, "b": 1, "c": 1}, {"a": 900, "b": 100, "c": 25},
         {"temperature": 2, "total": 45}, (30, 10, 5)),
        ({"a": 1, "b": 1, "c": 2}, {"a": 900, "b": 100, "c": 25},
         {"temperature": 2, "total": 50}, (30, 10, 10)),
        # as many as there are without repeating: c is the first to be used up
        ({"a": 1, "b": 1, "c": 1}, {"a": 900, "b": 100, "c": 25}, {"temperature": 2},
         (150, 50, 25)),
        ({"a": 1, "b": 1, "c": 1}, {"a": 50, "b": 50, "c": 2},
         {"total": 30, "short": "others"}, (14, 14, 2)),
        ({"a": 1, "b": 1, "c": 1}, {"a": 50, "b": 5, "c": 2},
         {"total": 30, "short": "others"}, (23, 5, 2)),
        ({"a": 1, "b": 1, "c": 1}, {"a": 50, "b": 5, "c": 2},
         {"total": 30, "short": "fewer"}, (10, 5, 2)),
        ({"a": 1, "b": 1, "c": 1}, {"a": 5, "b": 0, "c": 5}, {"temperature": 3}, (5, 0, 5)),
        ({"a": 1e-9, "b": 1}, {"a": 3, "b": 10**9}, {}, (1, 10**9)),
    ],
)  # fmt: skip
def test_counts_by_hand(weights, sizes, more, wanted):
    assert tuple(split(weights, sizes, **more).values()) == wanted


@law(300)
@given(
    st.lists(st.tuples(st.floats(0.001, 1000), st.integers(0, 500)), min_size=1, max_size=6),
    st.integers(1, 3000),
    st.one_of(st.none(), st.floats(0.5, 20)),
    st.sampled_from(["refuse", "others", "fewer"]),
)
def test_totals_are_met_or_told_and_caps_are_held(inputs, total, temperature, short):
    weights = {str(n): weight for n, (weight, _) in enumerate(inputs)}
    sizes = {str(n): size for n, (_, size) in enumerate(inputs)}
    try:
        shares = shares_of(weights, sizes, temperature)
        counts = counts_of(shares, sizes, total, short)
    except InputError as error:
        told = str(error)
        if short == "fewer" and sum(sizes.values()):
            raise
    else:
        told = ""
    if told:
        assert told.startswith("mix: ")
        return
    assert list(counts) == list(weights)
    assert all(0 <= count <= sizes[name] for name, count in counts.items())
    assert sum(counts.values()) == total or short == "fewer"
    if short == "refuse":
        assert all(abs(counts[name] - shares[name] * total) < 1 for name in counts)
    most = counts_of(shares, sizes, None, "refuse")
    assert all(count <= sizes[name] for name, count in most.items())


@law(100)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.integers(0, 1000))
def test_remainders_sum_up(parts, total):
    shares = {str(n): Fraction(part, sum(parts)) for n, part in enumerate(parts)}
    counts = largest_remainders(shares, total)
    assert sum(counts.values()) == total
    assert all(abs(counts[name] - share * total) < 1 for name, share in shares.items())


def stages(mix):
    each = "".join(
        f'[stages.{name}]\nkind = "import"\ntitle = "{name}"\nsource = "{name}.jsonl"\n'
        f'generator = "none"\n'
        for name in NAMES
    )
    return f'{each}[stages.out]\nkind = "mix"\n{mix}\n'


def files(a=30, b=20, c=7):
    # Some rows are copies of each other.
    return {
        f"{name}.jsonl": [{"text": f"{name} {n % max(1, size - 3)}"} for n in range(size)]
        for name, size in zip(NAMES, (a, b, c), strict=True)
    }


def taken(store):
    return Counter(row["text"][0] for row in rows_of(store, "out"))


@pytest.mark.parametrize("rows", [1, 4, 4096])
def test_slices_decide_nothing(tmp_path, rows):
    mix = f"weights = {{ a = 2, b = 1, c = 1 }}\ntotal = 24\nshard_rows = {rows}\n"
    store = run_stages(tmp_path, stages(mix), files())
    assert taken(store) == {"a": 12, "b": 6, "c": 6}
    places = [row["_from"] for row in rows_of(store, "out")]
    assert len(set(places)) == 24  # none twice
    whole = run_stages(
        tmp_path / "whole", stages(mix.replace(f"rows = {rows}", "rows = 5")), files()
    )
    assert [row["_from"] for row in rows_of(whole, "out")] == places
    assert store.find("out").measures["taken"]["a"] == {
        "rows": 12, "of": 30, "share": 0.5, "wanted_share": 0.5,
    }  # fmt: skip


def test_rows_are_repeated_only_where_the_recipe_says_so(tmp_path):
    mix = "weights = { a = 1, b = 1, c = 1 }\ntotal = 51\n"
    with pytest.raises(InputError, match=r"c can give 7 of 17.*most_times"):
        run_stages(tmp_path / "no", stages(mix), files())
    store = run_stages(tmp_path, stages(mix + "most_times = { c = 2.5 }\n"), files())
    assert taken(store) == {"a": 17, "b": 17, "c": 17}
    times = Counter(row["_from"] for row in rows_of(store, "out"))
    assert sorted(times[50 + n] for n in range(7)) == [2, 2, 2, 2, 3, 3, 3]
    assert max(times[n] for n in range(50)) == 1


def test_workers_decide_nothing_and_an_audit_makes_the_rows_again(tmp_path):
    mix = "weights = { a = 2, b = 1, c = 1 }\ntotal = 24\nshard_rows = 5\n"
    recipe = f'[recipe]\nname = "m"\nversion = "1"\nseed = 5\n{stages(mix)}'
    (tmp_path / "m.toml").write_text(recipe)
    for name, rows in files().items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    accept, digests = Acceptance("Tests", "they answer for what they run"), set()
    for workers in (1, 2):
        space = open_workspace(tmp_path / f"store{workers}", cache=tmp_path / "cache")
        plan = space.plan(tmp_path / "m.toml")
        space.run(plan, accept=accept, answer=accept, workers=workers)
        assert space["out"].manifest.rows == 24
        digests.add(space["out"].manifest.digest)
    assert len(digests) == 1
    found = space.audit(deep=True)
    assert found.holds, found.findings


def test_what_one_cannot_give_is_told(tmp_path):
    mix = 'weights = { a = 1, b = 1, c = 1 }\ntotal = 30\nmost_rows = { b = 3 }\nshort = "others"\n'
    store = run_stages(tmp_path, stages(mix), files())
    assert taken(store) == {"a": 20, "b": 3, "c": 7}
    told = store.find("out").measures["warnings"]
    assert any("b is 0.1000 of the mix and was to be 0.3333" in line for line in told)


def test_shares_of_lineage_are_those_of_the_rows(tmp_path):
    store = run_stages(tmp_path, stages("weights = { a = 2, b = 1, c = 1 }\ntotal = 24\n"), files())
    lines = summarised(bill(Circuit.of(table_of(store, store.find("out")))))
    shares = {line.line.source.route: line.line.share for line in lines}
    assert shares == {"dataset:a": (0.5, 0.5), "dataset:b": (0.25, 0.25), "dataset:c": (0.25, 0.25)}


def test_old_mixes_have_the_literals_that_they_had():
    old = MixSpec(inputs={"a": 1.5, "b": 1})
    assert old.model_dump(mode="json") == {
        "kind": "mix", "inputs": {"a": 1.5, "b": 1.0}, "columns": "common", "version": None,
        "shard_rows": 4096,
    }  # fmt: skip
    assert canonical(MixSpec(weights={"a": 1}, temperature=3.3).model_dump(mode="json"))
    renamed = MixSpec.renamed(
        {"weights": {"a": 1, "b": 2}, "most_rows": {"a": 3}}, {"a": None, "b": "c"}
    )
    assert renamed == {"weights": {"c": 2}}


@table(
    ("keys", "says"),
    [
        ("inputs = { a = 1 }\nweights = { a = 1 }", "one of both"),
        ("", "one of both"),
        ("inputs = { a = 1 }\ntotal = 3", "total is for shares"),
        ("weights = { a = 1, b = 1 }\nmost_rows = { c = 1 }", "most_rows.c is none of weights"),
        ("weights = { a = 0 }", "greater than 0"),
        ("weights = { a = 1 }\ntemperature = 0", "greater than 0"),
    ],
)
def test_a_mix_that_makes_no_sense_is_refused(keys, says):
    with tempfile.TemporaryDirectory() as folder, pytest.raises(RecipeError, match=says):
        run_stages(Path(folder), stages(keys), files())


CHAT = [
    {"messages": [{"role": "user", "content": f"first {i}"}, {"role": "assistant", "content": "a"},
                  {"role": "user", "content": "then?"}, {"role": "assistant", "content": f"b {i}"}]}
    for i in range(6)
]  # fmt: skip
ALPACA = [
    {"instruction": f"do {i}", "input": "", "output": f"done {i}", "note": "n"} for i in range(6)
]
BESIDE = """
[stages.chat]
kind = "import"
title = "chat"
source = "chat.jsonl"
generator = "none"

[stages.alpaca]
kind = "import"
title = "alpaca"
source = "alpaca.jsonl"
generator = "none"

[stages.mixed]
kind = "mix"
inputs = { chat = 1, alpaca = 1 }
"""


def test_columns_that_an_input_lacks_are_warned_of_or_kept(tmp_path):
    files = {"chat.jsonl": CHAT, "alpaca.jsonl": ALPACA}
    store = run_stages(tmp_path / "few", BESIDE, files, teachers="")
    (told,) = store.find("mixed").measures["warnings"]
    assert "messages_json, which alpaca lacks" in told
    assert "note, which chat lacks" in told
    assert "the conversations in messages_json are lost without it" in told
    assert not {"messages_json", "note"} & set(rows_of(store, "mixed")[0])

    kept = run_stages(tmp_path / "all", f'{BESIDE}columns = "all"\n', files, teachers="")
    assert "warnings" not in kept.find("mixed").measures
    rows = rows_of(kept, "mixed")
    assert [row["messages_json"] is None for row in rows] == [False] * 6 + [True] * 6
    assert [row["note"] for row in rows] == [None] * 6 + ["n"] * 6
    open_workspace(store=kept.root)["mixed@1"].publish(
        str(tmp_path / "out"), Wish(format="jsonl", form="chat")
    )
    paths = sorted((tmp_path / "out").rglob("*.jsonl"))
    lines = [line for path in paths for line in path.read_text().splitlines()]
    said = [len(json.loads(line)["messages"]) for line in lines]
    assert said == [4] * 6 + [2] * 6


@table(
    ("columns", "more", "doubts"),
    [
        ({"a": ["x", "y"], "b": ["x", "y"]}, {}, []),
        ({"a": ["x", "y"], "b": ["x"]}, {}, ["y, which b lacks"]),
        ({"a": ["x", "y"], "b": ["x", "z"], "c": ["x"]}, {},
         ["y, which b, c lack; z, which a, c lack"]),
        ({"a": ["x", "y"], "b": ["x"]}, {"columns": "all"}, []),
        ({"a": ["x", "y"]}, {"inputs": {"a": 1, "b": 1}}, []),
    ],
)  # fmt: skip
def test_a_plan_says_which_columns_are_left_out(columns, more, doubts):
    spec = MixSpec(**{"inputs": dict.fromkeys(columns, 1), **more})
    told = spec.doubts(columns)
    assert len(told) == len(doubts)
    assert all(part in whole for part, whole in zip(doubts, told, strict=True))
