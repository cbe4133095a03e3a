"""What training keeps of its speed when another process takes one of its cores.

    python benchmarks/training/stolen_core.py [--rounds 5] [--seconds 3] [--json FILE]

Each way of waiting is a process of its own, since OpenMP reads its environment once, when torch is
loaded. All are started at first and stand still; then each trains for some seconds, turn and turn
about, first alone and then beside a process that counts on one core and does nothing else. Tokens a
second are medians over the rounds; "kept" is the median of each round's own ratio, so that what
else the machine does at the time falls on both halves of a pair.

What trains is the decoder of ``pretrain`` at its defaults, with its own optimisers. Ways:

    ours       what mashbill sets (mashbill.core.threads)
    torch      nothing set: GNU OpenMP counts to some 300,000 before it sleeps, where there are as
               many threads as cores
    passive    OMP_WAIT_POLICY=passive: sleeps at once
    spin N     GOMP_SPINCOUNT=N
    one        one thread
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

_TRAINS = """
import json, sys, time
from mashbill.core.threads import sleep_while_waiting
if sys.argv[2] == "ours":
    sleep_while_waiting()
import torch
from torch.nn import functional
from mashbill.models.decoder import Decoder
from mashbill.train.muon import Muon
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
model = Decoder(2048, 128, 3, 4, 96)
matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
chosen = {id(p) for p in matrices}
others = [p for p in model.parameters() if id(p) not in chosen]
optimisers = [Muon(matrices, 0.02, 0.1), torch.optim.Adam(others, lr=0.003)]
ids = torch.randint(2, 2048, (16, 96))
def step():
    logits = model(ids[:, :-1]).flatten(0, 1)
    functional.cross_entropy(logits, ids[:, 1:].flatten()).backward()
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
step()
print("ready", flush=True)
for line in sys.stdin:
    begun, used, steps = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begun < float(line):
        step()
        steps += 1
    took = time.perf_counter() - begun
    cores = (time.process_time() - used) / took
    print(json.dumps([steps * ids[:, 1:].numel() / took, cores]), flush=True)
"""
_COUNTS = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
while True:
    pass
"""
_WAYS: tuple[tuple[str, dict[str, str], int], ...] = (
    ("ours", {}, 2),
    ("torch", {}, 2),
    ("passive", {"OMP_WAIT_POLICY": "passive"}, 2),
    ("spin 100", {"GOMP_SPINCOUNT": "100"}, 2),
    ("spin 1000", {"GOMP_SPINCOUNT": "1000"}, 2),
    ("spin 10000", {"GOMP_SPINCOUNT": "10000"}, 2),
    ("one", {}, 1),
)


class Training:
    """One process that trains when it is told to."""

    def __init__(self, name: str, environment: dict[str, str], threads: int) -> None:
        """Start it, and let it take its first step."""
        unset = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"}
        clean = {key: value for key, value in os.environ.items() if key not in unset}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _TRAINS, str(threads), name],
            env={**clean, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def train(self, seconds: float) -> tuple[float, float]:
        """Return tokens a second, and cores that were kept busy."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        speed, cores = json.loads(self._line())
        return speed, cores

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            msg = "a process that trains has ended"
            raise RuntimeError(msg)
        return line

    def end(self) -> None:
        """Let it go."""
        self._process.kill()
        self._process.wait()


def measured(rounds: int, seconds: float) -> list[dict[str, object]]:
    """Return a row for each way."""
    running = {name: Training(name, extra, threads) for name, extra, threads in _WAYS}
    alone: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    beside: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    core = str(max(os.sched_getaffinity(0)))
    try:
        for _ in range(rounds):
            for name, process in running.items():
                alone[name].append(process.train(seconds))
                thief = subprocess.Popen([sys.executable, "-c", _COUNTS, core])
                try:
                    beside[name].append(process.train(seconds))
                finally:
                    thief.kill()
                    thief.wait()
    finally:
        for process in running.values():
            process.end()
    return [_row(name, alone[name], beside[name]) for name in running]


def _row(
    name: str, alone: list[tuple[float, float]], beside: list[tuple[float, float]]
) -> dict[str, object]:
    pairs = list(zip(alone, beside, strict=True))
    return {
        "way": name,
        "alone": round(statistics.median(speed for speed, _ in alone)),
        "stolen": round(statistics.median(speed for speed, _ in beside)),
        "worst": round(min(speed for speed, _ in beside)),
        "kept": round(statistics.median(b[0] / a[0] for a, b in pairs), 3),
        "cores_alone": round(statistics.median(cores for _, cores in alone), 2),
        "cores_stolen": round(statistics.median(cores for _, cores in beside), 2),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows = measured(chosen.rounds, chosen.seconds)
    names = list(rows[0])
    sys.stdout.write("  ".join(f"{name:>12}" for name in names) + "\n")
    for row in rows:
        sys.stdout.write("  ".join(f"{row[name]!s:>12}" for name in names) + "\n")
    load = [round(value, 1) for value in os.getloadavg()]
    sys.stdout.write(f"load {load}, {os.cpu_count()} cores\n")
    if chosen.json:
        chosen.json.write_text(json.dumps({"rows": rows, "load": load, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
