"""Slices of stages in one process, and in several side by side: time of each stage, and same bytes.

Documents are chunked, drawn from, and filtered by a small classifier trained on some of them; all
but the training streams. Each way runs in a store of its own, turn and turn about; ratios are of
the medians. What comes out is compared by the digests of the manifests.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import describe

RECIPE = """
[recipe]
name = "workers"
version = "1"
seed = 3

[stages.documents]
kind = "corpus"
title = "documents"
license = "CC0-1.0"
source = "documents.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"

[stages.some]
kind = "split"
input = "documents"
range = [0.0, 0.02]
gold = "require"

[teachers.fake]
kind = "fake"
words.good = ["river", "stone"]
words.bad = ["mill", "field"]

[stages.labelled]
kind = "label"
input = "some"
teacher = "fake"
prompt = "p.txt"
labels = { good = " good", bad = " bad" }

[stages.classifier]
kind = "classifier"
input = "labelled"

[stages.pieces]
kind = "chunk"
input = "documents"
words = 60
overlap = 15

[stages.told]
kind = "apply"
input = "pieces"
model = "classifier"
"""
WORDS = (
    "the a river stone mill field by of kind cold warm dull bright bridge old new walked".split()  # noqa: SIM905
)
STREAMS = ("pieces", "told")


def write(folder: Path, rows: int) -> Path:
    """Write recipe, prompt and so many documents; return the recipe's path."""
    draw = random.Random(7)
    with (folder / "documents.jsonl").open("w") as stream:
        for number in range(rows):
            text = " ".join(draw.choices(WORDS, k=draw.randint(100, 500)))
            row = {"text": f"{number} {text}", "mood": draw.choice(["good", "bad"])}
            stream.write(json.dumps(row) + "\n")
    (folder / "p.txt").write_text("lovely river: good\nawful mill: bad\n{{ text }}:")
    path = folder / "workers.toml"
    path.write_text(RECIPE)
    return path


def run(recipe: Path, store: Path, workers: int) -> tuple[dict[str, float], list[str]]:
    """Run it in a process of its own; return seconds by stage, and the manifests' digests."""
    command = [sys.executable, "-c", "from mashbill.cli import main; main()", "run", str(recipe)]
    how = ["--store", str(store), "--threads", "1", "--workers", str(workers), "--json"]
    subprocess.run([*command, *how], check=True, stdout=subprocess.DEVNULL)
    from mashbill import Store

    entries = [e.predicate for e in Store(store).ledger.accepted if e.event == "commit"]
    seconds = {e["artifact"].split("@")[0]: e["seconds"] for e in entries if "seconds" in e}
    return seconds, sorted(e["digest"] for e in entries)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    times: dict[int, dict[str, list[float]]] = {1: {}, given.workers: {}}
    made: set[tuple[str, ...]] = set()
    with tempfile.TemporaryDirectory() as held:
        recipe = write(Path(held), given.rows)
        for turn in range(given.rounds):
            for workers, took in times.items():
                store = Path(held) / f"store-{turn}-{workers}"
                seconds, digests = run(recipe, store, workers)
                made.add(tuple(digests))
                for name in STREAMS:
                    took.setdefault(name, []).append(seconds[name])
    if len(made) != 1:
        sys.exit("what came out differs")
    found: dict[str, Any] = {"machine": describe(), "rows": given.rows, "stages": {}}
    for name in STREAMS:
        one, many = (statistics.median(times[w][name]) for w in times)
        found["stages"][name] = {
            "seconds_one": one,
            "seconds_many": many,
            "ratio": round(one / many, 2),
        }
        print(f"{name}: {one:.2f} s with one, {many:.2f} s with {given.workers}: {one / many:.2f}")
    path = Path(__file__).parent / "results" / "workers.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
