"""A training whose loss leaves the numbers ends at that step, and says what to set."""

from __future__ import annotations

import re

import pytest
from tests_training import SFT, run

from mashbill.core.errors import InputError

SCRATCH = """
[stages.student]
kind = "pretrain"
inputs = ["said"]
{labels}steps = 12
batch_tokens = 64
width = 16
heads = 2
layers = 2
context = 16
vocabulary = 512
matrix_rate = 1e30
vector_rate = 1e30
warmup = 0.0
"""
STAGES = {
    "sft, all weights": SFT.replace("0.02", "1e30") + 'method = "full"\n',
    "sft, adapters": SFT.replace("0.02", "1e30"),
    "pretrain on texts": SCRATCH.format(labels="labels = false\n"),
}


@pytest.mark.parametrize("kind", STAGES)
def test_a_training_that_diverges_ends_there_and_names_its_keys(tmp_path, kind):
    with pytest.raises(InputError, match=r"diverged at step \d+: its loss is") as told:
        run(tmp_path / "r", STAGES[kind])
    keys = "matrix_rate and vector_rate" if "pretrain" in kind else "rate"
    assert re.search(rf"lower {keys}, or raise warmup", str(told.value))
    again = pytest.raises(InputError, match=r"diverged at step")
    with again:
        run(tmp_path / "r", STAGES[kind])
