"""Refusals that are old enough for what followed them to be known, looked at once and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.scan import known
from mashbill.conduct.signals.handover import NEEDED, WITHIN, handovers

if TYPE_CHECKING:
    from mashbill.conduct.scan.database import Database

SPAN = 600_000_000
"""microseconds of refusals that are looked at together"""


def look(database: Database, up_to: int) -> None:
    """Look at all refusals whose next :data:`WITHIN` lie before a time, inside of a transaction."""
    companions = None
    while True:
        rows = database.run("SELECT MIN(time) FROM limits WHERE time <= ?", (up_to - WITHIN,))
        begins = rows[0][0]
        if begins is None:
            return
        companions = companions or known.companions(database)
        ends = min(begins + SPAN, up_to - WITHIN)
        refused = database.run(
            "SELECT time, row, account, skeleton FROM limits WHERE time BETWEEN ? AND ? "
            "ORDER BY time, row",
            (begins, ends),
        )
        around = database.run(
            "SELECT time, row, account, skeleton FROM recent WHERE time BETWEEN ? AND ? "
            "ORDER BY time, row",
            (begins - NEEDED, ends + WITHIN),
        )
        organisations = dict(
            database.run(
                "SELECT account, organisation FROM accounts WHERE organisation IS NOT NULL"
            )
        )
        found = handovers(refused, around, organisations, companions)
        database.many(
            "INSERT INTO handovers VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, how, hit) "
            "DO UPDATE SET trials = handovers.trials + excluded.trials, "
            "real = handovers.real + excluded.real",
            (
                (account, how, hit, *counts)
                for account, hows in sorted(found.trials.items())
                for how, hits in sorted(hows.items())
                for hit, counts in sorted(hits.items())
            ),
        )
        database.many(
            "INSERT INTO takers VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, taker, how) "
            "DO UPDATE SET count = takers.count + excluded.count",
            ((*who, *times) for who, times in sorted(found.takers.items())),
        )
        database.run("DELETE FROM limits WHERE time BETWEEN ? AND ?", (begins, ends))
