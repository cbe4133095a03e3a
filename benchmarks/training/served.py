"""A step of ``on_policy`` with a served teacher of 50 ms: what of sampling and scoring overlaps.

    python benchmarks/training/served.py [--latency 0.05] [--at-once 8] [--parts 4] [--steps 6]
        [--prompts 16] [--attempts 4] [--new 24] [--threads 1]

The teacher is a double of vLLM's ``prompt_logprobs`` on loopback (tests/tests_scoring.py), of a
tiny model, that waits ``--latency`` before each answer; ``--at-once`` requests are in flight at
most. A step is sampled in ``--parts`` parts, and each is sent while the next is sampled. What a
step takes until its rollouts are scored is held against the slower of the two: seconds in sampling,
and seconds in which any request was out. It writes results/training_served.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(HERE), str(ROOT / "tests")]

from trainers import HEAD, base_folder, base_keys  # noqa: E402 - the folder is known only now

RECIPE = (
    HEAD
    + """[teachers.far]
kind = "server"
model = "m-1"
base_url = "{url}/v1"
same_tokenizer_as = "base"
concurrency = {at_once}
[stages.student]
kind = "on_policy"
inputs = ["said"]
base = "base"
teacher = "far"
served = ["far"]
steps = {steps}
batch = {prompts}
attempts = {attempts}
max_new_tokens = {new}
sample_tokens = {sample_tokens}
rate = 0.0001
noise_ratio = 1000
dtype = "float32"
"""
)


class Clock:
    """Seconds of each step: sampling, any request out, and until all of it is scored."""

    def __init__(self) -> None:
        self.sampling: list[float] = []
        self.scoring: list[float] = []
        self.whole: list[float] = []
        self._out, self._since, self._lock = 0, 0.0, threading.Lock()

    def begun(self) -> None:
        """Note that a request came."""
        with self._lock:
            if not self._out:
                self._since = time.monotonic()
            self._out += 1

    def ended(self) -> None:
        """Note that one was answered."""
        with self._lock:
            self._out -= 1
            if not self._out and self.scoring:
                self.scoring[-1] += time.monotonic() - self._since

    def watch(self) -> None:
        """Lay hands on the loop."""
        from mashbill.train import sampled_loop

        sampler = sampled_loop._Sampler
        sampled, new = sampler._sampled, sampler._new

        def timed_sampling(*given: Any) -> Any:
            began = time.monotonic()
            found = sampled(*given)
            self.sampling[-1] += time.monotonic() - began
            return found

        def timed_step(*given: Any) -> Any:
            self.sampling.append(0.0)
            self.scoring.append(0.0)
            began = time.monotonic()
            found = new(*given)
            self.whole.append(time.monotonic() - began)
            return found

        sampler._sampled, sampler._new = timed_sampling, timed_step  # type: ignore[method-assign]


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--attempts", type=int, default=4)
    parser.add_argument("--new", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    from machine import describe, write
    from tests_scoring import scoring

    import mashbill as mb

    clock = Clock()
    clock.watch()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        base = base_folder(scratch, tiny=True)
        rows = [{"text": f"what is {n}?", "by": "human"} for n in range(given.prompts * 2)]
        (scratch / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        with scoring(base, latency=given.latency) as (service, double):
            answer = double.answer

            def timed(handler: Any, path: str, body: Any) -> None:
                answer(handler, path, body)
                clock.ended()

            double.answer = timed
            waiting = type(double).__call__

            def called(self: Any, handler: Any, path: str, data: bytes) -> None:
                clock.begun()
                waiting(self, handler, path, data)

            type(double).__call__ = called
            text = RECIPE.format(
                base=base_keys(base, tiny=True), url=service.url, at_once=given.at_once,
                steps=given.steps,
                prompts=given.prompts, attempts=given.attempts, new=given.new,
                sample_tokens=given.prompts * given.attempts * (given.new + 16) // given.parts,
            )  # fmt: skip
            (scratch / "r.toml").write_text(text)
            ws = mb.open(scratch / "store")
            ws.run(ws.plan(scratch / "r.toml"), threads=given.threads)
    kept = {key: getattr(clock, key)[1:] for key in ("sampling", "scoring", "whole")}
    ratios = [
        whole / max(one, other)
        for one, other, whole in zip(kept["sampling"], kept["scoring"], kept["whole"], strict=True)
    ]
    report = {
        **describe(), **vars(given), **kept, "ratios": ratios, "at_once_seen": double.most_at_once,
        "load": [round(each, 2) for each in os.getloadavg()],
    }  # fmt: skip
    median = {key: statistics.median(value) for key, value in kept.items()}
    print(
        f"sampling {median['sampling']:.2f} s, requests out {median['scoring']:.2f} s, a step "
        f"scored after {median['whole']:.2f} s: {statistics.median(ratios):.2f} of the slower, "
        f"load {report['load']}"
    )
    write(HERE.parent / "training_served.json", report)


if __name__ == "__main__":
    main()
