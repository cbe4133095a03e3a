"""Recipes that train a tiny base by preferences, through the real runner."""

from __future__ import annotations

from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import ASKED, BASE, digest_of

PAIRS = """
[stages.pairs]
kind = "import"
title = "pairs"
source = "pairs.jsonl"
generator = "by"
license = "CC0-1.0"
"""
HELD = PAIRS.replace("[stages.pairs]", "[stages.held]").replace("pairs.jsonl", "held.jsonl")
DPO = """
[stages.student]
kind = "dpo"
inputs = ["pairs"]
base = "small"
batch = 4
epochs = 6
rate = 0.01
warmup = 0.0
dtype = "float32"
"""


def pairs(times=4):
    """Pairs in which a word's own answer is preferred to another's, of two lengths."""
    answers = list(ASKED.values())
    made = []
    for at in range(times):
        for number, (word, answer) in enumerate(ASKED.items()):
            worse = answers[(number + 1 + at % 3) % 4] + " it is" * (at % 2)
            asked = f"what is {word}?"
            made.append({"prompt": asked, "chosen": answer, "rejected": worse, "by": "a/b"})
    return made


def train(folder, keys="", given=None, held=None, **base):
    """Train a student on pairs; return the store and the base's folder."""
    made = make_base(folder / "base", **base)
    files = {"pairs.jsonl": pairs() if given is None else given}
    stages = PAIRS
    if held is not None:
        files["held.jsonl"] = held
        stages += HELD
        keys += 'heldout = "held"\n'
    return run_stages(
        folder, BASE.replace("DIGEST", digest_of(made)) + stages + DPO + keys, files
    ), made
