"""What is read out of a scan's state to weigh it: few accounts at a time, by their keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.conduct.scan.tables import ITEMS, SAMPLED, VALUES
from mashbill.conduct.signals.handover import Companions
from mashbill.conduct.signals.templates import Template

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mashbill.conduct.scan.database import Database
    from mashbill.conduct.signals.handover import Trials

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Account:
    """A row of the table of accounts."""

    account: bytes
    organisation: bytes | None
    signed_up: int | None
    first: int
    last: int
    exchanges: int
    limited: int
    tokens_in: int
    tokens_out: int
    scored: int
    j1: int
    j2: int
    x1: int
    x2: int
    declared: int
    banned: int | None


@dataclass(frozen=True, slots=True)
class Sampled:
    """An exchange that was kept."""

    row: str
    time: int
    skeleton: np.ndarray
    jailbreak: float | None
    extraction: float | None


@dataclass(frozen=True, slots=True)
class Taker:
    """Who took over from an account, how often, and the first row of it."""

    taker: bytes
    count: int
    row: str


def accounts(database: Database, names: Iterable[bytes]) -> dict[bytes, Account]:
    """Return these accounts, as far as they are there."""
    return {row[0]: Account(*row) for row in _of(database, "SELECT * FROM accounts", names)}


def banned(database: Database) -> set[bytes]:
    """Return all accounts that were banned."""
    rows = database.run("SELECT account FROM accounts WHERE banned IS NOT NULL")
    return {bytes(row[0]) for row in rows}


def templates(database: Database) -> dict[bytes, Template]:
    """Return the templates of all accounts that have one."""
    return {
        bytes(account): Template(np.frombuffer(runs, "<u4"), np.frombuffer(shares, "<f4"))
        for account, runs, shares in database.each(
            "SELECT account, runs, shares FROM templates ORDER BY account"
        )
        if runs
    }


def with_templates(database: Database, names: Iterable[bytes]) -> int:
    """Return how many of these accounts have templates."""
    query = "SELECT account, runs FROM templates"
    return sum(bool(runs) for _, runs in _of(database, query, names))


def samples(database: Database, names: Iterable[bytes], pool: str) -> dict[bytes, list[Sampled]]:
    """Return the kept exchanges of accounts: those of the least hashes, in their order."""
    found: dict[bytes, list[Sampled]] = defaultdict(list)
    query = "SELECT account, row, time, skeleton, jailbreak, extraction FROM samples WHERE pool = ?"
    for account, row, time, skeleton, jailbreak, extraction in _of(
        database, query, names, " ORDER BY account, hash, row", (pool,)
    ):
        if len(found[account]) < SAMPLED[pool]:
            runs = np.frombuffer(bytes(skeleton), "<u4")
            found[account].append(Sampled(row, time, runs, jailbreak, extraction))
    return found


def items(database: Database, names: Iterable[bytes]) -> dict[bytes, set[int]]:
    """Return the kept items of accounts, which are all up to the greatest of a full sample."""
    found: dict[bytes, set[int]] = defaultdict(set)
    query = "SELECT account, hash FROM items"
    for account, item in _of(database, query, names, " ORDER BY account, hash"):
        if len(found[account]) < ITEMS:
            found[account].add(item)
    return found


def moments(database: Database, names: Iterable[bytes], since: int) -> dict[bytes, list[int]]:
    """Return the slots (:mod:`mashbill.conduct.signals.timing`) of accounts from one on."""
    found: dict[bytes, list[int]] = defaultdict(list)
    query = "SELECT account, slot FROM moments WHERE slot >= ?"
    for account, slot in _of(database, query, names, " ORDER BY account, slot", (since,)):
        found[bytes(account)].append(slot)
    return found


def crowd(database: Database, since: int) -> dict[int, int]:
    """Return of each slot from one on how many accounts asked in it."""
    return {
        int(slot): int(count)
        for slot, count in database.each(
            "SELECT slot, COUNT(*) FROM moments WHERE slot >= ? GROUP BY slot", (since,)
        )
    }


def traits(
    database: Database, names: Iterable[bytes], trait: str
) -> dict[bytes, tuple[bytes, ...]]:
    """Return the values of a trait that accounts have."""
    found: dict[bytes, list[bytes]] = defaultdict(list)
    query = "SELECT account, value FROM traits WHERE trait = ?"
    for account, value in _of(database, query, names, " ORDER BY account, value", (trait,)):
        if len(found[account]) < VALUES:
            found[account].append(bytes(value))
    return {account: tuple(values) for account, values in found.items()}


def shared(database: Database, names: Iterable[bytes], trait: str) -> int:
    """Return how many of these accounts have the value of a trait that most of them have."""
    had = traits(database, names, trait)
    counts = Counter(value for values in had.values() for value in values)
    return max(counts.values(), default=0)


def usual(database: Database, names: Iterable[bytes], trait: str) -> dict[bytes, bytes]:
    """Return the value of a trait with which an account does more than half of what it does."""
    counts: dict[bytes, dict[bytes, int]] = defaultdict(dict)
    query = "SELECT account, value, count FROM traits WHERE trait = ?"
    for account, value, count in _of(database, query, names, " ORDER BY account, value", (trait,)):
        counts[account][bytes(value)] = count
    return {
        account: value
        for account, values in counts.items()
        for value, count in values.items()
        if 2 * count > sum(values.values())
    }


def spans(
    database: Database, names: Iterable[bytes], since: int, before: int
) -> dict[bytes, dict[int, int]]:
    """Return how many exchanges accounts had in each span from one on and before another."""
    found: dict[bytes, dict[int, int]] = defaultdict(dict)
    query = "SELECT account, span, count FROM spans WHERE span >= ? AND span < ?"
    order = " ORDER BY account, span"
    for account, span, count in _of(database, query, names, order, (since, before)):
        found[account][span] = count
    return found


def trials(database: Database, names: Iterable[bytes]) -> dict[bytes, Trials]:
    """Return what followed the refusals of accounts."""
    found: dict[bytes, Trials] = {}
    for account, how, hit, number, real in _of(database, "SELECT * FROM handovers", names):
        found.setdefault(account, {}).setdefault(how, {})[hit] = (number, real)
    return found


def takers(database: Database, names: Iterable[bytes]) -> dict[bytes, list[Taker]]:
    """Return who took over from accounts, of each those that did most often first."""
    counts: dict[tuple[bytes, bytes], Taker] = {}
    query = "SELECT account, taker, count, row FROM takers"
    for account, taker, count, row in _of(database, query, names, " ORDER BY account, taker, how"):
        one = counts.get((account, taker))
        # who took over the very request did so with its template as well
        counts[account, taker] = Taker(taker, max(count, one.count if one else 0), row)
    found: dict[bytes, list[Taker]] = defaultdict(list)
    for (account, _), one in sorted(counts.items(), key=lambda it: (-it[1].count, it[0])):
        found[account].append(one)
    return found


def companions(database: Database) -> Companions:
    """Return which accounts asked the very request that another of them was refused."""
    query = "SELECT account, taker FROM takers WHERE how = 'request' ORDER BY account, taker"
    return Companions((bytes(one), bytes(other)) for one, other in database.run(query))


def _of(
    database: Database,
    query: str,
    names: Iterable[bytes],
    order: str = "",
    values: Sequence[Any] = (),
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of some accounts, some hundreds of accounts at a time, ascending."""
    whole = sorted(set(names))
    joint = " AND" if " WHERE " in query else " WHERE"
    for start in range(0, len(whole), _AT_ONCE):
        part = whole[start : start + _AT_ONCE]
        places = ", ".join("?" * len(part))
        yield from database.run(f"{query}{joint} account IN ({places}){order}", (*values, *part))
