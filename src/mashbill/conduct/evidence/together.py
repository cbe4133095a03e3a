"""What is weighed of accounts together: whether they act as one while claiming to be many (I).

Groups are families of one template (:mod:`mashbill.conduct.signals.templates`) and accounts that
one card pays for; each is taken whole, and in the parts that share cards or moments of sign-up from
different networks. A group needs two signs of a different sort that each say something, of which
one is of what the accounts do (:data:`DOING`): that strangers have a card in common, or that they
ask equally often, is no finding.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.weighed import Sign, Weighed
from mashbill.conduct.scan import known
from mashbill.conduct.scan.tally import SPAN
from mashbill.conduct.signals import evenness, handover, linkage, partition, succession
from mashbill.conduct.signals.templates import families

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np

    from mashbill.conduct.scan.database import Database

DOING = frozenset({"evenness", "partition", "succession", "handover"})
SAYS = 1.0
"""log10 from which a sign says something"""
LEAST = 3
"""accounts of a group"""
WINDOW = 18
"""spans of four hours over which it is asked who asks how much: three days"""
_STRANGERS = 300
_LINKS = 4000

Link = tuple[bytes, bytes, str, float]


@dataclass(frozen=True)
class Around:
    """What is known of all accounts, that groups are held against."""

    database: Database
    templates: Mapping[bytes, np.ndarray]
    now: int
    """microseconds: nothing from then on is looked at"""


def groups(around: Around) -> Iterator[tuple[bytes, ...]]:
    """Yield groups of accounts to be looked at, each once, in an order that is always the same."""
    seen: set[tuple[bytes, ...]] = set()
    families_found = [tuple(one) for one in families(around.templates, LEAST)]
    for members in [*families_found, *_of_one_card(around.database)]:
        for part in [members, *_parts(around.database, members)]:
            if len(part) >= LEAST and part not in seen:
                seen.add(part)
                yield part


def _of_one_card(database: Database) -> Iterator[tuple[bytes, ...]]:
    """Yield accounts that one card pays for."""
    by_card: dict[bytes, list[bytes]] = defaultdict(list)
    for account, value in database.each(
        "SELECT account, value FROM traits WHERE trait = 'payment' AND value IN (SELECT value FROM "
        "traits WHERE trait = 'payment' GROUP BY value HAVING COUNT(*) >= ?) ORDER BY account",
        (LEAST,),
    ):
        by_card[bytes(value)].append(bytes(account))
    for _, members in sorted(by_card.items()):
        yield tuple(members)


def _parts(database: Database, members: Sequence[bytes]) -> Iterator[tuple[bytes, ...]]:
    """Yield the parts of a group that are held together by cards and moments of sign-up."""
    parents = {one: one for one in members}
    for one, other, _, _ in links(database, members):
        first, second = sorted((_root(parents, one), _root(parents, other)))
        parents[second] = first
    parts: dict[bytes, list[bytes]] = defaultdict(list)
    for one in members:
        parts[_root(parents, one)].append(one)
    for _, part in sorted(parts.items()):
        if LEAST <= len(part) < len(members):
            yield tuple(part)


def links(database: Database, members: Sequence[bytes]) -> list[Link]:
    """Return what members share that strangers on other networks do not: cards, sign-up."""
    networks = known.traits(database, members, "network")
    found: list[Link] = [
        (one, other, "payment", 1.0)
        for one, other, _ in linkage.by_value(known.usual(database, members, "payment"), networks)
    ]
    opened = {
        name: one.signed_up
        for name, one in known.accounts(database, members).items()
        if one.signed_up is not None
    }
    found += [(one, other, "signup", 0.5) for one, other in linkage.bursts(opened, networks)]
    return found


def weigh(around: Around, members: tuple[bytes, ...]) -> Weighed | None:
    """Return what the signs of a group come to, or None where there is nothing to say."""
    accounts = known.accounts(around.database, members)
    declared = Counter(one.organisation for one in accounts.values() if one.organisation)
    if declared and declared.most_common(1)[0][1] == len(members):
        return None  # they say that they are one
    shared = links(around.database, members)
    signs = [
        sign
        for sign in (
            _evenness(around, members),
            _linkage(members, shared),
            _partition(around, members),
            _succession(accounts),
            _handover(around, members),
        )
        if sign is not None
    ]
    telling = [sign for sign in signs if sign.log10_e >= SAYS]
    if len(telling) < 2 or not any(sign.signal in DOING for sign in telling):
        return None
    return Weighed("I", members, tuple(signs), tuple(shared[:_LINKS]))


def _evenness(around: Around, members: Sequence[bytes]) -> Sign | None:
    ends = around.now // SPAN
    counted = known.spans(around.database, members, ends - WINDOW, ends)
    totals = [sum(counted.get(one, {}).values()) for one in members]
    spans = len({span for one in counted.values() for span in one})
    found = evenness.evidence(totals, spans)
    if not found:
        return None
    usual = sorted(totals)[len(totals) // 2]
    return Sign(
        "evenness",
        found,
        f"in the same {spans * SPAN / 86_400_000_000:.1f} days these {len(members):,} accounts "
        f"asked about equally often, {usual:,} times each in the middle",
        "strangers who use one tool differ by more: the standard deviation of the logarithm of "
        f"their counts is at least {evenness.STRANGERS}",
        {"accounts": len(members), "median": usual, "spread": round(evenness.spread(totals), 4)},
        limit=evenness.limit(spans),
    )


def _linkage(members: Sequence[bytes], shared: Sequence[Link]) -> Sign | None:
    paired = {other for _, other, why, _ in shared if why == "payment"}
    opened = {other for _, other, why, _ in shared if why == "signup"}
    found = max(
        linkage.evidence(len(members), len(paired), 0.0),
        linkage.evidence(len(members), len(opened), 0.1),
    )
    if not found:
        return None
    parts = [
        f"{len(paired):,} have a means of payment in common with another" if paired else "",
        f"{len(opened):,} were opened within minutes of another" if opened else "",
    ]
    return Sign(
        "linkage",
        found,
        f"of {len(members):,} accounts on different networks "
        + " and ".join(part for part in parts if part),
        "strangers on different networks seldom share a means of payment, or open accounts in the "
        "same minutes",
        {"accounts": len(members), "payment": len(paired), "signup": len(opened)},
        limit=linkage.LIMIT,
    )


def _partition(around: Around, members: Sequence[bytes]) -> Sign | None:
    own = known.items(around.database, members)
    whole = sorted({item for items in own.values() for item in items})
    inside = set(members)
    met: Counter[bytes] = Counter()
    for start in range(0, min(len(whole), 20_000), 500):
        part = whole[start : start + 500]
        places = ", ".join("?" * len(part))
        query = f"SELECT account FROM items WHERE hash IN ({places})"  # noqa: S608 - places only
        met.update(
            bytes(row[0]) for row in around.database.run(query, part) if row[0] not in inside
        )
    strangers = [one for one, number in sorted(met.items()) if number >= 3][:_STRANGERS]
    others = known.items(around.database, strangers)
    within, without, pairs, across = partition.meetings(
        [own[one] for one in sorted(own)], [others[one] for one in sorted(others)]
    )
    if within and not without:
        # nobody else does this work, and they do it more than once: no queue gives it out
        return Sign(
            "partition",
            -min(4.0, within / len(members)),
            f"{within:,} times two of these accounts did the same item, as people do who have the "
            "same task",
            "one queue gives each item out once",
            {"met within": within},
        )
    found = partition.evidence(within, without, pairs, across)
    if not found:
        return None
    return Sign(
        "partition",
        found,
        f"others who do the same items met one of these accounts in one of them {without:,} times, "
        f"and two of these accounts met {within:,} times",
        "people who go through one public set meet each other as often as others",
        {"met within": within, "met outside": without},
        limit=partition.LIMIT,
    )


def _succession(accounts: Mapping[bytes, known.Account]) -> Sign | None:
    bans = sorted(one.banned for one in accounts.values() if one.banned is not None)
    if not bans:
        return None
    before = behind = 0
    last = 0
    for time in bans:
        if time < last + succession.SPAN:
            continue  # newcomers count once
        last = time
        one, other = succession.newcomers(time, (each.first for each in accounts.values()))
        before, behind = before + one, behind + other
    found = succession.evidence(before, behind)
    if not found:
        return None
    days = succession.SPAN // succession.DAY
    return Sign(
        "succession",
        found,
        f"in the {days} days behind bans of accounts with this work {behind:,} new accounts began "
        f"it, and {before:,} in the {days} days before",
        "newcomers to a kind of work come before a ban as often as behind it",
        {"before": before, "behind": behind, "bans": len(bans)},
    )


def _handover(around: Around, members: Sequence[bytes]) -> Sign | None:
    summed: dict[int, tuple[int, int]] = {}
    for trials in known.trials(around.database, members).values():
        for hit, (number, real) in trials.items():
            one, other = summed.get(hit, (0, 0))
            summed[hit] = (one + number, other + real)
    found = handover.evidence(summed)
    number = sum(count for count, _ in summed.values())
    followed = sum(real for _, real in summed.values())
    if found <= 0:
        return None
    return Sign(
        "handover",
        found,
        f"after {followed:,} of {number:,} refusals of these accounts another one began with the "
        f"same kind of prompt within {handover.WITHIN // 10**6} seconds",
        f"the {handover.BEFORE} windows of equal length before each refusal",
        {"refusals": number, "followed": followed},
    )


def _root(parents: dict[bytes, bytes], one: bytes) -> bytes:
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one
