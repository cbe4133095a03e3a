"""Run clients against the server, each on a core of its own, and say how they compare."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from common import write_prompts

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".venvs"
# A client: its environment, its driver, and what else the driver is told.
CLIENTS: dict[str, tuple[str, str, list[str]]] = {
    "bare-asyncio": ("bare", "bare.py", ["--loop", "asyncio"]),
    "bare-uvloop": ("bare", "bare.py", ["--loop", "uvloop"]),
    "ours": ("", "ours.py", []),
    "distilabel": ("distilabel", "peer_distilabel.py", []),
    "curator": ("curator", "peer_curator.py", []),
    "datadesigner": ("datadesigner", "peer_datadesigner.py", []),
    "datatrove": ("datatrove", "peer_datatrove.py", []),
    "datatrove-off": ("datatrove", "peer_datatrove.py", ["--variant", "off"]),
    "datatrove-local": ("datatrove", "peer_datatrove.py", ["--variant", "local"]),
    "datatrove-local-off": ("datatrove", "peer_datatrove.py", ["--variant", "local-off"]),
}
NOT_PEERS = ("bare-asyncio", "bare-uvloop", "ours")
WORKS = ("w1", "w2", "w3", "w4", "w5", "w6", "w7")
MODES = ("zero", "ms50", "lognormal", "r429", "e500", "hang", "bucket600", "storm", "schema5")
FORCED = {"w6": "storm", "w7": "schema5"}
OWN = 256  # passed at default settings, where drivers leave concurrency to the tool
START_ROWS = 8
POLL = 0.2


@dataclass
class Server:
    """The server's process, and what it counts."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def stats(self) -> dict[str, Any]:
        """Return its counts."""
        with urlopen(f"{self.url}/stats", timeout=10) as reply:  # noqa: S310 - loopback
            return json.load(reply)

    def reset(self) -> None:
        """Forget its counts."""
        request = Request(f"{self.url}/reset", method="POST")  # noqa: S310 - loopback
        with urlopen(request, timeout=10):  # noqa: S310 - loopback
            pass


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Start children on one core: they inherit it."""
    kept = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, kept)


@contextmanager
def serving(mode: str, core: int) -> Iterator[Server]:
    """Run the server in a mode."""
    python = ENVIRONMENTS / "bare" / "bin" / "python"
    command = [str(python), str(HERE / "server.py"), "--mode", mode, "--core", str(core)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield Server(process, json.loads(line)["port"])
    finally:
        process.terminate()
        process.wait()


def session(leader: int) -> list[int]:
    """Return the processes of a session, which are a client and its children."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                after = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(after[3]) == leader:
                found.append(int(path.name))
    return found


def resident(pids: list[int]) -> float:
    """Return the resident memory of processes, in MiB."""
    pages = 0
    for pid in pids:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def kill(leader: int) -> None:
    """Kill a client and all that it started."""
    for pid in session(leader):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@dataclass
class Ran:
    """One run of a client's process."""

    line: dict[str, Any] | None
    wall_s: float
    cpu_s: float
    peak_rss_mib: float
    ended: str  # "ok", "failed", "limit" or "killed"
    tail: str = ""


def launch(
    command: list[str],
    out: Path,
    core: int,
    limit: float,
    stop: Callable[[], bool] | None = None,
) -> Ran:
    """Run a client until it ends, runs out of time, or is to be killed."""
    errors = out.parent / f"{out.name}.stderr"
    with errors.open("wb") as stderr, (out.parent / f"{out.name}.stdout").open("wb+") as stdout:
        started = time.perf_counter()
        with on_core(core):
            process = subprocess.Popen(
                command, stdout=stdout, stderr=stderr, start_new_session=True, cwd=out
            )
        peak = 0.0
        ended = ""
        sampled = 0.0
        try:
            while True:
                pid, status, used = os.wait4(process.pid, os.WNOHANG)
                now = time.perf_counter()
                if pid:
                    break
                if now - sampled >= POLL:
                    peak = max(peak, resident(session(process.pid)))
                    sampled = now
                if not ended and now - started > limit:
                    ended = "limit"
                elif not ended and stop is not None and stop():
                    ended = "killed"
                if ended:
                    kill(process.pid)
                time.sleep(0.01)
        except BaseException:
            kill(process.pid)
            raise
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        kill(process.pid)  # what outlived it
        stdout.seek(0)
        lines = stdout.read().decode().strip().splitlines()
    line = None
    if not ended:
        ended = "ok" if process.returncode == 0 else "failed"
        for text in reversed(lines):
            if text.startswith("{"):
                line = json.loads(text)
                break
        if line is None:
            ended = "failed"
    tail = "" if ended == "ok" else errors.read_text(errors="replace")[-1500:]
    return Ran(
        line,
        wall,
        used.ru_utime + used.ru_stime,
        max(peak, used.ru_maxrss / 1024),
        ended,
        tail,
    )


