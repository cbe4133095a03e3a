"""Trainings that are killed at random moments end as one that was not, to the bit."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time

import pytest
from tests_preferring import DPO, PAIRS, pairs
from tests_rewarded import FORM, GRPO
from tests_sampled import PROMPTS, asked
from tests_tiny_base import make_base
from tests_training import BASE, ROWS, SFT, TEACHER, digest_of, rows, with_rows

from mashbill.core.store import Store

# A checkpoint after each step, so that whatever is kept between two of them is lost by some kill.
PROGRAM = """
from mashbill.train import checkpoint
checkpoint._EVERY = checkpoint._SHARE = 0.0
from mashbill.cli import main
main()
"""
KILLS = 10


def begin(recipe, store):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "run", str(recipe), "--store", str(store)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(recipe, store):
    process = begin(recipe, store)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()[-2000:]
    return Store(store).find("student")


def steps_of(store):
    """How many steps a training has logged so far."""
    lines = [path.read_bytes().count(b"\n") for path in store.glob(".work/student*/curves.jsonl")]
    return max(lines, default=0)


def sft(folder, method):
    """A recipe of fine-tuning."""
    base = make_base(folder / "base")
    stages = SFT.replace("epochs = 6", "steps = 90") + f'method = "{method}"\nheldout = "held"\n'
    return BASE.replace("DIGEST", digest_of(base)) + with_rows(stages)


def distilling(folder, how):
    """A recipe of distillation by logits: the teacher beside the student, or its cache."""
    teacher = make_base(folder / "big", seed=3)
    live = how == "live"
    given = ("said", "live = true") if live else ("cached", "")
    return (
        TEACHER.replace("DIGEST", digest_of(teacher))
        + ROWS
        + ("" if live else '[stages.cached]\nkind = "logits"\ninput = "said"\nteacher = "big"\n')
        + f"""
[stages.student]
kind = "logit_kd"
inputs = ["{given[0]}"]
teacher = "big"
{given[1]}
width = 16
layers = 1
heads = 2
steps = 90
batch = 4
rate = 0.01
dtype = "float32"
"""
    )


def preferring(folder, how):
    """A recipe of training by preferences, its reference computed before or all along."""
    base = make_base(folder / "base")
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs(6)))
    stages = DPO.replace("epochs = 6", "steps = 90")
    return BASE.replace("DIGEST", digest_of(base)) + PAIRS + stages + how


def rewarding(folder, how):
    """A recipe of training by rewards, whose rollouts are committed as they come."""
    base = make_base(folder / "base")
    (folder / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked()))
    stages = GRPO.replace("steps = 3", "steps = 200")
    return BASE.replace("DIGEST", digest_of(base)) + FORM + PROMPTS + stages + how


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "how"),
    [
        (sft, "lora"),
        (sft, "full"),
        (distilling, "live"),
        (distilling, "cached"),
        (preferring, 'method = "full"\n'),
        (preferring, 'loss = "kto"\nreference = "adapter"\n'),
        (rewarding, ""),
    ],
)
def test_a_training_that_is_killed_ten_times_has_the_same_weights(tmp_path, made, how):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(10)))
    recipe = tmp_path / "r.toml"
    recipe.write_text('[recipe]\nname = "r"\nversion = "1"\nseed = 7\n' + made(tmp_path, how))
    whole = finish(recipe, tmp_path / "whole")
    draw = random.Random(how)
    for _ in range(KILLS):
        process = begin(recipe, tmp_path / "cut")
        until = time.monotonic() + 120
        # A process that goes on drops what was logged behind its checkpoint: count from there.
        reached = steps_of(tmp_path / "cut") + draw.randint(1, 6)
        while steps_of(tmp_path / "cut") < reached and time.monotonic() < until:
            assert process.poll() is None, "it was done before it was killed: train longer"
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert list((tmp_path / "cut").glob(".work/student*/checkpoint.pt"))
    cut = finish(recipe, tmp_path / "cut")
    assert [f.sha256 for f in cut.files] == [f.sha256 for f in whole.files]
    assert cut.measures == whole.measures
    if made is rewarding:
        found = [Store(tmp_path / name).find("student-rollouts") for name in ("cut", "whole")]
        assert found[0].digest == found[1].digest
