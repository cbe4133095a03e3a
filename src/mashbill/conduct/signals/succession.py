"""I: a new account goes on with the work of one that was banned.

Of the accounts of the banned one's family, those that were first seen in the days after the ban are
compared with those first seen in as many days before it. If the ban has nothing to do with them,
a newcomer falls before or behind it with equal chance; where the family grows anyway, as a popular
tool's does, it grew before, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.evidence.betting import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

DAY = 86_400_000_000
SPAN = 3 * DAY
"""microseconds before and behind a ban in which newcomers count"""
_SHARES = (0.75, 0.9, 0.97)


def newcomers(banned: int, first: Iterable[int]) -> tuple[int, int]:
    """Return how many were first seen before and behind a ban, of times in microseconds."""
    before = behind = 0
    for time in first:
        before += banned - SPAN <= time < banned
        behind += banned < time <= banned + SPAN
    return before, behind


def evidence(before: int, behind: int) -> float:
    """Return log10 of the e-value of newcomers before and behind a family's bans."""
    if not before + behind:
        return 0.0
    return counted((before, behind), (0.5, 0.5), [(1 - share, share) for share in _SHARES])
