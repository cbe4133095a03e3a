"""What is weighed of a family whose accounts are banned: whether others go on with their work (I).

That newcomers follow bans is counted over the whole family (:mod:`mashbill.conduct.signals.
succession`). Who is named is another question: a stranger with a like template may begin on the day
of a ban. So a case names banned accounts and those who came behind and have the card or the network
of the one before, and nobody else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.evidence.weighed import Link, Sign, Weighed
from mashbill.conduct.scan import known
from mashbill.conduct.scan.tally import SPAN
from mashbill.conduct.signals import evenness, succession

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.conduct.evidence.grouping import Group
    from mashbill.conduct.scan.database import Database

SAYS = 1.0
"""log10 from which a sign says something; two have to"""
USUAL = 0.2
"""share of a family that has what a banned account had, up to which a newcomer that has it is an
heir: what all of a campus have names nobody"""
DAY = 6
"""spans of four hours; of a shorter time no pace is told"""
_TRAITS = ("payment", "network")


def weigh(database: Database, group: Group, now: int) -> Weighed | None:
    """Return what newcomers behind bans come to, or None where there is nothing to say.

    Args:
        database: the state.
        group: the family.
        now: microseconds; nothing from then on is looked at.
    """
    accounts = known.accounts(database, group.members)
    bans = {name: one.banned for name, one in accounts.items() if one.banned is not None}
    first = {name: one.first for name, one in accounts.items()}
    found = succession.successions(bans, first, now)
    pairs = [pair for pair in found.pairs if not _say_that_they_are_one(accounts, *pair)]
    shared = _shared(database, pairs, group.members)
    heirs = [
        pair for pair, (chance, has) in zip(pairs, shared, strict=True) if has and chance <= USUAL
    ]
    if not heirs:
        return None
    named = tuple(sorted({end for pair in heirs for end in pair}))
    followed = _followed(found)
    if followed is None or followed.log10_e < SAYS:
        return None
    beside = (_inherited(shared), _pace({one: accounts[one] for one in named}, now))
    signs = [followed, *(one for one in beside if one is not None)]
    if sum(sign.log10_e >= SAYS for sign in signs) < 2:
        return None
    links = [Link(one, other, "succession", 1.0) for one, other in heirs]
    return Weighed("I", named, tuple(signs), tuple(links), "resumed")


def _say_that_they_are_one(
    accounts: Mapping[bytes, known.Account], one: bytes, other: bytes
) -> bool:
    own = accounts[one].organisation
    return own is not None and own == accounts[other].organisation


def _followed(found: succession.Successions) -> Sign | None:
    strength = succession.evidence(found)
    if not strength:
        return None
    window = max(found.trials)
    tried = found.trials[window]
    followed = sum(hit for _, hit in tried)
    return Sign(
        "succession",
        strength,
        f"within {window // succession.HOUR} hours of {followed:,} of {len(tried):,} bans of "
        "accounts with this work, another account was first seen that does it",
        "the same hours of the days before each ban that followed no other ban, each compared "
        "with once",
        {"bans": len(tried), "followed": followed},
    )


def _shared(
    database: Database, pairs: Sequence[tuple[bytes, bytes]], members: Sequence[bytes]
) -> list[tuple[float, bool]]:
    """Return of each pair the chance that a member has what the banned one has, and if it does.

    The chance is told by those who were neither banned nor came behind a ban: a stream that keeps
    its card over three accounts would else make it a usual one.
    """
    if not pairs:
        return []
    there = [known.traits(database, members, trait) for trait in _TRAITS]
    having: list[dict[bytes, set[bytes]]] = [{} for _ in there]
    for of, by_value in zip(there, having, strict=True):
        for one, values in of.items():
            for value in values:
                by_value.setdefault(value, set()).add(one)
    beside = set(members) - {end for pair in pairs for end in pair}
    found = []
    for banned, newcomer in pairs:
        has, holders = False, set[bytes]()
        for of, by_value in zip(there, having, strict=True):
            both = set(of.get(banned, ())) & set(of.get(newcomer, ()))
            has = has or bool(both)
            holders |= {one for value in of.get(banned, ()) for one in by_value[value]}
        found.append((len(holders & beside) / max(1, len(beside)), has))
    return found


def _inherited(shared: Sequence[tuple[float, bool]]) -> Sign | None:
    strength = succession.inherited(shared)
    if strength <= 0:
        return None
    number = sum(has for _, has in shared)
    return Sign(
        "inheritance",
        strength,
        f"{number:,} of {len(shared):,} newcomers behind a ban have the means of payment or the "
        "network of the account that was banned",
        f"of newcomers with the same work, {succession.LENT:.0%} do, or as many as of all accounts "
        "with that work",
        {"newcomers": len(shared), "shared": number},
        limit=succession.LIMIT,
    )


def _pace(accounts: Mapping[bytes, known.Account], now: int) -> Sign | None:
    """Say how alike those ask who were banned and who came behind, each over all of its time."""
    there = {name: ((one.banned or now) - one.first) // SPAN for name, one in accounts.items()}
    members = [name for name in sorted(accounts) if there[name] >= DAY]
    totals = [accounts[one].exchanges for one in members]
    spans = [there[one] for one in members]
    ends = [accounts[one].banned or now for one in members]
    whole = (
        max(ends, default=0) - min((accounts[one].first for one in members), default=0)
    ) // SPAN
    found = evenness.evidence(totals, whole, spans)
    if not found:
        return None
    daily = sorted(DAY * total / span for total, span in zip(totals, spans, strict=True))
    return Sign(
        "evenness",
        found,
        f"{len(members):,} of these accounts asked about equally often while they were there, "
        f"{daily[len(daily) // 2]:,.0f} times a day by the median",
        "strangers who use one tool differ by more: the standard deviation of the logarithm of "
        f"their rates is at least {evenness.STRANGERS}",
        {
            "accounts": len(members),
            "median": round(daily[len(daily) // 2], 2),
            "spread": round(evenness.spread(totals, spans), 4),
        },
        limit=evenness.limit(whole),
    )
