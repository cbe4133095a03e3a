"""Curves: what a trainer measures as it goes, a number a step, and where it is kept.

A trainer logs each step once it is done::

    ctx.curves.resume(first)                  # the first step that will be done (again)
    for step in range(first, steps):
        ...
        ctx.curves.log(step, loss=loss, tokens=tokens)
        ...
        ctx.curves.log(step, held_out_loss=held_out)       # the same step once more: joined

Any name may be logged. Some are known, and what looks knows their units: ``loss`` and
``held_out_loss`` (nats a token, means), ``rate`` (learning rate), ``tokens`` (those that the step
learned from). Names that end in ``seconds`` or ``_per_second`` are of the clock: who watches is
told them, and no file of the model holds them. So a run that was killed and resumed has the same
curves as one that was not, to the byte, if its training has: ``resume`` drops what lies at or
beyond a step, which is then logged again.

Each line is in the stage's scratch once ``log`` returns, so that SIGKILL takes none; the last line
of a machine that stopped may be torn, and is dropped. What belongs to a step is logged before the
checkpoint that follows it, and ``sync`` is called before that checkpoint gets its name. With the
model goes ``curves.parquet``: ``step`` (int64) and a column of float64 for each name, null where a
step had none. Models that logged nothing have no such file, and those of releases before 0.3.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from mashbill.core.errors import StoreError
from mashbill.core.tables import read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO
    from pathlib import Path

CURVES = "curves.parquet"
"""among a model's files"""
LINES = "curves.jsonl"
"""in a stage's scratch, while it is trained"""
STEP = "step"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_OF_CLOCK = re.compile(r"(?:.*_)?seconds|.*_per_second")
_NAMES = 64
RECENT = 50
"""steps that a loss is told as the mean of"""
_MOST = 1 << 30
"""bytes of a model's curves in memory: some 30 million steps of three numbers"""


def is_of_clock(name: str) -> bool:
    """Return whether a number depends on how fast the machine was, by its name."""
    return _OF_CLOCK.fullmatch(name) is not None


class Watch(Protocol):
    """Who watches a training; what it does is its own affair, and never raises."""

    def measured(self, step: int, numbers: Mapping[str, float]) -> None:
        """Take what was logged at a step."""
        ...

    def resumed(self, step: int) -> None:
        """Take that training goes on at a step: what was told beyond it is told again."""
        ...

    def ended(self) -> None:
        """Take that training is over."""
        ...


@dataclass(frozen=True)
class Curve:
    """One number over the steps that had it."""

    steps: np.ndarray
    """ascending, int64, shape (points,)"""
    values: np.ndarray
    """float64, shape (points,); NaN where training gave NaN"""


