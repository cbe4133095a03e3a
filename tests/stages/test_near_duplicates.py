"""``dedup`` by MinHash and by vectors: who was dropped for whom, and that it was right."""

# ruff: noqa: RUF001
from __future__ import annotations

import json
import math
import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages

from mashbill import InputError, RecipeError
from mashbill.core.stage import StageContext
from mashbill.files.rows import merged, near, tokens, vectors
from mashbill.files.rows.said import whole
from mashbill.lineage.evidence.audit import Auditor
from mashbill.run.rederiving import Rederiver
from mashbill.stages import dedup, merging
from mashbill.stages.dedup import DedupSpec
from mashbill.testing import check_stage

IMPORT = '[stages.one]\nkind = "import"\ntitle = "t"\nsource = "one.jsonl"\ngenerator = "none"\n'


class Rows:
    """A dataset in memory, as far as the stage asks for one."""

    def __init__(self, table: pa.Table) -> None:
        self.table, self.num_rows, self.columns = table, table.num_rows, table.column_names

    def read(self, start, stop, columns=None):
        return self.table.select(columns or self.columns).slice(start, stop - start)

    def chunks(self, rows, columns=None):
        for start in range(0, self.num_rows, rows):
            yield start, self.read(start, min(start + rows, self.num_rows), columns)


def run(table: pa.Table, **keys) -> tuple[list[dict], list[dict], dict]:
    """Return the rows that a stage keeps, those that it turns down, and what it measured."""
    spec = DedupSpec(input="in", **keys)
    with tempfile.TemporaryDirectory() as folder:
        ctx = StageContext(
            name="out", seed=1, recipe_folder=Path(folder), cache=Path(folder), work=Path(folder),
            threads=1, input=lambda _: Rows(table), teacher=None, predictor=None,
            progress=lambda *_: None,
        )  # fmt: skip
        batches = table.to_batches() or [pa.RecordBatch.from_pylist([], table.schema)]
        rows = [row for batch in spec.run(iter(batches), ctx) for row in batch.to_pylist()]
        left = [path.name for path in Path(folder).iterdir()]
    assert left == [], "nothing is left behind"
    kept = [row for row in rows if row.get("_rejected_by") is None]
    return kept, [row for row in rows if row.get("_rejected_by") is not None], ctx.measures


def shingles(text: str, length: int = 3) -> set:
    own = text.split()
    return {tuple(own[at : at + length]) for at in range(max(len(own) - length + 1, 1))}


def alike(one: str, other: str) -> float:
    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


WORDS = ["one", "two", "three", "four", "five", "six", "seven"]


@st.composite
def families(draw):
    """Draw texts of which many are edits of each other."""
    seeds = draw(
        st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=25), min_size=1, max_size=3)
    )
    found = []
    for _ in range(draw(st.integers(0, 14))):
        text = list(draw(st.sampled_from(seeds)))
        for _ in range(draw(st.integers(0, 2))):
            text[draw(st.integers(0, len(text) - 1))] = draw(st.sampled_from(WORDS))
        found.append(" ".join(text))
    return found


@law(40)
@given(families(), st.sampled_from([0.5, 0.7, 0.8, 1.0]))
def test_each_row_that_goes_has_one_that_stays_and_is_as_like_as_was_asked_for(drawn, threshold):
    table = pa.table({"text": pa.array(drawn, pa.string())})
    kept, gone, measures = run(table, how="minhash", threshold=threshold)
    firsts = {row["_from"][0]: row for row in kept}
    assert sorted(own for r in kept for own in r["_from"]) == list(range(len(drawn)))
    for row in gone:
        (own,) = row["_from"]
        into = int(row["_reason"].split("row ")[1].split(" ")[0])
        assert into < own
        assert own in firsts[into]["_from"]
        likeness = alike(drawn[own], drawn[into])
        assert likeness >= threshold
        assert row["_reason"].endswith(f"Jaccard {likeness:.4f}")
    texts = [row["text"] for row in kept]
    assert len(set(texts)) == len(texts), "what is exactly the same always becomes one"
    again, none, _ = run(
        pa.table({"text": pa.array(texts, pa.string())}), how="minhash", threshold=threshold
    )
    assert ([row["text"] for row in again], none) == (texts, []), "a second run drops nothing"
    assert measures["merged_away"] == len(gone) == sum(measures["merged_at"].values())


