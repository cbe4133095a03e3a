"""A journal that somebody else wrote is tables and nothing else, or is not read."""

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from mashbill.calls import paid_call as bought
from mashbill.calls.database import CALLS_SCHEMA, open_to_write
from mashbill.calls.journal import Journal
from mashbill.core.errors import StoreError

TABLES = ("words", "bought", "events", "batches", "pruned", "runs", "calls", "texts")
ENDLESS = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT {} FROM r"


def columns(db, table):
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]


def view(db, table, name=None):
    every = ENDLESS.format(", ".join(f'n AS "{column}"' for column in columns(db, table)))
    if name is None:
        db.execute(f"DROP TABLE {table}")
    db.execute(f"CREATE VIEW {name or table} AS {every} WHERE n < 0")


def lie(db, table):
    view(db, table)
    db.execute("PRAGMA writable_schema=ON")
    db.execute("UPDATE sqlite_master SET type = 'table' WHERE name = ?", [table])


def computed(db, table):
    names = columns(db, table)
    rest = ", ".join(names[1:])
    db.execute(f"DROP TABLE {table}")
    db.execute(f"CREATE TABLE {table} ({rest}, {names[0]} AS (zeroblob(900000000)))")


def virtual(db, table):
    names = ", ".join(columns(db, table))
    db.execute(f"DROP TABLE {table}")
    db.execute(f"CREATE VIRTUAL TABLE {table} USING fts5({names})")


def trigger(db, table):
    db.execute(f"CREATE TRIGGER t AFTER INSERT ON {table} BEGIN SELECT 1; END")


def stranger(db, table):
    db.execute("CREATE TABLE other (a)")


SPOILT = {
    "view": view, "lie": lie, "computed": computed, "virtual": virtual, "trigger": trigger,
    "more": stranger, "a view more": lambda db, table: view(db, table, "other"),
}  # fmt: skip


def made(path, spoil=None, table=""):
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(CALLS_SCHEMA + bought.SCHEMA)
        if spoil is not None:
            spoil(db, table)
    return path


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("how", SPOILT)
def test_a_file_that_is_no_journal_is_neither_read_nor_written(tmp_path, how, table):
    path = made(tmp_path / "calls.sqlite", SPOILT[how], table)
    before = path.read_bytes()
    for open_it in (Journal, open_to_write):
        with pytest.raises(StoreError, match=r"calls\.sqlite.* (is no journal of calls|malformed)"):
            open_it(path)
    assert path.read_bytes() == before


def test_a_journal_is_read_whatever_sqlite_keeps_in_it(tmp_path):
    path = made(tmp_path / "calls.sqlite", lambda db, _: db.execute("ANALYZE"))
    journal = Journal(path)
    assert journal.totals() == (0, 0, 0.0)
    with pytest.raises(StoreError):
        journal.query("DELETE FROM runs")
    open_to_write(path).close()


def test_the_journal_of_the_first_release_is_read(tmp_path):
    packed = Path(__file__).parents[1] / "ledgers" / "v0.1.0" / "store.tar.xz"
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path, filter="data")
    assert Journal(next(tmp_path.rglob("calls.sqlite"))).totals()[0] > 0


def test_a_file_that_is_no_database_is_told(tmp_path):
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"no database" * 99)
    with pytest.raises(StoreError, match=r"calls\.sqlite cannot be read"):
        Journal(path)
