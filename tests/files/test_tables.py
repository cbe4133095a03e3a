"""Parquet and Arrow files: the rows that pyarrow reads, in bounded memory whatever they declare."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import os
import pickle
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law

from mashbill import InputError
from mashbill.files.opening import UNPACKED
from mashbill.files.tables import arrow_batches, parquet_batches

MIB = 1 << 20
PEAK = """
import resource, sys
from pathlib import Path
from mashbill import InputError
from mashbill.files.tables import arrow_batches, parquet_batches
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
before = peak()
for path in map(Path, sys.argv[1:]):
    said = "nothing"
    try:
        read = parquet_batches if path.suffix == ".parquet" else arrow_batches
        for batch in read(path, path.name):
            pass
    except InputError as error:
        said = str(error)
    print(peak() - before, said)
"""


def peaks_of(paths):
    """Return (MiB of memory that it took so far, what it said) of each file, in one process."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, UNPACKED: "64M"},
    )
    return [(int(line.split(" ")[0]), line) for line in done.stdout.splitlines()]


def one_value(rows, value="x" * 50_000):
    indices = pa.array([0], pa.int32()).take(pa.array([0] * 1000))
    indices = pa.concat_arrays([indices] * (rows // 1000))
    return pa.DictionaryArray.from_arrays(indices, pa.array([value]))


def zeros():
    return pa.Array.from_buffers(pa.int64(), 9_000_000, [None, pa.py_buffer(bytes(72_000_000))])


def parquet(path, table, **how):
    pq.write_table(table, path, compression="zstd", **how)


def arrow(path, table, compression="zstd", kind=pa.ipc.new_file):
    with kind(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as out:
        out.write_table(table)


def repeated(path):
    parquet(path, pa.table({"text": one_value(20_000)}), store_schema=False)


def repeated_and_stored_as_such(path):
    parquet(path, pa.table({"text": one_value(20_000)}))


def in_lists(path):
    values = one_value(20_000).cast(pa.dictionary(pa.int32(), pa.string()))
    offsets = pa.array(range(0, 20_001, 1000), pa.int32())
    parquet(path, pa.table({"text": pa.ListArray.from_arrays(offsets, values)}), store_schema=False)


def in_structs(path):
    parquet(path, pa.table({"text": pa.StructArray.from_arrays([one_value(20_000)], ["a"])}))


def many_rows(path):
    parquet(path, pa.table({"n": pa.nulls(9_000_000, pa.int8())}), row_group_size=9_000_000)


def by_difference(path):
    table = pa.table({"text": pa.array(["x" * 100_000] * 800)})
    parquet(path, table, use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})


def fixed(path):
    kind = pa.binary(100_000)
    parquet(path, pa.table({"text": pa.array([b"x" * 100_000] * 800, kind)}))


def large_page(path):
    parquet(path, pa.table({"n": zeros()}), use_dictionary=False, row_group_size=9_000_000)


def arrow_buffer(path):
    arrow(path, pa.table({"n": zeros()}))


def arrow_stream_buffer(path):
    table = pa.table({"n": zeros()})
    arrow(path, table, "lz4", pa.ipc.new_stream)


def arrow_dictionary(path):
    arrow(path, pa.table({"text": one_value(20_000)}))


def arrow_nothing(path):
    arrow(path, pa.table({"text": pa.Array.from_buffers(pa.null(), 2_000_000_000, [None])}))


BOMBS = {
    ".parquet": (repeated, repeated_and_stored_as_such, in_lists, in_structs, many_rows,
                 by_difference, fixed, large_page),
    ".arrow": (arrow_buffer, arrow_stream_buffer, arrow_dictionary, arrow_nothing),
}  # fmt: skip


def test_bombs_are_stopped_in_little_memory(tmp_path):
    paths = []
    for ending, all_ in BOMBS.items():
        for write in all_:
            paths.append(tmp_path / f"{write.__name__}{ending}")
            write(paths[-1])
            assert paths[-1].stat().st_size < MIB
    for path, (memory, said) in zip(paths, peaks_of(paths), strict=True):
        assert f"{path.name}: its " in said
        assert "unpack to more than 64.0 MiB" in said
        assert memory < 150, said


def everything() -> pa.Table:
    days = [dt.date(2026, 1, 1 + i) for i in range(5)]
    return pa.table(
        {
            "text": ["a", None, "ü" * 300, "", "a"],
            "same": pa.array(["x"] * 5).dictionary_encode(),
            "bytes": [b"\xff", None, b"", b"abc", b"d"],
            "fixed": pa.array([b"ab", b"cd", None, b"ef", b"gh"], pa.binary(2)),
            "number": [1, 2, None, 4, 5],
            "float": [1.5, None, float("inf"), -0.0, 1e300],
            "flag": [True, None, False, True, True],
            "day": pa.array(days, pa.date32()),
            "exact": pa.array([decimal.Decimal("1.20")] * 5),
            "list": [["a", None, "b"], [], None, ["c"], ["d" * 50]],
            "turns": [[{"role": "user", "content": "x"}], [], None, [{"role": None}], []],
            "struct": [{"a": "x", "b": [1]}, None, {"a": None, "b": []}, {"a": "y"}, {"a": "z"}],
            "map": pa.array(
                [[("k", "v")], [], None, [("k", None)], []], pa.map_(pa.string(), pa.string())
            ),
            "large": pa.array(["a", "b", None, "c", "d"], pa.large_string()),
            "sized": pa.array([[1, 2]] * 5, pa.list_(pa.int8(), 2)),
            "null": pa.nulls(5),
        }
    )


def written(table, kind) -> bytes:
    out = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, out, row_group_size=2)
    elif kind == "without schema":
        pq.write_table(table, out, store_schema=False)
    else:
        make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        options = pa.ipc.IpcWriteOptions(compression="lz4" if kind == "file" else None)
        with make(out, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=2)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "without schema", "file", "stream"])
