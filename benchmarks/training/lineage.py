"""What lineage costs a training: its seconds beside those of the steps, on one pass over some rows.

    python benchmarks/training/lineage.py [--rows 20000] [--threads 2] [--width 128] [--layers 4]

``pretrain`` on lines of this repository, since there a row is learned from fastest, so that what
is done for each row weighs most. Counted as lineage are: how often each row was learned from, what
each dataset and source is in the model, its nodes, and the commit to the ledger with its signature.
The network that reads them is small; with one that takes longer the share is less. It prints
seconds of both and their ratio, and writes results/training_lineage.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
from machine import describe, write  # noqa: E402

import mashbill as mb  # noqa: E402
from mashbill.run import executor, trained  # noqa: E402
from mashbill.train import scratch  # noqa: E402

RECIPE = """
[recipe]
name = "lineage"
version = "1"
seed = 3

[stages.lines]
kind = "corpus"
title = "lines of this repository"
license = "Apache-2.0"
origin = "own-dataset"
source = "lines.jsonl"

[stages.model]
kind = "pretrain"
inputs = ["lines"]
labels = false
steps = {steps}
batch_tokens = {batch}
vocabulary = 1024
width = {width}
layers = {layers}
heads = 4
context = 128
"""
BATCH = 2048
STEPS = "steps"
LINEAGE: dict[str, tuple[ModuleType, ...]] = {
    "_count": (scratch,),
    "_learned": (trained,),
    "_weighed_rows": (trained,),
    "weigh": (trained,),
    "learned_beside": (trained,),
    "close_model": (trained,),
    "learned_table": (trained,),
    "write_nodes": (trained,),
    "commit": (executor,),
}
"""functions that are timed, and where they are looked up"""


def timed(spent: dict[str, float], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that adds its seconds to what is spent under a name."""

    def run(*args: Any, **kwargs: Any) -> Any:
        began = time.monotonic()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.monotonic() - began

    return run


def lines(count: int) -> list[str]:
    """Return lines of this repository's texts, of at least 40 characters."""
    files = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "src").rglob("*.py"))]
    found = (line for file in files for line in file.read_text().splitlines() if len(line) >= 40)
    return list(itertools.islice(found, count))


def main() -> None:
    """Train once, and say what was spent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    args = parser.parse_args()
    texts = lines(args.rows)
    tokens = sum(len(text) for text in texts) // 3
    spent: dict[str, float] = defaultdict(float)
    for name, modules in LINEAGE.items():
        for module in modules:
            setattr(module, name, timed(spent, name, getattr(module, name)))
    learn = scratch.learn
    scratch.learn = timed(spent, STEPS, learn)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "lines.jsonl").write_text(
            "".join(json.dumps({"text": text}) + "\n" for text in texts)
        )
        recipe = place / "lineage.toml"
        recipe.write_text(
            RECIPE.format(
                steps=max(1, tokens // BATCH), batch=BATCH, width=args.width, layers=args.layers
            )
        )
        ws = mb.open(place / "store")
        ws.run(ws.plan(recipe), threads=args.threads)
    steps = spent.pop(STEPS)
    lineage = sum(spent.values())
    for name, seconds in spent.items():
        print(f"{name:16} {seconds:8.3f} s")
    print(
        f"{len(texts):,} rows: {steps:.1f} s of steps, {lineage:.3f} s of lineage, "
        f"{lineage / steps:.2%}"
    )
    found = {"rows": len(texts), "steps_s": steps, "lineage_s": lineage, "share": lineage / steps}
    write(
        HERE.parent / "training_lineage.json",
        {"machine": describe(), **vars(args), **found, "of": dict(spent)},
    )


if __name__ == "__main__":
    main()
