"""The journal of a store as an audit has it: calls that rows rest on, runs that made them.

It may be missing or altered. That is told once, however many shards rest on it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.calls.journal import Journal
from mashbill.core.errors import MashbillError
from mashbill.lineage.evidence.speaking import strange_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mashbill.core.ledger import Entry


@dataclass(frozen=True)
class Found:
    """What the journal has of the calls of one shard."""

    roots: frozenset[str]
    """each Merkle root that they may have been committed with"""
    size: int
    """distinct calls, one for rows without"""
    teachers: frozenset[str]
    """identities of the teachers that were asked"""


class Calls:
    """See the module."""

    def __init__(self, path: Path) -> None:
        """Open the journal, if it is there and can be read."""
        self.flaw = "is not there, and records rest on calls in it"
        """what is wrong with it, where it is missed"""
        self.is_missed = False
        """whether it is there and is no journal, or something rests on it that it does not give"""
        self._journal: Journal | None = None
        try:
            self._journal = Journal(path)
        except (MashbillError, sqlite3.Error) as error:
            self.flaw = str(error)
            self.is_missed = path.exists()

    def of_shard(self, name: str, calls: Sequence[bytes | None]) -> Found | None:
        """Return what the journal has of a shard's calls; None if it cannot be looked up.

        Args:
            name: the shard's file, to be told.
            calls: call of each row, or None.
        """
        if self._journal is None:
            self.is_missed = True
            return None
        try:
            roots = self._journal.merkle_roots(call.hex() for call in calls if call)
        except Exception as error:  # noqa: BLE001 - whatever tampering raises is the finding
            self._journal.close()
            self._journal, self.is_missed = None, True
            self.flaw = f"{error}; {name} rests on calls in it"
            return None
        teachers = self._journal.teachers(call.hex() for call in calls if call)
        return Found(frozenset(roots), len(set(calls)), frozenset(teachers))

    def strange_runs(
        self,
        entries: Sequence[Entry],
        folder: Path,
        *,
        later: Callable[[], Sequence[Entry]],
        calls_known: bool,
    ) -> Iterator[str]:
        """Yield what it says of runs that their entries do not; see :func:`strange_runs`."""
        if self._journal is not None:
            yield from strange_runs(
                self._journal, entries, folder, later=later, calls_known=calls_known
            )

    def close(self) -> None:
        """Close it."""
        if self._journal is not None:
            self._journal.close()
