"""A small chain whose last data are written by a model that the recipe itself trained."""

from __future__ import annotations

import random

from tests_support import BAD, GOOD, PLAIN, run_stages

TEACHERS = """
[teachers.closed]
kind = "fake"
name = "Strong"
source_kind = "closed-api"
words.good = ["lovely", "bright", "kind", "superb", "warm"]
words.bad = ["awful", "dull", "cruel", "broken", "cold"]

[teachers.student]
kind = "student"
model = "scratch"
max_tokens = 8
batch = 4
"""

STAGES = """
[stages.corpus]
kind = "corpus"
title = "own openings"
origin = "own-dataset"
source = "rows.jsonl"

[stages.first]
kind = "generate"
input = "corpus"
teacher = "closed"
prompt = "on.txt"

[stages.labelled]
kind = "label"
input = "first"
teacher = "closed"
prompt = "mood.txt"
labels = { good = " good", bad = " bad" }

[stages.scratch]
kind = "pretrain"
inputs = ["labelled"]
steps = 6
width = 16
layers = 1
heads = 2
vocabulary = 512
batch_tokens = 256
context = 64

[stages.written]
kind = "generate"
input = "corpus"
teacher = "student"
prompt = "on.txt"
keep_cut = true
shard_rows = 8

[stages.marked]
kind = "label"
input = "written"
teacher = "closed"
prompt = "mood.txt"
labels = { good = " good", bad = " bad" }

[stages.second]
kind = "classifier"
input = "marked"
buckets = 1024
"""

_draw = random.Random(5)
ROWS = [
    {
        "text": " ".join([*_draw.sample(PLAIN, 5), *_draw.sample((GOOD, BAD)[at % 2], 3)]),
        "number": at,
    }
    for at in range(24)
]
FILES = {"rows.jsonl": ROWS, "on.txt": "{{ text }}", "mood.txt": "Say good or bad: {{ text }} ->"}


def run_chain(folder, stages=STAGES, teachers=TEACHERS, **files):
    """Run it into a new store, and return the store."""
    return run_stages(folder, stages, {**FILES, **files}, teachers)
