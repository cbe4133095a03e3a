"""L: what followed refusals, of an account by itself and of accounts together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.evidence.weighed import Link, Sign, Weighed
from mashbill.conduct.scan import known
from mashbill.conduct.signals import handover

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mashbill.conduct.scan.database import Database

_ROWS, _LINKS, _TAKERS = 200, 4000, 50
_ALONE: tuple[handover.How, ...] = ("request", "template")
_TOGETHER: tuple[handover.How, ...] = ("known",)
"""of several accounts: what begins by chance behind the refusals of one does behind those of all"""
LEAST = 2
"""accounts that go on with each other's requests"""


def refusals(database: Database, accounts: Iterable[bytes]) -> Iterator[Weighed]:
    """Yield what followed the refusals of each of these accounts, where something did."""
    trials = known.trials(database, accounts)
    followed = known.takers(database, trials)
    for account, own in sorted(trials.items()):
        takers = followed.get(account, [])[:_TAKERS]
        if takers:
            again = {one.taker for one in takers if one.count > 1}
            rows = tuple(sorted(one.row for one in takers))
            yield Weighed(
                "L",
                tuple(sorted({account, *again})),
                (_sign(own, _ALONE, rows),),
                tuple(Link(account, one.taker, "handover", float(one.count)) for one in takers),
            )


def together(database: Database) -> Iterator[Weighed]:
    """Yield accounts of which each goes on with requests that another of them was refused.

    What joined an account to the others counts nothing: only what companions did after that, of all
    refusals of all of them.
    """
    for members in known.companions(database).all():
        if len(members) < LEAST:
            continue
        own = handover.added(known.trials(database, members).values())
        sign = _sign(own, _TOGETHER)
        if sign.log10_e > 0:
            yield Weighed("L", members, (sign,), _links(database, members))


def sign_in(database: Database, members: Sequence[bytes]) -> Sign | None:
    """Return what followed the refusals of a group as a sign, where it speaks against it."""
    sign = _sign(handover.added(known.trials(database, members).values()), _TOGETHER)
    return sign if sign.log10_e > 0 else None


def _links(database: Database, members: Sequence[bytes]) -> tuple[Link, ...]:
    inside = set(members)
    pairs = [
        Link(account, one.taker, "handover", float(one.count))
        for account, takers in known.takers(database, members).items()
        for one in takers
        if one.taker in inside
    ]
    pairs.sort(key=lambda link: (link.one, link.other))
    return tuple(pairs[:_LINKS])


def _sign(trials: handover.Trials, hows: Sequence[handover.How], rows: Sequence[str] = ()) -> Sign:
    """Return what followed refusals as a sign.

    Args:
        trials: of an account, or of several as one.
        hows: what is asked of them.
        rows: of those that took over.
    """
    number, same = handover.followed(trials, hows[0])
    whole, alike = handover.followed(trials, "template")
    number = max(number, whole)  # of short prompts it is not asked whether another is the same
    who = "an account that had done so before" if hows == _TOGETHER else "another account"
    seconds = handover.WITHIN // handover.SECOND
    plain = (
        f"within {seconds} seconds of {same:,} of {number:,} refusals for too many requests, {who} "
        "asked the very request that was refused"
    )
    statistic: dict[str, float] = {"refusals": number, "same request": same}
    if "template" in hows:
        plain += f"; within as many of {alike:,}, another began with the same kind of prompt"
        statistic["same kind of prompt"] = alike
    return Sign(
        "handover",
        handover.evidence(trials, hows),
        plain,
        f"the {handover.BEFORE['request']} windows of equal length before each refusal for the "
        f"same request, and {handover.BEFORE['template']} for the same kind of prompt",
        statistic,
        rows=tuple(rows[:_ROWS]),
        rows_in_all=max(same, alike if "template" in hows else 0),
    )
