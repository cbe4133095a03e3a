"""TRL's own curves where TRL is right: the same base, pairs, rate and steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests_preferring import DPO, PAIRS
from tests_support import run_stages
from tests_tiny_base import make_base
from tests_training import BASE, digest_of, student_of

from mashbill.core.curves import read_curves

ORACLE = json.loads(Path(__file__).with_name("trl_dpo_oracle.json").read_text("utf-8"))
"""written by benchmarks/training/trl_dpo_oracle.py"""
CLOSE = {"loss": 1e-5, "margin": 2e-5, "chosen_reward": 2e-5, "chosen_logprob": 2e-4,
         "gradient_norm": 2e-4}  # fmt: skip
"""how far the largest number of a curve may lie apart, as a share of it: of float32 sums"""


def run(folder, case, base):
    keys = f'loss = "{case["loss"]}"\nbeta = {case["beta"]}\nmethod = "full"\n'
    keys += 'schedule = "constant"\n'
    stages = DPO.replace("batch = 4", f"batch = {len(ORACLE['pairs'])}")
    stages = stages.replace("epochs = 6", f"steps = {ORACLE['steps']}")
    stages = stages.replace("rate = 0.01", f"rate = {ORACLE['rate']}")
    store = run_stages(
        folder,
        BASE.replace("DIGEST", digest_of(base)) + PAIRS + stages + keys,
        {"pairs.jsonl": [pair | {"by": "a/b"} for pair in ORACLE["pairs"]]},
    )
    return read_curves(student_of(store)[1])


@pytest.mark.parametrize("case", ORACLE["cases"], ids=lambda c: f"{c['loss']} {c['beta']}")
def test_equals_trl(case, tmp_path):
    """Four full steps: losses, rewards, and the gradients that lead from one to the next."""
    curves = run(tmp_path, case, make_base(tmp_path / "base"))
    for name, close in CLOSE.items():
        theirs = np.array(case["curves"][name])
        if name in {"margin", "chosen_reward"} and case["loss"] == "ipo":
            continue  # TRL shows rewards of whole answers where its loss takes means of tokens
        scale = max(np.abs(theirs).max(), 1e-3)
        assert np.abs(curves[name].values - theirs).max() <= close * scale, name


def test_the_curves_are_long_enough_to_tell():
    """Were the loss wrong, later steps would be others: each goes on from the one before."""
    assert {case["loss"] for case in ORACLE["cases"]} == {"sigmoid", "ipo"}
    for case in ORACLE["cases"]:
        losses = case["curves"]["loss"]
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < 0.97 * losses[0]
