"""Sandboxes held to their laws: both of ours, and such as break one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mashbill.core.sandbox import EndedError, Guest, Limits, Sandbox
from mashbill.testing import LawError, check_sandbox
from mashbill.verifiers.code.bare import Bare
from mashbill.verifiers.code.bubblewrap import Bubblewrap

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def facts(tmp_path: Path) -> dict[str, object]:
    file = tmp_path / "of the host"
    file.write_text("x")
    server = socket.create_server(("127.0.0.1", 0))
    return {
        "port": server.getsockname()[1], "file": str(file), "pid": os.getpid(), "server": server
    }  # fmt: skip


def test_ours_keep_all_laws(facts: dict[str, object]) -> None:
    assert len(check_sandbox(Bubblewrap, **facts)) == 10
    assert len(check_sandbox(Bare, isolates=False)) == 9


def test_one_that_does_not_isolate_is_told(facts: dict[str, object]) -> None:
    class Lying(Bare):
        isolation = "all of it"

    with pytest.raises(LawError, match="a program reads a file of the host"):
        check_sandbox(Lying, **{**facts, "port": 1})
    with pytest.raises(LawError, match="isolates=True, and 'none"):
        check_sandbox(Bare)


def test_one_whose_guests_are_the_same_process_is_told() -> None:
    class Kept:
        def __init__(self, guest: Guest) -> None:
            self.guest = guest
            self.is_over = False

        def ask(self, message: bytes, seconds: float) -> bytes:
            try:
                return self.guest.ask(message, seconds)
            except EndedError:
                self.is_over = True
                self.guest.end()
                raise

        def end(self) -> None:
            pass

    class Reusing(Bare):
        _one: Kept | None = None

        def start(self, limits: Limits) -> Guest:
            if self._one is None or self._one.is_over:
                self._one = Kept(super().start(limits))
            return self._one

        def close(self) -> None:
            if self._one is not None:
                self._one.guest.end()

    with pytest.raises(LawError, match="a guest finds what another one left"):
        check_sandbox(Reusing, isolates=False)


def test_one_that_calls_every_end_the_places_fault_is_told() -> None:
    class Excusing(Bare):
        def start(self, limits: Limits) -> Guest:
            guest = super().start(limits)
            ask = guest.ask

            def excused(message: bytes, seconds: float) -> bytes:
                try:
                    return ask(message, seconds)
                except EndedError as error:
                    raise EndedError(error.reason, "place") from error

            guest.ask = excused  # type: ignore[method-assign]
            return guest

    with pytest.raises(LawError, match="an end gives"):
        check_sandbox(Excusing, isolates=False)


def test_one_that_does_not_open_is_told() -> None:
    class Absent(Bare):
        @classmethod
        def open(cls) -> Sandbox:
            msg = "no machine"
            raise RuntimeError(msg)

    with pytest.raises(LawError, match="no machine"):
        check_sandbox(Absent)


_HOST = """
import json, sys
from mashbill.core.sandbox import Limits
from mashbill.verifiers.code.bubblewrap import Bubblewrap
sandbox = Bubblewrap.open()
guest = sandbox.start(Limits(512 << 20, 1 << 20))
print([warm._process.pid for warm in sandbox._all], flush=True)
guest.ask(json.dumps({"do": "load", "source": "while True: pass"}).encode(), 60)
"""


def test_a_run_that_is_killed_leaves_nothing_running() -> None:
    host = subprocess.Popen([sys.executable, "-c", _HOST], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    places = [int(number) for number in host.stdout.readline().strip("[]\n").split(",")]
    time.sleep(0.3)
    below = {pid for place in places for pid in _below(place)}
    assert len(below) >= 2, "the interpreter that is warm, and the guest"
    host.kill()
    host.wait()
    host.stdout.close()
    end = time.monotonic() + 20
    while time.monotonic() < end and (left := [pid for pid in (*places, *below) if _runs(pid)]):
        time.sleep(0.05)
    assert not left


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return status != "Z"


def _below(pid: int) -> list[int]:
    found, left = [], [pid]
    while left:
        one = left.pop()
        inner = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        found += map(int, inner)
        left += map(int, inner)
    return found
