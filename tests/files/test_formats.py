"""Files of every format: rows go out and come back, and what is broken is told with a remedy."""

import gzip
import io
import json
import math
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from tests_laws import law
from tests_support import read_rows, rows_of, run_stages

from mashbill import InputError, RecipeError
from mashbill.core.errors import DriftError
from mashbill.core.record import BILL, FROM, ID
from mashbill.files.rows.formats import format_of
from mashbill.publish.rows import DATA_FORMATS, write_rows

FEW = law(25, suppress_health_check=list(HealthCheck))

VALUES = {
    "text": (pa.string(), st.text()),
    "count": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "score": (pa.float64(), st.floats(allow_nan=False, allow_infinity=False)),
    "yes": (pa.bool_(), st.booleans()),
    "raw": (pa.binary(), st.binary(max_size=8)),
    "many": (pa.list_(pa.string()), st.lists(st.text(max_size=4), max_size=3)),
}


@st.composite
def tables(draw):
    """A shard of a store: some columns under any names, and ours."""
    kinds = draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=4))
    names = draw(
        st.lists(
            st.text(min_size=1, max_size=6).filter(lambda name: not name.startswith("_")),
            min_size=len(kinds),
            max_size=len(kinds),
            unique=True,
        )
    )
    rows = draw(st.integers(0, 6))
    columns = {}
    for name, kind in zip(names, kinds, strict=True):
        of, values = VALUES[kind]
        drawn = st.lists(st.none() | values, min_size=rows, max_size=rows)
        columns[name] = pa.array(draw(drawn), of)
    columns[ID] = pa.array([bytes(15) + bytes([i]) for i in range(rows)], pa.binary(16))
    columns[BILL] = pa.array([i % 2 for i in range(rows)], pa.int32())
    columns[FROM] = pa.array([[i, 7] for i in range(rows)], pa.list_(pa.int64()))
    return pa.table(columns)


