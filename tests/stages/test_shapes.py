"""chunk, mix, dedup and join: which input rows an output row names, through the real runner."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages

from mashbill import InputError, RecipeError, Store
from mashbill.lineage.bills.bill import bill
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.evidence.audit import Auditor
from mashbill.stages.chunk import pieces_of
from mashbill.stages.joining import matches
from mashbill.stages.mix import _drawn


def imported(name, **keys):
    more = "\n".join(f"{key} = {value!r}" for key, value in keys.items())
    return f"""
[stages.{name}]
kind = "import"
title = "{name}"
source = "{name}.jsonl"
generator = "by"
{more}
"""


def sources(store, name):
    circuit = Circuit.of_artifact(store, store.find(name))
    return {line.source.name: line for line in bill(circuit)}


def row(text, by="m", **more):
    return {"text": text, "by": by, **more}


def test_a_text_is_cut_and_its_pieces_name_it(tmp_path):
    words = [f"w{i}" for i in range(7)]
    stages = imported("long") + '[stages.cut]\nkind = "chunk"\ninput = "long"\nwords = 3\n'
    stages += "overlap = 1\nshard_rows = 1\n"
    files = {"long.jsonl": [row("one"), row("  ".join(words), n=5), row("a b c")]}
    store = run_stages(tmp_path, stages, files)
    cut = rows_of(store, "cut")
    assert [(r["text"], r["piece"], r["_from"]) for r in cut] == [
        ("one", 0, 0),
        ("w0  w1  w2", 0, 1),
        ("w2  w3  w4", 1, 1),
        ("w4  w5  w6", 2, 1),
        ("a b c", 0, 2),
    ]
    assert [r["n"] for r in cut] == [None, 5, 5, 5, None]


@given(st.text("ab \n", max_size=40), st.integers(1, 5), st.integers(0, 4))
def test_pieces_cover_every_word_once_but_for_the_overlap(text, words, overlap):
    overlap = min(overlap, words - 1)
    pieces = [piece.split() for piece in pieces_of(text, words, overlap)]
    joined = pieces[0] if pieces else []
    for piece in pieces[1:]:
        assert joined[-overlap:] == piece[:overlap] or not overlap
        joined = joined + piece[overlap:]
    assert joined == text.split()
    assert all(len(piece) <= words for piece in pieces)


MIX = """
[stages.mixed]
kind = "mix"
inputs = { one = 2.0, other = 0.5 }
shard_rows = 10
"""


def two_sets():
    return {
        "one.jsonl": [row(f"one {i}", "m1", n=i) for i in range(25)],
        "other.jsonl": [row(f"other {i}", "m2", extra="x") for i in range(200)],
    }


def test_a_mix_repeats_rows_and_names_them(tmp_path):
    store = run_stages(tmp_path, imported("one") + imported("other") + MIX, two_sets())
    one, other = rows_of(store, "one"), rows_of(store, "other")
    mixed = rows_of(store, "mixed")
    inputs = one + other
    assert all(r["text"] == inputs[r["_from"]]["text"] for r in mixed)
    assert [r["_from"] for r in mixed if r["_from"] < 25] == [i for i in range(25) for _ in "12"]
    taken = [r["_from"] for r in mixed if r["_from"] >= 25]
    assert 70 < len(taken) < 130
    assert len(set(taken)) == len(taken)
    assert {k for k in mixed[0] if not k.startswith("_")} == {"text", "by"}
    found = sources(store, "mixed")
    assert found["m1"].records == 50
    assert found["m2"].records == len(taken)


def test_a_mix_of_all_columns_leaves_empty_what_an_input_lacks(tmp_path):
    stages = imported("one") + imported("other") + MIX.replace("2.0", "1.0") + 'columns = "all"\n'
    mixed = rows_of(run_stages(tmp_path, stages, two_sets()), "mixed")
    assert [r["n"] for r in mixed if r["_from"] < 25] == list(range(25))
    assert {(r["n"], r["extra"]) for r in mixed if r["_from"] >= 25} == {(None, "x")}


def test_a_mix_names_columns_whose_types_differ_and_sets_without_a_common_one(tmp_path):
    files = two_sets()
    files["other.jsonl"][0]["n"] = "five"
    with pytest.raises(InputError, match=r"'n' is int64 in one, string in other; make them one"):
        run_stages(tmp_path, imported("one") + imported("other") + MIX, files)


@given(st.integers(0, 2**32), st.floats(0.05, 0.95))
@law(20)
def test_what_a_mix_of_a_mix_keeps_is_drawn_anew(seed, part):
    raw = np.random.default_rng(seed).bytes(16 * 4000)
    ids = pa.array([raw[i : i + 16] for i in range(0, len(raw), 16)], pa.binary(16))
    first, second = _drawn(ids, "a"), _drawn(ids, "b")
    assert ((first >= 0) & (first < 1)).all()
    assert abs((first < part).mean() - part) < 0.06
    kept = second[first < part]
    assert abs((kept < 0.5).mean() - 0.5) < 0.15
    assert (_drawn(ids.slice(7), "a") == first[7:]).all()


def test_a_mix_killed_between_shards_ends_as_one_that_was_not(tmp_path, monkeypatch):
    from mashbill.run.shards import ShardWriter

    stages = imported("one") + imported("other") + MIX
    whole = run_stages(tmp_path / "whole", stages, two_sets())
    real, killed = ShardWriter.commit, []

    class Killed(BaseException):
        pass

    def commit(self, made, own):
        if self._task.name == "mixed" and made.number == 4 + 5 * len(killed) and len(killed) < 3:
            killed.append(made.number)
            raise Killed
        real(self, made, own)

    monkeypatch.setattr(ShardWriter, "commit", commit)
    for _ in range(3):
        with pytest.raises(Killed):
            run_stages(tmp_path / "killed", stages, two_sets())
    store = run_stages(tmp_path / "killed", stages, two_sets())
    assert len(killed) == 3
    assert store.find("mixed").digest == whole.find("mixed").digest
    assert Auditor(store.root).run().holds


def test_duplicates_become_one_row_that_names_them_all(tmp_path):
    files = {
        "all.jsonl": [
            row("same", "m1"),
            row("Same!", "m2"),
            row("other", "m2"),
            row("same", "m3"),
            row("same", "m1"),
        ]
    }
    stages = imported("all")
    for name, exact in (("exact", "true"), ("loose", "false")):
        stages += f'[stages.{name}]\nkind = "dedup"\ninput = "all"\nexact = {exact}\n'
    store = run_stages(tmp_path, stages, files)
    exact = [(r["text"], r["by"], r["_from"]) for r in rows_of(store, "exact")]
    assert exact == [
        ("same", "m1", [0, 3, 4]),
        ("Same!", "m2", [1]),
        ("other", "m2", [2]),
    ]
    assert [(r["text"], r["_from"]) for r in rows_of(store, "loose")] == [
        ("same", [0, 1, 3, 4]),
        ("other", [2]),
    ]
    # The row that stays carries every model that may have written it.
    found = sources(store, "loose")
    assert {name: line.records for name, line in found.items()} == {"m1": 1, "m2": 2, "m3": 1}
    assert store.find("loose").measures["merged_away"] == 3


def test_a_join_names_both_rows_and_rejects_what_finds_none(tmp_path):
    files = {
        "left.jsonl": [row("a", "m1", key=2), row("b", "m1", key=1), row("c", "m1", key=2),
                       row("d", "m1", key=9)],
        "right.jsonl": [row("one", "m2", key=1), row("two", "m3", key=2), row("x", "m4", key=7)],
    }  # fmt: skip
    stages = imported("left") + imported("right")
    stages += '[stages.both]\nkind = "join"\nleft = "left"\nright = "right"\non = ["key"]\n'
    with pytest.raises(InputError, match=r"left and right both have columns text, by; set suffix"):
        run_stages(tmp_path / "clash", stages, files)
    store = run_stages(tmp_path, stages + 'suffix = "_2"\n', files)
    both = [(r["text"], r["text_2"], r["_from"]) for r in rows_of(store, "both")]
    assert both == [("a", "two", [0, 5]), ("b", "one", [1, 4]), ("c", "two", [2, 5])]
    gone = [(r["text"], r["_from"], r["_reason"]) for r in rows_of(store, "both", "rejected")]
    assert gone == [
        ("d", [3], "no row of right has its key"),
        (None, [6], "no row of left has its key"),
    ]
    found = sources(store, "both")
    assert {name: line.records for name, line in found.items()} == {"m1": 3, "m2": 1, "m3": 2}


keys = st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=12)


@given(keys, keys)
def test_matches_are_those_of_two_loops(left, right):
    tables = [pa.table({"k": pa.array(side, pa.int64())}) for side in (left, right)]
    first, second = matches(*tables, ["k"], ("l", "r"))
    expected = [
        (i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a == b is not None
    ]
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [
        (i, j) for i, j in expected if left[i] is not None
    ]


@pytest.mark.parametrize(
    ("stage", "error", "message"),
    [
        ('kind = "chunk"\ninput = "one"\nwords = 2\noverlap = 2', RecipeError, "overlap = 2 must"),
        ('kind = "mix"\ninputs = { one = 0.0 }', RecipeError, "greater than 0"),
        ('kind = "mix"\ninputs = { on = 1.0 }', RecipeError, "did you mean 'one'"),
        ('kind = "dedup"\ninput = "one"\ncolumn = "x"', InputError, "has no column 'x'; it has te"),
        ('kind = "join"\nleft = "one"\nright = "one"\non = ["text"]', RecipeError, "two datasets"),
    ],
)
def test_what_cannot_be_done_is_told(tmp_path, stage, error, message):
    files = {"one.jsonl": [row("a")]}
    with pytest.raises(error, match=message):
        run_stages(tmp_path, imported("one") + f"[stages.new]\n{stage}\n", files)


def test_keys_of_two_types_do_not_join(tmp_path):
    files = {"one.jsonl": [row("a", k=1)], "other.jsonl": [row("a", k="1")]}
    stages = imported("one") + imported("other")
    stages += '[stages.new]\nkind = "join"\nleft = "one"\nright = "other"\non = ["k"]\n'
    with pytest.raises(InputError, match="key 'k' is int64 in one and string in other"):
        run_stages(tmp_path, stages, files)


def test_a_trace_leads_from_a_merged_row_to_all_it_may_be(tmp_path):
    from mashbill.lineage.evidence.trace import Tracer

    files = {"one.jsonl": [row("same", "m1")], "other.jsonl": [row("same", "m2")]}
    stages = imported("one") + imported("other") + MIX.replace("0.5", "1.0").replace("2.0", "1.0")
    stages += '[stages.unique]\nkind = "dedup"\ninput = "mixed"\n'
    store = run_stages(tmp_path, stages, files)
    hop = Tracer(Store(store.root), None).trace("unique", 0)
    leaves, waiting = [], [hop]
    while waiting:
        hop = waiting.pop()
        waiting += hop.behind
        leaves += [] if hop.behind else [hop.what]
    assert sorted(leaves) == ["m1", "m2"]
