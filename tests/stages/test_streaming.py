"""What is read in pieces is what would be read whole: cells, groups, duplicates, columns."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import rows_of, run_stages

from mashbill import InputError
from mashbill.files.rows import chunks, merged, same
from mashbill.files.rows.cells import Cells, as_text, bare_lengths
from mashbill.files.rows.spill import Spill
from mashbill.files.rows.text import matching_key, matching_keys

FEW = law(60, suppress_health_check=list(HealthCheck))

CELL = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False),
    st.text(max_size=5), st.binary(max_size=4), st.just("\ud800 half"), st.just(2**70),
    st.lists(st.integers(0, 3), max_size=2), st.dictionaries(st.text(max_size=2), st.none()),
)  # fmt: skip


def whole(values):
    """Return a column as it is when all of it is at hand: the rule that pieces have to keep to."""
    kinds = {type(value) for value in values if value is not None}
    exact = all(type(v) is not int or abs(v) <= 2**53 for v in values)
    if kinds == {int, float} and exact:
        return [None if v is None else float(v) for v in values]
    fits = all(type(v) is not int or -(2**63) <= v < 2**63 for v in values)
    plain = len(kinds) == 1 and fits and kinds <= {bool, int, float, bytes}
    if plain or not kinds:
        return values
    return [None if value is None else as_text(value) for value in values]


@given(st.lists(CELL, max_size=14), st.integers(1, 5))
@FEW
def test_a_column_that_is_read_in_pieces_is_the_column(values, pieces):
    # Bytes among other kinds have no form of their own in JSON: issue of readers, not of pieces.
    if {type(v) for v in values} - {type(None)} != {bytes}:
        values = [v for v in values if type(v) is not bytes]
    parts = [list(p) for p in np.array_split(np.array([*values, None], object), pieces)]
    with tempfile.TemporaryDirectory() as folder, Spill(Path(folder) / "rows") as spill:
        for part in parts:
            spill.add({"a": Cells.of(part), "n": Cells.of([1] * len(part))})
        got = [spill.final("a", c, len(c["n"].array)) for c in spill.chunks()]
    assert len({array.type for array in got}) == 1
    assert [v for array in got for v in array.to_pylist()] == whole([*values, None])


@given(
    st.lists(st.one_of(st.none(), st.sampled_from("abcd")), max_size=40),
    st.integers(1, 5),
    st.integers(1, 7),
    st.integers(1, 9),
)
@FEW
def test_groups_are_those_of_a_dictionary(keys, pieces, window, range_rows):
    expected = {}
    for place, key in enumerate(keys):
        expected.setdefault(key if key is not None else place, []).append(place)
    first = {row: group[0] for group in expected.values() for row in group}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(merged, "_RANGE", range_rows)
        with same.Same(Path(folder) / "same") as groups:
            for part in np.array_split(np.array(keys, object), pieces):
                groups.add(pa.array(list(part), pa.string()))
            groups.settle()
            got, firsts = [], []
            for start in range(0, len(keys), window):
                stop = min(start + window, len(keys))
                positions, ends = groups.groups(start, stop)
                got += [g.tolist() for g in np.split(positions, ends[:-1])] if len(ends) else []
                firsts += groups.firsts(start, stop).tolist()
    assert got == list(expected.values())
    assert firsts == [first[row] for row in range(len(keys))]
    assert groups.repeated == len(keys) - len(expected)
    assert not Path(folder, "same").exists()


@pytest.mark.slow
def test_keys_and_stripped_texts_are_pythons_own_over_every_character():
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    step = 4096
    for start in range(0, len(every), step):
        texts = [f"A{c}b" for c in every[start : start + step]]
        assert matching_keys(pa.array(texts)).to_pylist() == [matching_key(t) for t in texts]
        texts = [f"{c}b {c}" for c in every[start : start + step]]
        assert bare_lengths(pa.array(texts)).to_pylist() == [len(t.strip()) for t in texts]


@given(st.lists(st.none() | st.text(max_size=8), max_size=8))
@FEW
def test_keys_are_pythons_own_over_texts(texts):
    array = pa.array(texts, pa.string())
    assert matching_keys(array).to_pylist() == [
        None if text is None else matching_key(text) for text in texts
    ]
    assert bare_lengths(array).to_pylist() == [len((text or "").strip()) for text in texts]


CORPUS = '[stages.texts]\nkind = "corpus"\ntitle = "texts"\nsource = "texts.jsonl"\n'
IMPORT = '[stages.texts]\nkind = "import"\ntitle = "t"\nsource = "texts.jsonl"\ngenerator = "by"\n'
ROW = st.fixed_dictionaries(
    {"text": st.sampled_from(["a day", "A  day!", "night", "", "x", "\ud800"]) | st.none()},
    optional={"id": st.integers(0, 9), "gold": st.text("ab", max_size=2), "by": st.sampled_from(
        ["m1", "m2", "human"]), "note": CELL.filter(lambda v: type(v) is not bytes)},
)  # fmt: skip


@pytest.mark.parametrize("head", [CORPUS, IMPORT])
@given(rows=st.lists(ROW, min_size=1, max_size=9))
@law(12, suppress_health_check=list(HealthCheck))
def test_every_row_is_kept_or_rejected_whatever_the_pieces(tmp_path_factory, head, rows):
    rows = [{"text": "kept", "by": "m1", "id": 1}, *rows]
    found = []
    for size in (4096, 2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks, "_ROWS", size)
            store = run_stages(tmp_path_factory.mktemp("x"), head, {"texts.jsonl": rows})
        kept, gone = rows_of(store, "texts"), rows_of(store, "texts", "rejected")
        assert sorted(row["_from"] for row in (*kept, *gone)) == list(range(len(rows)))
        found.append((kept, gone, store.find("texts").digest))
    assert found[0] == found[1]
    for row in (*found[0][0], *found[0][1]):
        given_row = rows[row["_from"]]
        assert row.get("id") == given_row.get("id")
    texts = [row["text"] for row in found[0][0]]
    assert all(texts)
    if head == CORPUS:
        assert len({matching_key(text) for text in texts}) == len(texts)


def test_a_corpus_keeps_the_columns_of_its_rows_but_not_what_people_labelled(tmp_path):
    same = {"text": "another", "label": "own", "_bill": 7, "original__bill": 8}
    rows = [{"body": f"text {i}", "ticket": f"T-{i}", "rating": i, **same} for i in range(4)]
    stage = CORPUS + 'text = "body"\ngold.column = "rating"\ngold.labels.high.at_least = 2\n'
    [first, *_] = rows_of(run_stages(tmp_path / "all", stage, {"texts.jsonl": rows}), "texts")
    own = {key: value for key, value in first.items() if key not in ("_id", "_from", "_bill")}
    assert own == {
        "text": "text 0", "gold": None, "part": "", "ticket": "T-0", "original_text": "another",
        "original_label": "own", "original_2__bill": 7, "original__bill": 8,
    }  # fmt: skip
    named = stage + 'keep = ["ticket", "rating"]\n'
    [*_, last] = rows_of(run_stages(tmp_path / "some", named, {"texts.jsonl": rows}), "texts")
    assert (last["ticket"], last["rating"], last["gold"]) == ("T-3", 3, "high")
    assert "original_label" not in last
    none = stage + "keep = []\n"
    [*_, last] = rows_of(run_stages(tmp_path / "none", none, {"texts.jsonl": rows}), "texts")
    assert set(last) == {"text", "gold", "part", "_id", "_bill", "_from"}
    with pytest.raises(InputError, match=r"no column 'tickt'; it has .*; did you mean 'ticket'\?"):
        run_stages(tmp_path / "no", stage + 'keep = ["tickt"]\n', {"texts.jsonl": rows})


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, kind):
    text = {"csv": "text,id\nhello,1\n", "jsonl": '{"text": "hello", "id": "1"}\n'}[kind]
    for number, encoding in enumerate(("utf-8-sig", "utf-8", "utf-16", "utf-16-le")):
        folder = tmp_path / str(number)
        folder.mkdir()
        mark = "\ufeff" if encoding == "utf-16-le" else ""
        (folder / f"texts.{kind}").write_bytes((mark + text).encode(encoding))
        said = "utf-8" if encoding == "utf-8-sig" else encoding
        stage = CORPUS.replace("jsonl", kind) + f'encoding = "{said}"\n'
        [row] = rows_of(run_stages(folder, stage, {}), "texts")
        assert (row["text"], row["id"]) == ("hello", "1")


BAD = "text,id\nhello,1\nGrüße aus Köln: über schöne Tage hört man Gutes,2\nbye,3\n".encode(
    "cp1252"
)


def test_bytes_of_another_encoding_are_told_rejected_or_replaced(tmp_path):
    def made(name, more, data=BAD, kind="csv"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"texts.{kind}").write_bytes(data)
        return run_stages(folder, CORPUS.replace("jsonl", kind) + more, {})

    with pytest.raises(
        InputError,
        match=r"is not utf-8 at line 3, byte \d+; it reads as [\w-]+: "
        r"write encoding = .* on_bad_bytes = \"reject\"",
    ):
        made("stop", "")
    store = made("reject", 'on_bad_bytes = "reject"\n')
    assert [row["text"] for row in rows_of(store, "texts")] == ["hello", "bye"]
    [gone] = rows_of(store, "texts", "rejected")
    assert gone["_reason"] == "is not utf-8"
    assert "aus K\ufffdln" in gone["text"]
    store = made("replace", 'on_bad_bytes = "replace"\n')
    assert rows_of(store, "texts")[1]["text"].startswith("Gr\ufffd\ufffde aus")
    lines = b'{"text": "ok"}\n{"text": "K\xf6ln"}\n{"text": "also ok"}\n'
    store = made("lines", 'on_bad_bytes = "reject"\n', lines, "jsonl")
    assert [row["text"] for row in rows_of(store, "texts")] == ["ok", "also ok"]
    store = made("right", 'encoding = "cp1252"\n')
    assert len(rows_of(store, "texts")) == 3


@pytest.mark.parametrize(
    ("header", "text", "message"),
    [
        ("Text ,id", "text", r"no column 'text'; it has 'Text ', 'id'; did you mean 'Text '\?"),
        ("body,id", "boddy", r"did you mean 'body'\?"),
        ("a,b", "text", r"no column 'text'; it has 'a', 'b'; correct"),
    ],
)
def test_names_of_columns_are_told_quoted(tmp_path, header, text, message):
    (tmp_path / "texts.csv").write_text(f"{header}\nhello,1\n")
    stage = CORPUS.replace("jsonl", "csv") + f'text = "{text}"\n'
    with pytest.raises(InputError, match=message):
        run_stages(tmp_path, stage, {})


def test_shards_are_those_of_the_rows_however_they_come(tmp_path):
    rows = [{"text": f"text {i}", "n": i} for i in range(101)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    store = run_stages(tmp_path, CORPUS + "shard_rows = 25\n", {})
    assert [shard.rows for shard in store.find("texts").shards] == [25, 25, 25, 25, 1]
    assert [row["n"] for row in rows_of(store, "texts")] == list(range(101))


LABELLED = """
[stages.half]
kind = "split"
input = "texts"
range = [0.0, 0.5]

