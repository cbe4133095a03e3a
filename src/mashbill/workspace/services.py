"""The runs of a store that asked services, and a signed statement of how one had access."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.conduct import statement
from mashbill.core.errors import InputError, StoreError
from mashbill.core.ledger import Signer
from mashbill.core.shown import json_text
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.calls.runs import Run
    from mashbill.core.store import Store

_COLUMNS = ("run", "job", "calls", "tokens", "US dollars", "429s", "failures", "ended")


@dataclass(frozen=True)
class ServiceRun:
    """A run that asked services: what it bought, and what happened to it."""

    run: str
    job: str
    started: str
    ended: str
    """empty if it was killed"""
    calls: int
    tokens: int
    usd: float
    rate_limited: int
    failed: int
    projected: dict[str, Any] = field(hash=False)
    """what a plan said before"""


@dataclass(frozen=True)
class ServiceRuns:
    """The runs of a store that asked services, oldest first."""

    runs: tuple[ServiceRun, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """Return them for a program, as ``conduct runs --json`` does."""
        return [asdict(run) for run in self.runs]

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        rows = [
            (run.run, run.job, run.calls, run.tokens, run.usd, run.rate_limited, run.failed,
             run.ended or "was killed")
            for run in self.runs
        ]  # fmt: skip
        return "Runs that asked services", _COLUMNS, rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


@dataclass(frozen=True)
class Stated:
    """A signed statement of how a run had access."""

    run: str
    calls: int
    text: str = field(repr=False)
    """JSON, for whoever is to audit it"""

    def __str__(self) -> str:
        """Write it as it is handed on."""
        return self.text


@contextmanager
def _opened(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    try:
        yield journal
    finally:
        journal.close()


def runs_of(path: Path) -> ServiceRuns:
    """Return the runs that a journal tells of."""
    found = []
    with _opened(path) as journal:
        for run in journal.runs():
            calls, tokens, usd = journal.spent([run.run])
            lanes = run.facts.get("lanes", {}).values()
            found.append(
                ServiceRun(
                    run=run.run,
                    job=run.facts.get("job", ""),
                    started=run.started,
                    ended=run.ended,
                    calls=calls,
                    tokens=tokens,
                    usd=usd,
                    rate_limited=sum(lane["limited"] for lane in lanes),
                    failed=sum(lane["failed"] for lane in lanes),
                    projected=run.facts.get("projected", {}),
                )
            )
    return ServiceRuns(tuple(found))


def run_named(path: Path, text: str) -> str:
    """Return the id of a run, by its beginning or as ``latest``.

    Raises:
        InputError: if there is none, or more than one.
    """
    with _opened(path) as journal:
        return _find(journal, text).run


def state(store: Store, path: Path, text: str) -> Stated:
    """Return the statement of a run; see :meth:`mashbill.workspace.space.Workspace.statement`."""
    with _opened(path) as journal:
        found = _find(journal, text)
        told = [entry for entry in store.ledger.accepted if entry.event == "conduct"]
        mine = [entry for entry in told if entry.predicate.get("run") == found.run]
        if not mine:
            msg = (
                f"run {found.run} was killed before its conduct came into the ledger; run the "
                "recipe again, which puts it there"
            )
            raise StoreError(msg)
        made = statement.make(
            Signer.default(), found, journal.rows_of(found.run), journal.events(found.run), mine[-1]
        )
    return Stated(found.run, len(made["calls"]), json_text(made, indent=1) + "\n")


def _find(journal: Journal, text: str) -> Run:
    runs = journal.runs()
    found = runs[-1:] if text == "latest" else [run for run in runs if run.run.startswith(text)]
    if not runs:
        msg = "no run in this store has asked a service, so there is nothing to tell of one"
        raise InputError(msg)
    if len(found) != 1:
        have = ", ".join(run.run for run in runs[-8:]) or "none"
        msg = f"{text!r} names {len(found)} runs that asked a service; there are {have}"
        raise InputError(msg)
    return found[0]