@dataclass
class Pace:
    """How fast training was: of the clock, so it is kept where nothing bears identity."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    """from the first step logged here to the last"""
    _began: float | None = None
    _first: int = 0

    def see(self, step: int, tokens: float) -> None:
        """Count a line; what was done before the first one is not known, so it begins the clock."""
        now = time.monotonic()
        if self._began is None:
            self._began, self._first = now, step
            return
        self.steps = step - self._first
        self.tokens += int(tokens) if math.isfinite(tokens) else 0
        self.seconds = now - self._began

    @property
    def tokens_a_second(self) -> float | None:
        """None where no tokens were logged, or a step alone."""
        return self.tokens / self.seconds if self.tokens and self.seconds > 0 else None

    def as_json(self) -> dict[str, Any]:
        """Return it for the entry of a commit; empty where nothing was logged."""
        if not self.steps:
            return {}
        told: dict[str, Any] = {"steps": self.steps, "seconds": round(self.seconds, 3)}
        if self.tokens_a_second is not None:
            told |= {"tokens": self.tokens, "tokens_per_second": round(self.tokens_a_second, 1)}
        return told


@dataclass
class Curves:
    """The curves of one training, as it goes. See the module."""

    path: Path | None = None
    """where lines are kept; without one they are in memory alone"""
    watch: Watch | None = None
    """who is told each line as it comes, the numbers of the clock too"""
    pace: Pace = field(default_factory=Pace)
    _stream: FileIO | None = None
    _held: list[bytes] = field(default_factory=list)
    _least: int | None = None
    """the least step that may be logged next; None before the first"""
    _names: set[str] = field(default_factory=set)

    def log(self, step: int, **numbers: float) -> None:
        """Keep what was measured at a step; the same step again adds to it, the last one counts.

        Args:
            step: from 0; steps go forward, and where training goes back, ``resume`` says so.
            numbers: by name, what ``float`` takes: a number, or a tensor that holds one.

        Raises:
            ValueError: for a step that goes back, a name that is none, or what is no number.
        """
        step = _step(step)
        values = {name: _number(name, value) for name, value in numbers.items()}
        self._names |= values.keys()
        if len(self._names) > _NAMES:
            msg = f"more than {_NAMES} names are logged; log fewer, and the same at each step"
            raise ValueError(msg)
        if self._least is None:
            self.resume(step)
        if self._least is not None and step < self._least:
            msg = f"step {step} is logged behind step {self._least}; call resume({step}) first"
            raise ValueError(msg)
        self._least = step
        kept = {name: value for name, value in values.items() if not is_of_clock(name)}
        if kept:
            self._append(json.dumps({STEP: step, **kept}, separators=(",", ":")).encode() + b"\n")
        self.pace.see(step, values.get("tokens", 0.0))
        if self.watch is not None:
            self.watch.measured(step, values)

    def resume(self, step: int) -> None:
        """Drop what lies at or beyond a step: it will be done, or done again.

        The first ``log`` of a process does so by itself, for a trainer that keeps no checkpoint.
        """
        self._least = step = _step(step)
        if self.watch is not None:
            self.watch.resumed(step)
        if self.path is None:
            self._held = [line for line in self._held if (_read(line) or (step,))[0] < step]
            return
        self._close()
        if not self.path.exists():
            return
        with self.path.open("r+b") as stream:
            kept = 0
            for line in stream:
                found = _read(line)
                if found is None or found[0] >= step:
                    break
                kept += len(line)
            stream.truncate(kept)
            stream.flush()
            os.fsync(stream.fileno())

    def sync(self) -> None:
        """Let what was logged outlive a machine that stops: for a checkpoint that rests on it."""
        if self._stream is not None:
            os.fsync(self._stream.fileno())

    def end(self) -> None:
        """Say that training is over; the run calls it once what was trained is written."""
        if self.watch is not None:
            self.watch.ended()

    def table(self) -> pa.Table | None:
        """Return all of it as ``curves.parquet`` has it; None where nothing was logged."""
        steps = array("q")
        points: dict[str, tuple[array[int], array[float]]] = {}
        for step, values in self._lines():
            if not steps or steps[-1] != step:
                steps.append(step)
            for name, value in values.items():
                places, found = points.setdefault(name, (array("q"), array("d")))
                if places and places[-1] == len(steps) - 1:
                    found[-1] = value
                else:
                    places.append(len(steps) - 1)
                    found.append(value)
        if not steps:
            return None
        columns: dict[str, pa.Array] = {STEP: pa.array(np.asarray(steps, np.int64))}
        for name, (places, found) in sorted(points.items()):
            whole, is_null = np.zeros(len(steps)), np.ones(len(steps), bool)
            at = np.asarray(places, np.int64)
            whole[at], is_null[at] = np.asarray(found, np.float64), False
            columns[name] = pa.array(whole, pa.float64(), mask=is_null)
        return pa.table(columns)

    def _lines(self) -> Iterator[tuple[int, dict[str, float]]]:
        if self.path is None:
            yield from filter(None, map(_read, self._held))
        elif self.path.exists():
            with self.path.open("rb") as stream:
                for line in stream:
                    found = _read(line)
                    if found is None:
                        return
                    yield found

    def _append(self, line: bytes) -> None:
        if self.path is None:
            self._held.append(line)
            return
        if self._stream is None:
            self._stream = self.path.open("ab", buffering=0)
        self._stream.write(line)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def read_curves(folder: Path) -> dict[str, Curve]:
    """Return the curves of a model, by name; none where its trainer logged nothing.

    Args:
        folder: of the model.

    Raises:
        StoreError: if its file is no such file.
    """
    path = folder / CURVES
    if not path.exists():
        return {}
    table = read_parquet(path, path, what="a model's curves", most=_MOST)
    kinds = {field.name: field.type for field in table.schema}
    if kinds.pop(STEP, None) != pa.int64() or any(kind != pa.float64() for kind in kinds.values()):
        msg = f"{path}: has columns {table.column_names!s:.200}, which are no curves; run an audit"
        raise StoreError(msg)
    steps = table.column(STEP).to_numpy()
    if table.column(STEP).null_count or not (np.diff(steps) > 0).all():
        msg = f"{path}: its steps do not go forward, so they are no curves; run `mashbill audit`"
        raise StoreError(msg)
    curves = {}
    for name in kinds:
        column = table.column(name)
        there = column.is_valid().to_numpy()
        curves[name] = Curve(steps[there], column.to_numpy()[there])
    return curves


def summary(curves: Mapping[str, Curve]) -> dict[str, dict[str, Any]]:
    """Return the first and last value of each curve, for a program; None where one is no number.

    The last one is the mean of the last :data:`RECENT` points, where a curve has many more.
    """
    return {
        name: {
            "points": len(curve.steps),
            "last_step": int(curve.steps[-1]),
            "first": _finite(curve.values[0]),
            "last": _finite(last_of(curve)),
            "least": _finite(curve.values.min()),
        }
        for name, curve in curves.items()
        if len(curve.steps)
    }


def last_of(curve: Curve) -> float:
    """Return what a curve ends with; the mean of some steps, since one batch's loss is noise."""
    recent = RECENT if len(curve.values) >= 2 * RECENT else 1
    return float(curve.values[-recent:].mean())


def told_as(name: str) -> str:
    """Return what a curve is called to people."""
    return name.replace("held_out", "held-out").replace("_", " ")


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _read(line: bytes) -> tuple[int, dict[str, float]] | None:
    """Return a line's step and numbers; None if it is torn, or a machine that stopped spoilt it."""
    if not line.endswith(b"\n"):
        return None
    try:
        found = json.loads(line)
        return int(found.pop(STEP)), {name: float(value) for name, value in found.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _step(step: int) -> int:
    if isinstance(step, bool) or not isinstance(step, int | np.integer) or step < 0:
        msg = f"a step is a whole number from 0, and this is {step!r:.80}"
        raise ValueError(msg)
    return int(step)


def _number(name: str, value: Any) -> float:
    """Return what is logged as a float."""
    if not _NAME.fullmatch(name):
        msg = (
            f"{name!r:.80} is no name of a curve; write lower-case letters, digits and '_', a "
            "letter first"
        )
        raise ValueError(msg)
    why: Exception | None = None
    if not isinstance(value, str | bytes):  # float() would take a text, too
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError) as error:
            why = error
    msg = f"{name} is logged as {value!r:.80}, which is no number; give float(...) of one value"
    raise ValueError(msg) from why