def as_csv_has_it(value):
    """Return the text that stands for a value in CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(value) if isinstance(value, list) else value


def expected(table, kind, receipts):
    rows = table.to_pylist()
    for i, row in enumerate(rows):
        ours = {name: row.pop(name) for name in (ID, BILL, FROM)}
        if receipts:
            row |= {ID: ours[ID].hex(), BILL: ["ab", "cd"][i % 2], FROM: ours[FROM]}
    if kind == "jsonl":
        return [{k: v.hex() if isinstance(v, bytes) else v for k, v in r.items()} for r in rows]
    return [{k: as_csv_has_it(v) for k, v in r.items()} for r in rows] if kind == "csv" else rows


@pytest.mark.parametrize("kind", DATA_FORMATS)
@FEW
@given(table=tables(), receipts=st.booleans())
def test_rows_that_are_published_come_back(kind, table, receipts):
    with tempfile.TemporaryDirectory() as folder:
        shard, to = Path(folder) / "shard.parquet", Path(folder) / f"out.{kind}"
        pq.write_table(table, shard)
        write_rows(shard, to, kind, ["ab", "cd"], receipts=receipts)
        found = list(read_rows(to, str(to)))
        assert found == list(read_rows(to.read_bytes(), to.name))
    wanted = expected(table, kind, receipts)
    if kind == "csv":
        for row, want in zip(found, wanted, strict=True):
            for name, value in want.items():
                row[name] = type(value)(row[name])
    assert found == wanted
    assert all(list(a) == list(b) for a, b in zip(found, wanted, strict=True))


def test_a_number_that_json_has_no_word_for_is_told(tmp_path):
    shard = tmp_path / "shard.parquet"
    pq.write_table(pa.table({"a": [1.0, math.inf], ID: [b"", b""], BILL: [0, 0]}), shard)
    with pytest.raises(InputError, match=r"row 1 .* inf in column 'a'.* --format parquet or arrow"):
        write_rows(shard, tmp_path / "x", "jsonl", ["ab"], receipts=True)


LINES = b"".join(b'{"a": %d, "t": "%s"}\n' % (i, b"\xc3\xa9" * (i % 9)) for i in range(300))
TABLE = pa.Table.from_pylist([json.loads(line) for line in LINES.splitlines()])


def packed(data):
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(data)
    return out.getvalue().to_pybytes()


def arrow(opened):
    out = io.BytesIO()
    with opened(out, TABLE.schema) as writer:
        writer.write_table(TABLE, 100)
    return out.getvalue()


def parquet():
    out = io.BytesIO()
    pq.write_table(TABLE, out, row_group_size=100)
    return out.getvalue()


FILES = {
    "a.jsonl.gz": gzip.compress(LINES),
    "a.NDJSON.ZST": packed(LINES),
    "a.arrow": arrow(pa.ipc.new_file),
    "a.arrows": arrow(pa.ipc.new_stream),
    "a.feather": arrow(pa.ipc.new_file),
    "a.parquet": parquet(),
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_read_whole_or_refused(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(FILES[name])
    assert list(read_rows(path, name)) == TABLE.to_pylist()
    size = len(FILES[name])
    for cut in {1, 9, size // 3, size // 2, size - 9}:
        with pytest.raises(InputError, match=rf"{name} is n.*fetch it again"):
            list(read_rows(FILES[name][:cut], name))
    with pytest.raises(InputError, match=rf"{name} is n.*fetch it again"):
        list(read_rows(b"not such a file at all", name))


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"a,b\n1,2\n3\n", r"line 3 has 1 fields, 2 columns are named \('a', 'b'\)"),
        ("a.csv", b'a,b\n1,"cut sho', r"a.csv: line 2 is no CSV: .*if it is cut short"),
        ("a.csv", b'a,b\n1,"x"y\n', r"a.csv: line 2 is no CSV: .*correct its quotes"),
        ("a.csv", b"a,b,a\n", r"the header names column 'a' twice"),
        ("a.tsv", b"a\tb\n1\t2\t3\n", r"a.tsv: line 2 has 3 fields"),
        ("a.jsonl", b'{"a": 1}\n{"a": ', r"a.jsonl: line 2 is not JSON: Expecting"),
        (
            "a.jsonl",
            b'{"a": "\xc3\xa9"}\n{"a": "\xff"}\n',
            r"a.jsonl is not utf-8 at line 2, byte 19; .*set on_bad_bytes = \"reject\"",
        ),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n\xff', mtime=0), r"not utf-8 at line 2, byte 9"),
        ("a.csv", b"a\n" + b"x" * 70_000 + b"\n\xc3", r"a.csv is not utf-8 at line 3, byte 70003"),
        ("a.txt", b"", r"the ending does not say the format"),
        ("gz", b"", r"the ending does not say the format"),
    ],
)
def test_what_is_broken_is_told_with_file_place_and_remedy(name, data, message):
    with pytest.raises(InputError, match=message):
        list(read_rows(data, name))


def test_a_long_field_and_an_encoding():
    text = "é" * 200_000
    assert list(read_rows(f"a\n{text}\n".encode("latin-1"), "a.csv", encoding="latin-1")) == [
        {"a": text}
    ]
    with pytest.raises(InputError, match=r".utf-9. is no encoding of text files"):
        list(read_rows(b"", "a.csv", encoding="utf-9"))
    assert (format_of("A.CSV.gz"), format_of("x.gz"), format_of("README")) == ("csv", None, None)


CORPUS = """
[stages.corpus]
kind = "corpus"
title = "Set"
source = "data"
dedup = false
"""


def write_folder(folder):
    (folder / "data" / "deep").mkdir(parents=True)
    for name, texts in {"b.jsonl": "cd", "a.jsonl": "ab", "deep/c.jsonl": "ef"}.items():
        lines = "".join(json.dumps({"text": f"text {t}"}) + "\n" for t in texts)
        (folder / "data" / name).write_text(lines)
    (folder / "data" / "README.md").write_text("no rows")
    (folder / "data" / "_SUCCESS").write_text("")


def texts_of(store):
    return [row["text"].removeprefix("text ") for row in rows_of(store, "corpus")]


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("data", "abcdef"),
        ("data/", "abcdef"),
        ("data/*.jsonl", "abcd"),
        ("data/**/*.jsonl", "abcdef"),
        ("data/deep/c.jsonl", "ef"),
        ("da[t]a/?.jsonl", "abcd"),
    ],
)
def test_a_folder_or_a_glob_is_read_in_order_of_names(tmp_path, source, texts):
    write_folder(tmp_path)
    store = run_stages(tmp_path, CORPUS.replace('"data"', f'"{source}"'), {})
    assert "".join(texts_of(store)) == texts
    assert [row["_from"] for row in rows_of(store, "corpus")] == list(range(len(texts)))
    manifest = store.find("corpus")
    assert len(manifest.stage["files"]) == len(texts) // 2
    assert len(manifest.measures.get("files", {})) in (0, len(texts) // 2)


def test_the_bytes_of_a_folder_are_its_identity(tmp_path):
    write_folder(tmp_path)
    run_stages(tmp_path, CORPUS, {})
    (tmp_path / "data" / "README.md").write_text("another card")
    run_stages(tmp_path, CORPUS, {})
    (tmp_path / "data" / "b.jsonl").write_text('{"text": "changed"}\n')
    with pytest.raises(DriftError, match=r"files.data/b.jsonl: "):
        run_stages(tmp_path, CORPUS, {})


def test_a_pin_of_a_folder_is_that_of_its_list(tmp_path):
    import hashlib

    write_folder(tmp_path)
    names = ["a.jsonl", "b.jsonl", "deep/c.jsonl"]
    lines = [
        f"{hashlib.sha256((tmp_path / 'data' / name).read_bytes()).hexdigest()}  {name}\n"
        for name in names
    ]
    pin = hashlib.sha256("".join(lines).encode()).hexdigest()
    store = run_stages(tmp_path, CORPUS + f'sha256 = "{pin}"\n', {})
    assert list(store.find("corpus").measures["files"]) == names
    stage = CORPUS.replace('"data"', '"../data"') + 'sha256 = "00"\n'
    with pytest.raises(InputError, match=r"list of its 3 files is .* pins 00; the bytes have chan"):
        run_stages(tmp_path / "2", stage, {}, allow=[tmp_path / "data"])


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("data/*.csv", RecipeError, r"data/\*.csv: no file beside the recipe .* fits"),
        ("empty", RecipeError, r"empty holds no file whose ending says .*\(it has nothing\)"),
        ("mixed", RecipeError, r"mixed holds files of several formats \(1 csv, 1 jsonl\).*glob"),
        ("nowhere", RecipeError, r"needs the file 'nowhere' beside the recipe"),
    ],
)
def test_a_folder_that_cannot_serve_is_told(tmp_path, source, error, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "a.csv").write_text("text\na\n")
    (tmp_path / "mixed" / "a.jsonl").write_text('{"text": "a"}\n')
    recipe = CORPUS.replace('"data"', f'"{source}"')
    with pytest.raises(error, match=message):
        run_stages(tmp_path, recipe, {})
    if source == "mixed":
        assert texts_of(run_stages(tmp_path, recipe + 'format = "csv"\n', {})) == ["a"]


def test_members_are_those_of_one_archive(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(InputError, match=r"members are those of one archive, and these are 3"):
        run_stages(tmp_path, CORPUS + 'members = { x = "y.jsonl" }\n', {})


def test_import_names_the_file_of_a_row_that_cannot_serve(tmp_path):
    (tmp_path / "got").mkdir()
    (tmp_path / "got" / "a.jsonl").write_text('{"text": "a", "generator": "m"}\n')
    (tmp_path / "got" / "b.jsonl.gz").write_bytes(gzip.compress(b"{torn\n"))
    stage = '[stages.got]\nkind = "import"\ntitle = "Set"\nsource = "got"\n'
    store = run_stages(tmp_path, stage, {})
    assert rows_of(store, "got", "rejected")[0]["_reason"].startswith("b.jsonl.gz line 1 is not JS")
    with pytest.raises(RecipeError, match="got"):
        run_stages(tmp_path / "2", stage, {})
    with pytest.raises(InputError, match=r"got: there is no column 'who'"):
        run_stages(tmp_path, stage.replace("got]", "x]") + 'generator = "who"\n', {})
