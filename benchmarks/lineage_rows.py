"""What lineage costs by the row: capture, the bill of a large dataset, a trace over many hops.

By hand: ``python benchmarks/lineage_rows.py [--rows N]``. Three measurements:

* capture: filter, one-to-many, dedup and mix over N rows, each slice once with and once without
  ``_from``, ``_bill`` and the composing of nodes, in turns, so that a stolen core hits both; the
  evidence (``_id``, Merkle leaves) is timed beside them, since it is no lineage.
* bill: ``mashbill bill`` as a process of its own, on a dataset of 10 N rows whose nodes follow
  Zipf's law over many teachers, prompt sets, judges and filters.
* trace: rows over five hops, of N rows each, every shape of ``_from`` among them.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from machine import describe, write

from mashbill import Signer, Source, Store
from mashbill.core.artifact import ArtifactRef, FileDigest, InputRef, Manifest, Shard
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.record import identify, leaves
from mashbill.core.store import MANIFEST, NODES, write_atomically
from mashbill.lineage.circuit.composer import Composer, close_dataset
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.trace import Tracer
from mashbill.run.shards import write_parquet

SLICE = 500_000
_TIMED = ("rows", "stage", "with", "without", "evidence", "evidence_rows")
WORDS = np.array([f"word{i}" for i in range(5000)])


def texts(draw: np.random.Generator, rows: int) -> pa.Array:
    """Return texts of eight words, drawn by Zipf's law."""
    places = np.minimum(draw.zipf(1.3, (8, rows)), len(WORDS)) - 1
    words = pa.array(WORDS)
    return pc.binary_join_element_wise(*[words.take(pa.array(p)) for p in places], " ")


def sources(count: int) -> list[Source]:
    return [
        Source(name=f"model {i}", what="model", kind="open-weights", route="weights", version="1")
        for i in range(count)
    ]


