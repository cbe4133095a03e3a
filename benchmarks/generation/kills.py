"""SIGKILL a run again and again, and say what was bought twice, lost or put in the wrong place.

W1, W2 and W6 as in run.py, against its server; and a job over a batch endpoint. Each is killed 20
times at random places, each time started again in the same store, and then let to its end. Its
datasets must have the digests of a run that was never killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from common import check, prompt, read_prompts, write_prompts
from ours import recipe
from run import HERE, serving

sys.path.insert(0, str(HERE.parents[1] / "tests"))
import pyarrow.parquet as pq
from tests_service import OpenAIBatches, Service

from mashbill import Signer, Store
from mashbill.lineage.evidence.audit import Auditor

RUN = "from mashbill.cli import main; main()"
MODES = {"w1": "ms50", "w2": "ms50", "w6": "storm"}
BATCH = """
[recipe]
name = "batch"
version = "{version}"
[teachers.t]
kind = "server"
model = "m-1"
base_url = "{url}/v1"
license = "MIT"
batch = true
poll = 0.05
[stages.prompts]
kind = "corpus"
title = "prompts"
origin = "own-dataset"
source = "prompts.jsonl"
text = "prompt"
[stages.out]
kind = "generate"
input = "prompts"
teacher = "t"
shard_rows = 50
"""


def start(path: Path, root: Path) -> subprocess.Popen[bytes]:
    """Start a run of its own."""
    command = [sys.executable, "-c", RUN, "run", str(path), "--store", str(root)]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def finish(path: Path, root: Path) -> None:
    """Run to the end."""
    process = start(path, root)
    if process.wait(timeout=600):
        msg = f"{path}: the last run ended with {process.returncode}"
        raise SystemExit(msg)


def kill(process: subprocess.Popen[bytes]) -> bool:
    """Kill a run; return whether it still ran."""
    ran = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return ran


def digests(root: Path) -> dict[str, str]:
    """Return the digest of each artifact."""
    return {str(manifest.ref): manifest.digest for manifest in Store(root).manifests()}


def replies(root: Path) -> list[tuple[str, Any]]:
    """Return (prompt, text) of each row that was made."""
    store = Store(root)
    manifest = store.manifests()[-1]
    found: list[tuple[str, Any]] = []
    for shard in manifest.shards:
        path = store.folder("dataset", manifest.ref) / shard.file
        table = pq.read_table(path, columns=["prompt", "text"])
        found += zip(table["prompt"].to_pylist(), table["text"].to_pylist(), strict=True)
    return found


def services(given: argparse.Namespace, work: str, scratch: Path) -> dict[str, Any]:
    """Kill W1, W2 or W6."""
    draw = random.Random(f"{given.seed} {work}")
    mine = argparse.Namespace(
        out=scratch, base_url="", settings="fair", concurrency=given.concurrency, work=work
    )
    prompts = scratch / "prompts.jsonl"
    write_prompts(prompts, given.rows)
    rows = read_prompts(prompts, given.rows)
    asked = given.rows * (2 if work == "w2" else 1)
    with serving(MODES[work], given.server_core) as server:
        mine.base_url = f"{server.url}/v1"
        path = recipe(mine, rows)
        root, landed, in_flight = scratch / "store", 0, []
        for number in range(given.kills):
            goal = server.stats()["answered"]
            left = (asked - goal) / (given.kills - number + 1)
            goal += draw.uniform(0.2, 1.6) * left
            process = start(path, root)
            until = time.monotonic() + 120
            while process.poll() is None and time.monotonic() < until:
                if server.stats()["answered"] >= goal:
                    break
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.03))
            before = server.stats()
            landed += kill(process)
            in_flight.append(before["in_flight"])
        finish(path, root)
        stats = server.stats()
    whole = check(rows, replies(root), work)
    with serving("zero", given.server_core) as server:
        mine.base_url = f"{server.url}/v1"
        mine.out = scratch / "whole"
        mine.out.mkdir()
        finish(recipe(mine, rows), mine.out / "store")
    return {
        "work": work, "kills": landed, "requests": stats["requests"], "asked": asked,
        "bought_twice": stats["duplicates"], "most_in_flight": landed * given.concurrency,
        "lost": whole["rows_lost"], "wrong": whole["rows_misaligned"] + whole["rows_repeated"],
        "same_digests": digests(root) == digests(mine.out / "store"),
        "audit": Auditor(root).run().holds,
    }  # fmt: skip


class KillingBatches(OpenAIBatches):
    """A batch endpoint that kills who asks, before or after it did what it was asked."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(polls=1)
        self.draw = draw
        self.target: subprocess.Popen[bytes] | None = None
        self.armed = threading.Event()
        self.left = 0
        self.where: list[str] = []
        self.before = lambda path: self._maybe("before", path)  # type: ignore[method-assign]
        self.after = lambda path: self._maybe("after", path)  # type: ignore[method-assign]

    def _maybe(self, when: str, path: str) -> None:
        if not self.armed.is_set():
            return
        self.left -= 1
        if self.left < 0:
            self.armed.clear()
            if self.target is not None and kill(self.target):
                self.where.append(f"{when} {path.split('/')[1].split('?', maxsplit=1)[0]}")


