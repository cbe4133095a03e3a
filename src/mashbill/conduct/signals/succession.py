"""I: a new account goes on with the work of one that was banned.

After each ban of an account of a family it is asked whether an account of the same family is first
seen within some hours, and the same of as many windows of equal length before the ban as are known:
a tool that grows has newcomers in all of them, and an announcement brings them whether somebody was
banned or not. Who is banned opens another account the same evening or the next day, so windows of
:data:`WINDOWS` are looked at, and the mean of both counts.

And of those newcomers it is asked what they have in common with the account that was banned: its
card or its network. Strangers seldom do, and flatmates do: it is limited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.betting import fair, mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOUR = 3600 * 1_000_000
WINDOWS = (6 * HOUR, 24 * HOUR)
"""microseconds behind a ban in which whoever goes on begins"""
LEAST, BEFORE = 3, 24
"""windows before a ban that are known, at least, and that are looked at, at most"""
SHARES = (0.3, 0.6, 0.9)
LENT = 0.02
"""share of honest newcomers of a family that have the card or the network of one before them"""
LIMIT = 2.0
"""log10: what a common card or network may add"""


@dataclass
class Successions:
    """What followed the bans of a family."""

    trials: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    """window -> of each ban, which share of its windows had a newcomer, and whether the one behind
    it had"""
    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    """banned, and who was first seen in the longest window behind"""


def successions(
    bans: Mapping[bytes, int], first: Mapping[bytes, int], begins: int, ends: int
) -> Successions:
    """Return how often the window behind a ban had a newcomer, and who followed whom.

    Args:
        bans: of members, when they were banned.
        first: of members, when they were first seen.
        begins: when the log begins.
        ends: up to when it is known.
    """
    found = Successions()
    for account, time in sorted(bans.items()):
        others = sorted((when, one) for one, when in first.items() if one != account)
        for window in WINDOWS:
            places = min(BEFORE, (time - begins) // window)
            if places < LEAST or time + window > ends:
                continue
            hit = [_in(others, time + place * window, window) for place in range(-places, 1)]
            share = sum(map(bool, hit)) / len(hit)
            found.trials.setdefault(window, []).append((share, int(bool(hit[-1]))))
            if window == WINDOWS[-1]:
                found.pairs += [(account, one) for one in hit[-1]]
    return found


def _in(others: Sequence[tuple[int, bytes]], begins: int, window: int) -> list[bytes]:
    return sorted(one for when, one in others if begins < when <= begins + window)


def evidence(found: Successions) -> float:
    """Return log10 of the e-value of newcomers behind bans."""
    return mean(
        [
            fair([(share, 1, hit) for share, hit in found.trials.get(window, ())], SHARES)
            for window in WINDOWS
        ]
    )


def inherited(pairs: int, shared: int) -> float:
    """Return log10 of the e-value of newcomers who have a banned account's card or network.

    Args:
        pairs: of a banned account and a newcomer.
        shared: those of them in which the newcomer has the card or the network.
    """
    return min(LIMIT, fair([(LENT, pairs, shared)], SHARES)) if shared else 0.0
