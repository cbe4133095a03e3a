"""The journal's one writer: a thread that commits what has come in together.

What waits is one transaction, so the busier a run is, the more answers share one. An answer counts
as in flight until its transaction is with the system: what is killed after that loses nothing of
it. It is then synced to the disk, at once where answers come slowly and else twenty times a second,
so that a machine that loses its power loses a twentieth of a second of answers; before a shard that
rests on them is committed they are synced in any case (:meth:`Journal.sync`). A row is inserted
with many others in one statement: SQLite then works without Python's lock, where a statement a row
would fight for it thousands of times a second.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.calls.database import open_to_write, sync
from mashbill.calls.paid_call import COLUMNS, PaidCall, interned, pieces, values
from mashbill.calls.runs import Event
from mashbill.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_TOGETHER = 1000  # rows a transaction, and what came in with the last of them
_SYNC = 0.05  # seconds between two syncs to disk
_ROWS = 128  # rows a statement: 30 columns each, below SQLite's limit on parameters in every build
_KEPT_WORDS = 4096


@dataclass(frozen=True)
class _Statement:
    sql: str
    values: tuple[Any, ...]
    done: Callable[[], object] = lambda: None


_END: Any = object()


class Writer:
    """See the module. ``written`` is called from the writer's thread."""

    def __init__(
        self,
        path: Path,
        written: Callable[[list[PaidCall]], None],
        failed: Callable[[StoreError], None],
    ) -> None:
        """Open the journal at ``path`` and begin.

        Args:
            path: the file.
            written: told what is on disk, after each transaction.
            failed: told once why nothing can be written any more.
        """
        self._path = path
        self._db = open_to_write(path)
        self._queue: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self._words: dict[str, int] = {}
        self._written = written
        self._failed = failed
        self.error: StoreError | None = None
        self._unsynced = False
        self._synced = float("-inf")
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def put(self, items: list[PaidCall | Event]) -> None:
        """Hand over answered calls, and what happened to others."""
        self._queue.put(items)

    def run(self, run: str, started: str, facts: str, ended: str = "") -> None:
        """Write what a run is, or, with ``ended``, how it ended."""
        self._say(
            _Statement(
                "INSERT INTO runs VALUES (?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET "
                "ended = excluded.ended, facts = excluded.facts",
                (run, started, ended, facts),
            )
        )

    def batch(
        self,
        route: str,
        key: str,
        own: str,
        calls: Sequence[str],
        state: str,
        at: str,
        done: Callable[[], object],
    ) -> None:
        """Write how a batch of a route stands; ``done`` is called once it is written."""
        self._say(
            _Statement(
                "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "id = excluded.id, state = excluded.state, at = excluded.at",
                (key, own, route, " ".join(calls), state, at),
                done,
            )
        )

    def _say(self, statement: _Statement) -> None:
        self._queue.put([statement])

    def close(self) -> None:
        """Write what is left and end.

        Raises:
            StoreError: if not all of it could be written.
        """
        if self._thread.is_alive():
            self._queue.put(_END)
            self._thread.join()
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._next()
            if self.error is not None:
                if batch:
                    self._failed(self.error)
                continue
            try:
                if batch:
                    self._commit(batch)
                self._sync(ended=ended)
            except Exception as error:  # noqa: BLE001 - whatever it is, who waits must be told
                self._stop(error, batch)

    def _next(self) -> tuple[list[Any], bool]:
        """Return what has come in, nothing if it is time to sync first, and whether it ends."""
        batch: list[Any] = []
        try:
            due = self._synced + _SYNC - time.monotonic() if self._unsynced else None
            items = self._queue.get(timeout=None if due is None else max(due, 0.001))
            while items is not _END:
                batch += items
                if len(batch) >= _TOGETHER:
                    return batch, False
                items = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _sync(self, *, ended: bool) -> None:
        now = time.monotonic()
        if self._unsynced and (ended or now - self._synced >= _SYNC):
            sync(self._path)
            self._unsynced = False
            self._synced = now

    def _stop(self, error: Exception, batch: Sequence[Any]) -> None:
        lost = sum(isinstance(item, PaidCall) for item in batch)
        self._unsynced = False
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        self.error = StoreError(
            f"{self._path} cannot be written: {error}; {lost} answers that had come in are not "
            "kept, everything before them is. Make room on the disk, or make the store writable, "
            "and run the same command again"
        )
        self._failed(self.error)

    def _commit(self, batch: Sequence[Any]) -> None:
        calls = [item for item in batch if isinstance(item, PaidCall)]
        self._db.execute("BEGIN IMMEDIATE")
        words = self._numbers({text for item in calls for text in interned(item)})
        for rows in pieces((values(item, words) for item in calls), _ROWS):
            self._insert("INSERT OR IGNORE INTO bought", COLUMNS, rows)
        events = [
            (item.run, item.at, item.kind, item.account, item.call, item.detail)
            for item in batch
            if isinstance(item, Event)
        ]
        for rows in pieces(events, _ROWS):
            self._insert(
                "INSERT INTO events", ("run", "at", "kind", "account", "call", "detail"), rows
            )
        for item in batch:
            if isinstance(item, _Statement):
                self._db.execute(item.sql, item.values)
        self._db.execute("COMMIT")
        self._unsynced = True
        self._words = words if len(words) < _KEPT_WORDS else {}
        if calls:
            self._written(calls)
        for item in batch:
            if isinstance(item, _Statement):
                item.done()

    def _insert(self, into: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        one = f"({','.join('?' * len(columns))})"
        flat = [value for row in rows for value in row]
        self._db.execute(f"{into} ({','.join(columns)}) VALUES {','.join([one] * len(rows))}", flat)

    def _numbers(self, texts: set[str]) -> dict[str, int]:
        """Return the number of each text, giving one to those that have none."""
        known = dict(self._words)
        new = [text for text in texts if text not in known]
        for text in new:
            self._db.execute("INSERT OR IGNORE INTO words (text) VALUES (?)", [text])
            ((known[text],),) = self._db.execute("SELECT id FROM words WHERE text = ?", [text])
        return known
