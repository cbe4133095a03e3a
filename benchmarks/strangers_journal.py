"""What a stranger who can write to a store does to its journal of calls."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from mashbill.calls.journal import Journal
from mashbill.core.store import CALLS

if TYPE_CHECKING:
    import random
    from pathlib import Path


class JournalStrangers:
    """Kinds of tampering with the journal by whoever can write to the store."""

    draw: random.Random
    store: Path

    def write(self, name: str, data: bytes) -> None:
        raise NotImplementedError

    def said(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.store / CALLS)) as db, db:
            for statement in statements:
                db.execute(statement)

    def pruned(self, leaves: list[tuple[bytes, bytes]], run: str) -> None:
        """Say of calls that they were pruned, and leave their leaves in their place."""
        with closing(sqlite3.connect(self.store / CALLS)) as db, db:
            db.executemany(
                "INSERT INTO pruned VALUES (?, ?, ?, 0, 0.0)", [(*each, run) for each in leaves]
            )

    def leaves(self, table: str) -> tuple[list[tuple[bytes, bytes]], str]:
        """Return (call, leaf) of every call of a table, and the run that bought some."""
        with closing(Journal(self.store / CALLS)) as journal:
            run = journal.runs()[0].run
            if table == "bought":
                return [(bytes.fromhex(row.call), row.leaf()) for row in journal.all_bought()], run
            keys: list[Any] = journal.query("SELECT request FROM calls")
            return [(bytes.fromhex(key), journal.here.leaf(key)) for (key,) in keys], run

    def s_answers_exchanged_and_the_true_ones_said_to_be_pruned(self) -> None:
        """Their leaves stand in for them, so that all roots are what they were."""
        leaves, run = self.leaves("calls")
        self.pruned(leaves, self.draw.choice(["another", run]))
        self.said("UPDATE calls SET logprobs = '[-9.0, -0.1]'")

    def s_answers_taken_out_and_said_to_be_pruned(self) -> None:
        leaves, run = self.leaves("calls")
        self.pruned(leaves, self.draw.choice(["another", run]))
        self.said("DELETE FROM calls")

    def s_bought_answers_exchanged_and_the_true_ones_said_to_be_pruned(self) -> None:
        leaves, run = self.leaves("bought")
        self.pruned(leaves, run)
        self.said(
            "INSERT INTO words (text) VALUES ('another')",
            "UPDATE bought SET text = 'clean', run = (SELECT id FROM words WHERE text = 'another')",
        )

    def s_call_said_to_be_pruned_that_never_was(self) -> None:
        self.pruned([(self.draw.randbytes(32), self.draw.randbytes(32))], "another")

    def s_view_in_place_of_a_table(self) -> None:
        table = self.draw.choice(["calls", "texts", "events", "runs"])
        view = f"CREATE VIEW {table} AS SELECT * FROM {table}_kept"  # noqa: S608 - our own names
        self.said(f"ALTER TABLE {table} RENAME TO {table}_kept", view)

    def s_trigger(self) -> None:
        self.said("CREATE TRIGGER t AFTER INSERT ON calls BEGIN DELETE FROM calls; END")

    def s_table_of_ones_own(self) -> None:
        self.said("CREATE TABLE notes (text TEXT)")

    def s_run_added(self) -> None:
        self.said("INSERT INTO runs VALUES ('20260101-000000-0000', 'a', 'b', '{}')")

    def s_run_altered(self) -> None:
        change = self.draw.choice(["started = 'x'", "ended = ''", "facts = '{}'"])
        self.said(f"UPDATE runs SET {change}")  # noqa: S608 - our own words

    def s_run_removed(self) -> None:
        self.said("DELETE FROM runs")

    def s_event_added(self) -> None:
        run = self.draw.choice(["(SELECT run FROM runs LIMIT 1)", "'another'"])
        self.said(
            "INSERT INTO events (run, at, kind, account, call, detail) "  # noqa: S608
            f"VALUES ({run}, '2026-01-01T00:00:00+00:00', 'server', 'a', '', '{{}}')"
        )

    def s_event_altered(self) -> None:
        self.said("UPDATE events SET kind = 'timeout' WHERE id = (SELECT min(id) FROM events)")

    def s_event_removed(self) -> None:
        self.said("DELETE FROM events WHERE id = (SELECT max(id) FROM events)")

    def s_bought_answer_altered(self) -> None:
        column = self.draw.choice(["text", "served", "finish"])
        self.said(f"UPDATE bought SET {column} = {column} || 'x' WHERE rowid = 1")  # noqa: S608

    def s_bought_answer_added(self) -> None:
        key = self.draw.choice(
            ["x'00' || substr(call, 2)", "CAST(x'00' || substr(call, 2) AS BLOB)"]
        )
        self.said(
            f"INSERT INTO bought SELECT {key}, terms, teacher, prefix, system, "  # noqa: S608
            "schema, tools, route, run, sample, body, turns, choices, text, logprobs, failed, "
            "finish, tool_calls, reasoning, opaque, served, tokens_in, tokens_out, tokens_cached, "
            "price, at, attempts, waited, seconds, flags FROM bought LIMIT 1"
        )

    def s_answer_put_into_the_journal(self) -> None:
        self.said(
            "INSERT INTO calls SELECT printf('%064x', abs(random())), teacher, prefix, body, "
            "choices, logprobs, tokens, price, at, text, more, asked, batch, place "
            "FROM calls LIMIT 1"
        )
