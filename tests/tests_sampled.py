"""A toy trainer that samples, as a plugin: paid by the share of vowels in a completion."""

from __future__ import annotations

import inspect
import sys
from typing import Any, Literal

import pytest
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, digest_of

from mashbill.core import registry
from mashbill.core.stage import Uses
from mashbill.train.sampled_keys import SampledSpec

PROMPTS = """
[stages.asked]
kind = "corpus"
title = "questions"
source = "asked.jsonl"
license = "CC0-1.0"
keep = ["about"]
text = "prompt"
"""
VOWELS = """
[stages.student]
kind = "vowels"
inputs = ["asked"]
base = "small"
batch = 2
attempts = 3
steps = 5
max_new_tokens = 8
rate = 0.02
warmup = 0.0
dtype = "float32"
"""


class Learner:
    """Adds what the trainer is to the loop."""

    def __init__(self, around):
        self.around = around

    def begin(self, rows):
        import pyarrow as pa

        texts = rows.column("completion")
        paid = [sum(text.count(each) for each in "aeiou") / max(len(text), 1) for text in texts]
        return lambda: {"reward": pa.array(paid, pa.float64())}

    def advantages(self, rows):
        import numpy as np

        paid = np.array(rows.column("reward"))
        group = rows.group
        mean = np.bincount(group, paid) / np.bincount(group)
        return paid - mean[group]

    def weights(self, rows):
        import numpy as np

        return np.abs(self.advantages(rows))

    def learn(self, rows, world):
        import numpy as np
        import torch

        from mashbill.train.answer_nats import Answers, Scored

        spec, student = self.around.spec, self.around.student
        advantages = self.advantages(rows)
        whole, total = float(rows.sampled_tokens.sum()), 0.0
        for micro in rows.micro(spec.micro_tokens, world.rank, world.size):
            scored = [
                Scored(
                    np.array(rows.prompt_ids[n] + rows.ids[n]),
                    np.arange(rows.lengths[n]) >= len(rows.prompt_ids[n]),
                )
                for n in micro
            ]
            with student.together([len(each.ids) for each in scored]):
                loss = -Answers(student, scored, self.around.dtype).weighed(
                    torch.tensor(advantages[micro])
                )
                (loss / whole).backward()
            total += float(loss.detach())
        (total,) = world.sum([total])
        return {"loss": total / whole, "reward": float(np.mean(rows.column("reward")))}

    def end(self, ctx, steps):
        ctx.measures["scored"] = sum(len(rows.column("reward")) for rows in steps)


class Vowels(SampledSpec):
    """``kind = "vowels"``."""

    rates = (5e-3, 1e-3)
    kind: Literal["vowels"] = "vowels"

    def scorers(self) -> tuple[Uses, ...]:
        """A program of the trainer's own: nobody."""
        return ()

    def learner(self, around: Any) -> Any:
        """Return the toy."""
        return Learner(around)


_PLUGIN = f"""
from typing import Any, Literal
from mashbill import Uses
from mashbill.train.sampled_keys import SampledSpec


{inspect.getsource(Learner)}

{inspect.getsource(Vowels)}
"""


@pytest.fixture
def vowels(tmp_path_factory, monkeypatch):
    """Install the trainer as a plugin."""
    site = tmp_path_factory.mktemp("site")
    info = site / "vowels-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "vowels.py").write_text(_PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: vowels\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mashbill.trainers]\nvowels = vowels:Vowels\n")
    (info / "RECORD").write_text("vowels.py,,\nvowels-1.0.dist-info/METADATA,,\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "vowels", raising=False)
    registry._points.cache_clear()
    yield site
    registry._points.cache_clear()


def asked(times=1):
    """Rows that ask something."""
    words = ["red", "blue", "good", "bad"]
    return [{"prompt": f"what is {word}?", "about": word} for _ in range(times) for word in words]


def sampled(folder, keys="", given=None, stages=VOWELS, **base):
    """Train a student on what it samples; return the store and the base's folder."""
    made = make_base(folder / "base", **base)
    text = BASE.replace("DIGEST", digest_of(made)) + PROMPTS + stages + keys
    files = {"asked.jsonl": asked() if given is None else given}
    return run_stages(folder, text, files), made
