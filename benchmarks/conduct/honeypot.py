"""honeypotllm's scorer as it is by default, on a log whose clock is the simulated one.

    PYTHON benchmarks/conduct/honeypot.py EVENTS.jsonl OUT.json

It runs in an environment that has honeypotllm, and needs nothing of mashbill. Each account has a
scorer of its own, so that none is forgotten (one scorer forgets the least recent of more than
10,000 keys), and is named when its score first reaches the threshold at which the middleware would
begin to change answers. The scorer reads the clock of the process: that clock is set to each row's.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from pathlib import Path


class Clock:
    """Stands in for the clock of the process."""

    now = 0.0

    def __call__(self) -> float:
        """Return the moment of the row that is being scored."""
        return self.now


def named(events: Path) -> dict[str, int]:
    """Return when each account was named, microseconds."""
    clock = Clock()
    time.time = clock  # before the scorer is loaded, which keeps the function as a default
    from honeypotllm import HoneypotConfig, SuspicionScorer

    config = HoneypotConfig(secret_key="0" * 64)
    scorers: dict[str, SuspicionScorer] = {}
    found: dict[str, int] = {}
    with events.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            account = row["account"]
            if row["kind"] != "exchange" or account in found:
                continue
            clock.now = datetime.fromisoformat(row["time"]).timestamp()
            if account not in scorers:
                scorers[account] = SuspicionScorer(config.scoring, config.suspicion_threshold)
            result = scorers[account].score_request(
                account, prompt=row["text"] or "", input_tokens=row["tokens_in"] or 0
            )
            if result.should_honeypot:
                found[account] = round(clock.now * 1e6)
                del scorers[account]
    return found


def main() -> None:
    """Write who was named."""
    begun = time.process_time()
    found = named(Path(sys.argv[1]))
    Path(sys.argv[2]).write_text(
        json.dumps({"found": found, "seconds": time.process_time() - begun})
    )


if __name__ == "__main__":
    main()
