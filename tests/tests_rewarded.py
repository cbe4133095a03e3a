"""Recipes that train a student by rewards on a base of a few thousand weights."""

from __future__ import annotations

import pytest
from tests_sampled import PROMPTS, asked
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, digest_of

from mashbill.core import registry

FORM = """
[verifiers.letters]
kind = "form"
match = ["a", "e", "[0-9]", "o"]
"""
GRPO = """
[stages.student]
kind = "grpo"
inputs = ["asked"]
base = "small"
by = "letters"
batch = 2
attempts = 6
steps = 3
max_new_tokens = 8
rate = 0.02
warmup = 0.0
dtype = "float32"
"""


@pytest.fixture
def grpo(tmp_path_factory, monkeypatch):
    """Register the kind where the installed package does not."""
    if "grpo" not in registry.kinds(registry.TRAINERS):
        site = tmp_path_factory.mktemp("site")
        info = site / "grpo-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grpo\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[mashbill.trainers]\ngrpo = mashbill.train.grpo:GrpoSpec\n"
        )
        (info / "RECORD").write_text("")
        monkeypatch.syspath_prepend(str(site))
        registry._points.cache_clear()
    yield
    registry._points.cache_clear()


def rewarded(folder, keys="", *, stages=GRPO, verifiers=FORM, given=None, **base):
    """Train a student by rewards; return the store."""
    made = make_base(folder / "base", **base)
    text = BASE.replace("DIGEST", digest_of(made)) + verifiers + PROMPTS + stages + keys
    files = {"asked.jsonl": asked() if given is None else given}
    return run_stages(folder, text, files)
