"""Models that were trained elsewhere, as folders beside a recipe, and recipes that take them."""

from __future__ import annotations

import json

import numpy as np
from tests_support import TEACHER, run_stages

from mashbill.core.canonical import digest_bytes, digest_file

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8}
SMALL = """
[models.small]
kind = "hub"
id = "acme/tiny-base"
revision = "main"
license = "Apache-2.0"
"""
ROWS = """
[stages.said]
kind = "import"
title = "answers"
source = "rows.jsonl"
generator = "by"
license = "CC0-1.0"

[stages.own]
kind = "corpus"
title = "own texts"
origin = "own-dataset"
source = "own.jsonl"
"""
MODEL = """
[stages.student]
kind = "trained"
folder = "out"
base = "small"
inputs = ["said", "own"]
"""
FILES = {
    "rows.jsonl": [{"text": f"row {n} says so and so", "by": "a/b"} for n in range(6)],
    "own.jsonl": [{"text": f"a note of our own, number {n}"} for n in range(4)],
}


def write_model(folder, *, seed=0, config=None, **files):
    """Write a model's folder as a trainer leaves it; others of its files are given by name."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    save_file({"w": draw.random(4, np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    for name, data in files.items():
        text = data if isinstance(data, str) else json.dumps(data)
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def take(folder, stages=MODEL, *, models=SMALL, record=None, rows=ROWS, allow=(), **files):
    """Take the model of ``folder / "out"`` in; return the store."""
    if not (folder / "out").exists():
        write_model(folder / "out", **files)
    if record is not None:
        (folder / "out" / "mashbill.json").write_text(json.dumps(record))
    return run_stages(folder, models + rows + stages, FILES, teachers=TEACHER, allow=allow)


def record(datasets, **more):
    """What a trainer says."""
    return {
        "format": 1,
        "trainer": {"name": "trl", "version": "1.16.0"},
        "base": {"name": "acme/tiny-base"},
        "datasets": datasets,
        **more,
    }


def digests_of(store):
    """Return the digest of the content of each dataset, by stage."""
    return {m.name: m.digest for m in store.manifests() if m.kind == "dataset"}


def at_the_end(folder):
    """Return what a record says of weights."""
    return {path.name: digest_file(path) for path in sorted(folder.glob("*.safetensors"))}


def digest_of_text(text):
    return digest_bytes(text.encode())
