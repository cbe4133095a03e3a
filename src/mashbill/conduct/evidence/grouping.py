"""Which accounts are looked at together.

Groups are families of like templates (:mod:`mashbill.conduct.signals.families`), parts of them that
share cards or moments of sign-up from different networks, and accounts that one card pays for. How
a group was chosen decides what may count against it: what it was chosen for is nothing new.

A group is looked at again when its accounts have done :data:`GROWN` times as much.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.weighed import Link
from mashbill.conduct.scan import known
from mashbill.conduct.signals import linkage
from mashbill.conduct.signals.families import families

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from mashbill.conduct.scan.database import Database
    from mashbill.conduct.signals.templates import Template

LEAST = 3
"""accounts of a group"""
GROWN = 1.15
EACH, SHARE, DAY = 4, 0.03, 24
"""hours from one look at groups to the next: at least, as a share of the hours that the log is
long, and at most, so that a log of months is not looked at as if each of its days were the first"""


@dataclass(frozen=True)
class Group:
    """Accounts, and among how many they were chosen by what they share."""

    members: tuple[bytes, ...]
    chosen_from: int
    links: tuple[Link, ...]
    """what they share that strangers on other networks do not; of fewer than :data:`LEAST` nothing
    is asked"""


def pause(hours: int) -> int:
    """Return how many hours pass until groups are looked at again, of a log of so many."""
    return max(EACH, min(DAY, int(hours * SHARE)))


def groups(
    database: Database, templates: Mapping[bytes, Template], banned: AbstractSet[bytes]
) -> tuple[list[Group], int]:
    """Return groups that have grown, in one order for all readers; and how many there are to test.

    A group that has somebody who was banned is tested twice: whether it acts as one, and whether
    somebody goes on.
    """
    done: dict[bytes, int] = {
        bytes(account): count
        for account, count in database.run("SELECT account, exchanges FROM accounts")
    }
    found: dict[tuple[bytes, ...], Group] = {}
    known_families = families(templates)
    for members in known_families:
        if _has_grown(database, "family", members, done):
            whole = _group(database, members, len(members))
            found[whole.members] = whole
            for part in _parts(whole):
                found.setdefault(tuple(part), _group(database, part, len(members)))
    cards = _of_one_card(database)
    for members in cards:
        if _has_grown(database, "card", members, done) and tuple(members) not in found:
            found[tuple(members)] = _group(database, members, len(done))
    parts = len(found) - sum(tuple(members) in found for members in (*known_families, *cards))
    every = [*known_families, *cards]
    twice = sum(not banned.isdisjoint(members) for members in every)
    return list(found.values()), len(every) + twice + parts


def _group(database: Database, members: Sequence[bytes], chosen_from: int) -> Group:
    shared = links(database, members) if len(members) >= LEAST else []
    return Group(tuple(members), chosen_from, tuple(shared))


def _has_grown(
    database: Database, why: str, members: Sequence[bytes], done: Mapping[bytes, int]
) -> bool:
    """Say whether a group is worth a look, and remember that it was looked at."""
    name = f"{why}-{hashlib.sha256(members[0]).hexdigest()[:16]}"
    whole = sum(done.get(one, 0) for one in members)
    before = database.run("SELECT exchanges FROM looks WHERE name = ?", (name,))
    if before and whole < GROWN * before[0][0]:
        return False
    database.run(
        "INSERT INTO looks VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET "
        "exchanges = excluded.exchanges",
        (name, whole),
    )
    return True


def _of_one_card(database: Database) -> list[list[bytes]]:
    """Return accounts that one card pays for, card by card."""
    by_card: dict[bytes, list[bytes]] = defaultdict(list)
    for account, value in database.each(
        "SELECT account, value FROM traits WHERE trait = 'payment' AND value IN (SELECT value FROM "
        "traits WHERE trait = 'payment' GROUP BY value HAVING COUNT(*) >= ?) ORDER BY account",
        (LEAST,),
    ):
        by_card[bytes(value)].append(bytes(account))
    return [members for _, members in sorted(by_card.items())]


def _parts(whole: Group) -> Iterator[list[bytes]]:
    """Yield the parts of a group that are held together by cards and moments of sign-up."""
    parents = {one: one for one in whole.members}
    for link in whole.links:
        first, second = sorted((_root(parents, link.one), _root(parents, link.other)))
        parents[second] = first
    parts: dict[bytes, list[bytes]] = defaultdict(list)
    for one in whole.members:
        parts[_root(parents, one)].append(one)
    for _, part in sorted(parts.items()):
        if 2 <= len(part) < len(whole.members):
            yield part


def links(database: Database, members: Sequence[bytes]) -> list[Link]:
    """Return what members share that strangers on other networks do not: cards, sign-up."""
    networks = known.traits(database, members, "network")
    found: list[Link] = [
        Link(one, other, "payment", 1.0, value)
        for one, other, value in linkage.by_value(
            known.usual(database, members, "payment"), networks
        )
    ]
    opened = {
        name: one.signed_up
        for name, one in known.accounts(database, members).items()
        if one.signed_up is not None
    }
    found += [Link(one, other, "signup", 0.5) for one, other in linkage.bursts(opened, networks)]
    return found


def _root(parents: dict[bytes, bytes], one: bytes) -> bytes:
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one
