"""Trackers that a person chose for a run: TensorBoard, W&B and MLflow, by their own libraries.

They are context and no identity: no fingerprint, no digest and no step of training depends on them.
So each runs in a process of its own (:mod:`mashbill.run.tracker`), is written to without waiting,
and is given up at the first thing that goes wrong, which is told once. What such a library hangs
at, prints, or does to signals and threads stays there; where it does not keep up, lines are left
out, and that is told, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError, MissingExtraError
from mashbill.core.installed import is_installed
from mashbill.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mashbill.run.display import Display

KINDS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow-skinny"}
"""kind of tracker, and of mashbill's extra -> the distribution that it needs"""
_WAITING = 20_000
"""lines that wait for a tracker at most; older ones are left out"""
_END = 30.0
"""seconds that a tracker may take to end, once all was told to it"""
_SAID = 400  # characters of what went wrong


@dataclass(frozen=True)
class Target:
    """One tracker, as ``--track KIND:WHERE`` names it."""

    kind: str
    where: str
    """a folder, a project or the address of a server, by kind"""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``KIND:WHERE``.

        Raises:
            InputError: if it names no kind, or not where.
            MissingExtraError: if its library is not installed.
        """
        kind, _, where = text.partition(":")
        if kind not in KINDS or not where:
            msg = (
                f"--track {text!r:.120}: write tensorboard:FOLDER, wandb:PROJECT or mlflow:URI, "
                "such as tensorboard:runs"
            )
            raise InputError(msg)
        if not is_installed(KINDS[kind]):
            raise MissingExtraError(f"tracking by {kind}", kind)
        return cls(kind, where)

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}"


class Tracker:
    """The process of one tracker, started with the first training."""

    def __init__(self, target: Target, tell: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            target: which one, and where to.
            tell: tells the user what went wrong with it.
        """
        self._target = target
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: deque[bytes] = deque()
        self._rest = b""
        self._left_out = 0
        self._is_given_up = False

    def take(self, **message: Any) -> None:
        """Tell it something, sooner or later; never waits, and never raises."""
        if self._is_given_up:
            return
        if len(self._waiting) >= _WAITING:
            self._waiting.popleft()
            self._left_out += 1
        self._waiting.append(json.dumps(message).encode() + b"\n")
        try:
            self._write()
        except OSError as error:
            self._give_up(str(error))

    def finish(self) -> None:
        """Let it end, for a while; then it is ended."""
        process = self._process
        if process is None or process.stdin is None or self._is_given_up:
            return
        until = time.monotonic() + _END
        try:
            while (self._rest or self._waiting) and time.monotonic() < until:
                self._write()
                time.sleep(0.005)
            process.stdin.close()
            code = process.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            self._give_up(f"it did not end within {_END:g} s")
            return
        except OSError as error:
            self._give_up(str(error))
            return
        if code:
            self._give_up(f"its process ended with {code}")
        elif self._left_out:
            self._tell(f"{self._target} did not keep up: {self._left_out:,} lines are not in it")
        self._close_pipes(process)

    def _write(self) -> None:
        """Write as much as the pipe takes at once."""
        process = self._started()
        if process.stdin is None:  # never, with a pipe
            return
        while self._rest or self._waiting:
            self._rest = self._rest or self._waiting.popleft()
            try:
                done = os.write(process.stdin.fileno(), self._rest)
            except BlockingIOError:
                return
            self._rest = self._rest[done:]

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # A session of its own: the Ctrl-C that ends a run lets it write what it has.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mashbill.run.tracker", self._target.kind,
                 self._target.where],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
        return self._process

    def _give_up(self, why: str) -> None:
        """End it, and tell once what it said itself, or else why."""
        self._is_given_up = True
        self._waiting.clear()
        process, said = self._process, ""
        if process is not None:
            try:
                process.wait(0.5)  # it may be about to say what was wrong
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            try:
                said = ((process.stdout and process.stdout.read()) or b"").decode(errors="replace")
            except OSError:
                said = ""
            self._close_pipes(process)
        told = shown(said.strip() or why, _SAID)
        self._tell(f"{self._target} is given up, and training goes on: {told}")

    @staticmethod
    def _close_pipes(process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was still to be written
                    continue


class Tracking:
    """All trackers of a run."""

    def __init__(self, targets: Sequence[Target], tell: Callable[[str], None]) -> None:
        """Start none yet.

        Args:
            targets: that were chosen.
            tell: tells the user a line.
        """
        self._trackers = [Tracker(target, tell) for target in targets]

    def send(self, **message: Any) -> None:
        """Tell all of them something."""
        for tracker in self._trackers:
            tracker.take(**message)

    def close(self) -> None:
        """End them."""
        for tracker in self._trackers:
            tracker.finish()


@dataclass
class Watching:
    """Tells the display and the trackers what one trainer logs."""

    name: str
    display: Display
    tracking: Tracking
    about: Mapping[str, Any] = field(default_factory=dict)
    """what trackers are told of it: ``run``, an id that a resumed run has too, artifact, recipe
    and its literals"""
    _has_begun: bool = False

    def measured(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take what was logged at a step."""
        self.display.measured(self.name, step, numbers)
        self._begin()
        self.tracking.send(step=step, numbers=dict(numbers))

    def resumed(self, step: int) -> None:
        """Take that training goes on at a step."""
        self._begin()
        self.tracking.send(resume=step)

    def ended(self) -> None:
        """Take that training is over."""
        if self._has_begun:
            self.tracking.send(end=True)

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self.tracking.send(begin=dict(self.about))
