"""What part of the client's processor time lineage and journal take: W1, one process, one core.

The functions of either are timed by the processor time of the thread that runs them; of nested
ones, the inner is taken out of the outer. What is left is the client and the stage. The journal's
whole thread counts as journal.

    .venvs/bare/bin/python server.py --core 0 --port 8901 &
    taskset -c 1 ../../.venv/bin/python shares.py --base-url http://127.0.0.1:8901/v1 --out DIR
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import ours

from mashbill.calls import writer
from mashbill.calls.journal import Journal
from mashbill.calls.paid_call import Requests
from mashbill.client import client, lane
from mashbill.core import ledger
from mashbill.lineage.circuit import composer, nodes
from mashbill.run import artifact, shards

SPENT: Counter[str] = Counter()
CALLS: Counter[str] = Counter()
_stacks = threading.local()
_lock = threading.Lock()


def timed(holder: Any, name: str, what: str) -> None:
    """Time a function by its thread's processor time."""
    inner = getattr(holder, name)

    @functools.wraps(inner)
    def outer(*given: Any, **named: Any) -> Any:
        stack = _stacks.__dict__.setdefault("stack", [])
        stack.append(0.0)
        began = time.thread_time()
        try:
            return inner(*given, **named)
        finally:
            took = time.thread_time() - began
            own = took - stack.pop()
            if stack:
                stack[-1] += took
            with _lock:
                SPENT[what] += own
                CALLS[what] += 1

    setattr(holder, name, outer)


def main() -> None:
    """Time, run W1, print the shares."""
    timed(writer.Writer, "_work", "journal")
    timed(lane.Lane, "_keep", "journal")
    timed(client.Client, "_write", "journal")
    timed(client.Client, "_hand_over", "journal")
    timed(Requests, "digest", "journal")
    for name in ("answered", "merkle_root", "sync"):
        timed(Journal, name, "journal")
    for name in ("_placed", "close_dataset", "_write_nodes"):
        timed(artifact, name, "lineage")
    for name in ("identify", "leaves", "root"):
        timed(shards, name, "lineage")
    timed(composer.Composer, "one_each", "lineage")
    timed(nodes.NodeTable, "count", "lineage")
    timed(ledger.Ledger, "append", "lineage")
    before = time.process_time()
    ours.main()
    total = time.process_time() - before
    told = {what: round(spent / total, 4) for what, spent in SPENT.items()}
    told |= {"total_cpu_s": round(total, 2), "calls": dict(CALLS)}
    print(json.dumps(told))
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "shares.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
