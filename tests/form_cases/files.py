"""Files and folders of rows: JSON, tables, folders, tars, encodings."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from form_cases.case import NONE, Case, assistant, user

ROWS = [{"text": "one", "n": 1}, {"text": "two", "n": 2}]
TABLE = pa.Table.from_pylist(ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CHAT = [user("q?"), assistant("a.")]
GOT_CHAT = {"text": "a.", "prompt": "q?", "messages_json": CHAT}


def parquet(path):
    pq.write_table(TABLE, path)


def ipc(opened):
    def write(path):
        with opened(str(path), TABLE.schema) as writer:
            writer.write_table(TABLE)

    return write


def zstd(path):
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(LINES)


def shards(path):
    path.mkdir()
    for i in range(12):
        (path / f"c4-train.{i:05d}-of-00012.json.gz").write_bytes(
            gzip.compress(json.dumps({"text": f"t{i}"}).encode() + b"\n")
        )


def documents(path):
    (path / "a").mkdir(parents=True)
    (path / "a" / "one.md").write_text("# One\n\nline\n")
    (path / "two.txt").write_text("two")
    (path / "rows.csv").write_text("text\nno\n")


def hub(path):
    (path / "data").mkdir(parents=True)
    (path / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    for split, row in zip(("train", "test"), ROWS, strict=True):
        to = path / "data" / f"{split}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist([row]), to)


def hive(path):
    table = pa.table(
        {"text": ["a", "b", "c"], "model": ["gpt-4", "llama [8/b]", None], "year": [2024, 2025, 1]}
    )
    by = pa.schema([("model", pa.string()), ("year", pa.int64())])
    ds.write_dataset(table, path, format="parquet", partitioning=ds.partitioning(by, flavor="hive"))


def saved(path, tables=(TABLE,), cache=True):
    """Write what ``save_to_disk`` of the library datasets 5.2 writes, and what ``map`` leaves."""
    path.mkdir(parents=True)
    names = [f"data-{i:05d}-of-{len(tables):05d}.arrow" for i in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.ipc.new_stream(str(path / name), table.schema) as writer:
            writer.write_table(table)
    state = {
        "_data_files": [{"filename": name} for name in names], "_fingerprint": "459df1b013d20f39",
        "_format_columns": None, "_format_kwargs": {}, "_format_type": None,
        "_output_all_columns": False, "_split": None,
    }  # fmt: skip
    (path / "state.json").write_text(json.dumps(state))
    (path / "dataset_info.json").write_text(json.dumps({"features": {}}))
    if cache:
        with pa.ipc.new_stream(str(path / "cache-ee208cb1d9930253.arrow"), TABLE.schema) as writer:
            writer.write_table(TABLE)


def saved_splits(path):
    for name, row in zip(("train", "test"), ROWS, strict=True):
        saved(path / name, [pa.Table.from_pylist([row])])
    (path / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')


def saved_in_other_order(path):
    saved(path)
    indices = pa.table({"indices": pa.array([1, 0], pa.uint64())})
    with pa.ipc.new_stream(str(path / "indices.arrow"), indices.schema) as writer:
        writer.write_table(indices)


def tar(*samples):
    def write(path):
        path.mkdir()
        for number, members in enumerate(samples):
            with tarfile.open(path / f"text-{number:06d}.tar", "w") as archive:
                for name, text in members.items():
                    info = tarfile.TarInfo(name)
                    info.size = len(data := text.encode() if isinstance(text, str) else text)
                    archive.addfile(info, io.BytesIO(data))

    return write


TEXTS = tar(
    {"000000.txt": "One.", "000000.json": '{"model": "gpt-4"}', "000000.cls": "0",
     "000001.txt": "Two.", "000001.json": '{"model": "m"}', "000001.cls": "1"},
    {"000002.txt": "Three.", "000002.json": "{}", "000002.cls": "007"},
)  # fmt: skip
INNER = {"text": "One.", "generator": "gpt-4"}
JSONS = tar({"a/0.json": json.dumps(INNER), "a/0.png": b"\x89P", "a/1.json": '{"text": "Two."}'})
BAD = b'{"text": "fine"}\n{"text": "caf\xe9"}\n'

CASES = [
    Case("JSON lines", LINES, ROWS),
    Case("JSON array", json.dumps(ROWS, indent=2).encode(), ROWS, source="set.json"),
    Case(
        "JSON array of texts",
        b'["one", {"text": "no"}, "two"]',
        [{"text": "one"}, {"text": "two"}],
        source="set.json",
        rejected=("row 2 is no text, as the first row is, and each must be",),
    ),
    Case(
        "JSON objects, indented, one behind the other",
        "\n".join(json.dumps(row, indent=2) for row in ROWS).encode(),
        ROWS,
        source="set.json",
    ),
    Case(
        "JSON object that holds rows under a key",
        json.dumps({"version": "1", "data": ROWS}).encode(),
        source="set.json",
        error="no column 'text' or .* it has 'version', 'data'; set text in the recipe",
    ),
    Case(
        "JSON object that holds columns",
        b'{"text": ["a", "b"], "n": [1, 2]}',
        source="set.json",
        error="none of its rows is left.*column 'text' holds a list, and no text",
    ),
    Case(
        "JSON array that is cut off",
        json.dumps(ROWS).encode()[:-4],
        source="set.json",
        error=r"set.json: row 2 is not JSON: .*; correct it, fetch the file again, or write",
    ),
    Case(
        "JSON with a key that stands twice",
        b'{"text": "a"}\n{"text": "b", "text": "c"}\n',
        [{"text": "a"}],
        rejected=("line 2 names the key 'text' twice, so that one of its values would be lost",),
    ),
    Case("Parquet", parquet, ROWS, source="set.parquet"),
    Case("Arrow IPC file", ipc(pa.ipc.new_file), ROWS, source="set.feather"),
    Case("Arrow IPC stream", ipc(pa.ipc.new_stream), ROWS, source="set.arrow"),
    Case(
        "CSV",
        b'text,n\n"one, or ""1""",1\n"two\nlines",\n',
        [{"text": 'one, or "1"', "n": "1"}, {"text": "two\nlines", "n": ""}],
        source="set.csv",
    ),
    Case(
        "CSV with another delimiter",
        b"text;n\none;1\n",
        [{"text": "one", "n": "1"}],
        keys=NONE + '\ndelimiter = ";"',
        source="set.csv",
    ),
    Case("TSV", b'text\tn\n"one"\t1\n', [{"text": '"one"', "n": "1"}], source="set.tsv"),
    Case(
        "A column that is named twice",
        b"text,n,n\none,1,2\n",
        source="set.csv",
        error="the header names column 'n' twice; rename one",
    ),
    Case("Compressed, gzip", gzip.compress(LINES), ROWS, source="set.jsonl.gz"),
    Case("Compressed, Zstandard", zstd, ROWS, source="set.jsonl.zst"),
    Case(
        "An ending that says no format",
        LINES,
        ROWS,
        keys=NONE + '\nformat = "jsonl"',
        source="set.data",
    ),
    Case(
        "Text files, each a row",
        documents,
        [{"text": "# One\n\nline\n", "name": "a/one.md"}, {"text": "two", "name": "two.txt"}],
        keys=NONE + '\nformat = "text"',
        source="set",
    ),
    Case("Folder of shards", shards, [{"text": f"t{i}"} for i in range(12)], source="set"),
    Case(
        "Hub folder with splits",
        hub,
        [{**ROWS[1], "split": "test"}, {**ROWS[0], "split": "train"}],
        source="set",
    ),
    Case(
        "Hive partitions",
        hive,
        [{"text": "c", "model": None, "year": "1"},
         {"text": "a", "model": "gpt-4", "year": "2024"},
         {"text": "b", "model": "llama [8/b]", "year": "2025"}],
        keys='generator = "model"',
        source="set",
        by=("Set: origin not recorded", "gpt-4", "llama [8/b]"),
    ),
    Case("save_to_disk, Dataset", lambda path: saved(path, [TABLE[:1], TABLE[1:]]), ROWS,
         source="set"),
    Case(
        "save_to_disk, DatasetDict",
        saved_splits,
        [{**ROWS[1], "split": "test"}, {**ROWS[0], "split": "train"}],
        source="set",
    ),
    Case(
        "save_to_disk with rows in another order",
        saved_in_other_order,
        source="set",
        error=r"indices.arrow chooses and orders the rows .* call flatten_indices\(\), and save",
    ),
    Case(
        "WebDataset of texts",
        TEXTS,
        [{"text": "One.", "__key__": "000000", "json": {"model": "gpt-4"}, "cls": "0"},
         {"text": "Two.", "__key__": "000001", "json": {"model": "m"}, "cls": "1"},
         {"text": "Three.", "__key__": "000002", "json": {}, "cls": "007"}],
        keys='generator = "json.model"',
        source="set",
        by=("gpt-4", "m", "Set: origin not recorded"),
    ),
    Case(
        "WebDataset of JSON",
        JSONS,
        [{"text": "One.", "__key__": "a/0", "json": INNER, "png": b"\x89P"},
         {"text": "Two.", "__key__": "a/1", "json": {"text": "Two."}, "png": None}],
        keys='text = "json.text"\ngenerator = "json.generator"',
        source="set",
        by=("gpt-4", "Set: origin not recorded"),
    ),
    Case("UTF-8 with a mark", b"\xef\xbb\xbf" + LINES, ROWS),
    Case("UTF-16", LINES.decode().encode("utf-16"), ROWS, keys=NONE + '\nencoding = "utf-16"'),
    Case("Bytes that are no UTF-8", BAD, error="set.jsonl.*line 2.*on_bad_bytes"),
    Case(
        "Bytes that are no UTF-8, rejected",
        BAD,
        [{"text": "fine"}],
        keys=NONE + '\non_bad_bytes = "reject"',
        rejected=("line 2 is not utf-8",),
    ),
    Case(
        "Bytes that are no UTF-8, replaced",
        BAD,
        [{"text": "fine"}, {"text": "caf\ufffd"}],
        keys=NONE + '\non_bad_bytes = "replace"',
    ),
]  # fmt: skip