@pytest.mark.parametrize("piece", [16 << 20, 1])
def test_the_rows_are_those_that_pyarrow_reads(monkeypatch, kind, piece):
    monkeypatch.setattr("mashbill.files.tables._PIECE", piece)
    table = everything()
    read = parquet_batches if kind in ("parquet", "without schema") else arrow_batches
    rows = [row for batch in read(written(table, kind), "x") for row in batch.to_pylist()]
    assert rows == table.to_pylist()


def test_columns_are_chosen(tmp_path):
    (tmp_path / "a.parquet").write_bytes(written(everything(), "parquet"))
    batches = list(parquet_batches(tmp_path / "a.parquet", "a", ["number", "text"]))
    assert {tuple(sorted(batch.schema.names)) for batch in batches} == {("number", "text")}


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (self.marker, "w"))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", [b"arrow.py_extension_type", b"no.such.type"])
@pytest.mark.parametrize("kind", ["parquet", "file"])
def test_a_type_of_others_is_read_as_what_it_is_stored_as(tmp_path, name, kind):
    marker = tmp_path / "marker"
    facts = {
        b"ARROW:extension:name": name,
        b"ARROW:extension:metadata": pickle.dumps(Evil(str(marker))),
    }
    field = pa.field("x", pa.binary(16), metadata=facts)
    table = pa.Table.from_arrays(
        [pa.array([b"a" * 16] * 3, pa.binary(16))], schema=pa.schema([field])
    )
    read = parquet_batches if kind == "parquet" else arrow_batches
    batches = list(read(written(table, kind), "x"))
    assert sum(batch.num_rows for batch in batches) == 3
    assert batches[0].column(0).type == pa.binary(16)
    assert not marker.exists()


WHOLE = {kind: written(everything(), kind) for kind in ("parquet", "file", "stream")}


@law(250)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=5),
    cut_at=st.integers(0, 1 << 20),
)
def test_any_damage_is_told_and_never_a_traceback(kind, changes, cut_at):
    data = bytearray(WHOLE[kind])
    for place, value in changes:
        data[place % len(data)] = value
    data = data[: len(data) - cut_at % len(data)] if cut_at % 3 == 0 else data
    read, said = parquet_batches if kind == "parquet" else arrow_batches, "x.bin"
    try:
        for batch in read(bytes(data), "x.bin"):
            assert batch.num_rows >= 0
    except InputError as error:
        said = str(error)
    assert "x.bin" in said
