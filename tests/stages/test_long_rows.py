"""A line or a row that is longer than it may be: told with its place, and never held."""

import gzip
import os
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests_support import read_rows

from mashbill import InputError
from mashbill.files.listing import File
from mashbill.files.opening import ROW
from mashbill.files.rows import glance
from mashbill.files.rows.chunks import Manner, read_chunks
from mashbill.files.rows.glance import glance_at

PEAK = """
import resource, sys
from pathlib import Path
from mashbill import InputError
from mashbill.files.rows.chunks import Manner, read_chunks
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
before = peak()
for path in map(Path, sys.argv[1:]):
    said = []
    try:
        for chunk in read_chunks(path, path.name, Manner()):
            said += [f"{chunk.where(row)} {why}" for row, (_, why) in chunk.bad.items()]
    except InputError as error:
        said = [str(error)]
    print(peak() - before, said[0] if said else "nothing")
"""
LINE = b'{"text": "a"}\n'
LONG = 320 << 20
MIB = 300  # the chunk of short lists takes most of it


def lists(path):
    path.write_bytes(gzip.compress(LINE + b'{"x":[' + b"[]," * 8_000_000 + b"1]}\n" + LINE, 1))


def short_lists(path):
    line = b'{"x":[' + b"[]," * 10_000 + b"1]}\n"
    path.write_bytes(gzip.compress(line * 1000, 1))


def line(path):
    path.write_bytes(gzip.compress(LINE + b'{"text":"' + b"a" * LONG + b'"}\n' + LINE, 1))


def field(path):
    path.write_bytes(gzip.compress(b'text\na\n"' + b"a\n" * (LONG // 2) + b'"\n', 1))


def fields(path):
    path.write_bytes(gzip.compress(b"text\na\n" + b"," * LONG + b"\n", 1))


def arrow_nulls(path):
    array = pa.ListArray.from_arrays(pa.array([0, 50_000_000], pa.int32()), pa.nulls(50_000_000))
    with pa.ipc.new_file(path, pa.schema([("x", array.type)])) as out:
        out.write_table(pa.table({"x": array}))


def cell(path):
    pq.write_table(pa.table({"n": ["a"], "text": ["a" * LONG]}), path, compression="zstd")


BAD = {
    "lists.jsonl.gz": (lists, "line 2 has more than 1.0 MiB, or more than 32,768 elements"),
    "lines.jsonl.gz": (short_lists, "nothing"),
    "line.jsonl.gz": (line, "line 2 has more than 1.0 MiB"),
    "field.csv.gz": (field, "line 524290: its row has more than 1.0 MiB"),
    "fields.csv.gz": (fields, "line 3: its row has more than 1.0 MiB"),
    "nulls.arrow": (arrow_nulls, "nulls.arrow: row 0 has more than 1.0 MiB, or more than 32,768"),
}


@pytest.mark.slow
def test_no_long_row_takes_its_memory(tmp_path):
    paths = [tmp_path / name for name in BAD]
    for path, (write, _) in zip(paths, BAD.values(), strict=True):
        write(path)
    cell(tmp_path / "cell.parquet")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, paths), str(tmp_path / "cell.parquet")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, ROW: "1M"},
    )
    told = done.stdout.splitlines()
    for said, wanted in zip(told, [*(w for _, w in BAD.values()), "row 0 has more"], strict=True):
        assert wanted in said
        assert (ROW in said) == (wanted != "nothing")
        assert int(said.split()[0]) < MIB, said
    assert "in 'text'" in told[-1]


def written(path, size):
    """Write one row of this size between two others."""
    rows = ["one", "b" * size, "three"]
    if path.suffix == ".jsonl":
        path.write_text("".join(f'{{"text": "{row}", "generator": "m"}}\n' for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"text": rows, "generator": ["m"] * 3}), path)
    else:
        path.write_text("text,generator\n" + "".join(f"{row},m\n" for row in rows))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a.jsonl", "a.jsonl: line 2 has more than 10.0 KiB"),
        ("a.csv", "a.csv: line 3: its row has more than 10.0 KiB"),
        ("a.parquet", "a.parquet: row 1 has more than 10.0 KiB"),
    ],
)
def test_a_long_row_is_told_and_the_bound_can_be_raised(tmp_path, monkeypatch, name, says):
    monkeypatch.setenv(ROW, "10K")
    written(tmp_path / name, 20_000)
    with pytest.raises(InputError, match=re.escape(says)) as error:
        list(read_rows(tmp_path / name, name))
    assert ROW in str(error.value)
    monkeypatch.setenv(ROW, "30K")
    assert len(list(read_rows(tmp_path / name, name))) == 3


def test_where_rows_can_be_rejected_a_long_line_is(tmp_path, monkeypatch):
    monkeypatch.setenv(ROW, "10K")
    written(tmp_path / "a.jsonl", 20_000)
    (chunk,) = read_chunks(tmp_path / "a.jsonl", "a.jsonl", Manner())
    assert chunk.rows == 3
    text, reason = chunk.bad[1]
    assert len(text) == 1000
    assert reason.startswith("has more than 10.0 KiB")
    assert chunk.columns["text"].values()[2] == "three"


def test_a_glance_reads_so_much_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(glance, "_BYTES", 1 << 20)
    monkeypatch.setattr("mashbill.files.rows.chunks._BYTES", 1 << 18)
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "{"a" * 1000}"}}\n' * 20_000)
    read = []
    seen = glance_at(
        [File("a.jsonl", "a.jsonl", path, "")], Manner(), lambda chunk, _: read.append(chunk.rows)
    )
    assert sum(read) < 3000
    assert not seen.is_exact
    assert seen.rows == pytest.approx(20_000, rel=0.1)
