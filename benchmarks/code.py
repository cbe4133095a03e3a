"""Trivial programs run and judged: mashbill's sandbox beside a fresh process, bubblewrap, sandlock.

Each defines a function that is called once. Two threads ask at once; what is measured is from the
program's text to its value. mashbill's are warm: forked from an interpreter that never ran foreign
code, into namespaces of their own. The others start an interpreter for each: a bare process, one in
bubblewrap, one in sandlock 0.9.0 (Landlock and seccomp; ``--peers PYTHON`` with sandlock).

With peers, the attacks of tests/verifiers/code/escapes.py that reach for what is outside are tried
in sandlock, too: how many got what they wanted is printed, and which.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

PROGRAM = "def double(x):\n    return x + x\n"
WHOLE = PROGRAM + "print(double(21))\n"
TESTS = json.dumps({"function": "double", "calls": [{"args": [21], "expected": 42}]})
INTERPRETER = [os.path.realpath(getattr(sys, "_base_executable", sys.executable)), "-s", "-S", "-B"]
BASE = str(Path(os.__file__).parents[2])
THREADS = 2


def measured(count: int, run: Callable[[], bool]) -> dict[str, Any]:
    """Return runs a second, and how long one takes: half of them, and 99 of 100, in ms."""

    def one(_: int) -> float:
        began = time.perf_counter()
        if not run():
            raise SystemExit("a program did not pass")
        return time.perf_counter() - began

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(20)))
        began = time.perf_counter()
        took = sorted(pool.map(one, range(count)))
        whole = time.perf_counter() - began
    return {
        "a_second": round(count / whole, 1),
        "p50_ms": round(took[count // 2] * 1000, 2),
        "p99_ms": round(took[int(count * 0.99)] * 1000, 2),
    }


def ours() -> Callable[[], bool]:
    """Return what runs a program in the warm sandbox, through the verifier's own judge."""
    from mashbill.core.verifier import Case
    from mashbill.verifiers.code.spec import CodeSpec

    judge = CodeSpec(kind="code").load(Path(), Path(), THREADS)._judge
    case = Case(PROGRAM, None, {"tests": TESTS})
    return lambda: judge.score(case).value == 1.0


def process() -> bool:
    """Run a program in a fresh process."""
    done = subprocess.run([*INTERPRETER, "-c", WHOLE], check=False, capture_output=True, text=True)
    return done.stdout == "42\n"


def in_bubblewrap() -> Callable[[], bool]:
    """Return what runs a program in a fresh bubblewrap."""
    from mashbill.verifiers.code.bubblewrap import Bubblewrap

    sandbox = Bubblewrap.open()
    command = [sandbox._binary, *sandbox._place(), "--", *INTERPRETER, "-c", WHOLE]

    def run() -> bool:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        return done.stdout == "42\n"

    return run


def as_peer(count: int) -> None:
    """Measure sandlock, and attack it; print what was found: run in the peers' environment."""
    from sandlock import Sandbox

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from verifiers.code.escapes import REACHES, reaching

    folder = tempfile.mkdtemp()
    try:
        writable = Path(folder) / "inside"
        writable.mkdir()
        canary = Path(folder) / "canary"
        canary.write_text("untouched")
        server = socket.create_server(("127.0.0.1", 0))

        def run(text: str, seconds: float = 5) -> str:
            sandbox = Sandbox(
                fs_readable=["/usr", "/lib", "/lib64", BASE, "/dev/null", "/dev/urandom"],
                fs_writable=[str(writable)],
                max_memory="512M",
                max_processes=4,
                max_open_files=64,
                clean_env=True,
                cwd=str(writable),
            )
            done = sandbox.run([*INTERPRETER, "-c", text], timeout=seconds)
            return done.stdout.decode(errors="replace")

        found = measured(count, lambda: run(WHOLE) == "42\n")
        facts = {
            "canary": str(canary), "python": INTERPRETER[0], "pid": os.getpid(),
            "port": server.getsockname()[1],
        }  # fmt: skip
        out = []
        for name, body in REACHES.items():
            try:
                said = run(reaching(body, **facts) + "\nprint(repr(probe()))", 2)
            except Exception as error:  # noqa: BLE001 - whatever it raises, it is no escape
                said = type(error).__name__
            if said.strip().endswith("'out'"):
                out.append(name)
        server.close()
        found |= {"attacks": len(REACHES), "got_out": out}
    finally:  # one of the attacks nests folders deeper than Python's own removal goes
        subprocess.run(["/bin/rm", "-rf", folder], check=False)
    print(json.dumps(found))


def main() -> None:
    """Measure all, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", help="a Python with sandlock")
    parser.add_argument("--count", type=int, default=1500)
    parser.add_argument("--as-peer", action="store_true")
    given = parser.parse_args()
    if given.as_peer:
        as_peer(given.count)
        return
    from machine import describe, write

    sides = {"mashbill": ours(), "fresh process": process, "fresh bubblewrap": in_bubblewrap()}
    report: dict[str, Any] = {"machine": describe(), "threads": THREADS}
    for name, run in sides.items():
        report[name] = measured(given.count if name == "mashbill" else given.count // 4, run)
        print(name, report[name])
    if given.peers:
        command = [given.peers, __file__, "--as-peer", "--count", str(given.count // 4)]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        report["sandlock"] = json.loads(told.stdout.splitlines()[-1])
        print("sandlock", report["sandlock"])
    ours_a_second = report["mashbill"]["a_second"]
    report["ratios"] = {
        name: round(ours_a_second / report[name]["a_second"], 1)
        for name in ("fresh process", "fresh bubblewrap", "sandlock")
        if name in report
    }
    print("mashbill's runs a second, over theirs:", report["ratios"])
    write(Path(__file__).with_suffix(".json"), report)


if __name__ == "__main__":
    sys.exit(main())
