"""What a scan knows, in a database: a batch goes in with its place in the log, as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mashbill.conduct.scan.database import Database
from mashbill.conduct.scan.tables import ITEMS, SAMPLED, TABLES, VALUES
from mashbill.conduct.signals.handover import NEEDED
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.conduct.scan.tally import Tally

FORMAT = "4"


_SUMS = (
    "exchanges", "limited", "tokens_in", "tokens_out", "scored", "j1", "j2", "x1", "x2", "declared",
)  # fmt: skip
_BOUNDS = {"organisation": "<", "signed_up": "<", "first": "<", "banned": "<", "last": ">"}
_ACCOUNT = (
    "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "  # noqa: S608 - names of ours
    "ON CONFLICT (account) DO UPDATE SET "
    + ", ".join(
        [f"{name} = accounts.{name} + excluded.{name}" for name in _SUMS]
        + [
            f"{name} = CASE WHEN accounts.{name} IS NULL "
            f"OR excluded.{name} {which} accounts.{name} "
            f"THEN COALESCE(excluded.{name}, accounts.{name}) ELSE accounts.{name} END"
            for name, which in _BOUNDS.items()
        ]
    )
)


class State:
    """The tables of a scan; several processes may have one each, of one database of Postgres."""

    def __init__(self, address: str | Path, facts: Mapping[str, str]) -> None:
        """Open or begin.

        Args:
            address: file of SQLite, or URL of Postgres.
            facts: what every scan into this state has in common: key id, levels, rules.

        Raises:
            InputError: if the state was made with others.
        """
        self.database = Database(address)
        with self.database.transaction():
            self.database.script(TABLES)
            self.database.script("CREATE TEMPORARY TABLE batch (account BLOB PRIMARY KEY)")
        self._agree(address, {"format": FORMAT, **facts})

    def _agree(self, address: str | Path, facts: Mapping[str, str]) -> None:
        with self.database.transaction():
            for name, value in facts.items():
                self.database.run(
                    "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value)
                )
        there = dict(self.database.run("SELECT name, value FROM facts"))
        for name, value in facts.items():
            if there[name] != value:
                shown = str(address).rpartition("@")[2]
                msg = (
                    f"{shown}: what was scanned there had {name} {there[name]:.80}, and this scan "
                    f"has {value:.80}; give it another --state"
                )
                raise InputError(msg)

    def position(self, log: str) -> Any:
        """Return up to where a log was read, or None."""
        rows = self.database.run("SELECT position FROM readings WHERE log = ?", (log,))
        return json.loads(rows[0][0]) if rows else None

    def read(self, log: str) -> tuple[int, str]:
        """Return how many rows of a log are in, and the digest of their names."""
        rows = self.database.run("SELECT rows, digest FROM readings WHERE log = ?", (log,))
        return (int(rows[0][0]), str(rows[0][1])) if rows else (0, f"{0:016x}")

    def add(self, found: Tally, log: str, position: Any) -> None:
        """Take a batch in, and that its log was read up to this place."""
        with self.database.transaction():
            self.database.run("DELETE FROM batch")
            self.database.many("INSERT INTO batch VALUES (?)", ((one,) for one in found.accounts))
            self.database.run(
                "INSERT INTO touched SELECT account FROM batch WHERE 1 = 1 ON CONFLICT DO NOTHING"
            )
            self._accounts(found)
            self._counts(found)
            self._samples(found)
            self._happened(found)
            rows, digest = self.read(log)
            self.database.run(
                "INSERT INTO readings VALUES (?, ?, ?, ?) ON CONFLICT (log) DO UPDATE SET "
                "position = excluded.position, rows = excluded.rows, digest = excluded.digest",
                (
                    log,
                    json.dumps(position),
                    rows + found.rows,
                    f"{(int(digest, 16) + found.digest) % (1 << 64):016x}",
                ),
            )

    def _accounts(self, found: Tally) -> None:
        self.database.many(
            _ACCOUNT,
            (
                (
                    account, one.organisation, one.signed_up, one.first, one.last, one.exchanges,
                    one.limited, one.tokens_in, one.tokens_out, one.scored, *one.trips,
                    one.declared, one.banned,
                )
                for account, one in sorted(found.accounts.items())
            ),
        )  # fmt: skip

    def _counts(self, found: Tally) -> None:
        self.database.many(
            "INSERT INTO spans VALUES (?, ?, ?) ON CONFLICT (account, span) "
            "DO UPDATE SET count = spans.count + excluded.count",
            ((*place, count) for place, count in sorted(found.spans.items())),
        )
        self.database.many(
            "INSERT INTO moments VALUES (?, ?) ON CONFLICT DO NOTHING", sorted(found.moments)
        )
        self.database.many(
            "INSERT INTO traits VALUES (?, ?, ?, ?) ON CONFLICT (account, trait, value) "
            "DO UPDATE SET count = traits.count + excluded.count",
            ((*place, count) for place, count in sorted(found.traits.items())),
        )
        for account, trait in self.database.run(
            "SELECT account, trait FROM traits JOIN batch USING (account) "
            "GROUP BY account, trait HAVING COUNT(*) > ?",
            (2 * VALUES,),
        ):
            self.database.run(
                "DELETE FROM traits WHERE account = ? AND trait = ? AND value > (SELECT value "
                "FROM traits WHERE account = ? AND trait = ? ORDER BY value LIMIT 1 OFFSET ?)",
                (account, trait, account, trait, VALUES - 1),
            )

    def _samples(self, found: Tally) -> None:
        tops = {
            (account, pool): top
            for account, pool, top in self.database.run(
                "SELECT account, pool, hash FROM tops JOIN batch USING (account)"
            )
        }
        items = [
            (account, item, count)
            for (account, item), count in sorted(found.items.items())
            if item <= tops.get((account, "items"), item)
        ]
        samples = [
            (account, pool, *row)
            for (account, pool), rows in sorted(found.samples.items())
            for row in sorted(rows, key=lambda one: one[:2])[: SAMPLED[pool]]
            if row[0] <= tops.get((account, pool), row[0])
        ]
        self.database.many(
            "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT (account, hash) "
            "DO UPDATE SET count = items.count + excluded.count",
            items,
        )
        self.database.many(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", samples
        )
        done = {
            bytes(account): number
            for account, number in self.database.run(
                "SELECT account, exchanges FROM accounts JOIN batch USING (account)"
            )
        }
        grown = sorted({(row[0], "items") for row in items} | {row[:2] for row in samples})
        for account, pool in grown:
            kept = ITEMS if pool == "items" else SAMPLED[pool]
            if done[account] > 2 * kept:  # nobody has more of them than exchanges
                self._thin(account, pool, kept)

    def _thin(self, account: bytes, pool: str, kept: int) -> None:
        """Keep the least hashes of an account that has more than twice as many as are kept."""
        table = "items" if pool == "items" else "samples"
        where = "account = ?" + (" AND pool = ?" if table == "samples" else "")
        which = (account, pool) if table == "samples" else (account,)
        ((number,),) = self.database.run(f"SELECT COUNT(*) FROM {table} WHERE {where}", which)  # noqa: S608 - names of ours
        if number <= 2 * kept:
            return
        ((top,),) = self.database.run(
            f"SELECT hash FROM {table} WHERE {where} ORDER BY hash LIMIT 1 OFFSET ?",  # noqa: S608 - names of ours
            (*which, kept - 1),
        )
        self.database.run(f"DELETE FROM {table} WHERE {where} AND hash > ?", (*which, top))  # noqa: S608 - names of ours
        self.database.run(
            "INSERT INTO tops VALUES (?, ?, ?) ON CONFLICT (account, pool) "
            "DO UPDATE SET hash = excluded.hash",
            (account, pool, top),
        )

    def _happened(self, found: Tally) -> None:
        for table, rows in (("recent", found.recent), ("limits", found.limits)):
            self.database.many(
                f"INSERT INTO {table} VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",  # noqa: S608 - names of ours
                rows,
            )
        # What happened around a refusal is kept until that is looked at, however late it is.
        ((oldest,),) = self.database.run("SELECT MIN(time) FROM limits")
        oldest = found.newest if oldest is None else min(oldest, found.newest)
        self.database.run("DELETE FROM recent WHERE time < ?", (oldest - NEEDED,))
        self.database.many(
            "INSERT INTO blobs VALUES (?, ?, ?, ?) ON CONFLICT (blob) DO UPDATE SET "
            "time = excluded.time, account = excluded.account, model = excluded.model "
            "WHERE excluded.time < blobs.time",
            ((blob, *made) for blob, made in sorted(found.blobs.items())),
        )
        self.database.many(
            "INSERT INTO presented VALUES (?, ?, ?, ?, ?, 0) ON CONFLICT (blob, account, model) "
            "DO UPDATE SET time = excluded.time, row = excluded.row "
            "WHERE excluded.time < presented.time",
            ((*key, *when) for key, when in sorted(found.presented.items())),
        )
