"""A worker: a process that does pieces of a run's stages. Started by the run as ``-m``, by no user.

It reads where the run's server listens from its standard input, which ends with the run: then the
worker ends too, whatever it is doing. What it knows it is given; what only the run has (journal,
services) it asks for.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from multiprocessing.connection import Client
from typing import TYPE_CHECKING, Any

from mashbill.core import registry
from mashbill.core.dataset import Dataset
from mashbill.core.stage import StageContext
from mashbill.run.handed import fit_to_hand
from mashbill.run.loading import Loaded, declared_by
from mashbill.run.slices import Slice
from mashbill.run.stage_work import GivenUp, make_slice
from mashbill.teachers.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    from mashbill.calls.sitting import Sitting
    from mashbill.core.base_model import BaseWeights
    from mashbill.core.model import Predictor
    from mashbill.core.source import Source
    from mashbill.core.teacher import Answer, Question, TeacherSession
    from mashbill.core.verifier import VerifierSession
    from mashbill.run.handed import Piece, StageWork
    from mashbill.run.stage_work import MadeSlice


class RunEnded(BaseException):
    """The run that started this process is there no more. No stage may take it for its own."""


class _Line(threading.local):
    """The connection of the thread at hand."""

    connection: Connection

    def ask(self, verb: str, *values: Any) -> Any:
        """Return what the run says.

        Raises:
            RunEnded: if it has.
            Exception: what went wrong there.
        """
        try:
            self.connection.send((verb, *values))
            said, value = self.connection.recv()
        except (EOFError, OSError) as error:
            raise RunEnded from error
        if said == "error":
            raise value
        return value


class _Kept:
    """The run's journal, of calls to teachers that are loaded here."""

    def __init__(self, line: _Line) -> None:
        self._line = line

    @contextmanager
    def sitting(self, sitting: Sitting) -> Iterator[dict[str, Answer]]:
        """Yield what is answered of a sitting already; no other worker makes its answers now."""
        known: dict[str, Answer] = self._line.ask("sit", sitting)
        try:
            yield known
        finally:
            self._line.ask("rise")

    def record(
        self,
        teacher: Mapping[str, Any],
        sitting: Sitting,
        calls: Sequence[tuple[str, Question, Answer]],
        *,
        at: str,
    ) -> None:
        """Keep a batch of answers."""
        self._line.ask("record", dict(teacher), sitting, list(calls), at)


class _Service:
    """A service that the run asks; see :class:`mashbill.core.teacher.TeacherSession`."""

    def __init__(self, name: str, source: Source, line: _Line) -> None:
        self.source = source
        self._name = name
        self._line = line

    def ask(self, questions: Sequence[Question]) -> list[tuple[str, Answer]]:
        """Return (digest of the call, answer) for each question, in order."""
        answers: list[tuple[str, Answer]] = self._line.ask("ask", self._name, list(questions))
        return answers


class _Stage:
    """One stage's work, with what was loaded for it."""

    def __init__(self, work: StageWork, line: _Line, loaded: Loaded) -> None:
        self.work = work
        self._line = line
        self._loaded = loaded
        self._lock = threading.Lock()
        self._asked: dict[str, TeacherSession] = {}
        self._check = declared_by(work.job.name, work.job.spec.uses())
        self._data = {
            name: Dataset(path, manifest)
            for name, (path, manifest) in work.inputs.items()
            if manifest.kind == "dataset"
        }
        job = work.job
        self._context = StageContext(
            name=job.name,
            seed=job.seed,
            recipe_folder=job.folder,
            cache=work.cache,
            work=work.scratch,
            threads=work.threads,
            input=self._dataset,
            teacher=self._teacher,
            predictor=self._predictor,
            verifier=self._verifier,
            progress=lambda *_: None,
            teacher_weights=self._teacher_weights,
        )

    def make(self, piece: Piece) -> MadeSlice:
        """Do a piece."""
        job = self.work.job
        item = Slice(
            number=piece.number,
            of=piece.of,
            data=self._data[piece.of],
            start=piece.start,
            count=piece.count,
            offset=piece.offset,
            first=piece.first,
            place=piece.place,
        )
        groups = (registry.STAGES, registry.TRAINERS)
        with registry.telling(
            f"stages.{job.name}", job.spec.kind, *groups, beside=self.work.blamed
        ):
            return make_slice(
                job.spec,
                item,
                self._context,
                self.work.nodes,
                self.work.folder,
                lambda: bool(self._line.ask("is_wanted")),
            )

    def _dataset(self, name: str) -> Dataset:
        self._check(name, "artifact")
        return self._data[name]

    def _teacher(self, name: str) -> TeacherSession:
        self._check(name, "teacher")
        with self._lock:
            if name not in self._asked:
                self._asked[name] = self._session(name)
            return self._asked[name]

    def _teacher_weights(self, name: str) -> BaseWeights:
        self._check(name, "teacher")
        return self.work.teachers[name].weights_here(self.work.job.folder, self.work.cache)

    def _session(self, name: str) -> TeacherSession:
        if name in self.work.services:
            return _Service(name, self.work.services[name], self._line)
        spec = self.work.teachers[name]
        return Session(
            spec.source,
            lambda: self._loaded.teacher(name, spec),
            spec.identity,
            _Kept(self._line),
            lambda calls, tokens: self._line.ask("answered", calls, tokens),
        )

    def _verifier(self, name: str) -> VerifierSession:
        self._check(name, "verifier")
        own = self._loaded.verifier(name, self.work.job.verifiers[name])
        return own.asking(self._teacher)

    def _predictor(self, name: str) -> Predictor:
        self._check(name, "artifact")
        folder, manifest = self.work.inputs[name]
        return self._loaded.model(name, manifest, folder)


class _Worker:
    """Threads that take pieces, one after the other: as many as a stage does at once."""

    def __init__(self, address: str, key: bytes, number: int) -> None:
        self._address = address
        self._key = key
        self._number = number
        self._line = _Line()
        self._lock = threading.Lock()
        self._stage: _Stage | None = None
        self._loaded: Loaded | None = None
        self._threads = 1

    def run(self) -> None:
        """Do pieces until the run says that it is over."""
        with suppress(RunEnded, OSError):
            self._line.connection = Client(self._address, authkey=self._key)
            self._line.ask("hello", self._number)
            while (piece := self._line.ask("take")) is not None:
                self._line.ask("made", self._do(piece))
        os._exit(0)  # one has no more to do, so none has

    def _do(self, piece: Piece) -> MadeSlice | BaseException | None:
        try:
            stage = self._stage_of(piece)
            return stage.make(piece) if stage is not None else None
        except GivenUp:
            return None
        except RunEnded:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by the run, in its turn
            return fit_to_hand(error)

    def _stage_of(self, piece: Piece) -> _Stage | None:
        with self._lock:
            if self._stage is None or self._stage.work.number != piece.work:
                work = self._line.ask("stage")
                if work is None:
                    return None
                if self._loaded is None:
                    self._loaded = Loaded(work.job.folder, work.cache, work.threads)
                self._loaded.forget_others(work.asked_on)
                self._stage = _Stage(work, self._line, self._loaded)
                while self._threads < work.each:
                    self._threads += 1
                    threading.Thread(target=self.run, daemon=True).start()
            return self._stage


def main() -> None:
    """Do what the run that started this process gives it, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run is told, and ends its workers
    told = json.loads(sys.stdin.buffer.readline())
    worker = _Worker(told["address"], bytes.fromhex(told["key"]), told["number"])

    def end_with_the_run() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_the_run, daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
