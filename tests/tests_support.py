"""The toy chain that tests run: a fake teacher, real trainers, real files."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq

from mashbill import InputError, Signer, Store, load_recipe
from mashbill.core.canonical import digest_bytes
from mashbill.files.rows.chunks import Manner, read_chunks
from mashbill.plan import build
from mashbill.policy.documents import load_registry
from mashbill.run.executor import Execution
from mashbill.run.executor import execute as run_permitted
from mashbill.run.permission import Acceptance, permit_plan

GOOD = ["lovely", "bright", "kind", "superb", "warm"]
BAD = ["awful", "dull", "cruel", "broken", "cold"]
PLAIN = ["the", "film", "table", "river", "a", "day", "in", "was", "of", "green", "train", "seen"]

RECIPE = """
[recipe]
name = "toy"
version = "1"
seed = 7
result = "scratch"

[teachers.fake]
kind = "fake"
words.good = ["lovely", "bright", "kind", "superb", "warm"]
words.bad = ["awful", "dull", "cruel", "broken", "cold"]
noise = 0.5
batch = 8
delay = DELAY

[stages.corpus]
kind = "corpus"
title = "toy texts"
license = "CC0-1.0"
source = "toy.jsonl"
gold.column = "mood"
gold.labels.good.equals = "good"
gold.labels.bad.equals = "bad"

[stages.first]
kind = "split"
input = "corpus"
range = [0.0, 0.3]
shard_rows = 100

[stages.rest]
kind = "split"
input = "corpus"
range = [0.3, 0.8]
shard_rows = 100

[stages.heldout]
kind = "split"
input = "corpus"
range = [0.8, 1.0]
gold = "require"

[stages.labelled]
kind = "label"
input = "first"
teacher = "fake"
prompt = "toy.txt"
labels = { good = " good", bad = " bad" }
calibrate_on = 32
shard_rows = 32

[stages.classifier]
kind = "classifier"
input = "labelled"
buckets = 4096

[stages.relabelled]
kind = "apply"
input = "rest"
model = "classifier"
shard_rows = 64

[stages.confident]
kind = "filter"
input = "relabelled"
column = "confidence"
by = "classifier"
keep_top = 0.5
shard_rows = 64

[stages.scratch]
kind = "pretrain"
inputs = ["confident"]
steps = 12
width = 32
layers = 1
vocabulary = 512
batch_tokens = 512

[stages.heldout-teacher]
kind = "label"
input = "heldout"
teacher = "fake"
prompt = "toy.txt"
labels = { good = " good", bad = " bad" }

[stages.heldout-classifier]
kind = "apply"
input = "heldout"
model = "classifier"

[stages.heldout-scratch]
kind = "apply"
input = "heldout"
model = "scratch"

