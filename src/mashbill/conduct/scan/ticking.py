"""What is done each hour of a log's own time: look at what changed, weigh it, hold what is found.

Moments are those of the log and not of the clock on the wall, so that a log is weighed at the same
moments whoever reads it, however often the reading was killed. A moment is one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.conduct.evidence import alone, evading, resumed, together
from mashbill.conduct.evidence.betting import discovered
from mashbill.conduct.evidence.grouping import groups, pause
from mashbill.conduct.evidence.tiers import LEVEL, NOTE, ORDER
from mashbill.conduct.scan import known, refusals
from mashbill.conduct.signals.templates import LEAST, template

if TYPE_CHECKING:
    from collections.abc import Callable

    from mashbill.conduct.evidence.weighed import Weighed
    from mashbill.conduct.scan.database import Database
    from mashbill.conduct.scan.engine import Kind, Tier
    from mashbill.conduct.scan.tally import Levels

HOUR = 3600 * 1_000_000
MORE = 1.1
"""times as many accounts as before, from which a case is written again"""


@dataclass(frozen=True)
class Held:
    """A finding that reached a tier now, which it had not before."""

    weighed: Weighed
    found: int
    tested: int = 0
    rank: int = 0
    """among the groups that were looked at; 0 of an account by itself"""

    @property
    def tier(self) -> Tier:
        """Return what it is worth."""
        return self.weighed.tier


class Moments:
    """The looks at a scan's state, hour by hour."""

    def __init__(self, database: Database, levels: Levels, case_of: Callable[[Held], str]) -> None:
        """Go on with what the state holds.

        Args:
            database: the state.
            levels: from which scores on a prompt trips.
            case_of: makes the text of a finding's case, out of the state at that moment.
        """
        self._database, self._levels, self._case_of = database, levels, case_of
        self._templates = known.templates(database)

    @property
    def last(self) -> int | None:
        """Return the last moment that was looked at, or None."""
        return self._fact("looked")

    def begin(self, first: int) -> int:
        """Return the moment to look at next, of a log whose first event is known."""
        last = self.last
        if last is None:
            last = first // HOUR * HOUR
            with self._database.transaction():
                self._keep("looked", last)
                self._keep("begins", last)
                self._keep("due", last + HOUR * pause(0))
        return last + HOUR

    def look(self, moment: int, *, closing: bool = False) -> list[Held]:
        """Look at what was taken since the last look, and return what is held now and was not.

        What was taken counts, and not of which time it is, so that a second log of the same days is
        looked at as the first was.

        Args:
            moment: microseconds; nothing from then on is looked at.
            closing: whether groups are looked at though they are not due.
        """
        with self._database.transaction():
            refusals.look(self._database, moment)
            self._template()
            found = self._alone(moment)
            due = closing or moment >= (self._fact("due") or 0)
            if due and self._rows() != self._fact("grouped"):
                found += self._together(moment)
                self._keep("grouped", self._rows())
                hours = (moment - (self._fact("begins") or moment)) // HOUR
                self._keep("due", moment + HOUR * pause(hours))
            held = [one for one in found if self._holds(one)]
            self._database.run("DELETE FROM touched")
            self._keep("looked", moment)
        return held

    @property
    def is_idle(self) -> bool:
        """Whether a look would find nothing to look at, until more is taken."""
        return self._rows() == self._fact("grouped") and not self._database.run(
            "SELECT 1 FROM touched UNION ALL SELECT 1 FROM limits LIMIT 1"
        )

    def _rows(self) -> int:
        return int(self._database.run("SELECT COALESCE(SUM(rows), 0) FROM readings")[0][0])

    def _fact(self, name: str) -> int | None:
        rows = self._database.run("SELECT value FROM facts WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else None

    def _keep(self, name: str, value: int) -> None:
        self._database.run(
            "INSERT INTO facts VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, str(value)),
        )

    def _template(self) -> None:
        """Tell the templates of accounts that have twice the prompts that theirs was told from."""
        names = [
            bytes(row[0])
            for row in self._database.run(
                "SELECT a.account FROM touched x JOIN accounts a ON a.account = x.account "
                "LEFT JOIN templates t ON t.account = a.account WHERE a.exchanges >= ? "
                "AND (t.exchanges IS NULL OR a.exchanges >= 2 * t.exchanges)",
                (LEAST,),
            )
        ]
        accounts = known.accounts(self._database, names)
        for account, rows in known.samples(self._database, names, "all").items():
            found = template([row.skeleton for row in rows])
            self._database.run(
                "INSERT INTO templates VALUES (?, ?, ?, ?) ON CONFLICT (account) DO UPDATE SET "
                "exchanges = excluded.exchanges, runs = excluded.runs, shares = excluded.shares",
                (
                    account,
                    accounts[account].exchanges,
                    found.runs.astype("<u4").tobytes(),
                    found.shares.astype("<f4").tobytes(),
                ),
            )
            if len(found.runs):
                self._templates[account] = found
            else:
                self._templates.pop(account, None)

    def _alone(self, moment: int) -> list[Held]:
        accounts = alone.changed(self._database)
        worded = alone.worded(self._database, accounts)
        limited = {name: one for name, one in accounts.items() if one.limited}
        found = [
            *alone.wordings(self._database, worded, self._levels),
            *evading.refusals(self._database, limited),
            *alone.replays(self._database),
        ]
        return [Held(one, moment) for one in found if one.log10_e >= NOTE]

    def _together(self, moment: int) -> list[Held]:
        banned = known.banned(self._database)
        whole, tested = groups(self._database, self._templates, banned)
        weighed = list(evading.together(self._database))
        tested += len(weighed)
        crowd = together.Crowd(self._database, moment)
        self._database.run("DELETE FROM moments WHERE slot < ?", (crowd.since,))
        for group in whole:
            handed = evading.sign_in(self._database, group.members)
            one = together.weigh(self._database, group, handed, moment, crowd)
            weighed += [one] if one else []
            if not banned.isdisjoint(group.members):
                resumes = resumed.weigh(self._database, group, moment)
                weighed += [resumes] if resumes else []
        logs = [one.log10_e for one in weighed]
        kept = discovered(logs, LEVEL, tested)
        held = []
        taken: dict[str, set[bytes]] = {"I": set(), "L": set()}
        ranks = {place: rank for rank, place in enumerate(kept, 1)}
        # Of groups that overlap the one of the highest tier is held, and of those the largest.
        kept.sort(
            key=lambda place: (
                -ORDER.index(weighed[place].tier), -len(weighed[place].accounts), ranks[place],
            )
        )  # fmt: skip
        for place in kept:
            one, rank = weighed[place], ranks[place]
            if taken[one.kind].isdisjoint(one.accounts):  # else it is part of what is held
                taken[one.kind].update(one.accounts)
                held.append(Held(one, moment, max(tested, len(weighed)), rank))
        return held

    def _holds(self, one: Held) -> bool:
        """Say whether a finding is new, of a higher tier or of many more accounts than before.

        Then its case is kept, as another version of it. How it grew is kept in any case.
        """
        name = one.weighed.name
        self._database.run(
            "INSERT INTO growth VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (name, one.found, one.weighed.kind, one.weighed.log10_e),
        )
        before = self._database.run(
            "SELECT version, tier, accounts FROM cases WHERE id = ? ORDER BY version DESC LIMIT 1",
            (name,),
        )
        version = before[0][0] + 1 if before else 1
        if before:
            known_before = len(before[0][2].split())
            higher = ORDER.index(one.tier) > ORDER.index(before[0][1])
            if not higher and len(one.weighed.accounts) < MORE * known_before:
                return False
        self._database.run(
            "INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                name,
                version,
                one.found,
                one.weighed.kind,
                one.tier,
                " ".join(account.hex() for account in one.weighed.accounts),
                self._case_of(one),
            ),
        )
        return True


def held_of(database: Database) -> dict[bytes, list[tuple[Tier, Kind, str]]]:
    """Return what is held of each account: (tier, kind, id of the case), the highest tier first."""
    found: dict[bytes, list[tuple[Tier, Kind, str]]] = {}
    for name, kind, tier, accounts in database.run(
        "SELECT id, kind, tier, accounts FROM cases c WHERE version = "
        "(SELECT MAX(version) FROM cases d WHERE d.id = c.id)"
    ):
        for account in accounts.split():
            found.setdefault(bytes.fromhex(account), []).append((tier, kind, name))
    for one in found.values():
        one.sort(key=lambda each: (-ORDER.index(each[0]), each[1:]))
    return found
