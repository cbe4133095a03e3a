"""Worker processes that do a run's slices, and are started again if they end."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import StageError
from mashbill.core.shown import shown
from mashbill.run.handed import Piece, StageWork
from mashbill.run.server import Desk, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mashbill.calls.asked_here import AskedHere
    from mashbill.core.teacher import TeacherSession
    from mashbill.run.slices import Done, Slice

_LOOK = 0.5  # seconds after which it is looked whether workers are still there
_SECONDS = 5.0  # that a worker may take to end
_UNCONNECTED = 3  # workers in a row that may end before they say anything
_AHEAD = 4  # pieces a place: one is done, the others wait, so that nobody waits for a commit


class Pool:
    """The workers of one run. They are kept from stage to stage, with what they loaded."""

    def __init__(self, workers: int, keys: Collection[str] = ()) -> None:
        """Start them.

        Args:
            workers: processes.
            keys: of services: variables of the environment that hold one are not handed on.
        """
        self._environ = {k: v for k, v in os.environ.items() if v.strip() not in keys}
        # The folders that this process imports from, and no other, as it was started.
        self._environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self.workers = workers
        self._server = Server()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the pool
        self._number = 0
        self._unconnected = 0
        self._works = 0
        self.ends: list[int] = []
        """exit statuses of workers that ended and were replaced"""
        for _ in range(workers):
            self._start()

    def _start(self) -> None:
        self._number += 1
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "mashbill.run.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            env=self._environ,
        )
        self._processes[self._number] = process
        told = {
            "address": self._server.address,
            "key": self._server.key.hex(),
            "number": self._number,
        }
        if process.stdin is not None:
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()

    def next_number(self) -> int:
        """Return a number for a stage's work."""
        self._works += 1
        return self._works

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid for process in self._processes.values()]

    def doing(
        self,
        work: StageWork,
        *,
        teacher: Callable[[str], TeacherSession],
        kept: AskedHere,
        on_answer: Callable[[int, int], None],
    ) -> PoolDoing:
        """Return what does the slices of a stage.

        Args:
            work: of the stage.
            teacher: gives the session of a service.
            kept: where answers of teachers that workers load are kept.
            on_answer: told (calls, tokens) of those.
        """
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._server.begin(
            Desk(
                work=work,
                teacher=teacher,
                kept=kept,
                on_answer=on_answer,
                done=lambda number, made: done.put((number, made)),
            )
        )
        return PoolDoing(self, work.number, done, self.workers * work.each * _AHEAD)

    def put(self, piece: Piece) -> None:
        """Let a piece be done."""
        self._server.put(piece)

    def drop(self) -> None:
        """Give out nothing more of this stage."""
        self._server.drop()

    def look(self) -> None:
        """Start workers anew that ended.

        Raises:
            StageError: if they end before they can do anything, with what they said.
        """
        for number, process in list(self._processes.items()):
            status = process.poll()
            if status is None:
                continue
            del self._processes[number]
            self.ends.append(status)
            self._unconnected = 0 if self._server.connected[number] else self._unconnected + 1
            if self._unconnected >= _UNCONNECTED:
                msg = (
                    f"worker processes end before they can do anything ({_ended(status)}): "
                    f"{self._last_words()}; run with --workers 1"
                )
                raise StageError(msg)
            self._start()

    def _last_words(self) -> str:
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(self._said.tell() - 2_000, 0))
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return shown(lines[-1] if lines else "they said nothing", 300)

    def lost(self, piece: Piece) -> StageError:
        """Return the error of a piece whose processes ended each time."""
        self.look()
        status = self.ends[-1] if self.ends else None
        return StageError(
            f"the process that did rows {piece.first:,} to {piece.first + piece.count - 1:,} of "
            f"{piece.of} ended each of the times that it was begun"
            f"{f' ({_ended(status)})' if status is not None else ''}; the machine may be short of "
            "memory: use fewer --workers, or a smaller shard_rows"
        )

    def close(self) -> None:
        """End all workers."""
        self._server.close()
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes.values():
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._said.close()


class PoolDoing:
    """Does slices in the workers; see :class:`mashbill.run.slices.Doing`."""

    def __init__(self, pool: Pool, work: int, done: queue.SimpleQueue[Any], ahead: int) -> None:
        self.ahead = ahead
        self._pool = pool
        self._work = work
        self._done = done

    def submit(self, item: Slice) -> None:
        """Let a worker do a slice."""
        self._pool.put(
            Piece(
                self._work,
                item.number,
                item.of,
                item.start,
                item.first,
                item.count,
                item.offset,
                item.place,
            )
        )

    def wait(self) -> Done:
        """Return the next that is done; workers that ended are started anew."""
        while True:
            self._pool.look()
            with suppress(queue.Empty):
                number, made = self._done.get(timeout=_LOOK)
                return number, self._pool.lost(made) if isinstance(made, Piece) else made

    def cancel(self) -> None:
        """Let nothing more of it be begun."""
        self._pool.drop()


def _ended(status: int) -> str:
    """Say how a process ended."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