[stages.evaluation]
kind = "evaluate"
input = "heldout"
systems.teacher = "heldout-teacher"
systems.classifier = "heldout-classifier"
systems.scratch = "heldout-scratch"
compare = [["teacher", "scratch"]]
"""


def write_recipe(folder: Path, delay: float = 0.0, rows: int = 600) -> Path:
    """Write the toy recipe, its corpus and its prompt; return the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(3)
    lines = []
    for i in range(rows):
        mood = draw.choice(["good", "bad"])
        words = draw.choices(PLAIN, k=8) + draw.choices(GOOD if mood == "good" else BAD, k=2)
        draw.shuffle(words)
        # Some rows have no gold label, some are duplicates.
        text = " ".join(words) if i % 50 else "the same text again"
        lines.append(json.dumps({"text": text, "mood": mood if i % 7 else None}))
    (folder / "toy.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "toy.txt").write_text("Text: a kind day -> good\nText: {{ text }} ->\n")
    path = folder / "toy.toml"
    path.write_text(RECIPE.replace("DELAY", str(delay)))
    return path


ANSWERS = Acceptance("Tests", "they answer for what they run")


def execute(plan, store, execution=None, *, answered=None):
    """Decide a plan, accepting what wants review, and run it: a run takes only a permit."""
    permit = permit_plan(
        plan,
        store,
        load_registry(),
        dt.datetime.now(dt.UTC).date(),
        accepted=ANSWERS,
        answered=answered,
    )
    return run_permitted(permit, store, execution)


def run_toy(recipe: Path, root: Path, allow=()):
    """Run the toy recipe into a store, and return (store, what was done)."""
    store = Store(root, Signer.default())
    plan = build(load_recipe(recipe, allow), store)
    done = execute(plan, store, Execution(root.parent / "cache", threads=1))
    return store, done


def commit_manifest(root: Path, path: Path, manifest: dict[str, object]) -> None:
    """Write a manifest into a store and commit it, as the owner of the key could."""
    path.write_text(json.dumps(manifest))
    subjects = {path.relative_to(root).as_posix(): digest_bytes(path.read_bytes())}
    name, kind = (
        path.parent.name,
        {"datasets": "dataset", "models": "model"}[path.parent.parent.name],
    )
    Store(root, Signer.default()).ledger.append(
        "commit", subjects, artifact=name, kind=kind, digest="", fingerprint=""
    )


CHANNELS = Path(__file__).parents[1] / "recipes" / "channels.toml"

TEACHER = """
[teachers.t]
kind = "fake"
words.good = ["lovely", "bright", "kind", "superb", "warm"]
words.bad = ["awful", "dull", "cruel", "broken", "cold"]
words.A = ["lovely", "bright", "kind", "superb", "warm"]
words.B = ["lovely", "bright", "kind", "superb", "warm"]
noise = 0.5
"""


def run_channels(root: Path):
    """Run ``recipes/channels.toml`` into a store, and return (store, what was done)."""
    return run_toy(CHANNELS, root)


def run_stages(
    folder: Path, stages: str, files: dict[str, object], teachers: str = TEACHER, allow=()
):
    """Run some stages over these files in a new store, and return the store.

    A file that is given as a list is written as JSONL, a row an element.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        text = data if isinstance(data, str) else "".join(json.dumps(row) + "\n" for row in data)
        (folder / name).write_text(text)
    path = folder / "some.toml"
    path.write_text(f'[recipe]\nname = "some"\nversion = "1"\nseed = 5\n{teachers}\n{stages}')
    code = [folder / name for name in files if name.endswith(".py")]
    return run_toy(path, folder / "store", [*code, *allow])[0]


RIGHT = """
[verifiers.same]
kind = "exact"

[stages.answers]
kind = "import"
title = "answers"
source = "answers.jsonl"
generator = "by"

[stages.right]
kind = "verify"
input = "answers"
by = "same"
"""
"""answers scored by whether they equal a reference; more keys of the stage may follow"""


def rows_of(store: Store, name: str, prefix: str = "part") -> list[dict]:
    """Return all rows of a dataset, or its rejected ones, in order."""
    folder = store.folder("dataset", store.find(name).ref)
    paths = sorted(folder.glob(f"{prefix}-*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


BROWSER = shutil.which("chromium")


def dom_of(page: Path, profile: Path, width: int = 1280) -> str:
    """Return a page as a browser has drawn it; its root says how wide it is and how wide it may be.

    The page itself runs no script, and its policy lets none run: a copy of it has no policy, and a
    script that measures.
    """
    copy = profile.with_suffix(".html")
    measure = (
        "<script>const r = document.documentElement;"
        "r.dataset.wide = r.scrollWidth; r.dataset.room = innerWidth</script>"
    )
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    copy.write_text(text + measure)
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={profile}", f"--window-size={width},900",
            "--dump-dom", copy.as_uri(),
        ],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.stdout


def killed(path, root, when, *more):
    """Run a recipe as a program, and kill it once ``when`` is true."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from mashbill.cli import main; main()", "run", str(path),
         "--store", str(root), *more],
        env={**os.environ, "MASHBILL_KEY_FILE": os.environ["MASHBILL_KEY_FILE"]},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not when():
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def read_rows(data, name, **manner):
    """Yield the rows of a file as dictionaries, as stages read it.

    Raises:
        InputError: as reading does, and for a line that is no row.
    """
    for chunk in read_chunks(data, name, Manner(**manner)):
        for at, (_, reason) in chunk.bad.items():
            msg = f"{name}: {chunk.where(at)} {reason}"
            raise InputError(msg)
        columns = {column: cells.values() for column, cells in chunk.columns.items()}
        for i in range(chunk.rows):
            yield {column: values[i] for column, values in columns.items()}