@dataclass
class Harness:
    """What was asked for on the command line, and what is known so far."""

    given: argparse.Namespace
    scratch: Path
    starts: dict[tuple[str, str, str], Ran] = field(default_factory=dict)
    runs: int = 0

    def command(
        self, client: str, settings: str, work: str, rows: int, c: int, out: Path, server: Server
    ) -> list[str]:
        """Return the command line of a client's driver."""
        environment, driver, more = CLIENTS[client]
        python = str(ENVIRONMENTS / environment / "bin" / "python")
        if not environment:
            python = str(self.given.python)
        prompts = self.scratch / f"prompts-{rows}.jsonl"
        if not prompts.exists():
            write_prompts(prompts, rows)
        return [
            *[python, str(HERE / driver), "--base-url", f"{server.url}/v1", "--work", work],
            *["--rows", str(rows), "--concurrency", str(c), "--settings", settings],
            *["--out", str(out), "--prompts", str(prompts), *more],
        ]

    def folder(self) -> Path:
        """Return an empty folder for a client's files."""
        self.runs += 1
        out = self.scratch / f"out-{self.runs}"
        out.mkdir()
        return out

    def start(self, client: str, settings: str, work: str) -> Ran:
        """Return what a client takes for next to no rows: what starting costs."""
        known = self.starts.get((client, settings, work))
        if known is None:
            given = self.given
            tried = []
            for _ in range(min(3, given.repeats)):
                with serving("schema5" if work == "w7" else "zero", given.server_core) as server:
                    out = self.folder()
                    command = self.command(client, settings, work, START_ROWS, 8, out, server)
                    tried.append(launch(command, out, given.client_core, given.limit))
                    shutil.rmtree(out)
            known = sorted(tried, key=lambda one: one.wall_s)[len(tried) // 2]
            self.starts[client, settings, work] = known
        return known

    def cell(self, client: str, settings: str, work: str, mode: str, c: int) -> dict[str, Any]:
        """Run one cell once."""
        given = self.given
        rows = given.rows
        out = self.folder()
        found: dict[str, Any] = {"load_before": os.getloadavg()[0]}
        with serving(mode, given.server_core) as server:

            def go(n: int, stop: Callable[[], bool] | None = None) -> Ran:
                command = self.command(client, settings, work, n, c, out, server)
                return launch(command, out, given.client_core, given.limit, stop)

            before: dict[str, Any] = {}
            if work == "w3":
                first = go(rows, lambda: server.stats()["answered"] >= rows / 2)
                time.sleep(0.2)
                before = server.stats()
                found["killed"] = first.ended == "killed"
                found["answered_at_kill"] = before["answered"]
                found["abandoned_at_kill"] = before["abandoned"]
                ran = go(rows)
            elif work in ("w4", "w5"):
                first = go(rows)
                before = server.stats()
                found["first"] = first.ended
                added = max(1, rows // 100) if work == "w5" else 0
                found["rows_added"] = added
                rows += added
                ran = go(rows)
            else:
                ran = go(rows)
            stats = server.stats()
        seen = ("requests", "answered", "bought", "distinct", "bought_twice", "duplicates")
        for name in seen:
            found[name] = stats[name]
        if before:
            found["requests_of_rerun"] = stats["requests"] - before["requests"]
        found |= {
            "ended": ran.ended,
            "wall_s": ran.wall_s,
            "cpu_s": ran.cpu_s,
            "peak_rss_mib": ran.peak_rss_mib,
            "server": stats,
            "line": ran.line,
            "tail": ran.tail,
        }
        self.derive(found, self.start(client, settings, work), before)
        if not given.keep:
            shutil.rmtree(out, ignore_errors=True)
        return found

    @staticmethod
    def derive(found: dict[str, Any], start: Ran, before: dict[str, Any]) -> None:
        """Add the figures that are compared."""
        stats, line = found["server"], found["line"]
        done = stats["distinct"] - before.get("distinct", 0)
        found["rate"] = done / max(1e-3, found["wall_s"])
        if not before:  # from the first request to the last reply, as the server saw them
            found["rate"] = done / max(1e-3, stats["first_to_last_s"])
        found["start_s"] = start.wall_s
        found["start_cpu_s"] = start.cpu_s
        made = found["requests"] - before.get("requests", 0)
        if made > START_ROWS and found["ended"] == "ok":
            net = found["cpu_s"] - start.cpu_s
            found["cpu_ms_a_request"] = 1000 * max(0.0, net) / made
            found["cpu_ms_a_request_with_start"] = 1000 * found["cpu_s"] / made
        if line:
            found["rows_a_second"] = line["rows_out"] / found["wall_s"]
            for name in ("rows_out", "rows_lost", "rows_misaligned", "rows_repeated"):
                found[name] = line[name]
            found["bytes_a_record"] = line["bytes_on_disk"] / max(1, line["rows_out"])


MEDIANS = (
    "rate",
    "rows_a_second",
    "wall_s",
    "cpu_s",
    "cpu_ms_a_request",
    "cpu_ms_a_request_with_start",
    "peak_rss_mib",
    "bytes_a_record",
    "bought_twice",
    "requests_of_rerun",
    "abandoned_at_kill",
    "rows_lost",
    "rows_misaligned",
    "rows_repeated",
    "rows_out",
)


def middle(repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure over the repeats that have it."""
    found: dict[str, Any] = {}
    for name in MEDIANS:
        known = [one[name] for one in repeats if one.get(name) is not None]
        if known:
            found[name] = statistics.median(known)
    rates = [one["rate"] for one in repeats]
    found["rate_low"], found["rate_high"] = min(rates), max(rates)
    found["ended"] = sorted({one["ended"] for one in repeats})
    return found


def compare(cells: list[dict[str, Any]]) -> None:
    """Add the ratios to the bare loop and to the fastest peer at fair settings."""
    for cell in cells:
        alike = [
            other
            for other in cells
            if (other["work"], other["mode"]) == (cell["work"], cell["mode"])
            and (not cell["concurrency"] or other["concurrency"] == cell["concurrency"])
        ]
        bare = [c["median"]["rate"] for c in alike if c["client"] == "bare-uvloop"]
        peers = [
            c["median"]["rate"]
            for c in alike
            if c["client"] not in NOT_PEERS and c["settings"] == "fair"
        ]
        rate = cell["median"]["rate"]
        cell["to_bare"] = rate / max(bare) if any(bare) else None
        cell["to_best_peer"] = rate / max(peers) if any(peers) else None


COLUMNS: tuple[tuple[str, int, str], ...] = (
    ("rate", 9, ".0f"),
    ("to_bare", 7, ".3f"),
    ("to_best_peer", 7, ".2f"),
    ("rows_a_second", 9, ".0f"),
    ("cpu_ms_a_request", 8, ".2f"),
    ("cpu_ms_a_request_with_start", 8, ".2f"),
    ("peak_rss_mib", 7, ".0f"),
    ("bought_twice", 7, ".0f"),
    ("rows_lost", 6, ".0f"),
    ("rows_misaligned", 6, ".0f"),
    ("bytes_a_record", 8, ".0f"),
    ("requests_of_rerun", 7, ".0f"),
)
TITLES = (
    *("req/s", "/bare", "/peer", "rows/s", "cpu-ms", "+start"),
    *("MiB", "twice", "lost", "wrong", "B/row", "rerun"),
)


def table(cells: list[dict[str, Any]]) -> str:
    """Return the cells as lines of text."""
    head = f"{'client':20}{'settings':9}{'work':5}{'mode':10}{'c':>5}"
    for title, (_, width, _) in zip(TITLES, COLUMNS, strict=True):
        head += title.rjust(width)
    lines = [head]
    for cell in cells:
        line = f"{cell['client']:20}{cell['settings']:9}{cell['work']:5}{cell['mode']:10}"
        line += str(cell["concurrency"] or "own").rjust(5)
        for name, width, how in COLUMNS:
            value = cell.get(name, cell["median"].get(name))
            line += ("-" if value is None else format(value, how)).rjust(width)
        ended = [one for one in cell["median"]["ended"] if one != "ok"]
        lines.append(line + (f"  {', '.join(ended)}" if ended else ""))
    return "\n".join(lines)


def describe() -> dict[str, Any]:
    """Return the machine."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((one.split(":", 1)[1].strip() for one in info if one.startswith("model name")), "")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load": os.getloadavg(),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def ceiling(given: argparse.Namespace) -> dict[str, Any]:
    """Return how fast the server can be."""
    with serving("zero", given.server_core) as server:
        python = str(ENVIRONMENTS / "bare" / "bin" / "python")
        command = [python, str(HERE / "ceiling.py"), "--port", str(server.port)]
        command += ["--core", str(given.client_core)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def options() -> argparse.Namespace:
    """Parse the command line."""

    def several(allowed: Any) -> Callable[[str], list[str]]:
        def parse(text: str) -> list[str]:
            found = text.split(",")
            if unknown := [one for one in found if one not in allowed]:
                raise argparse.ArgumentTypeError(f"no {unknown} among {', '.join(allowed)}")
            return found

        return parse

    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--clients", type=several(CLIENTS), default=list(CLIENTS))
    add("--work", type=several(WORKS), default=["w1"])
    add("--modes", type=several(MODES), default=["zero"], help="w6 is storm, w7 is schema5")
    add("--concurrency", type=lambda text: [int(c) for c in text.split(",")], default=[32, 256])
    add("--settings", type=several(("fair", "default")), default=["fair"])
    add("--rows", type=int, default=10_000)
    add("--repeats", type=int, default=3)
    add("--limit", type=float, default=120, help="seconds for one run of a client")
    add(
        "--python",
        type=Path,
        default=Path(__file__).parents[2] / ".venv/bin/python",
        help="for ours",
    )
    add("--server-core", type=int, default=0)
    add("--client-core", type=int, default=1)
    add("--name", default="run", help="of the file of results")
    add("--keep", action="store_true", help="keep what the clients wrote")
    return parser.parse_args()


def plan(given: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Yield clients, settings and concurrency; a tool's defaults are of a concurrency of their own.

    The bare loop and datatrove's variants have no defaults that differ.
    """
    for c in given.concurrency:
        for client in given.clients:
            if "fair" in given.settings:
                yield client, "fair", c
    for client in given.clients:
        if "default" in given.settings and not client.startswith(("bare", "datatrove-")):
            yield client, "default", 0


def main() -> None:
    """Run the cells, print the table, write the results."""
    given = options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))  # so that servers and clients are ended
    results = HERE / "results"
    scratch = results / f"scratch-{os.getpid()}"
    scratch.mkdir(parents=True)
    harness = Harness(given, scratch)
    os.sched_setaffinity(0, {given.server_core})
    report: dict[str, Any] = {"machine": describe(), "rows": given.rows, "limit_s": given.limit}
    report["ceiling"] = ceiling(given)
    print(f"server's ceiling: {report['ceiling']}", flush=True)
    cells: list[dict[str, Any]] = report.setdefault("cells", [])
    try:
        for work in given.work:
            for mode in [FORCED[work]] if work in FORCED else given.modes:
                for client, settings, c in plan(given):
                    repeats = []
                    for _ in range(given.repeats):
                        one = harness.cell(client, settings, work, mode, c or OWN)
                        repeats.append(one)
                        if one["ended"] != "ok":
                            break  # it would be the same again, and costs the limit
                    cell = {
                        "client": client,
                        "settings": settings,
                        "work": work,
                        "mode": mode,
                        "concurrency": c,
                        "median": middle(repeats),
                        "repeats": repeats,
                    }
                    cells.append(cell)
                    compare(cells)
                    print(table([cell]).splitlines()[1], flush=True)
                    file = results / f"{given.name}.json"
                    file.write_text(json.dumps(report, indent=1) + "\n")
    finally:
        if not given.keep:
            shutil.rmtree(scratch, ignore_errors=True)
    print(table(cells))
    print(f"written: {results / given.name}.json")
    if any("failed" in cell["median"]["ended"] for cell in cells):
        sys.exit(1)


if __name__ == "__main__":
    main()
