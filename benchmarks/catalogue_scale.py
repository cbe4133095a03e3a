"""Commands on a catalogue the size of a public hub, each as a process of its own.

By hand: ``python benchmarks/catalogue_scale.py --models 3000000 --edges 3000000``. It writes a
generated catalogue (``catalogue_hub.py``), and tells wall time, processor time and peak memory of
each command, and how large what it prints is; nothing is asserted. ``--sizes 30000,300000`` adds
smaller ones, so that growth can be seen. All that it writes is removed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from catalogue_hub import write_hub
from machine import describe, write

BEGIN = "import sys; sys.argv[0] = 'mashbill'; from mashbill.cli import main; main()"
REMOVE = 'country == "CN" && kind == "open-weights"'
AIMS = {"bill": 1.0, "whatif": 10.0}
"""seconds, told beside what was measured"""


def run(command: list[str], home: Path) -> dict[str, float | int]:
    """Run one command; return what it took."""
    env = {
        **os.environ,
        "MASHBILL_CACHE": str(home / "cache"),
        "MASHBILL_KEY_FILE": str(home / "key.pem"),
    }
    out = home / "out"
    begun = time.perf_counter()
    with out.open("wb") as stream:
        child = subprocess.Popen([sys.executable, "-c", BEGIN, *command], stdout=stream, env=env)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if child.returncode:
        msg = f"{command[:3]} ended with {child.returncode}"
        raise SystemExit(msg)
    return {
        "wall_s": round(wall, 2),
        "processor_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": used.ru_maxrss // 1024,
        "printed_kb": out.stat().st_size // 1024,
    }


def measured(models: int, edges: int, repeat: int) -> dict[str, object]:
    """Return what each command takes on one size."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        hub, folder, page = home / "hub", home / "imported", home / "page.html"
        write_hub(hub, models, edges)
        with (hub / "claims-hub.csv").open(encoding="utf-8") as lines:
            name = [next(lines) for _ in range(2)][1].split('"')[1]
        catalogue = ["--catalogue", str(folder)]
        found: dict[str, object] = {"csv_mb": sum(f.stat().st_size for f in hub.iterdir()) >> 20}
        found["import"] = run(["catalogue", "import", "csv", str(hub), "--to", str(folder)], home)
        commands = {
            "bill": ["bill", f"hf:{name}"],
            "show": ["catalogue", "show", name],
            "list": ["catalogue", "list", "maker 7"],
            "whatif": ["whatif", "--remove", REMOVE, "--to", str(page)],
        }
        found["bill, first, with the index made"] = run([*commands["bill"], *catalogue], home)
        found["whatif, first, with the circuit made"] = run([*commands["whatif"], *catalogue], home)
        found["import again"] = run(
            ["catalogue", "import", "csv", str(hub), "--to", str(folder)], home
        )
        for label, command in commands.items():
            times = [run([*command, *catalogue], home) for _ in range(repeat)]
            found[label] = min(times, key=lambda each: each["processor_s"])
        found["page_kb"] = page.stat().st_size // 1024
        found["index_mb"] = sum(f.stat().st_size for f in (home / "cache").rglob("*.arrow")) >> 20
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=3_000_000)
    parser.add_argument("--edges", type=int, default=3_000_000)
    parser.add_argument("--sizes", default="", help="smaller sizes, of models and edges")
    parser.add_argument("--repeat", type=int, default=2)
    asked = parser.parse_args()
    sizes = [(int(size), int(size)) for size in asked.sizes.split(",") if size]
    report: dict[str, object] = {"machine": describe(), "load": os.getloadavg()}
    for models, edges in [*sizes, (asked.models, asked.edges)]:
        found = measured(models, edges, asked.repeat)
        report[f"{models} models, {edges} edges"] = found
        print(
            f"{models:,} models, {edges:,} edges; {found['csv_mb']} MB of CSV, "
            f"{found['index_mb']} MB kept, page {found['page_kb']} KB"
        )
        print(f"{'':38} {'wall s':>8} {'cpu s':>8} {'MB':>6} {'printed KB':>11}")
        for label, each in found.items():
            if isinstance(each, dict):
                aim = f"  aim {AIMS[label]:g} s" if label in AIMS else ""
                if label == "import":
                    rates = [f"{edges / each[key]:,.0f}" for key in ("wall_s", "processor_s")]
                    aim = f"  {rates[0]} claims/s and as many models by wall, {rates[1]} a second "
                    aim += "of a processor; aim 100,000"
                print(
                    f"{label:38} {each['wall_s']:8.2f} {each['processor_s']:8.2f} "
                    f"{each['peak_mb']:6} {each['printed_kb']:11}{aim}"
                )
    report["load_after"] = os.getloadavg()
    report["children_peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    write(Path(__file__).with_suffix(".json"), json.loads(json.dumps(report)))


if __name__ == "__main__":
    main()
