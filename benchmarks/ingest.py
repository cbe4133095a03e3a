"""Reading short rows and merging duplicates: rate and memory, beside DuckDB and datatrove.

    python benchmarks/ingest.py [ROWS] [--peers PYTHON]

Every step is a process of its own, on one core where the machine allows it, and its peak memory is
what the system says of it. What each does is not the same, and the table says so: mashbill also
computes each record's digest, its Merkle leaf and its node, and signs every shard.

* ``read``: JSONL to Parquet. mashbill ``corpus`` without ``dedup``; DuckDB ``read_json`` and
  ``COPY``; datatrove ``JsonlReader`` and ``ParquetWriter``.
* ``read and reject duplicates``: the same with duplicates by the text without case and
  punctuation. mashbill ``corpus``; DuckDB the same key by regular expressions, first row kept.
* ``merge duplicates``: over rows that are read already, every group keeping the positions of all
  its rows. mashbill ``dedup``; DuckDB ``GROUP BY`` with a list of positions.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORDS = ["the", "film", "table", "river", "a", "day", "in", "was", "of", "green", "train", "seen"]
MEMORY = "2GB"


def make(path: Path, rows: int) -> None:
    draw = random.Random(1)
    with path.open("w") as file:
        for i in range(rows):
            text = " ".join(draw.choices(WORDS, k=7))
            if i % 10:
                text += f" {i}"
            else:
                text = f"again and again, {i % 1000}."
            file.write(json.dumps({"text": text, "ticket": i}) + "\n")


RECIPE = """
[recipe]
name = "ingest"
version = "1"

[stages.corpus]
kind = "corpus"
title = "rows"
source = "rows.jsonl"
dedup = {dedup}
shard_rows = 65536
"""
MERGING = """
[stages.merged]
kind = "dedup"
input = "corpus"
shard_rows = 65536
"""


def ours(folder: Path, job: str) -> float:
    from permitted import execute

    from mashbill import Signer, Store, load_recipe
    from mashbill.plan import build
    from mashbill.run.execution import Execution

    merging = job == "merge"
    recipe = folder / "recipe.toml"
    text = RECIPE.format(dedup=str(job == "dedup").lower())
    recipe.write_text(text + (MERGING if merging else ""))
    store = Store(folder / ("store-read" if merging else f"store-{job}"), Signer.default())
    plan = build(load_recipe(recipe), store)
    began = time.monotonic()
    done = execute(plan, store, Execution(folder / "cache", threads=1))
    seconds = time.monotonic() - began
    print(json.dumps({"kept": done[-1].manifest.rows}))
    return done[-1].seconds if merging else seconds


KEY = "trim(regexp_replace(lower(text), '[^0-9a-z_]+', ' ', 'g'))"


def duckdb(folder: Path, job: str) -> float:
    import duckdb as db

    link = db.connect()
    link.execute(f"SET threads = 1; SET memory_limit = '{MEMORY}'")
    link.execute(f"SET temp_directory = '{folder / 'duckdb-tmp'}'")
    began = time.monotonic()
    rows = f"read_json('{folder / 'rows.jsonl'}', columns = {{text: 'VARCHAR', ticket: 'BIGINT'}})"
    out = folder / f"duckdb-{job}.parquet"
    queries = {
        "read": f"SELECT * FROM {rows}",  # noqa: S608 - names of our own
        "dedup": f"SELECT min_by(text, ticket) AS text, min(ticket) AS ticket FROM {rows} "  # noqa: S608
        f"GROUP BY {KEY} ORDER BY ticket",
        "merge": "SELECT min_by(text, ticket) AS text, list(ticket ORDER BY ticket) AS came_from "  # noqa: S608
        f"FROM '{folder / 'duckdb-read.parquet'}' GROUP BY text ORDER BY min(ticket)",
    }
    link.execute(f"COPY ({queries[job]}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")
    seconds = time.monotonic() - began
    [(kept,)] = link.execute(f"SELECT count(*) FROM '{out}'").fetchall()  # noqa: S608
    print(json.dumps({"kept": kept}))
    return seconds


def datatrove(folder: Path, job: str) -> float:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import ParquetWriter

    del job  # only "read" is asked of it
    pipeline = [
        JsonlReader(str(folder), glob_pattern="rows.jsonl", text_key="text"),
        ParquetWriter(str(folder / "datatrove"), compression="zstd"),
    ]
    began = time.monotonic()
    LocalPipelineExecutor(
        pipeline=pipeline, tasks=1, workers=1, logging_dir=str(folder / "datatrove-logs")
    ).run()
    return time.monotonic() - began


SYSTEMS = {"mashbill": ours, "duckdb": duckdb, "datatrove": datatrove}
PLAN = [
    ("read", ("mashbill", "duckdb", "datatrove")),
    ("dedup", ("mashbill", "duckdb")),
    ("merge", ("mashbill", "duckdb")),
]


def measure(system: str, job: str, folder: Path, peers: str) -> dict[str, float]:
    python = sys.executable if system == "mashbill" else peers
    command = [python, __file__, "--one", system, job, str(folder)]
    core = {0} if hasattr(os, "sched_setaffinity") else None
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=(lambda: os.sched_setaffinity(0, core)) if core else None,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MASHBILL_KEY_FILE": str(folder / "key.pem")},
    )
    if done.returncode:
        sys.exit(f"{system} {job}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="?", default=5_000_000)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--one", nargs=3)
    arguments = parser.parse_args()
    if arguments.one:
        system, job, folder = arguments.one
        seconds = SYSTEMS[system](Path(folder), job)
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({
            "seconds": seconds, "cpu_s": used.ru_utime + used.ru_stime,
            "peak_mib": used.ru_maxrss / 1024,
        }))  # fmt: skip
        return
    from machine import describe, write

    report: dict[str, object] = {"machine": describe(), "rows": arguments.rows}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "rows.jsonl", arguments.rows)
        for job, systems in PLAN:
            for system in systems:
                found = measure(system, job, folder, arguments.peers)
                rate = arguments.rows / found["seconds"]
                report[f"{job} {system}"] = {**found, "rows_a_second": rate}
                print(
                    f"{job:6} {system:10} {found['seconds']:8.1f} s {rate:10,.0f} rows/s "
                    f"{found['cpu_s']:8.1f} s of a core {found['peak_mib']:7,.0f} MiB",
                    flush=True,
                )
    write(Path(__file__).with_suffix(".json"), report)


if __name__ == "__main__":
    main()
