"""Recipes that train a student on a base of a few thousand weights, through the real runner."""

from __future__ import annotations

from tests_support import run_stages
from tests_tiny_base import make_base

from mashbill.core.canonical import digest_bytes, digest_file

BASE = """
[models.small]
kind = "folder"
name = "tiny"
license = "Apache-2.0"
folder = "base"
sha256 = "DIGEST"
"""
ROWS = """
[stages.said]
kind = "import"
title = "answers"
source = "rows.jsonl"
generator = "by"
license = "CC0-1.0"
"""
TEACHER = """
[teachers.big]
kind = "transformers"
name = "tiny"
provider = "nobody"
license = "Apache-2.0"
folder = "big"
sha256 = "DIGEST"
"""
HELD = ROWS.replace("[stages.said]", "[stages.held]")
"""the same rows as another stage's, held out"""
SFT = """
[stages.student]
kind = "sft"
inputs = ["said"]
base = "small"
batch = 4
epochs = 6
rate = 0.02
warmup = 0.0
dtype = "float32"
"""
ASKED = {"red": "fox", "blue": "bird", "good": "name", "bad": "place"}


def rows(times=4):
    return [
        {"prompt": f"what is {word}?", "text": answer, "by": "a/b"}
        for _ in range(times)
        for word, answer in ASKED.items()
    ]


def with_rows(stages):
    """Return stages below those that make their rows."""
    return ROWS + (HELD if 'heldout = "held"' in stages else "") + stages


def run(folder, stages=SFT, given=None, **base):
    """Train a student on some rows; return the store."""
    made = make_base(folder / "base", **base)
    store = run_stages(
        folder,
        BASE.replace("DIGEST", digest_of(made)) + with_rows(stages),
        {"rows.jsonl": rows() if given is None else given},
    )
    return store, made


def digest_of(folder):
    """What pins a folder of weights."""
    files = sorted(item for item in folder.iterdir() if item.is_file())
    return digest_bytes("".join(f"{digest_file(f)}  {f.name}\n" for f in files).encode())


def student_of(store, name="student"):
    manifest = store.find(name)
    return manifest, store.folder("model", manifest.ref)
