"""The session server of a run: what worker processes ask for, on a local socket.

It alone holds the journal, and with it limits, budget and keys. A worker has connections, one a
thread; over each it takes a piece, asks while it does it, and gives back what it made. A connection
that ends while a piece is being done gives that piece back to be done again.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.run.handed import Piece, StageWork, fit_to_hand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from mashbill.calls.asked_here import AskedHere
    from mashbill.calls.sitting import Sitting
    from mashbill.core.teacher import Answer, Question, TeacherSession

_TRIES = 4
"""times that a piece is begun, where the process that does it ends"""


@dataclass(frozen=True)
class Desk:
    """What the server does for the workers of one stage."""

    work: StageWork
    teacher: Callable[[str], TeacherSession]
    """of those that the run asks"""
    kept: AskedHere
    on_answer: Callable[[int, int], None]
    """told (calls, tokens) of a teacher that a worker asked itself"""
    done: Callable[[int, Any], None]
    """told the number of a slice and what came of it: a MadeSlice, an error, or its Piece if the
    processes that did it ended each time"""


@dataclass
class _Link:
    """A connection, and what it is about."""

    connection: Connection
    worker: int = 0
    piece: Piece | None = None
    sitting: str = ""


@dataclass
class _State:
    """What is to be done and who does it; guarded by ``changed``."""

    desk: Desk | None = None
    todo: deque[Piece] = field(default_factory=deque)
    tries: Counter[int] = field(default_factory=Counter)
    busy: Counter[int] = field(default_factory=Counter)
    """worker -> pieces that it does"""
    ended: set[int] = field(default_factory=set)
    """workers that ended: what their other connections wait for is nobody's"""
    asked: set[str] = field(default_factory=set)
    """sittings whose answers a worker is making"""
    is_closed: bool = False


class Server:
    """See the module."""

    def __init__(self) -> None:
        """Listen, in a folder that is this user's alone, with a key that no other process has."""
        self._folder = Path(tempfile.mkdtemp(prefix="mashbill-"))
        self.address = str(self._folder / "run")
        self.key = secrets.token_bytes(32)
        self._listener = Listener(self.address, family="AF_UNIX", authkey=self.key)
        self._changed = threading.Condition()
        self._state = _State()
        self.connected: Counter[int] = Counter()
        """worker -> connections that it ever made"""
        threading.Thread(target=self._accept, name="session-server", daemon=True).start()

    def begin(self, desk: Desk) -> None:
        """Give out the work of a stage from now on."""
        with self._changed:
            self._state.desk = desk
            self._state.todo.clear()
            self._state.tries.clear()

    def put(self, piece: Piece) -> None:
        """Let a piece be done."""
        with self._changed:
            self._state.todo.append(piece)
            self._changed.notify_all()

    def drop(self) -> None:
        """Give out nothing more of this stage; what is being done is not waited for."""
        with self._changed:
            self._state.desk = None
            self._state.todo.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """Let all workers end."""
        with self._changed:
            self._state.is_closed = True
            self._state.desk = None
            self._changed.notify_all()
        with suppress(OSError):
            self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _accept(self) -> None:
        while not self._state.is_closed:
            # Closed, or somebody without the key.
            with suppress(OSError, EOFError, AuthenticationError):
                link = _Link(self._listener.accept())
                threading.Thread(
                    target=self._serve, args=(link,), name="session", daemon=True
                ).start()

    def _serve(self, link: _Link) -> None:
        try:
            while True:
                verb, *values = link.connection.recv()
                try:
                    said = ("ok", getattr(self, f"_{verb}")(link, *values))
                except Exception as error:  # noqa: BLE001 - raised again where it was asked
                    said = ("error", fit_to_hand(error))
                link.connection.send(said)
        except (EOFError, OSError):
            self._ended(link)

    def _ended(self, link: _Link) -> None:
        """Take back what a connection that ended was about."""
        with self._changed:
            self._state.ended.add(link.worker)
            self._state.asked.discard(link.sitting)
            piece, desk = link.piece, self._state.desk
            if piece is not None:
                self._state.busy[link.worker] -= 1
            is_current = piece is not None and desk is not None and piece.work == desk.work.number
            if piece is not None and is_current:
                self._state.tries[piece.number] += 1
                if self._state.tries[piece.number] < _TRIES:
                    self._state.todo.appendleft(piece)
                    is_current = False
            self._changed.notify_all()
        if piece is not None and desk is not None and is_current:
            desk.done(piece.number, piece)

    # -- what workers ask: each takes the connection that it is asked over ------------------------

    def _hello(self, link: _Link, worker: int) -> None:
        link.worker = worker
        self.connected[worker] += 1

    def _take(self, link: _Link) -> Piece | None:
        """Return a piece to do, once there is one; None to end."""
        with self._changed:
            while True:
                state = self._state
                if state.is_closed or link.worker in state.ended:
                    return None
                if state.desk and state.todo and state.busy[link.worker] < state.desk.work.each:
                    link.piece = state.todo.popleft()
                    state.busy[link.worker] += 1
                    return link.piece
                self._changed.wait()

    def _stage(self, link: _Link) -> StageWork | None:
        """Return the work that a piece is of; None if it is not wanted any more."""
        with self._changed:
            desk = self._state.desk
            is_current = desk and link.piece and link.piece.work == desk.work.number
            return desk.work if desk and is_current else None

    def _made(self, link: _Link, made: Any) -> None:
        """Take what came of a piece: a MadeSlice, an error, or None if it was given up."""
        with self._changed:
            piece, desk = link.piece, self._state.desk
            link.piece = None
            self._state.busy[link.worker] -= 1
            self._changed.notify_all()
        if piece is None or made is None:
            return
        if desk is not None and desk.work.number == piece.work:
            desk.done(piece.number, made)
        elif not isinstance(made, BaseException):
            made.shard.discard()

    def _is_wanted(self, link: _Link) -> bool:
        return self._stage(link) is not None

    def _ask(
        self, link: _Link, name: str, questions: Sequence[Question]
    ) -> list[tuple[str, Answer]]:
        return self._desk(link).teacher(name).ask(questions)

    def _sit(self, link: _Link, sitting: Sitting) -> dict[str, Answer]:
        """Return what is answered of a sitting; if that is not all, the asker makes the rest.

        Who asks for a sitting whose answers another is making waits for them.
        """
        kept = self._desk(link).kept
        with self._changed:
            while sitting.digest in self._state.asked and link.worker not in self._state.ended:
                self._changed.wait()
            self._state.asked.add(sitting.digest)
            link.sitting = sitting.digest
        known = kept.answers(sitting.calls.values())
        if len(known) == len(sitting.calls):
            self._rise(link)
        return known

    def _rise(self, link: _Link) -> None:
        """End a sitting."""
        with self._changed:
            self._state.asked.discard(link.sitting)
            link.sitting = ""
            self._changed.notify_all()

    def _record(self, link: _Link, teacher: Any, sitting: Sitting, calls: Any, at: str) -> None:
        self._desk(link).kept.record(teacher, sitting, calls, at=at)

    def _answered(self, link: _Link, calls: int, tokens: int) -> None:
        desk = self._desk(link)
        with self._changed:  # who is told adds up
            desk.on_answer(calls, tokens)

    def _desk(self, link: _Link) -> Desk:
        """Return the desk that a connection's piece is of.

        Raises:
            RuntimeError: if that stage is over: what is asked for it is not wanted any more.
        """
        with self._changed:
            desk, piece = self._state.desk, link.piece
            if desk is None or piece is None or desk.work.number != piece.work:
                msg = "this stage is over"
                raise RuntimeError(msg)
            return desk
