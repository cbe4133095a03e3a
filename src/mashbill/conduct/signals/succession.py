"""I: a new account goes on with the work of one that was banned.

After each ban of a member it is asked whether another account of the group was first seen within
:data:`WINDOW`; and the same of twelve windows of equal length before the ban, which are how often
newcomers come to this kind of work anyway. If the ban has nothing to do with them, the window
behind it has one no more often than the others. Bans in the first days of a log, when everybody is
a newcomer, say nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.evidence.betting import among

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOUR = 3600 * 1_000_000
WINDOW = 6 * HOUR
"""microseconds behind a ban in which whoever goes on begins"""
BEFORE = 12
NEEDED = BEFORE * WINDOW
"""microseconds before a ban that have to be known"""


def trials(
    bans: Mapping[bytes, int], first: Mapping[bytes, int], begins: int, ends: int
) -> tuple[dict[int, tuple[int, int]], list[tuple[bytes, bytes]]]:
    """Return how often the window behind a ban had a newcomer, and who followed whom.

    Args:
        bans: of members, when they were banned.
        first: of members, when they were first seen.
        begins: when the log begins.
        ends: up to when it is known.

    Returns:
        windows with a newcomer -> (bans of which so many windows had one, those of them of which
        the window behind did); and pairs (banned, newcomer).
    """
    found: dict[int, tuple[int, int]] = {}
    pairs: list[tuple[bytes, bytes]] = []
    for account, time in sorted(bans.items()):
        if time - NEEDED < begins or time + WINDOW > ends:
            continue
        others = [(when, one) for one, when in first.items() if one != account]
        hit = [_in(others, time + place * WINDOW) for place in range(-BEFORE, 1)]
        count = sum(map(bool, hit))
        tried, real = found.get(count, (0, 0))
        found[count] = (tried + 1, real + bool(hit[-1]))
        pairs += [(account, one) for one in hit[-1]]
    return found, pairs


def _in(others: Sequence[tuple[int, bytes]], begins: int) -> list[bytes]:
    return sorted(one for when, one in others if begins < when <= begins + WINDOW)


def evidence(found: Mapping[int, tuple[int, int]]) -> float:
    """Return log10 of the e-value of newcomers behind bans."""
    return among(found, BEFORE + 1, (0.3, 0.6, 0.9))
