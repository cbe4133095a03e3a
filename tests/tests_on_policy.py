"""Students that learn from how teachers score what they sampled, through the real runner."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file, save_file
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, TEACHER, digest_of

from mashbill.core import registry

PROMPTS = """
[stages.asked]
kind = "corpus"
title = "questions"
source = "asked.jsonl"
license = "CC0-1.0"
keep = ["about", "who", "said"]
text = "prompt"
"""
ON_POLICY = """
[stages.student]
kind = "on_policy"
inputs = ["asked"]
base = "small"
teacher = "big"
batch = 2
attempts = 2
steps = 4
max_new_tokens = 8
rate = 0.01
warmup = 0.0
dtype = "float32"
"""
SERVED = """
[teachers.far]
kind = "server"
model = "m-1"
base_url = "URL/v1"
same_tokenizer_as = "small"
patience = 10
"""
OTHER = TEACHER.replace("teachers.big", "teachers.other").replace('"big"', '"other"')
WORDS = ("red", "blue", "good", "bad")


def asked(times=1):
    """Rows that ask something, with an answer and somebody who is to score it."""
    return [
        {"prompt": f"what is {word}?", "about": word, "who": ("big", "other")[at % 2],
         "said": f"it is {word}"}
        for _ in range(times) for at, word in enumerate(WORDS)
    ]  # fmt: skip


@pytest.fixture
def on_policy(tmp_path_factory, monkeypatch):
    """Have the trainer found, also by a checkout that was installed before it was there."""
    registry._points.cache_clear()
    if "on_policy" not in registry.kinds(registry.TRAINERS):
        site = tmp_path_factory.mktemp("site")
        info = site / "on_policy-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: on_policy\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[mashbill.trainers]\non_policy = mashbill.train.on_policy:OnPolicySpec\n"
        )
        monkeypatch.syspath_prepend(str(site))
        registry._points.cache_clear()
    yield
    registry._points.cache_clear()


def sure(folder, times=25):
    """Let a new model be sure of something, as one that was trained is."""
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["model.embed_tokens.weight"] *= times
    save_file(tensors, file, {"format": "pt"})
    return folder


def trained(folder, keys="", given=None, stages=ON_POLICY, teachers="", others=(), **base):
    """Train a student by a teacher; return the store."""
    small = make_base(folder / "base", **base)
    text = BASE.replace("DIGEST", digest_of(small)) + PROMPTS + stages + keys
    told = teachers
    for name, table in (("big", TEACHER), ("other", OTHER)):
        if name == "big" or name in others:
            made = sure(make_base(folder / name, seed=7 if name == "big" else 8))
            told += table.replace("DIGEST", digest_of(made))
    files = {"asked.jsonl": asked() if given is None else given}
    return run_stages(folder, text, files, told)
