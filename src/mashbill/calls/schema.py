"""What a journal's file may hold: a database is a program too, of views, triggers and modules.

A journal may lie beside a stranger's recipe, or come with a store that was handed on.
"""

from __future__ import annotations

import contextlib
import sqlite3
from functools import cache
from typing import TYPE_CHECKING

from mashbill.core import foreign
from mashbill.core.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_MADE_BY = {"table": ("CREATE TABLE",), "index": ("CREATE INDEX", "CREATE UNIQUE INDEX")}
_KEPT_BY_SQLITE = ("sqlite_autoindex_", "sqlite_stat", "sqlite_sequence")


@cache
def _names(schema: str) -> frozenset[tuple[str, str]]:
    """Return kind and name of whatever a journal has; older releases had some of these alone."""
    db = sqlite3.connect(":memory:")
    with contextlib.closing(db):
        db.executescript(schema)
        return frozenset(db.execute("SELECT type, name FROM sqlite_master").fetchall())


def check_own(db: sqlite3.Connection, path: Path, schema: str) -> None:
    """Refuse a file that holds what no journal does: a view may never end, a trigger may write.

    Args:
        db: the file, opened.
        path: how errors name it.
        schema: what makes a journal of this release.

    Raises:
        StoreError: naming the file and what it holds.
        sqlite3.Error: if it is no database.
    """
    own = _names(schema)
    db.execute("PRAGMA trusted_schema=OFF")
    for kind, name, text in db.execute("SELECT type, name, sql FROM sqlite_master").fetchall():
        is_own = (kind, name) in own or str(name).startswith(_KEPT_BY_SQLITE)
        # What SQLite goes by is the text: one that lies of its kind is a view for all that.
        if is_own and (text is None or str(text).startswith(_MADE_BY.get(kind, ()))):
            # A computed column costs what its author wants.
            columns = db.execute("SELECT hidden FROM pragma_table_xinfo(?)", [name]).fetchall()
            if kind == "index" or not any(hidden for (hidden,) in columns):
                continue
        what = f"the {foreign.quoted(str(kind))} {foreign.quoted(str(name))!r}"
        msg = (
            f"{path} is no journal of calls: its schema has {what}, which is not as "
            "mashbill makes it; it is not read. Take the file that mashbill wrote, or make the "
            "journal anew"
        )
        raise StoreError(msg)
