"""unmimic's guard of prompts on a sample, where what it downloads can be had.

    PYTHON benchmarks/conduct/peer_unmimic.py PROMPTS.json OUT.json

It runs in an environment that has unmimic, and needs nothing of mashbill. The guard needs a model
of sentences and some hundreds of megabytes of ordinary prompts from a hub; without them it is off,
and what is written is the reason. PROMPTS has objects with ``text`` and ``abusive``.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "20")
os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "20")


def judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return of how many prompts the guard said what, and how long one took."""
    from unmimic.benign import fetch
    from unmimic.guards.input.extraction import ExtractionGuard
    from unmimic.plugins import Context

    fetch()
    guard = ExtractionGuard()
    counts = {name: {"allow": 0, "flag": 0, "block": 0} for name in ("abusive", "honest")}
    took = []
    for row in rows:
        begun = time.perf_counter()
        said = guard.check(
            {"messages": [{"role": "user", "content": row["text"]}]}, Context("benchmark")
        )
        took.append(time.perf_counter() - begun)
        counts["abusive" if row["abusive"] else "honest"][said.action] += 1
    return {"counts": counts, "median_ms": 1e3 * sorted(took)[len(took) // 2]}


def main() -> None:
    """Write what came of it, or why nothing did."""
    rows = json.loads(Path(sys.argv[1]).read_text())
    try:
        told = judged(rows)
    except Exception as error:  # noqa: BLE001 - the reason is what is reported
        first = str(error).strip().splitlines() or [""]
        told = {"not_run": f"{type(error).__name__}: {first[0][:90]}"}
    Path(sys.argv[2]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