[stages.labelled]
kind = "label"
input = "half"
teacher = "t"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }
"""
SERVICE = '[teachers.t]\nkind = "api"\nprovider = "openai"\nmodel = "gpt-4o-mini"\n'


def planned(folder, stages, rows, teachers=SERVICE, name="texts.jsonl"):
    from mashbill import load_recipe
    from mashbill.plan import build

    folder.mkdir(exist_ok=True)
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name).write_text(text)
    (folder / "p.txt").write_text("Text: {{ text }} ->")
    path = folder / "r.toml"
    path.write_text(f'[recipe]\nname = "r"\nversion = "1"\n{teachers}{stages}')
    return {stage.name: stage for stage in build(load_recipe(path)).stages}


def test_a_plan_looks_at_the_files_that_are_at_hand(tmp_path):
    rows = [{"body": f"a text of some length {i}", "id": i} for i in range(1000)]
    stages = CORPUS + 'text = "body"\n' + LABELLED
    found = planned(tmp_path, stages, rows)
    assert found["texts"].rows == 1000
    assert found["texts"].seen.columns == ("body", "id")
    assert found["half"].rows == found["labelled"].calls == 500
    assert found["labelled"].price > 0
    long = planned(tmp_path, stages, [{**row, "body": row["body"] * 9} for row in rows])
    assert long["labelled"].price > 1.5 * found["labelled"].price
    with pytest.raises(InputError, match=r"stages.texts: .*no column 'bdy'.*did you mean 'body'"):
        planned(tmp_path, CORPUS + 'text = "bdy"\n', rows)
    with pytest.raises(InputError, match=r"stages.texts: .*line 2 is not JSON"):
        planned(tmp_path, CORPUS, '{"text": "a"}\n{"text": \n')
    with pytest.raises(InputError, match=r"stages.texts: .*no column 'made'.*set generator"):
        planned(tmp_path, IMPORT.replace('"by"', '"made"') + 'text = "body"\n', rows)


def test_a_plan_reckons_the_rows_of_a_large_file(tmp_path, monkeypatch):
    from mashbill.files.rows import glance

    monkeypatch.setattr(glance, "_ROWS", 100)
    monkeypatch.setattr(chunks, "_ROWS", 50)
    rows = [{"text": f"a text of some length {i}"} for i in range(1000)]
    found = planned(tmp_path, CORPUS, rows)["texts"]
    assert not found.seen.is_exact
    assert 800 < found.rows < 1200
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "texts.parquet")
    found = planned(tmp_path, CORPUS.replace("jsonl", "parquet"), rows)["texts"]
    assert (found.rows, found.seen.is_exact) == (1000, True)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("texts.csv", "", "has no rows; name another file"),
        ("texts.csv", "text,id\n", "has no rows"),
        ("texts.jsonl", "\n\n", "has no rows"),
        ("texts.jsonl", '[{"text": "a"},\n{"text": "b"}\n', "array of rows is cut off behind row"),
        ("texts.json", '[{"text": "a"}] {"text": "b"}', "something stands behind its array of 1"),
        ("texts.json", '[{"text": "a"}, {"text" "b"}]', "row 2 is not JSON"),
        ("texts.csv", "body;mood\na;b\n", "no column 'text'.*seem to be divided by ';'"),
        ("texts.xlsx", "PK", "set format in the recipe to jsonl, csv, tsv"),
    ],
)
def test_first_mistakes_of_files_are_told_with_what_to_do(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    stage = CORPUS.replace("texts.jsonl", name)
    with pytest.raises(InputError, match=f"(?s){message}"):
        run_stages(tmp_path, stage, {})


@pytest.mark.parametrize("beside", [0.5, float("nan"), 10**400])
def test_large_ids_stay_what_they_are_whatever_stands_beside_them(tmp_path, beside):
    """As pandas writes ids with gaps, and as anybody may write a number."""
    ids = [2**53 + 1, 2**53, 7]
    rows = [{"text": f"t{i}", "by": "m", "x": x} for i, x in enumerate([*ids, beside])]
    merged = '[stages.merged]\nkind = "dedup"\ninput = "texts"\ncolumn = "x"\n'
    store = run_stages(tmp_path, IMPORT + merged, {"texts.jsonl": rows})
    found = [row["x"] for row in rows_of(store, "texts")]
    assert [int(x) for x in found[:3]] == ids
    assert len(rows_of(store, "merged")) == 4
