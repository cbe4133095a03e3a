"""What is weighed of accounts together: whether they act as one while claiming to be many (I).

A group (:mod:`mashbill.conduct.evidence.grouping`) needs two signs of a different sort that each
say something, of which one is of what the accounts do (:data:`DOING`): that strangers have a card
in common, or that they ask equally often, is no finding.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.grouping import LEAST
from mashbill.conduct.evidence.weighed import Link, Sign, Weighed
from mashbill.conduct.scan import known
from mashbill.conduct.scan.tally import SPAN
from mashbill.conduct.signals import evenness, linkage, partition, succession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.conduct.evidence.grouping import Group
    from mashbill.conduct.scan.database import Database

DOING = frozenset({"evenness", "partition", "succession", "handover"})
SAYS = 1.0
"""log10 from which a sign says something"""
WINDOW = 18
"""spans of four hours over which it is asked who asks how much: three days"""
_STRANGERS = 300
_LINKS = 4000


def weigh(database: Database, group: Group, handed: Sign | None, now: int) -> Weighed | None:
    """Return what the signs of a group come to, or None where there is nothing to say.

    Args:
        database: the state.
        group: it.
        handed: what followed its refusals.
        now: microseconds; nothing from then on is looked at.
    """
    members = group.members
    if len(members) < LEAST:
        return None
    accounts = known.accounts(database, members)
    declared = Counter(one.organisation for one in accounts.values() if one.organisation)
    if declared and declared.most_common(1)[0][1] == len(members):
        return None  # they say that they are one
    succeeded, successors = _succession(database, accounts, now)
    signs = [
        sign
        for sign in (
            _evenness(database, members, now),
            _linkage(group),
            succeeded,
            handed,
        )
        if sign is not None
    ]
    if sum(sign.log10_e for sign in signs if sign.log10_e > 0) >= SAYS:
        divided = _partition(database, members)  # the dearest to ask for
        signs += [divided] if divided is not None else []
    telling = [sign for sign in signs if sign.log10_e >= SAYS]
    if len(telling) < 2 or not any(sign.signal in DOING for sign in telling):
        return None
    return Weighed("I", members, tuple(signs), tuple([*successors, *group.links][:_LINKS]))


def _evenness(database: Database, members: Sequence[bytes], now: int) -> Sign | None:
    ends = now // SPAN
    counted = known.spans(database, members, ends - WINDOW, ends)
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
        f"asked about equally often, {usual:,} times by the median",
        "strangers who use one tool differ by more: the standard deviation of the logarithm of "
        f"their counts is at least {evenness.STRANGERS}",
        {"accounts": len(members), "median": usual, "spread": round(evenness.spread(totals), 4)},
        limit=evenness.limit(spans),
    )


def _linkage(group: Group) -> Sign | None:
    members, shared = group.members, group.links
    paired = {other for _, other, why, *_ in shared if why == "payment"}
    opened = {other for _, other, why, *_ in shared if why == "signup"}
    found = max(
        linkage.evidence(len(members), len(paired), 0.0, group.chosen_from),
        linkage.evidence(len(members), len(opened), 0.1, group.chosen_from),
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
        {
            "accounts": len(members),
            "payment": len(paired),
            "signup": len(opened),
            "chosen from": group.chosen_from,
        },
        limit=linkage.LIMIT,
    )


def _partition(database: Database, members: Sequence[bytes]) -> Sign | None:
    own = known.items(database, members)
    whole = sorted({item for items in own.values() for item in items})
    inside = set(members)
    met: Counter[bytes] = Counter()
    for start in range(0, min(len(whole), 20_000), 500):
        part = whole[start : start + 500]
        places = ", ".join("?" * len(part))
        query = f"SELECT account FROM items WHERE hash IN ({places})"  # noqa: S608 - places only
        met.update(bytes(row[0]) for row in database.run(query, part) if row[0] not in inside)
    strangers = [one for one, number in sorted(met.items()) if number >= 5][:_STRANGERS]
    others = {
        one: items
        for one, items in known.items(database, strangers).items()
        if met[one] >= partition.PART * len(items)
    }
    public = {item for items in others.values() for item in items} & set(whole)
    if len(public) < partition.PUBLIC * len(whole):
        others = {}
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


def _succession(
    database: Database, accounts: Mapping[bytes, known.Account], now: int
) -> tuple[Sign | None, list[Link]]:
    bans = {name: one.banned for name, one in accounts.items() if one.banned is not None}
    if not bans:
        return None, []
    begins = int(database.run("SELECT MIN(first) FROM accounts")[0][0])
    first = {name: one.first for name, one in accounts.items()}
    found, pairs = succession.trials(bans, first, begins, now)
    strength = succession.evidence(found)
    if not strength:
        return None, []
    tried = sum(number for number, _ in found.values())
    followed = sum(real for _, real in found.values())
    hours = succession.WINDOW // succession.HOUR
    sign = Sign(
        "succession",
        strength,
        f"within {hours} hours of {followed:,} of {tried:,} bans of accounts with this work, "
        "another account was first seen that does it",
        f"the {succession.BEFORE} windows of equal length before each ban",
        {"bans": tried, "followed": followed},
    )
    return sign, [Link(one, other, "succession", 1.0) for one, other in pairs]
