"""mashbill: a recipe run into a store, with lineage, journal and conduct on.

W2 is one `generate` stage with a judge; W7 one with a schema. At default settings only what a run
cannot do without is set.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from common import (
    MODEL,
    SCHEMA,
    TIMEOUT,
    Meter,
    arguments,
    bytes_under,
    check,
    judge_prompt,
    read_prompts,
)

from mashbill import Signer, Store, load_recipe
from mashbill.plan import build
from mashbill.run.execution import Execution

sys.path.insert(0, str(Path(__file__).parents[1]))
from permitted import execute

RECIPE = """
[recipe]
name = "bench"
version = "{version}"
[teachers.t]
kind = "server"
model = "{model}"
base_url = "{url}"
license = "MIT"
{settings}
[teachers.j]
kind = "server"
model = "{model}"
base_url = "{url}"
license = "MIT"
logprobs = false
structured = "prompt"
{settings}
[stages.prompts]
kind = "corpus"
title = "prompts"
origin = "own-dataset"
source = "prompts.jsonl"
text = "prompt"
[stages.out]
kind = "generate"
input = "prompts"
teacher = "t"
{stage}
"""


def recipe(given: argparse.Namespace, rows: list[dict[str, Any]]) -> Path:
    """Write the recipe, its prompts and what it names; more rows make another version."""
    folder = given.out / "recipe"
    folder.mkdir(exist_ok=True)
    with (folder / "prompts.jsonl").open("w") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    (folder / "judge.jinja").write_text(judge_prompt("{{ text }}"))
    fair = f"concurrency = {given.concurrency}\ntimeout = {TIMEOUT}"
    stage = {"w2": 'judge = "j"\njudge_prompt = "judge.jinja"', "w7": 'schema = "schema.json"'}
    path = folder / "recipe.toml"
    path.write_text(
        RECIPE.format(
            version=len(rows),
            model=MODEL,
            url=given.base_url,
            settings=fair if given.settings == "fair" else "",
            stage=stage.get(given.work, ""),
        )
    )
    return path


def main() -> None:
    """Run, check the rows, and say what it took."""
    meter = Meter()
    given = arguments(__doc__)
    os.environ["MASHBILL_KEY_FILE"] = str(given.out / "key.pem")
    rows = read_prompts(given.prompts, given.rows)
    path = recipe(given, rows)
    root = given.out / "store"
    store = Store(root, Signer.default())
    done = execute(build(load_recipe(path), store), store, Execution(given.out / "cache", 1))
    took = meter.stop()
    replies: list[tuple[str, Any]] = []
    folder = store.folder("dataset", done[-1].manifest.ref)
    for shard in done[-1].manifest.shards:
        table = pq.read_table(folder / shard.file, columns=["prompt", "text"])
        replies += zip(table["prompt"].to_pylist(), table["text"].to_pylist(), strict=True)
    meter.line(
        given,
        "ours",
        **took,
        **check(rows, replies, given.work),
        bytes_on_disk=bytes_under(root),
        versions={"mashbill": version("mashbill"), "aiohttp": version("aiohttp")},
    )


if __name__ == "__main__":
    main()