@law(25)
@given(families(), st.integers(1, 5), st.integers(1, 5), st.integers(1, 30), st.integers(1, 5))
def test_what_is_merged_depends_on_no_slicing(drawn, read, ranges, at_once, rows):
    table = pa.table({"text": pa.array(drawn, pa.string())})
    expected = run(table, how="minhash", threshold=0.6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "_READ", read)
        patch.setattr(merging, "_PIECE", read * ranges)
        for module in (near, merging):
            patch.setattr(module, "RANGE", read * ranges)
        patch.setattr(merged, "_RANGE", ranges)
        patch.setattr(tokens, "_AT_ONCE", at_once)
        patch.setattr(dedup, "_ROWS", rows)
        assert run(table, how="minhash", threshold=0.6) == expected


def test_rows_that_share_a_band_with_very_many_are_bounded_and_counted(monkeypatch):
    monkeypatch.setattr(near, "_LEADERS", 2)
    monkeypatch.setattr(near, "_COMPARED", 3)
    draw = random.Random(1)
    stem = [f"w{at}" for at in range(60)]
    texts = []
    for _ in range(30):  # each like each other by some 0.6, and none by 0.8
        own = list(stem)
        for at in draw.sample(range(60), 5):
            own[at] = f"x{draw.random()}"
        texts.append(" ".join(own))
    table = pa.table({"text": [*texts, *texts]})
    kept, gone, measures = run(table, how="minhash")
    assert measures["rows_not_compared_with_all"] > 0
    assert {row["_from"][0] for row in gone} <= set(range(len(texts) * 2))
    again, none, _ = run(pa.table({"text": [row["text"] for row in kept]}), how="minhash")
    assert len(again) == len(kept)
    assert none == []


def edited(text: str, draw: random.Random, words: int) -> str:
    own = text.split()
    for at in draw.sample(range(len(own)), words):
        own[at] = f"other{draw.random()}"
    return " ".join(own)


def test_planted_near_duplicates_are_found_as_the_bands_promise():
    draw = random.Random(5)
    known = [" ".join(f"w{draw.randrange(3000)}" for _ in range(80)) for _ in range(400)]
    near_ones = [edited(text, draw, 2) for text in known]  # Jaccard some 0.86
    far = [edited(text, draw, 12) for text in known]  # some 0.4
    kept, gone, measures = run(pa.table({"text": known + near_ones + far}), how="minhash")
    found = {row["_from"][0] for row in gone}
    true = [at for at in range(400) if alike(known[at], near_ones[at]) >= 0.8]
    assert len(true) > 350
    assert sum(400 + at in found for at in true) >= len(true) * measures["compared_at_threshold"]
    assert not any(row >= 800 for row in found)
    assert len(kept) == 1200 - len(gone)


CASES = [
    {"text": "Yes"}, {"text": "yes!"}, {"text": "No"}, {"text": "?!"}, {"text": "? !"},
    {"text": "我们今天去北京大学看书然后回家吃饭"},
    {"text": "我们今天去北京大学看书，然后回家吃饭。"},
    {"text": "ذهبنا اليوم إلى الجامعة"}, {"text": "ذهبنا اليوم، إلى الجامعة!"},
    {"text": "🎉 🎉"}, {"text": "🎉🎉"}, {"text": "caf\u00e9 noir"}, {"text": "cafe\u0301 NOIR"},
]  # fmt: skip


def test_short_texts_and_all_scripts(tmp_path):
    store = run_stages(
        tmp_path, IMPORT + '[stages.out]\nkind = "dedup"\ninput = "one"\nhow = "minhash"\n',
        {"one.jsonl": CASES},
    )  # fmt: skip
    assert [row["_from"] for row in rows_of(store, "out")] == [
        [0, 1], [2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12],
    ]  # fmt: skip
    gone = rows_of(store, "out", "rejected")
    assert (
        gone[0]["_reason"]
        == "is nearly the same as row 0 of one, which stays for both: Jaccard 1.0000"
    )
    report = Auditor(store.root, rederive=Rederiver(store)).run()
    assert report.holds, report


