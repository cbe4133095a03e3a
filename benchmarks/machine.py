"""What a benchmark ran on, and writing its figures."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """Return the machine and the versions that matter, as far as they can be known."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    names = ("mashbill", "numpy", "pyarrow")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        **{name: version(name) for name in names},
    }


def write(path: Path, report: dict[str, Any]) -> None:
    """Write a report as JSON."""
    path = path.parent / "results" / path.name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written: {path.name}")
