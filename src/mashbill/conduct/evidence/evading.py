"""L: what followed refusals, of an account by itself and of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.evidence.weighed import Link, Sign, Weighed
from mashbill.conduct.scan import known
from mashbill.conduct.signals import handover

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mashbill.conduct.scan.database import Database

_ROWS, _LINKS, _TAKERS = 200, 4000, 50

Trials = dict[int, tuple[int, int]]
"""windows hit -> (refusals, those of them that another account followed)"""


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
                (sign_of(own, rows),),
                tuple(Link(account, one.taker, "handover", float(one.count)) for one in takers),
            )


def of_group(database: Database, members: Sequence[bytes], sign: Sign) -> Weighed | None:
    """Return what followed the refusals of a group, of those of it whom it speaks of.

    All refusals of the group count, those that nobody took over too; else those who were taken
    over from would be chosen by what is held against them.

    Args:
        database: the state.
        members: of the group.
        sign: of all of them (:func:`sign_in`).
    """
    inside = set(members)
    pairs = [
        Link(account, one.taker, "handover", float(one.count))
        for account, takers in known.takers(database, members).items()
        for one in takers
        if one.taker in inside
    ]
    if not pairs:
        return None
    pairs.sort(key=lambda link: (link.one, link.other))
    ends = {end for link in pairs for end in (link.one, link.other)}
    return Weighed("L", tuple(sorted(ends)), (sign,), tuple(pairs[:_LINKS]))


def sign_in(database: Database, members: Sequence[bytes]) -> Sign | None:
    """Return what followed the refusals of a group as a sign, where it speaks against it."""
    summed: Trials = {}
    for own in known.trials(database, members).values():
        for hit, (number, real) in own.items():
            one, other = summed.get(hit, (0, 0))
            summed[hit] = (one + number, other + real)
    sign = sign_of(summed)
    return sign if sign.log10_e > 0 else None


def sign_of(trials: Trials, rows: Sequence[str] = ()) -> Sign:
    """Return what followed refusals as a sign.

    Args:
        trials: of an account, or of several as one.
        rows: of those that took over.
    """
    number = sum(count for count, _ in trials.values())
    followed = sum(real for _, real in trials.values())
    return Sign(
        "handover",
        handover.evidence(trials),
        f"after {followed:,} of {number:,} refusals for too many requests, another account began "
        f"with the same kind of prompt within {handover.WITHIN // 10**6} seconds",
        f"the {handover.BEFORE} windows of equal length before each refusal",
        {"refusals": number, "followed": followed},
        rows=tuple(rows[:_ROWS]),
        rows_in_all=followed,
    )