@pytest.mark.parametrize("how", ["exact", "normalised", "minhash"])
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows_null_cells_and_empty_texts(how, rows):
    for texts in ([None] * rows, [""] * rows, ["  \n"] * rows):
        kept, gone, _ = run(pa.table({"text": pa.array(texts, pa.string())}), how=how)
        assert (len(kept), gone) == (rows, []), "what is missing equals no other"
    kept, gone, _ = run(pa.table({"text": pa.array(["word"] * rows, pa.string())}), how=how)
    assert (len(kept), len(gone)) == (min(rows, 1), max(rows - 1, 0))
    nothing = pa.table({"text": pa.nulls(rows)})
    assert len(run(nothing, how=how)[0]) == rows


def test_chats_are_compared_by_what_is_said():
    def chat(*said):
        roles = ["user", "assistant"] * len(said)
        return [{"role": r, "content": c} for r, c in zip(roles, said, strict=False)]

    one = chat("what is the capital of France, and why?", "It is Paris, since the middle ages.")
    two = chat("What is the capital of France and why", "it is paris since the Middle Ages!")
    other = chat("Tell me of the sea", "It is wide.")
    for values in ([one, two, other], [json.dumps(each) for each in (one, two, other)]):
        kept, gone, _ = run(pa.table({"messages": values}), how="minhash", column="messages")
        assert ([row["_from"] for row in kept], len(gone)) == ([[0, 1], [2]], 1)
    texts = whole(pa.array([json.dumps(one), None, "[not JSON]", '["a", {"b": "c"}]']))
    assert texts.to_pylist()[1:] == [None, "[not JSON]", "a\nc"]


