"""A log, from its first event to its last: batches into the state, a look at each hour.

Reading and looking are in the order of the log. A batch that goes over a moment is divided there,
and the place in the log is kept with the number of its rows that are in, so that nothing is counted
twice and nothing is left out, wherever the scan was killed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from mashbill.conduct.evidence.building import build
from mashbill.conduct.scan.tally import tally
from mashbill.conduct.scan.ticking import HOUR, Moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mashbill.conduct.events import Hashes
    from mashbill.conduct.scan.state import State
    from mashbill.conduct.scan.tally import Levels
    from mashbill.conduct.scan.ticking import Held


class Batch(Protocol):
    """What a reader of logs yields."""

    @property
    def events(self) -> pa.RecordBatch:
        """Return events of :data:`mashbill.conduct.events.SCHEMA`."""

    @property
    def position(self) -> Any:
        """Return the place from which reading goes on."""


_ONWARDS = 4
"""hours behind the last row that are looked at, at most: refusals wait for what follows them"""


@dataclass
class Scan:
    """A scan of one log into a state."""

    state: State
    hashes: Hashes
    levels: Levels
    log: str
    """what the log is called in the state"""
    form: str
    """that it has"""
    on_held: Callable[[Held], None]
    """is told of each finding, at the moment of the log at which it is made"""
    rows: int = field(default=0, init=False)
    last: int = field(default=0, init=False)
    """newest event that was taken, microseconds"""
    _moments: Moments = field(init=False)
    _next: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._moments = Moments(self.state.database, self.levels, self._case_of)
        last = self._moments.last
        if last is not None:
            self._next = last + HOUR

    def begin(self) -> tuple[Any, int]:
        """Return the place to read from, and how many rows from there on are in already."""
        place = self.state.position(self.log)
        return (place["from"], place["skip"]) if place else (None, 0)

    def take(self, batches: Iterable[Batch]) -> None:
        """Take the batches of a log, read from where :meth:`begin` says."""
        before, skip = self.begin()
        for batch in batches:
            events = batch.events
            left = events.slice(min(skip, events.num_rows))
            self._take(left, before, events.num_rows - left.num_rows, batch.position)
            before, skip = batch.position, max(0, skip - events.num_rows)

    def add(self, events: pa.RecordBatch) -> None:
        """Take events that no file has; they are counted from the first on."""
        rows = self.state.read(self.log)[0]
        self._take(events, {"rows": rows}, 0, {"rows": rows + events.num_rows})

    def end(self) -> None:
        """Look once more, at all that is there: the log is closed."""
        rows = self.state.database.run("SELECT MAX(last) FROM accounts")
        newest, looks = int(rows[0][0] or 0), 0
        # Of a second log of the same days all hours are behind already. Others who go on into a
        # shared state are not waited for.
        while self._next is not None and not self._moments.is_idle:
            if self._next > newest + _ONWARDS * HOUR and looks >= _ONWARDS:
                return
            self._look(closing=self._next > newest)
            looks += 1

    def _case_of(self, held: Held) -> str:
        rows, digest = self.state.read(self.log)
        log = {"name": self.log, "form": self.form, "rows": rows, "digest": digest}
        return build(self.state.database, held, log, self.levels).written().decode()

    def _take(self, events: pa.RecordBatch, before: Any, skipped: int, after: Any) -> None:
        times = events.column("time").cast(pa.int64()).to_numpy(zero_copy_only=False)
        if len(times) and self._next is None:
            self._next = self._moments.begin(int(times[0]))
        start = 0
        while start < len(times):
            over = np.flatnonzero(times[start:] >= self._next)
            stop = start + int(over[0]) if len(over) else len(times)
            if stop > start:
                done = stop == len(times)
                place = {"from": after if done else before, "skip": 0 if done else skipped + stop}
                part = events.slice(start, stop - start)
                summed = tally(part, self.hashes, self.levels)
                self.state.add(summed, self.log, place)
                self.last = max(self.last, summed.newest)
                self.rows += part.num_rows
            if stop < len(times):
                if self._moments.is_idle:  # hours in which nothing happened are not looked at
                    self._next = max(self._next or 0, int(times[stop]) // HOUR * HOUR)
                self._look()
            start = stop

    def _look(self, *, closing: bool = False) -> None:
        assert self._next is not None  # noqa: S101 - only looked at once there were events
        for held in self._moments.look(self._next, closing=closing):
            self.on_held(held)
        self._next += HOUR
