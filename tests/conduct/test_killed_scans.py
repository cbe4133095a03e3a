"""A scan that the kernel kills twenty times makes the files of one that was not killed."""

import os
import random
import shutil
import subprocess
import sys
import time

import pytest

from mashbill.conduct.simulate import simulate

pytestmark = pytest.mark.slow
PROGRAM = [sys.executable, "-c", "from mashbill.cli import main; main()", "conduct", "scan"]


def test_twenty_kills_change_no_finding(tmp_path):
    log = simulate(
        tmp_path / "world", seed=101, scale=0.001, days=8,
        kinds=["replay", "agentic", "family", "tutor", "company"],
    ).events  # fmt: skip
    environ = {**os.environ, "MASHBILL_KEY_FILE": str(tmp_path / "key.pem")}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    began = time.monotonic()
    done = subprocess.run([*PROGRAM, log, "--folder", whole], env=environ, capture_output=True)
    assert done.returncode == 3, done.stderr
    lasted = time.monotonic() - began
    killed.mkdir()
    shutil.copy(whole / "hashes.key", killed)
    draws = random.Random(20)
    kills = 0
    while kills < 20:
        running = subprocess.Popen(
            [*PROGRAM, log, "--folder", killed], env=environ,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            running.wait(draws.uniform(0.2, 1.0) * lasted)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            kills += 1
        else:
            if kills:
                shutil.rmtree(killed / "cases")
                for path in killed.glob("state.sqlite*"):
                    path.unlink()  # it came to an end: begin anew, until there were twenty kills
                (killed / "ledger.jsonl").unlink()
    done = subprocess.run([*PROGRAM, log, "--folder", killed], env=environ, capture_output=True)
    assert done.returncode in {0, 3}, done.stderr
    assert _files(killed) == _files(whole)
    assert len(_files(whole)) > 5


def _files(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / "cases").glob("*.json"))}
