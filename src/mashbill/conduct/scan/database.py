"""The two databases that a scan's state may lie in: SQLite, a file; or Postgres, which many share.

One dialect of SQL serves both: what differs is how a value's place is written, the name of the type
of bytes, and who takes turns. A transaction is a batch: its rows and the place in the log up to
which they were read are committed together, so that a scan that was killed goes on with the first
row that is not in.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.extras import needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

POSTGRES = ("postgres://", "postgresql://")
_TURN = 0x6D617368  # of Postgres' advisory locks


class Database:
    """A connection; what it is asked is written for SQLite."""

    def __init__(self, address: str | Path) -> None:
        """Open a file, or a database of Postgres by its URL.

        Raises:
            InputError: if it cannot be opened.
        """
        self.shared = str(address).startswith(POSTGRES)
        self._raw: Any = _postgres(str(address)) if self.shared else _sqlite(str(address))

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement; none of one that returns nothing."""
        cursor = self._raw.cursor()
        cursor.execute(self._said(sql), tuple(values))
        found = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        cursor.close()
        return found

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query, some thousands at a time."""
        cursor = self._raw.cursor()
        cursor.execute(self._said(sql), tuple(values))
        while rows := cursor.fetchmany(10_000):
            yield from rows
        cursor.close()

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row."""
        cursor = self._raw.cursor()
        cursor.executemany(self._said(sql), rows)
        cursor.close()

    def script(self, sql: str) -> None:
        """Run statements that are divided by semicolons."""
        for part in sql.split(";"):
            if part.strip():
                self.run(part.replace(" BLOB", " BYTEA") if self.shared else part)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside as one, or nothing of it; one writer at a time."""
        self.run("BEGIN" if self.shared else "BEGIN IMMEDIATE")
        try:
            if self.shared:
                self.run("SELECT pg_advisory_xact_lock(?)", (_TURN,))
            yield
        except BaseException:
            self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()

    def _said(self, sql: str) -> str:
        return sql.replace("?", "%s") if self.shared else sql


def _sqlite(path: str) -> sqlite3.Connection:
    try:
        raw = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("PRAGMA synchronous = NORMAL")
        raw.execute("PRAGMA cache_size = -65536")
        raw.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error as error:
        msg = f"{path} cannot be opened as a database of SQLite: {error}"
        raise InputError(msg) from error
    return raw


def _postgres(url: str) -> Any:
    with needs("a state that several processes share", "postgres"):
        import psycopg

    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.Error as error:
        where = url.rpartition("@")[2] or "it"  # a password stands before
        msg = f"the database at {where} cannot be opened: {str(error).strip()}"
        raise InputError(msg) from error
