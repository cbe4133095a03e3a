"""Runs that asked services, and what happened to their calls: limits, failures, open batches."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.calls.database import CHUNK
from mashbill.calls.paid_call import pieces
from mashbill.core import foreign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mashbill.calls.database import Database

_AHEAD = 300.0  # seconds by which an event may lie ahead of a clock that was set back a little


@dataclass(frozen=True)
class Event:
    """Something that happened to a call: a limit met, a failure, an answer turned down."""

    run: str
    at: str
    kind: str
    account: str
    call: str
    detail: str
    """JSON"""


@dataclass(frozen=True)
class Run:
    """A run that asked services; ``ended`` is empty if it was killed."""

    run: str
    started: str
    ended: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class OpenBatch:
    """A batch that was submitted, or about to be, and is not done."""

    key: str
    id: str
    """as its provider names it; empty if the run was killed while submitting it"""
    calls: tuple[str, ...]
    at: str
    """when that was written, UTC"""


class Runs:
    """Reads them from a journal."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def _query(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._db.read(query, values) if self._db.has_bought else []

    def events(self, run: str) -> list[Event]:
        """Return what happened to a run's calls, in order."""
        if not self._db.has_bought:
            return []
        rows = self._db.read(
            "SELECT run, at, kind, account, call, detail FROM events WHERE run = ? ORDER BY id",
            [run],
        )
        return [Event(*row) for row in rows]

    def open_batches(self, route: str) -> list[OpenBatch]:
        """Return the batches of a route that are not done."""
        rows = self._query(
            "SELECT key, id, calls, at FROM batches WHERE route = ? AND state != 'done'", [route]
        )
        return [OpenBatch(key, own, tuple(calls.split()), at) for key, own, calls, at in rows]

    def batch_ids(self) -> set[str]:
        """Return the ids of all batches, as their providers name them."""
        return {own for (own,) in self._query("SELECT id FROM batches WHERE id != ''")}

    def held(self, account: str, model: str, now: datetime) -> float:
        """Return for how many seconds more a limit of an earlier run holds a model's requests."""
        return self.holding(account, model, now)[0]

    def holding(self, account: str, model: str, now: datetime) -> tuple[float, str]:
        """Return the same, a day at most, and what the service said.

        What is not believed any more, or cannot be read, holds nothing.
        """
        rows = self._query(
            "SELECT at, detail FROM events WHERE account = ? AND kind IN "
            "('rate-limited', 'server', 'invalid', 'window-empty') ORDER BY id DESC LIMIT 500",
            [account],
        )
        left, by = 0.0, ""
        for at, detail in rows:
            with contextlib.suppress(ValueError, RecursionError):
                told, then = json.loads(detail), foreign.moment(at)
                if not isinstance(told, dict) or then is None:
                    continue
                if told.get("model", model) == model:
                    passed = (now - then).total_seconds()
                    if passed < -_AHEAD:
                        continue  # of a clock that was wrong: it would hold every run anew
                    more = foreign.held(told.get("held")) - max(passed, 0.0)
                    if more > left:
                        left, by = more, str(told.get("header") or told.get("reason") or "a limit")
        return left, by[:100]

    def runs(self) -> list[Run]:
        """Return the runs that asked services, in order."""
        if not self._db.has_bought:
            return []
        rows = self._db.read(
            "SELECT run, started, ended, facts FROM runs ORDER BY started, run", []
        )
        with self._db.told():
            return [Run(run, begun, ended, json.loads(facts)) for run, begun, ended, facts in rows]

    def spent(self, runs: Sequence[str]) -> tuple[int, int, float]:
        """Return calls, tokens and price (USD) of what these runs bought, pruned or not."""
        calls, tokens, usd = 0, 0, 0.0
        for piece in pieces(runs, CHUNK) if self._db.has_bought else ():
            marks = ",".join("?" * len(piece))
            for query in (
                (
                    "SELECT count(*), coalesce(sum(tokens_in + tokens_out), 0), "  # noqa: S608
                    "coalesce(sum(price), 0.0) FROM bought b JOIN words w ON w.id = b.run "
                    f"WHERE w.text IN ({marks})"
                ),
                (
                    "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(price), 0.0) "  # noqa: S608
                    f"FROM pruned WHERE run IN ({marks})"
                ),
            ):
                ((more, read, price),) = self._db.read(query, piece)
                calls, tokens, usd = calls + more, tokens + read, usd + price
        return calls, tokens, usd
