"""The store that is tampered with: two teachers, one of them closed, and what was made of them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GOOD = ["lovely", "bright", "kind", "superb", "warm"]
BAD = ["awful", "dull", "cruel", "broken", "cold"]
PLAIN = ["the", "film", "table", "river", "a", "day", "in", "was", "of", "green", "train", "seen"]

_WORDS = """words.good = ["lovely", "bright", "kind", "superb", "warm"]
words.bad = ["awful", "dull", "cruel", "broken", "cold"]
"""
_LABEL = """prompt = "toy.txt"
labels = { good = " good", bad = " bad" }
calibrate_on = 8
shard_rows = 16
"""

RECIPE = f"""
[recipe]
name = "tampered"
version = "1"
seed = 7

[teachers.closed]
kind = "fake"
name = "Example Closed"
source_kind = "closed-api"
provider = "Example"
{_WORDS}
[teachers.open]
kind = "fake"
name = "Example Open"
source_kind = "open-weights"
{_WORDS}
[teachers.served]
kind = "fake-service"
model = "Example Served"
source_kind = "closed-api"
limited = 0.2
retry_after = 0.01
{_WORDS}
[stages.corpus]
kind = "corpus"
title = "toy texts"
license = "CC0-1.0"
source = "toy.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"

[stages.one]
kind = "split"
input = "corpus"
range = [0.0, 0.3]
shard_rows = 40

[stages.two]
kind = "split"
input = "corpus"
range = [0.3, 0.6]
shard_rows = 40

[stages.rest]
kind = "split"
input = "corpus"
range = [0.6, 1.0]
shard_rows = 40

[stages.first]
kind = "label"
input = "one"
teacher = "closed"
{_LABEL}
[stages.second]
kind = "label"
input = "two"
teacher = "open"
{_LABEL}
[stages.both]
kind = "mix"
inputs = {{ first = 1.0, second = 1.0 }}

[stages.student]
kind = "classifier"
input = "both"
buckets = 256

[stages.small]
kind = "quantise"
base = "student"

[stages.applied]
kind = "apply"
input = "rest"
model = "student"
shard_rows = 20

[stages.kept]
kind = "filter"
input = "applied"
column = "confidence"
by = "student"
keep_top = 0.5
shard_rows = 20

[stages.single]
kind = "dedup"
input = "kept"

[stages.written]
kind = "generate"
input = "two"
teacher = "served"
shard_rows = 16
"""
CLOSED = "Example Closed (stand-in)"


def make(folder: Path, rows: int = 120) -> Path:
    """Run the recipe and return its store."""
    from permitted import execute

    from mashbill import Signer, Store, load_recipe
    from mashbill.plan import build
    from mashbill.run.execution import Execution

    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(3)
    lines = []
    for number in range(rows):
        mood = draw.choice(["good", "bad"])
        words = draw.choices(PLAIN, k=8) + draw.choices(GOOD if mood == "good" else BAD, k=2)
        draw.shuffle(words)
        text = " ".join(words) if number % 20 else "the same text again"
        lines.append(json.dumps({"text": text, "mood": mood if number % 7 else None}))
    (folder / "toy.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "toy.txt").write_text("Text: a kind day -> good\nText: {{ text }} ->\n")
    (folder / "tampered.toml").write_text(RECIPE)
    store = Store(folder / "store", Signer.default())
    plan = build(load_recipe(folder / "tampered.toml"), store)
    execute(plan, store, Execution(folder / "cache", threads=1))
    return store.root
