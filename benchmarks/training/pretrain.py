"""``pretrain`` on texts, the Trainer of transformers, nanochat: one size, one corpus, one run.

    python benchmarks/training/pretrain.py [--size small] [--threads 1] [--rounds 3] [--seconds 10]
        [--peers PYTHON] [--nanochat FOLDER] [--json FILE]

Every contender is a process of its own that stands ready, and trains for some seconds, turn and
turn about. All read one file of token ids, made by ``pretrain`` of this repository's documents.
Tokens a second are by the clock, and by the processor time of the process, which on a machine that
others use says more; medians over rounds, ratios of rounds' pairs.

    ours       the steps of mashbill.train.scratch_loop: packed documents, each apart, Muon and Adam
    ours-leak  the same over blocks cut from one stream, as the others read it
    trainer    transformers.Trainer over LlamaForCausalLM with the same weights, AdamW; blocks cut
               from one stream, as its example of language modelling makes them
    nanochat   its GPT of as many layers, as wide, with its own optimiser, compiled, as
               scripts/base_train.py steps it: FOLDER is a checkout (read and tried at 92d63d4). Its
               network has other parts (untied head, value embeddings), so its weights are told too

What is measured is the same for all: tokens that a target is told for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SIZES = {
    "tiny": {"vocabulary": 1024, "width": 64, "layers": 2, "heads": 2, "context": 64},
    "small": {"vocabulary": 4096, "width": 128, "layers": 4, "heads": 4, "context": 128},
    "medium": {"vocabulary": 4096, "width": 256, "layers": 6, "heads": 4, "context": 256},
}
BATCH = {"tiny": 1024, "small": 4096, "medium": 8192}
"""tokens of a step"""


class Contender:
    """A process that trains when it is told to."""

    def __init__(self, python: str, program: str, told: dict[str, object]) -> None:
        """Start it, and wait until it has taken its first steps."""
        clean = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
        own = {} if program.startswith("ours") else {"OMP_WAIT_POLICY": "passive"}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with it
        self._process = subprocess.Popen(
            [python, str(HERE / "pretrain_contenders.py"), program, json.dumps(told)],
            env={**clean, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        self.parameters = int(self._line())

    def train(self, seconds: float) -> tuple[float, float]:
        """Return tokens a second by the clock, and a second of a processor."""
        if self._process.stdin is not None:
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        tokens, clock, processor = json.loads(self._line())
        return tokens / clock, tokens / processor

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            self._said.seek(0)
            raise RuntimeError(self._said.read().decode(errors="replace")[-2000:])
        return line

    def end(self) -> None:
        """Let it go."""
        self._process.kill()
        self._process.wait()


def measured(chosen: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Return a row for each contender."""
    told = {
        "folder": str(folder),
        "shape": SIZES[chosen.size],
        "batch_tokens": BATCH[chosen.size],
        "threads": chosen.threads,
    }
    subprocess.run(
        [sys.executable, str(HERE / "pretrain_contenders.py"), "corpus", json.dumps(told)],
        check=True,
    )
    programs = [("ours", sys.executable), ("ours-leak", sys.executable), ("trainer", chosen.peers)]
    if chosen.nanochat:
        programs.append(("nanochat", chosen.peers))
        told["nanochat"] = str(chosen.nanochat)
    running = {name: Contender(python, name, told) for name, python in programs}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    try:
        for _ in range(chosen.rounds):
            for name, one in running.items():
                found[name].append(one.train(chosen.seconds))
    finally:
        for one in running.values():
            one.end()
    return [_row(name, running[name], found[name], found["trainer"]) for name in running]


def _row(
    name: str,
    one: Contender,
    own: list[tuple[float, float]],
    trainer: list[tuple[float, float]],
) -> dict[str, object]:
    pairs = list(zip(own, trainer, strict=True))
    return {
        "contender": name,
        "parameters": one.parameters,
        "tokens/s": round(statistics.median(clock for clock, _ in own)),
        "tokens/cpu-s": round(statistics.median(cpu for _, cpu in own)),
        "x trainer": round(statistics.median(a[0] / b[0] for a, b in pairs), 2),
        "x trainer, cpu": round(statistics.median(a[1] / b[1] for a, b in pairs), 2),
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=list(SIZES), default="small")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--peers", default=sys.executable, help="Python of the peers")
    parser.add_argument("--nanochat", type=Path, help="a checkout of karpathy/nanochat")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(chosen, Path(folder))
    names = list(rows[0])
    sys.stdout.write("  ".join(f"{name:>14}" for name in names) + "\n")
    for row in rows:
        sys.stdout.write("  ".join(f"{row[name]!s:>14}" for name in names) + "\n")
    load = [round(value, 1) for value in os.getloadavg()]
    sys.stdout.write(f"{chosen.size}, {chosen.threads} threads, load {load}\n")
    if chosen.json:
        report = {"rows": rows, "size": chosen.size, "threads": chosen.threads, "load": load}
        chosen.json.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