def batches(given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Kill jobs over a batch endpoint until so many kills have landed."""
    endpoint = KillingBatches(random.Random(f"{given.seed} batch"))
    jobs, lost, same, holds = 0, 0, True, True
    with Service(endpoint) as service:
        service.handle_error = lambda *_: None  # whoever was killed reads no reply
        while len(endpoint.where) < given.kills:
            jobs += 1
            folder = scratch / f"job-{jobs}"
            folder.mkdir(parents=True)
            lines = [json.dumps({"prompt": prompt(jobs * 1000 + i)}) for i in range(200)]
            (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")
            path = folder / "recipe.toml"
            path.write_text(BATCH.format(version=jobs, url=service.url))
            root = folder / "store"
            for _ in range(3):
                endpoint.target = start(path, root)
                endpoint.left = endpoint.draw.randrange(9)
                endpoint.armed.set()
                try:
                    endpoint.target.wait(timeout=60)
                finally:
                    endpoint.armed.clear()
            finish(path, root)
            made = [text for _, text in replies(root)]
            lost += 200 - len(made)
            holds &= Auditor(root).run().holds
            finish(path, folder / "whole")
            same &= digests(root) == digests(folder / "whole")
            endpoint.submitted.pop()  # of the run that was not killed
    calls = [call for batch in endpoint.submitted for call in batch]
    return {
        "work": "batch", "kills": len(endpoint.where), "jobs": jobs,
        "requests": len(calls), "asked": jobs * 200, "bought_twice": len(calls) - len(set(calls)),
        "lost": lost, "wrong": 0, "same_digests": same, "audit": holds,
        "where": {place: endpoint.where.count(place) for place in sorted(set(endpoint.where))},
    }  # fmt: skip


def main() -> None:
    """Kill, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", default="w1,w2,w6,batch")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--server-core", type=int, default=0)
    given = parser.parse_args()
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    found = []
    with tempfile.TemporaryDirectory(dir=results) as folder:
        os.environ["MASHBILL_KEY_FILE"] = str(Path(folder) / "key.pem")
        os.environ["MASHBILL_CHECKPOINTS"] = str(Path(folder) / "checkpoints")
        Signer.default()
        for work in given.work.split(","):
            scratch = Path(folder) / work
            scratch.mkdir()
            one = batches(given, scratch) if work == "batch" else services(given, work, scratch)
            found.append(one)
            print(json.dumps(one), flush=True)
            (results / "kills.json").write_text(json.dumps(found, indent=1) + "\n")
    good = all(
        one["same_digests"]
        and one["audit"]
        and not one["lost"]
        and not one["wrong"]
        and one["bought_twice"] <= one.get("most_in_flight", 0)
        for one in found
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
