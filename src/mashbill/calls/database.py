"""The journal's file: SQLite in WAL mode, written by one process and read by any.

Whatever cannot be read of it is one error that names the file; a file that is no journal is not
opened (:mod:`mashbill.calls.schema`).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from mashbill.calls import paid_call as bought
from mashbill.calls.schema import check_own
from mashbill.core.errors import StoreError
from mashbill.core.parsing import check_regular
from mashbill.core.parsing import foreign as read_as

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

CALLS_SCHEMA = """
CREATE TABLE IF NOT EXISTS texts (digest TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    request TEXT PRIMARY KEY, teacher TEXT NOT NULL, prefix TEXT NOT NULL, body TEXT NOT NULL,
    choices TEXT NOT NULL, logprobs TEXT NOT NULL, tokens INTEGER NOT NULL, price REAL NOT NULL,
    at TEXT NOT NULL, text TEXT NOT NULL DEFAULT '', more TEXT NOT NULL DEFAULT '',
    asked TEXT NOT NULL DEFAULT '', batch TEXT NOT NULL DEFAULT '',
    place INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
_INDEXES = "CREATE INDEX IF NOT EXISTS calls_asked ON calls (asked);\n"
SCHEMA = CALLS_SCHEMA + _INDEXES + bought.SCHEMA
_ADDED = {"text": "TEXT", "more": "TEXT", "asked": "TEXT", "batch": "TEXT", "place": "INTEGER"}
"""columns of ``calls`` that older journals lack"""
_DEFAULTS = {"TEXT": "''", "INTEGER": "0"}
_BESIDE = ("", "-wal", "-shm", "-journal")  # what SQLite opens with a file
CHUNK = 500
"""parameters of a query: below SQLite's limit in every build"""


class Database:
    """One opening of a journal's file. Opened to be read, it never creates one."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        """Open the file at ``path``.

        Raises:
            StoreError: if it is to be read and is not there, or is none.
        """
        self.path = path
        self._writable = writable
        self._lock = threading.Lock()  # slices of a stage are asked from threads of their own
        check_regular(*(path.with_name(f"{path.name}{more}") for more in _BESIDE))
        if writable:
            self._db = open_to_write(path)
        elif path.exists():
            self._db = _open_to_read(path)
        else:
            msg = f"{path} is not there: this store holds no teacher calls"
            raise StoreError(msg)
        self._columns = {column[1] for column in self.read("PRAGMA table_info(calls)")}
        self.has_bought = bool(self.read("PRAGMA table_info(bought)"))

    def close(self) -> None:
        """Close the file; a writer folds the write-ahead log into it, so that it can be copied.

        What a thread is reading is read first: SQLite frees what it reads, and the process dies.
        """
        with self._lock:
            if self._writable:
                with contextlib.suppress(sqlite3.OperationalError):  # somebody else is reading
                    self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.close()

    def told(self) -> AbstractContextManager[None]:
        """Hold whatever a row that is none makes fail to be one thing: the journal is damaged."""
        again = "run `mashbill audit`"
        return read_as(self.path, "a journal of calls", error=StoreError, remedy=again)

    def column(self, name: str) -> str:
        """Return how a query names a column of ``calls`` that an older journal may lack."""
        return f"c.{name}" if name in self._columns else _DEFAULTS[_ADDED[name]]

    def read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query.

        Raises:
            StoreError: naming the file, if it cannot be read.
        """
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
            msg = f"{self.path} cannot be read: {error}; run `mashbill audit`"
            raise StoreError(msg) from error

    def write(self, statements: Callable[[sqlite3.Connection], None]) -> None:
        """Let statements be one transaction, synced to the disk: all of it is kept, or nothing.

        Raises:
            sqlite3.Error: if it cannot be written.
            OSError: if the disk does not take it.
        """
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                statements(self._db)
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        sync(self.path)


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal to be read, and nothing that is none.

    Raises:
        StoreError: naming the file, if it cannot be read, or is none.
    """
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        try:
            db.execute("PRAGMA query_only=ON")
            check_own(db, path, SCHEMA)
        except BaseException:
            db.close()
            raise
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        msg = f"{path} cannot be read: {error}; run `mashbill audit`"
        raise StoreError(msg) from error
    return db


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open a journal to be written, making its tables.

    Raises:
        StoreError: naming the file, if it cannot be written, or is none.
    """
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=60, check_same_thread=False)
        check_own(db, path, SCHEMA)
        db.execute("PRAGMA journal_mode=WAL")
        # A transaction survives the end of this process; the writer syncs it to the disk itself.
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(CALLS_SCHEMA + bought.SCHEMA)
        there = {column[1] for column in db.execute("PRAGMA table_info(calls)")}
        for name, kind in _ADDED.items():
            if name not in there:
                db.execute(
                    f"ALTER TABLE calls ADD COLUMN {name} {kind} NOT NULL DEFAULT {_DEFAULTS[kind]}"
                )
        db.executescript(_INDEXES)
    except sqlite3.Error as error:
        msg = f"{path} cannot be written: {error}; make room, or make the store writable"
        raise StoreError(msg) from error
    return db


def sync(path: Path) -> None:
    """Sync what is committed to the disk: it lies in the write-ahead log.

    Raises:
        OSError: if the disk does not take it.
    """
    log = path.with_name(f"{path.name}-wal")
    with contextlib.suppress(FileNotFoundError):
        file = os.open(log, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
