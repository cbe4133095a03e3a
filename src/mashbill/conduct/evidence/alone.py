"""What is weighed of an account by itself: J and X by wording, and X by replay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.evidence.weighed import Link, Sign, Weighed
from mashbill.conduct.scan import known
from mashbill.conduct.signals import replay, wording

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mashbill.conduct.scan.database import Database
    from mashbill.conduct.scan.engine import Kind
    from mashbill.conduct.scan.tally import Levels

_ASKED: dict[str, tuple[Kind, str]] = {
    "J": ("J", "tries to talk a model out of its rules"),
    "X": ("X", "asks for what is not offered: hidden reasoning, or hidden instructions"),
}
_ROWS = 200


def wordings(
    database: Database, accounts: Mapping[bytes, known.Account], levels: Levels
) -> Iterator[Weighed]:
    """Yield what the words of these accounts' prompts come to."""
    sampled = known.samples(database, accounts, "all")
    for pool, (kind, does) in _ASKED.items():
        level = levels.jailbreak if pool == "J" else levels.extraction
        tripped = known.samples(database, accounts, pool)
        for account, rows in sorted(tripped.items()):
            one = accounts[account]
            trips = (one.j1, one.j2) if pool == "J" else (one.x1, one.x2)
            scores = [(row.jailbreak if pool == "J" else row.extraction) or 0.0 for row in rows]
            found = wording.evidence(
                [row.skeleton for row in sampled.get(account, ())],
                [row.skeleton for row in rows],
                [score >= level[1] for score in scores],
                one.scored,
                trips,
            )
            plain = (
                f"{sum(trips):,} of {one.scored:,} prompts of this account read like one that "
                f"{does}; {trips[1]:,} of them so plainly that honest prompts next to never are"
            )
            yield Weighed(
                kind,
                (account,),
                (
                    Sign(
                        "wording",
                        found,
                        plain,
                        "of the templates of the worst honest kind of traffic, at most "
                        f"{1 - wording.NULL[0]:.1%} have such a wording, and {wording.NULL[2]:.2%} "
                        "to the second level",
                        {"prompts": one.scored, "first level": trips[0], "second level": trips[1]},
                        rows=tuple(sorted(row.row for row in rows))[:_ROWS],
                        rows_in_all=sum(trips),
                        parameters={"levels": list(level), "null": list(wording.NULL)},
                    ),
                ),
            )


def replays(database: Database) -> Iterator[Weighed]:
    """Yield accounts that presented sealed reasoning of others, or of other models.

    Those are looked at that presented some which was not looked at before; all of theirs counts.
    """
    query = (
        "SELECT p.account, b.account, b.model = p.model, p.row, b.time FROM presented p "
        "JOIN blobs b ON b.blob = p.blob LEFT JOIN accounts x ON x.account = p.account "
        "LEFT JOIN accounts y ON y.account = b.account "
        "WHERE (b.account <> p.account OR b.model <> p.model) AND b.time < p.time "
        "AND (x.organisation IS NULL OR y.organisation IS NULL "
        "OR x.organisation <> y.organisation) AND p.account IN "
        "(SELECT account FROM presented WHERE looked = 0) ORDER BY p.account, p.blob, p.row"
    )
    by_account: dict[bytes, list[tuple[bytes, str, int]]] = {}
    for account, maker, _, row, time in database.run(query):
        by_account.setdefault(bytes(account), []).append((bytes(maker), str(row), int(time)))
    database.run("UPDATE presented SET looked = 1 WHERE looked = 0")
    for account, rows in by_account.items():
        foreign = [row for row in rows if row[0] != account]
        # an answer may bring several blocks, and a conversation moved to another model brings all
        answers = {(maker, time) for maker, _, time in foreign}
        moved = {time // 3_600_000_000 for maker, _, time in rows if maker == account}
        signs = []
        if answers:
            makers = sorted({maker for maker, _ in answers})
            signs.append(
                Sign(
                    "replay",
                    replay.across_accounts(len(answers)),
                    f"sealed reasoning of {len(answers):,} answers that {len(makers):,} other "
                    "accounts were given was presented by this account",
                    "honest accounts next to never present sealed reasoning of another account",
                    {"answers": len(answers), "accounts": len(makers)},
                    rows=tuple(sorted({row for _, row, _ in foreign}))[:_ROWS],
                    rows_in_all=len(foreign),
                )
            )
        if moved:
            signs.append(
                Sign(
                    "replay",
                    replay.across_models(len(moved)),
                    f"sealed reasoning of {len(moved):,} conversations of this account was "
                    "presented to another model than the one that made it",
                    "people move a conversation to another model now and then",
                    {"conversations": len(moved)},
                    limit=replay.MOVED,
                    rows=tuple(sorted({row for maker, row, _ in rows if maker == account}))[:_ROWS],
                    rows_in_all=len(rows) - len(foreign),
                )
            )
        yield Weighed(
            "X",
            (account,),
            tuple(signs),
            tuple(Link(maker, account, "replay", 1.0) for maker in sorted({m for m, _ in answers})),
        )


def worded(
    database: Database, accounts: Mapping[bytes, known.Account]
) -> dict[bytes, known.Account]:
    """Return of accounts those with more prompts that trip than when they were last returned.

    What else they ask since then is no reason to weigh their words anew.
    """
    trips = {
        name: one.j1 + one.j2 + one.x1 + one.x2
        for name, one in accounts.items()
        if max(one.j1 + one.j2, one.x1 + one.x2) >= wording.LEAST
    }
    before = {
        bytes(account): number
        for account, number in database.run("SELECT w.* FROM worded w JOIN touched USING (account)")
    }
    more = {name: number for name, number in trips.items() if number > before.get(name, 0)}
    database.many(
        "INSERT INTO worded VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET "
        "trips = excluded.trips",
        sorted(more.items()),
    )
    return {name: accounts[name] for name in more}


def changed(database: Database) -> dict[bytes, known.Account]:
    """Return accounts with events since the last look, of which something might be weighed."""
    rows = database.run(
        "SELECT a.* FROM accounts a JOIN touched t ON t.account = a.account "
        "WHERE a.j1 + a.j2 + a.x1 + a.x2 > 0 OR a.limited > 0"
    )
    return {row[0]: known.Account(*row) for row in rows}
