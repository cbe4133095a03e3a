"""Programs that attack: each ends as a recorded failure, and the host is as it was."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from verifiers.code.escapes import FORGES, REACHES, forging, reaching

from mashbill.core.verifier import Case, Score
from mashbill.verifiers.code.spec import Code, CodeSpec

pytestmark = pytest.mark.enable_socket
_SECRET = 4_812_633_907
_RIGHT = Case(
    "def add(a, b):\n    return a + b",
    None,
    {"tests": '{"function": "add", "calls": [{"args": [1, 2], "expected": 3}]}'},
)
_PROBE = json.dumps({"function": "probe", "calls": [{"expected": "out"}]})
_ASK = json.dumps({"function": "secret", "calls": [{"expected": _SECRET}]})


class _Host:
    """What is outside, and must stay as it is."""

    def __init__(self, folder: Path) -> None:
        self.canary = folder / "canary"
        self.canary.write_text("untouched")
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(0.2)
        self.heard = 0
        self._open = True
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while self._open:
            try:
                self.server.accept()[0].close()
            except TimeoutError:
                continue
            self.heard += 1

    def close(self) -> None:
        self._open = False
        self._thread.join()
        self.server.close()


@pytest.fixture(scope="module")
def code() -> Code:
    spec = CodeSpec(kind="code", seconds=0.5, total_seconds=2, memory_mb=256)
    return spec.load(Path(), Path(), 6)  # most of what takes its time sleeps


@pytest.fixture(scope="module")
def tried(code: Code, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Score]:
    """All attacks at once; between them, programs that are right."""
    host = _Host(tmp_path_factory.mktemp("host"))
    facts = {
        "canary": str(host.canary), "python": sys.executable, "pid": os.getpid(),
        "port": host.server.getsockname()[1],
    }  # fmt: skip
    cases = {
        name: Case(reaching(body, **facts), None, {"tests": _PROBE})
        for name, body in REACHES.items()
    }
    cases |= {name: Case(forging(text), None, {"tests": _ASK}) for name, text in FORGES.items()}
    mixed = [each for case in cases.values() for each in (case, _RIGHT)]
    scores = code.score(mixed)
    found = dict(zip(cases, scores[::2], strict=True))
    found["those between"] = min(scores[1::2], key=lambda score: score.value or 0.0)
    host.close()
    assert host.heard == 0
    assert host.canary.read_text() == "untouched"
    assert list(host.canary.parent.iterdir()) == [host.canary]
    return found


def test_there_are_as_many_as_are_claimed() -> None:
    assert len(REACHES) + len(FORGES) >= 60


@pytest.mark.parametrize("name", [*REACHES, *FORGES])
def test_an_attack_is_a_failure_on_record(tried: dict[str, Score], name: str) -> None:
    score = tried[name]
    assert score.value == 0.0, score
    assert score.reason
    assert score.isolation.startswith("bubblewrap")
    assert score.components == {"passed": 0.0}


def test_programs_between_attacks_are_paid(tried: dict[str, Score]) -> None:
    assert tried["those between"].value == 1.0


def test_nothing_is_left_running(tried: dict[str, Score], code: Code) -> None:
    del tried
    left = []
    for folder in [Path("/proc", str(pid)) for pid in _below(os.getpid())]:
        try:
            status = (folder / "status").read_text()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        spaces = next(line.split()[1:] for line in status.splitlines() if line.startswith("NSpid"))
        if len(spaces) > 2 and b"keep_warm" in command:
            left.append((folder.name, spaces))
    assert not left, "a guest is left: it is in a pid space within the sandbox's"
    del code


def _below(pid: int) -> list[int]:
    """Return the processes below one: others on this machine try sandboxes, too."""
    found, left = [], [pid]
    while left:
        for children in Path(f"/proc/{left.pop()}/task").glob("*/children"):
            with suppress(OSError):
                below = [int(number) for number in children.read_text().split()]
                found += below
                left += below
    return found


_LEAVES = """
import math, os, sys, builtins
open('/tmp/left', 'w').write('x')
math.pi = 3
builtins.left = 1
sys.modules['left'] = math
os.environ['LEFT'] = '1'
def probe(): return 'out'
"""
_FINDS = """
import math, os, sys, builtins
def probe():
    found = [os.path.exists('/tmp/left'), math.pi == 3, hasattr(builtins, 'left'),
             'left' in sys.modules, 'LEFT' in os.environ, bool(os.listdir('/tmp'))]
    return 'out' if any(found) else 'clean'
"""


def test_no_program_meets_what_another_left(code: Code) -> None:
    leaves = Case(_LEAVES, None, {"tests": _PROBE})
    finds = Case(_FINDS, None, {"tests": _PROBE.replace("out", "clean")})
    scores = code.score([leaves, leaves, finds, leaves, finds, finds])
    assert [score.value for score in scores] == [1.0] * 6
