"""A toy in the place of reasoning-gym, whose generators do all that generators were seen to do."""

from __future__ import annotations

import os
from pathlib import Path

from mashbill.verifiers.reasoning_gym.allowed import release

FACTORY = """
DATASETS = {name: None for name in
            ("chain_sum", "lcm", "gcd", "leg_counting", "base_conversion", "dice", "products",
             "time_intervals")}
"""
INIT = """
import os, sys, time
print("what a generator prints is no answer")

class Toy:
    def __init__(self, name, size, seed, **config):
        if "nonsense" in config:
            raise TypeError("unexpected keyword argument 'nonsense'")
        self.name, self.size, self.seed, self.config = name, size, seed, config

    def __getitem__(self, at):
        if self.config.get("stuck"):
            time.sleep(60)
        n = (self.seed + at) % self.config.get("numbers", 10_000)
        return {"question": f"What is {n} + {n}?", "answer": str(2 * n),
                "metadata": {"pair": (n, n), "difficulty": {"digits": (1, 4)}}}

    def score_answer(self, answer, entry):
        print("scoring", answer)
        if self.config.get("generous"):
            return True
        if self.name == "time_intervals" and answer.isdigit():
            return 1.0 if answer == entry["answer"] else 0.75
        if answer == "hang":
            while True:
                pass
        if answer == "die":
            os._exit(3)
        if answer == "raise":
            raise ValueError("no such word")
        if answer in ("nan", "inf"):
            return float(answer)
        if answer == "two":
            return 2.0
        if answer == "text":
            return "1.0"
        if answer.startswith("run:"):
            eval(answer[4:])
            return 1.0
        if answer == "memory":
            return float(len(bytearray(8 << 30)) > 0)
        return 1.0 if answer == entry["answer"] else 0.01

def create_dataset(name, size=500, seed=0, **config):
    return Toy(name, size, seed, **config)
"""


def install(monkeypatch, folder: Path, version: str = "") -> None:
    """Put the toy where this process and its children find it."""
    package = folder / "reasoning_gym"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(INIT)
    (package / "factory.py").write_text(FACTORY)
    told = folder / f"reasoning_gym-{version or release()}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: reasoning-gym\nVersion: {version or release()}\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    there = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(there))
