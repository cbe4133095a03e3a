"""What is weighed of accounts together: whether they act as one while claiming to be many (I).

A group (:mod:`mashbill.conduct.evidence.grouping`) needs two signs of a different sort that each
say something, of which one is of what the accounts do (:data:`DOING`): that strangers have a card
in common, or that they ask equally often, is no finding.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.grouping import LEAST
from mashbill.conduct.evidence.weighed import Sign, Weighed
from mashbill.conduct.scan import known
from mashbill.conduct.scan.tally import SPAN
from mashbill.conduct.signals import evenness, linkage, partition, timing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.conduct.evidence.grouping import Group
    from mashbill.conduct.scan.database import Database

DOING = frozenset({"evenness", "timing", "partition", "handover"})
SAYS = 1.0
"""log10 from which a sign says something"""
WINDOW = 18
"""spans of four hours over which it is asked who asks how much: three days"""
_STRANGERS = 300
_LINKS = 4000


class Crowd:
    """Who asked in which slot, of all accounts; read once a look, if any group wants it."""

    def __init__(self, database: Database, now: int) -> None:
        """Look at the days before now, in microseconds."""
        self.since = (now // 1_000_000 - timing.DAYS * 86_400) // timing.SLOT
        self._database = database

    @functools.cached_property
    def slots(self) -> dict[int, int]:
        """Slot -> accounts."""
        return known.crowd(self._database, self.since)


def weigh(
    database: Database, group: Group, handed: Sign | None, now: int, crowd: Crowd
) -> Weighed | None:
    """Return what the signs of a group come to, or None where there is nothing to say.

    Args:
        database: the state.
        group: it.
        handed: what followed its refusals.
        now: microseconds; nothing from then on is looked at.
        crowd: of all accounts, at that moment.
    """
    members = group.members
    if len(members) < LEAST:
        return None
    accounts = known.accounts(database, members)
    declared = Counter(one.organisation for one in accounts.values() if one.organisation)
    if declared and declared.most_common(1)[0][1] == len(members):
        return None  # they say that they are one
    even = _evenness(database, accounts, now)
    timed = _timing(database, members, crowd)
    signs = [one for one in (even, timed, _linkage(group), handed) if one is not None]
    if sum(sign.log10_e for sign in signs if sign.log10_e > 0) >= SAYS:
        divided = _partition(database, members)  # the dearest to ask for
        signs += [divided] if divided is not None else []
    telling = [sign for sign in signs if sign.log10_e >= SAYS]
    if len(telling) < 2 or not any(sign.signal in DOING for sign in telling):
        return None
    return Weighed("I", members, tuple(signs), group.links[:_LINKS])


def _evenness(database: Database, accounts: Mapping[bytes, known.Account], now: int) -> Sign | None:
    """Say how alike members ask, each by the part of the days in which it was there."""
    ends = now // SPAN
    begins = ends - WINDOW
    counted = known.spans(database, accounts, begins, ends)
    there = {
        name: min(ends, (one.banned or now) // SPAN) - max(begins, one.first // SPAN)
        for name, one in accounts.items()
    }
    members = [name for name in accounts if there[name] >= max(1, max(there.values()) / 3)]
    totals = [sum(counted.get(one, {}).values()) for one in members]
    spans = len({span for one in counted.values() for span in one})
    found = evenness.evidence(totals, spans, [there[one] for one in members])
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
        {
            "accounts": len(members),
            "median": usual,
            "spread": round(evenness.spread(totals, [there[one] for one in members]), 4),
        },
        limit=evenness.limit(spans),
    )


def _timing(database: Database, members: Sequence[bytes], crowd: Crowd) -> Sign | None:
    """Say how often members ask in the same seconds."""
    own = known.moments(database, members, crowd.since)
    if len(own) < 2:
        return None
    tried = timing.trials(own, crowd.slots)
    found = timing.evidence(tried)
    if not found:
        return None
    hits = sum(hit for _, _, hit in tried)
    chance = math.fsum(own for own, _, _ in tried)
    return Sign(
        "timing",
        found,
        f"in {hits:,} of {len(tried):,} quarters of an hour an account asked within the same "
        f"{timing.SLOT} seconds as one of these before it; by chance it would be {chance:,.1f}",
        "accounts with moments of their own hit those of others by chance, however busy the hour "
        "is; the first minute of each five is left out, for schedulers begin then",
        {"trials": len(tried), "hits": hits, "by chance": round(chance, 3)},
        limit=timing.LIMIT,
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
    elsewhere: set[int] = set()
    for start in range(0, min(len(whole), 20_000), 500):
        part = whole[start : start + 500]
        places = ", ".join("?" * len(part))
        query = f"SELECT account, hash FROM items WHERE hash IN ({places})"  # noqa: S608 - places only
        for account, item in database.run(query, part):
            if bytes(account) not in inside:
                met[bytes(account)] += 1
                elsewhere.add(item)
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
    if not without:
        # What anybody asks, two of them may ask; what nobody else does no queue gives out twice.
        within = partition.meetings([own[one] - elsewhere for one in sorted(own)], [])[0]
    if within and not without:
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