class Capture:
    """Times one pipeline, slice by slice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stages: dict[str, dict[str, float]] = {}

    def slice(
        self, name: str, composer: Composer, codes: np.ndarray, out: pa.Table, spent: float,
        start: int, turn: int,
    ) -> None:  # fmt: skip
        """Place and write one slice both ways.

        Args:
            name: stage.
            composer: gives nodes.
            codes: of the input rows.
            out: the stage's output: user's columns and ``_from``.
            spent: seconds the stage itself took for it.
            start: position of the slice's first input row.
            turn: which way comes first.
        """
        row = self.stages.setdefault(
            name, dict.fromkeys(_TIMED, 0.0) | {"bytes_with": 0, "bytes_without": 0}
        )
        made: dict[bool, pa.Table] = {}
        for lineage in ((True, False), (False, True))[turn % 2]:
            path = self.folder / f"{name}-{lineage}.parquet"
            began = time.perf_counter()
            table = self._placed(composer, codes, out, start) if lineage else out.drop(["_from"])
            write_parquet(table, path)
            row["with" if lineage else "without"] += time.perf_counter() - began
            row["bytes_with" if lineage else "bytes_without"] += path.stat().st_size
            made[lineage] = table
        if turn % 4 == 0:  # a quarter is enough to know its pace
            began = time.perf_counter()
            leaves(identify(made[True]), composer.table.numbered)
            row["evidence"] += time.perf_counter() - began
            row["evidence_rows"] += out.num_rows
        row["rows"] += out.num_rows
        row["stage"] += spent

    @staticmethod
    def _placed(composer: Composer, codes: np.ndarray, out: pa.Table, start: int) -> pa.Table:
        positions = out.column("_from").combine_chunks()
        if pa.types.is_list(positions.type):
            ends = np.asarray(positions.offsets)
            bills = composer.several_each(codes[np.asarray(positions.flatten())], ends[1:])
        else:
            bills = composer.one_each(codes[np.asarray(positions)])
            at = out.schema.get_field_index("_from")
            out = out.set_column(at, "_from", pc.add(positions, start))
        return out.append_column("_bill", pa.array(bills, pa.int32()))


def run_stage(spec: Any, piece: pa.Table, context: Any) -> tuple[pa.Table, float]:
    began = time.perf_counter()
    out = pa.Table.from_batches(list(spec.run(iter(piece.to_batches()), context)))
    return out, time.perf_counter() - began


def capture(rows: int, folder: Path) -> dict[str, Any]:
    """Run the pipeline over ``rows`` rows."""
    from mashbill.stages.chunk import ChunkSpec
    from mashbill.stages.dedup import DedupSpec
    from mashbill.stages.filter import FilterSpec
    from mashbill.stages.mix import MixSpec

    draw = np.random.default_rng(3)
    base = NodeTable()
    for source in sources(40):
        base.number(base.add_source(source))
    judge = sources(1)[0]
    timing = Capture(folder)
    composers = {
        "filter": Composer([("content", base)], [("selection", judge)]),
        "chunk": Composer([("content", base)], []),
        "dedup": Composer([("content", base)], []),
        "mix": Composer([("content", base), ("content", base)], []),
    }
    for turn, start in enumerate(range(0, rows, SLICE)):
        count = min(SLICE, rows - start)
        piece = pa.table(
            {
                "text": texts(draw, count),
                "score": draw.random(count),
                "_id": pa.array(
                    [i.to_bytes(16, "big") for i in range(start, start + count)], pa.binary(16)
                ),
            }
        )
        codes = draw.integers(0, 40, 200)[np.minimum(draw.zipf(1.5, count), 200) - 1]
        data = _Columns(piece, folder)
        context = _Context(data, folder)
        plain = piece.drop(["_id"])
        for name, spec, given in (
            ("filter", FilterSpec(input="a", column="score", by="rule", keep_top=0.5), plain),
            ("chunk", ChunkSpec(input="a", words=4), plain.select(["text"])),
            ("dedup", DedupSpec(input="a"), plain.select(["text"])),
            ("mix", MixSpec(inputs={"a": 1.5, "b": 0.5}), piece),
        ):
            # dedup reads its input twice, and the second time by itself.
            own = _Context(_Columns(given, folder), folder) if name == "dedup" else context
            out, spent = run_stage(spec, given, own)
            if "_rejected_by" in out.column_names:
                kept = out.filter(pc.is_null(out.column("_rejected_by")))
                out = kept.drop(["_rejected_by", "_reason"])
            timing.slice(name, composers[name], codes, out.combine_chunks(), spent, start, turn)
    return timing.stages


class _Columns:
    """Stands for the dataset that a stage may ask for: the slice at hand."""

    def __init__(self, table: pa.Table, folder: Path) -> None:
        self.table, self.num_rows, self.columns = table, table.num_rows, table.column_names
        self.path, shard = folder, SimpleNamespace(file="schema.parquet")
        self.manifest = SimpleNamespace(shards=[shard])
        if not (folder / shard.file).exists():
            pq.write_table(table.slice(0, 0), folder / shard.file)

    def column(self, name: str) -> pa.ChunkedArray:
        return self.table.column(name)

    def chunks(self, rows: int) -> Any:
        for start in range(0, self.num_rows, rows):
            yield start, self.table.slice(start, rows)

    def read(self, start: int, stop: int, columns: list[str] | None = None) -> pa.Table:
        piece = self.table.slice(start, stop - start)
        return piece.select(columns) if columns else piece


class _Context:
    def __init__(self, data: _Columns, work: Path) -> None:
        self.work, self.progress = work, lambda *_: None
        self.seed, self.measures, self.current = 0, {}, "a"
        self.input = lambda _name: data


def commit(
    store: Store, name: str, table: NodeTable, shards: list[Shard], inputs: list[tuple[str, str]]
) -> None:
    """Commit a dataset written by hand, as a run would."""
    ref = ArtifactRef(name, "1")
    folder = store.folder("dataset", ref)
    close_dataset(table, str(ref))
    nodes = table.to_parquet()
    write_atomically(folder / NODES, nodes)
    manifest = Manifest(
        kind="dataset", name=name, version="1", stage={"kind": "bench"}, fingerprint="0" * 64,
        inputs=tuple(InputRef(name=n, role="rows", channel="content", digest=d) for n, d in inputs),
        shards=tuple(shards), nodes=FileDigest(file=NODES, sha256=digest_bytes(nodes)),
        nodes_digest=table.digest, bill=table.root, rows=sum(s.rows for s in shards),
        tokens=sum(table.tokens),
    )  # fmt: skip
    write_atomically(folder / MANIFEST, canonical(manifest.model_dump(mode="json")))
    store.ledger.append("commit", {}, artifact=str(ref), kind="dataset",
                        fingerprint="0" * 64, digest=manifest.digest)  # fmt: skip


def large_bill(rows: int, folder: Path) -> dict[str, Any]:
    """Time `mashbill bill` on a dataset of many rows; only ``_bill`` is written for its rows."""
    draw = np.random.default_rng(5)
    store = Store(folder / "bill", Signer.default())
    table = NodeTable()
    models = [table.add_source(source) for source in sources(60)]
    prompts = [
        table.add_source(Source(name=f"prompts {i}", what="dataset", kind="public-dataset",
                                route="file", license="CC-BY-4.0")) for i in range(300)
    ]  # fmt: skip
    seen = set()
    while len(table.numbered) < 20_000:
        model, prompt, judge, chosen = (int(draw.zipf(1.4)) for _ in range(4))
        parts = {("content", models[model % 60]), ("prompt", prompts[prompt % 300])}
        if judge % 3:
            parts.add(("judgement", models[judge % 60]))
        if chosen % 2:
            parts.add(("selection", models[chosen % 60]))
        node = table.add_made(parts)
        if len(seen) > 5_000 and node in seen and len(table.numbered) > 5_000:
            node = table.add_made([("transform", models[draw.integers(60)]), ("content", node)])
        seen.add(node)
        table.number(node)
    ref = store.folder("dataset", ArtifactRef("large", "1"))
    ref.mkdir(parents=True)
    shards = []
    for number, start in enumerate(range(0, rows, 5_000_000)):
        count = min(5_000_000, rows - start)
        bills = (np.minimum(draw.zipf(1.2, count), len(table.numbered)) - 1).astype(np.int32)
        table.count(bills, draw.integers(50, 1500, count))
        path = ref / f"part-{number:05d}.parquet"
        sha256 = write_parquet(pa.table({"_bill": bills}), path)
        shards.append(Shard(file=path.name, rows=count, sha256=sha256, merkle_root="0" * 64))
    nodes = len(table.numbered)
    commit(store, "large", table, shards, [])
    command = [str(Path(sys.executable).with_name("mashbill")), "bill", "large", "--json",
               "--store", str(store.root)]  # fmt: skip
    times, peak = [], 0
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {"rows": rows, "nodes": nodes, "seconds": sorted(times), "peak_mib": peak / 1024}


def long_trace(rows: int, folder: Path, asked: int = 300) -> dict[str, Any]:
    """Time traces over five hops of ``rows`` rows each."""
    draw = np.random.default_rng(7)
    store = Store(folder / "trace", Signer.default())
    table = NodeTable()
    table.number(table.add_source(sources(1)[0]))
    shapes = {
        "corpus": None,
        "same": lambda a, n: np.arange(a, a + n),
        "filtered": lambda a, n: np.sort(draw.integers(a, a + n, n)),
        "pieces": lambda a, n: np.arange(a, a + n) // 3 + a // 3 * 2,
        "merged": "lists",
        "mixed": lambda _a, n: draw.integers(0, rows, n),
    }
    before: list[tuple[str, str]] = []
    size = {}
    for name, shape in shapes.items():
        mine = NodeTable(dict(table.bodies), list(table.numbered), [0], [0])
        folder_ = store.folder("dataset", ArtifactRef(name, "1"))
        folder_.mkdir(parents=True)
        shards = []
        for number, start in enumerate(range(0, rows, 1_000_000)):
            count = min(1_000_000, rows - start)
            columns: dict[str, Any] = {"text": texts(draw, count)}
            columns["_id"] = pa.array(
                np.frombuffer(draw.bytes(16 * count), "S16").tolist(), pa.binary()
            )
            if shape == "lists":
                flat = np.minimum(np.arange(2 * count) // 2 + start, rows - 1)
                columns["_from"] = pa.ListArray.from_arrays(np.arange(0, 2 * count + 1, 2), flat)
            elif shape is not None:
                columns["_from"] = np.minimum(shape(start, count), rows - 1)  # type: ignore[operator]
            else:
                columns["_from"] = np.arange(start, start + count)
            columns["_bill"] = pa.array(np.zeros(count, np.int32))
            path = folder_ / f"part-{number:05d}.parquet"
            sha256 = write_parquet(pa.table(columns), path)
            shards.append(Shard(file=path.name, rows=count, sha256=sha256, merkle_root="0" * 64))
            mine.count(np.zeros(count, np.int32), np.full(count, 8))
        size[name] = sum(path.stat().st_size for path in folder_.iterdir())
        commit(store, name, mine, shards, before)
        before = [(f"{name}@1", "0" * 64)]
    tracer = Tracer(Store(store.root), None)
    tracer.trace("mixed", 0)
    times, read, groups = [], [], 0
    from mashbill.core import dataset

    plain = dataset._Part.rows
    counted = {"bytes": 0, "groups": 0}

    def counting(self: Any, start: int, stop: int, columns: list[str] | None) -> pa.Table:
        meta = self._file.metadata
        for group, end in enumerate(self._group_ends):
            first = self._group_ends[group - 1] if group else 0
            if end > start and first < stop:
                counted["groups"] += 1
                part = meta.row_group(group)
                counted["bytes"] += sum(
                    part.column(i).total_compressed_size for i in range(part.num_columns)
                )
        return plain(self, start, stop, columns)

    for row in draw.integers(0, rows, asked).tolist():  # files open, footers read
        tracer.trace("mixed", row)
    for row in draw.integers(0, rows, asked).tolist():
        began = time.perf_counter()
        tracer.trace("mixed", row)
        times.append(time.perf_counter() - began)
    dataset._Part.rows = counting  # type: ignore[method-assign]
    for row in draw.integers(0, rows, 50).tolist():
        counted["bytes"] = counted["groups"] = 0
        tracer.trace("mixed", row)
        read.append(counted["bytes"])
        groups = max(groups, counted["groups"])
    dataset._Part.rows = plain  # type: ignore[method-assign]
    ahead = []
    for row in draw.integers(0, rows // 4, 20).tolist():
        began = time.perf_counter()
        tracer.forward("corpus", row)
        ahead.append(time.perf_counter() - began)
    return {
        "rows": rows, "hops": 5, "traces": asked, "median_ms": 1e3 * float(np.median(times)),
        "p95_ms": 1e3 * float(np.quantile(times, 0.95)), "worst_ms": 1e3 * max(times),
        "kib_read": float(np.mean(read)) / 1024, "store_mib": sum(size.values()) / 2**20,
        "row_groups_read_at_most": groups, "forward_median_ms": 1e3 * float(np.median(ahead)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--only", choices=["capture", "bill", "trace"])
    given = parser.parse_args()
    report: dict[str, Any] = {"machine": describe()}
    folder = Path(tempfile.mkdtemp(prefix="mashbill-bench-"))
    try:
        if given.only in (None, "capture"):
            report["capture"] = capture(given.rows, folder)
            print(
                f"{'stage':8} {'rows':>12} {'stage s':>8} {'write s':>8} {'lineage s':>9} "
                f"{'of stage+write':>14} {'with evidence':>13} {'bytes/row':>9}"
            )
            for name, row in report["capture"].items():
                cost = row["with"] - row["without"]
                bare = row["stage"] + row["without"]
                extra = (row["bytes_with"] - row["bytes_without"]) / row["rows"]
                whole = bare + row["evidence"] * row["rows"] / row["evidence_rows"]
                print(
                    f"{name:8} {int(row['rows']):12,} {row['stage']:8.1f} {row['without']:8.1f} "
                    f"{cost:9.2f} {cost / bare:14.1%} {cost / whole:13.1%} "
                    f"{extra:9.2f}"
                )
        if given.only in (None, "bill"):
            report["bill"] = large_bill(10 * given.rows, folder)
            row = report["bill"]
            print(
                f"bill of {row['rows']:,} rows, {row['nodes']:,} nodes: best "
                f"{row['seconds'][0]:.2f} s, worst {row['seconds'][-1]:.2f} s, "
                f"{row['peak_mib']:.0f} MiB"
            )
        if given.only in (None, "trace"):
            report["trace"] = long_trace(given.rows, folder)
            row = report["trace"]
            print(
                f"trace of a row over 5 hops of {row['rows']:,} rows: median "
                f"{row['median_ms']:.1f} ms, 95% {row['p95_ms']:.1f} ms, worst "
                f"{row['worst_ms']:.1f} ms; {row['kib_read']:.0f} KiB of "
                f"{row['store_mib']:.0f} MiB read; forward "
                f"{row['forward_median_ms']:.1f} ms"
            )
    finally:
        shutil.rmtree(folder)
    write(Path(__file__).with_suffix(".json"), report)


if __name__ == "__main__":
    main()
