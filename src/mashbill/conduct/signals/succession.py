"""I: a new account goes on with the work of one that was banned.

After each ban of an account of a family it is asked whether an account of the same family is first
seen within some hours, and the same of the same hours of the days before, since the family is
known: a tool that grows has newcomers in all of them, by day and seldom by night, and an
announcement brings them whether somebody was banned or not.
Windows that begin within a day of an earlier ban are left out: who follows that one did not come by
chance, and a stream with many bans would hide behind its successors. They are left out by the times
of bans alone, so that strangers gain nothing by it. No window is compared with twice, so that one
quiet week does not count for each ban after it: with the bets on all bans independent, their
product is an e-value (as of blocks of two samples; Turner, Ly and Grunwald, 2021). Bans within one
window of each other are one.

Who is banned opens another account the same evening or the next day, so windows of :data:`WINDOWS`
are looked at, and the mean of both counts.

And of each newcomer it is asked whether it has the card or the network of the account that was
banned before it came. Strangers seldom do, and flatmates, classes and offices do: it is held
against how usual that value is among all accounts of the family, and it is limited.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.betting import fair, mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOUR = 3600 * 1_000_000
WINDOWS = (6 * HOUR, 24 * HOUR)
"""microseconds behind a ban in which whoever goes on begins"""
LEAST, BEFORE = 3, 8
"""windows before a ban that it is compared with: at least, and at most"""
BACK = 60
"""days before a ban that are looked at, at most"""
_DAY = 24 * HOUR
SHARES = (0.3, 0.6, 0.9)
LENT = 0.02
"""share of honest newcomers of a family that have the card or the network of one before them, at
least"""
LIMIT = 2.0
"""log10: what a common card or network may add"""


@dataclass
class Successions:
    """What followed the bans of a family."""

    trials: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    """window -> of each ban, which share of its windows had a newcomer, and whether the one behind
    it had"""
    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)
    """banned, and who was first seen in the longest window behind: of several bans, the last"""


def successions(bans: Mapping[bytes, int], first: Mapping[bytes, int], ends: int) -> Successions:
    """Return how often the window behind a ban had a newcomer, and who followed whom.

    Args:
        bans: of members, when they were banned.
        first: of members, when they were first seen: what was before the first of them is no quiet
            time of the family.
        ends: up to when it is known.
    """
    found = Successions()
    newcomers = sorted((when, one) for one, when in first.items())
    begins = newcomers[0][0] if newcomers else 0
    for window in WINDOWS:
        earlier: list[int] = []
        used: list[int] = []
        for time, account in sorted((time, one) for one, time in bans.items()):
            days = range(time - _DAY, begins - 1, -_DAY)[:BACK]
            before = _free(days, window, earlier, used)
            alone = not earlier or time >= earlier[-1] + window
            earlier.append(time)
            if not alone or len(before) < LEAST or time + window > ends:
                continue
            for at in before:
                insort(used, at)
            behind = _in(newcomers, account, time, window)
            hits = [bool(behind), *(bool(_in(newcomers, account, at, window)) for at in before)]
            found.trials.setdefault(window, []).append((sum(hits) / len(hits), int(hits[0])))
    found.pairs = _pairs(bans, newcomers, ends)
    return found


def _pairs(
    bans: Mapping[bytes, int], newcomers: Sequence[tuple[int, bytes]], ends: int
) -> list[tuple[bytes, bytes]]:
    """Return who came within the longest window of a ban, with the last who was banned before."""
    order = sorted((time, one) for one, time in bans.items())
    found = []
    for when, newcomer in newcomers:
        before = bisect_left(order, when, key=_time)
        if not before or when >= ends:
            continue
        time, banned = order[before - 1]
        if when <= time + WINDOWS[-1] and banned != newcomer:
            found.append((banned, newcomer))
    return sorted(found)


def _free(starts: range, window: int, bans: Sequence[int], used: Sequence[int]) -> list[int]:
    """Return which windows nobody was banned a day before, and no ban was compared with yet.

    Args:
        starts: where they begin, the latest first.
        window: their length.
        bans: the earlier ones, ascending.
        used: where windows of this length begin that were compared with, ascending.
    """
    found = []
    for at in starts:
        if _none(bans, at - WINDOWS[-1], at + window) and _none(used, at - window, at + window):
            found.append(at)
            if len(found) == BEFORE:
                break
    return found


def _none(times: Sequence[int], after: int, before: int) -> bool:
    """Say whether none of ascending times lies between two moments."""
    return bisect_right(times, after) == bisect_left(times, before)


def _in(
    newcomers: Sequence[tuple[int, bytes]], account: bytes, begins: int, window: int
) -> list[bytes]:
    place = bisect_right(newcomers, begins, key=_time)
    behind = newcomers[place : bisect_right(newcomers, begins + window, key=_time)]
    return sorted(one for _, one in behind if one != account)


def _time(event: tuple[int, bytes]) -> int:
    return event[0]


def evidence(found: Successions) -> float:
    """Return log10 of the e-value of newcomers behind bans."""
    return mean(
        [
            fair([(share, 1, hit) for share, hit in found.trials.get(window, ())], SHARES)
            for window in WINDOWS
        ]
    )


def inherited(newcomers: Sequence[tuple[float, bool]]) -> float:
    """Return log10 of the e-value of newcomers who have a banned account's card or network.

    Args:
        newcomers: of each, with which chance a stranger of the family would have what the banned
            account has, and whether it does.
    """
    if not any(has for _, has in newcomers):
        return 0.0
    trials = [(max(LENT, chance), 1, int(has)) for chance, has in newcomers]
    return min(LIMIT, fair(trials, SHARES))
