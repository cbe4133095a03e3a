"""Trainings that are killed at random moments end as one that was not, to the bit."""

from __future__ import annotations

import json
import os
import random
import select
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
# What all of the processes import, most of what each would take, is imported once: each is a fork
# of one that has done nothing else.
PROGRAM = """
import json, os, sys
import peft, torch, transformers
from mashbill.train import checkpoint, distilling, fine_tuning, preferring, sampled_loop
checkpoint._EVERY = checkpoint._SHARE = 0.0
from mashbill.cli import main
for line in sys.stdin:
    said, *sys.argv = json.loads(line)
    pid = os.fork()
    if not pid:
        for number, path in enumerate((os.devnull, os.devnull, said)):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT), number)
        main()
        sys.exit()
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
KILLS = 10


class Forks:
    """Gives processes of the command line, one after the other."""

    def __init__(self, folder):
        self._said = folder / "said"
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = 0

    def begin(self, recipe, store):
        self._said.write_bytes(b"")
        asked = [str(self._said), "mashbill", "run", str(recipe), "--store", str(store)]
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        self.pid = int(self._process.stdout.readline())

    def is_running(self):
        return not select.select([self._process.stdout], [], [], 0)[0]

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        assert int(self._process.stdout.readline()) == -signal.SIGKILL

    def finish(self, recipe, store):
        self.begin(recipe, store)
        assert select.select([self._process.stdout], [], [], 300)[0], "it takes too long"
        code = int(self._process.stdout.readline())
        assert code == 0, self._said.read_text()[-2000:]
        return Store(store).find("student")

    def end(self):
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    made = Forks(tmp_path_factory.mktemp("forks"))
    yield made
    made.end()


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
    stages = GRPO.replace("steps = 3", "steps = 120")
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
def test_a_training_that_is_killed_ten_times_has_the_same_weights(tmp_path, forks, made, how):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(10)))
    recipe = tmp_path / "r.toml"
    recipe.write_text('[recipe]\nname = "r"\nversion = "1"\nseed = 7\n' + made(tmp_path, how))
    whole = forks.finish(recipe, tmp_path / "whole")
    draw = random.Random(how)
    for _ in range(KILLS):
        forks.begin(recipe, tmp_path / "cut")
        until = time.monotonic() + 120
        # A process that goes on drops what was logged behind its checkpoint: count from there.
        reached = steps_of(tmp_path / "cut") + draw.randint(1, 6)
        while steps_of(tmp_path / "cut") < reached and time.monotonic() < until:
            assert forks.is_running(), "it was done before it was killed: train longer"
            time.sleep(0.002)
        time.sleep(draw.uniform(0, 0.05))
        forks.kill()
    assert list((tmp_path / "cut").glob(".work/student*/checkpoint.pt"))
    cut = forks.finish(recipe, tmp_path / "cut")
    assert [f.sha256 for f in cut.files] == [f.sha256 for f in whole.files]
    assert cut.measures == whole.measures
    if made is rewarding:
        found = [Store(tmp_path / name).find("student-rollouts") for name in ("cut", "whole")]
        assert found[0].digest == found[1].digest
