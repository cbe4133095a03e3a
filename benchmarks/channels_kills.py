"""Kill ``mashbill run channels`` at random moments; the same command must then end it well.

    python benchmarks/channels_kills.py [TRIALS]

Each trial is a store of its own. A run that was not killed writes so many entries into the ledger;
each trial is killed (SIGKILL) once a number of them drawn evenly over that is there, and up to 0.3
s later, and then the same command is run once. It must end with exit code 0, the audit must hold,
and all manifests must be those of the run that was not killed. Prints a line a trial, writes JSON.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import describe, write

from mashbill import Store
from mashbill.lineage.evidence.audit import Auditor


def command(store: Path) -> list[str]:
    main = "from mashbill.cli import main; main()"
    return [sys.executable, "-c", main, "run", "channels", "--store", str(store), "--threads", "1"]


def manifests(store: Path) -> dict[str, str]:
    return {str(m.ref): m.digest for m in Store(store).manifests()}


def trial(folder: Path, wanted: int, more: float, expected: dict[str, str]) -> dict[str, object]:
    store = folder / "store"
    ledger = store / "ledger.jsonl"
    process = subprocess.Popen(command(store), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < until:
        if ledger.exists() and ledger.read_bytes().count(b"\n") >= wanted:
            break
        time.sleep(0.002)
    time.sleep(more)
    process.kill()
    process.wait()
    entries = len(Store(store).ledger.entries) if (store / "ledger.jsonl").exists() else 0
    made = len(manifests(store)) if entries else 0
    done = subprocess.run(command(store), capture_output=True, text=True, timeout=600, check=False)
    return {
        "entries_then": entries,
        "artifacts_then": made,
        "exit": done.returncode,
        "same_manifests": manifests(store) == expected,
        "audit_holds": Auditor(store).run().holds,
        "error": done.stderr[-300:],
    }


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    draw = random.Random(11)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["MASHBILL_KEY_FILE"] = str(root / "key.pem")
        os.environ["MASHBILL_CHECKPOINTS"] = str(root / "checkpoints")
        began = time.monotonic()
        subprocess.run(command(root / "whole"), check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - began
        expected = manifests(root / "whole")
        entries = len(Store(root / "whole").ledger.entries)
        found = []
        for number in range(trials):
            (root / str(number)).mkdir()
            found.append(
                trial(
                    root / str(number), draw.randrange(1, entries), draw.uniform(0, 0.3), expected
                )
            )
            print(found[-1], flush=True)
    good = sum(
        item["exit"] == 0 and item["same_manifests"] is True and item["audit_holds"] is True
        for item in found
    )
    print(f"{good} of {trials} ended with exit 0, equal manifests and an audit that holds")
    report = {"machine": describe(), "whole_s": whole, "good": good, "trials": found}
    write(Path(__file__).with_suffix(".json"), report)


if __name__ == "__main__":
    main()