def test_a_killed_run_goes_on_behind_the_signatures_that_are_there(tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "_PIECE", 8)
    monkeypatch.setattr(merging, "_READ", 4)
    rows = [{"text": f"a text of number {at // 2} and no other"} for at in range(40)]
    stages = IMPORT + '[stages.out]\nkind = "dedup"\ninput = "one"\nhow = "minhash"\n'
    whole_run = run_stages(tmp_path / "whole", stages, {"one.jsonl": rows})
    real, made = near.Near.add, []

    class Killed(BaseException):
        pass

    def add(self, make):
        def counted():
            if len(made) == 3:
                made.append(0)
                raise Killed
            made.append(1)
            return make()

        return real(self, counted)

    monkeypatch.setattr(near.Near, "add", add)
    with pytest.raises(Killed):
        run_stages(tmp_path / "killed", stages, {"one.jsonl": rows})
    store = run_stages(tmp_path / "killed", stages, {"one.jsonl": rows})
    assert sum(made) == 5, "three of five were there"
    assert store.find("out").digest == whole_run.find("out").digest


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ('how = "minhash"\nexact = false', RecipeError, "says what exact = false does"),
        ("threshold = 0.9", RecipeError, "threshold is for how = 'minhash' or 'embedding'"),
        ('how = "embedding"\nshingle = 4', RecipeError, "shingle is for how = 'minhash'"),
        ('how = "minhash"\nthreshold = 0.01\npermutations = 16', RecipeError, "set more"),
        ('how = "minhash"\ncolumn = "nowhere"', InputError, "has no column 'nowhere'"),
        ('how = "minhash"\ncolumn = "n"', InputError, "'n' holds int64; text, or a list of it"),
        ('how = "embedding"', InputError, "text; a list of numbers|not valid JSON"),
        ('how = "embedding"\ncolumn = "v"', InputError, "row 1 has 3 numbers, and 2 as those bef"),
        ('how = "rensa"', RecipeError, "how"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told(tmp_path, keys, error, message):
    rows = [{"text": "a", "n": 1, "v": [1.0, 2.0]}, {"text": "b", "n": 2, "v": [1.0, 2.0, 3.0]}]
    with pytest.raises(error, match=message):
        run_stages(
            tmp_path, IMPORT + f'[stages.out]\nkind = "dedup"\ninput = "one"\n{keys}\n',
            {"one.jsonl": rows},
        )  # fmt: skip


numbers = st.sampled_from([0.0, 1.0, -1.0, 0.5, 3.0, 1e-30, 1e30])


def cosine(one, other):
    return math.fsum(a * b for a, b in zip(one, other, strict=True)) / math.sqrt(
        math.fsum(a * a for a in one) * math.fsum(b * b for b in other)
    )


@law(150)
@given(
    st.lists(st.none() | st.lists(numbers, min_size=3, max_size=3), max_size=14),
    st.sampled_from([0.3, 0.7, 0.9, 1.0]),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_vectors_are_merged_as_by_a_loop(drawn, least, block, at_once):
    table = pa.table({"v": pa.array(drawn, pa.list_(pa.float64()))})
    expected, stays = {}, []
    scaled = [None if v is None or not any(v) else [x / max(map(abs, v)) for x in v] for v in drawn]
    for row, vector in enumerate(scaled):
        near_ones = [
            (cosine(scaled[other], vector), -other)
            for other in stays
            if vector is not None and scaled[other] is not None
        ]
        best = max(near_ones, default=(-2, 0))
        if best[0] >= least - 1e-9:
            expected[row] = -best[1], best[0]
        else:
            stays.append(row)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "_BLOCK", block)
        patch.setattr(vectors, "_AT_ONCE", at_once)
        kept, gone, measures = run(table, how="embedding", column="v", threshold=least)
    assert {row["_from"][0] for row in gone} == set(expected)
    assert [row["_from"][0] for row in kept] == stays
    for row in gone:
        likeness = float(row["_reason"].rsplit(" ", 1)[1])
        assert abs(likeness - expected[row["_from"][0]][1]) < 1e-4
    assert measures["rows_without_vector"] == sum(v is None for v in scaled)
    again = run(
        pa.table({"v": [row["v"] for row in kept]}), how="embedding", column="v", threshold=least
    )
    assert again[1] == []


def test_vectors_from_files_and_a_bound(tmp_path, monkeypatch):
    draw = np.random.default_rng(2)
    base = draw.normal(size=(20, 32))
    made = [base[at % 20] * (1 + at) + draw.normal(size=32) * 1e-3 for at in range(60)]
    rows = [{"text": f"t{at}", "v": vector.tolist()} for at, vector in enumerate(made)]
    rows += [{"text": "none", "v": None}, {"text": "zero", "v": [0.0] * 32}]
    stages = (
        IMPORT + '[stages.out]\nkind = "dedup"\ninput = "one"\nhow = "embedding"\ncolumn = "v"\n'
    )
    store = run_stages(tmp_path / "a", stages, {"one.jsonl": rows})
    assert [r["_from"] for r in rows_of(store, "out")] == [
        *([at, at + 20, at + 40] for at in range(20)), [60], [61],
    ]  # fmt: skip
    assert store.find("out").measures["rows_without_vector"] == 2
    assert Auditor(store.root, rederive=Rederiver(store)).run().holds
    monkeypatch.setattr(merging, "MOST", 61)
    with pytest.raises(InputError, match="has 62 rows; by vectors each is compared with all"):
        run_stages(tmp_path / "b", stages, {"one.jsonl": rows})


def test_a_model_whose_vectors_they_are_is_on_the_bill_for_what_it_selected(tmp_path):
    words = {"good": "lovely bright kind", "bad": "awful dull cruel"}
    rows = [
        {
            "text": f"{words[mood]} day {at}",
            "label": mood,
            "confidence": 1.0,
            "v": [float(at % 3), 1.0],
        }
        for at in range(12)
        for mood in words
    ]
    stages = IMPORT + (
        '[stages.model]\nkind = "classifier"\ninput = "one"\nbuckets = 64\n'
        '[stages.out]\nkind = "dedup"\ninput = "one"\nhow = "embedding"\n'
        'column = "v"\nby = "model"\n'
    )
    store = run_stages(tmp_path, stages, {"one.jsonl": rows})
    used = {(item.name, item.role, item.channel) for item in store.find("out").inputs}
    assert used == {("one@1", "rows", "content"), ("model@1", "actor", "selection/cleaning")}
    assert len(rows_of(store, "out")) == 3


@pytest.mark.parametrize("how", ["exact", "normalised", "minhash"])
def test_the_laws_of_plugins_hold(how):
    rows = [{"text": f"a text of number {at % 5} and no other"} for at in range(12)]
    check_stage(DedupSpec(input="rows", how=how), rows)


def test_a_recipe_of_an_earlier_release_is_what_it_was(tmp_path):
    rows = [{"text": "same"}, {"text": "Same!"}, {"text": "same"}]
    store = run_stages(
        tmp_path, IMPORT + '[stages.out]\nkind = "dedup"\ninput = "one"\nexact = false\n',
        {"one.jsonl": rows},
    )  # fmt: skip
    manifest = store.find("out")
    assert not {"how", "threshold", "shingle", "permutations", "recall"} & set(manifest.stage)
    assert manifest.rejected_rows == 0
    assert [row["_from"] for row in rows_of(store, "out")] == [[0, 1, 2]]
