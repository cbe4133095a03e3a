"""L: another account takes over within seconds of a refusal, with the same work.

After each refusal (429) of an account it is asked whether another account, of no common
organisation, begins with a prompt of the same template within :data:`WITHIN` seconds, which it had
not done in the 20 seconds before. The same is asked of twelve windows of equal length in the two
minutes before the refusal, which are what honest traffic of that template does at that time of the
day: a popular tool, a class before its deadline or a surge after a release fills all windows alike.
If refusals have nothing to do with it, the window behind one is hit no more often than the others.

An account that waits and tries again is no other account, and several keys of one account, or
accounts of one organisation, share a limit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mashbill.conduct.evidence.betting import among
from mashbill.conduct.signals.templates import SAME, alike

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECOND = 1_000_000
WITHIN = 10 * SECOND
QUIET = 20 * SECOND
"""microseconds for which whoever takes over had not asked for such work"""
BEFORE = 12
"""windows that a refusal's is compared with"""
NEEDED = (BEFORE + 1) * WITHIN + QUIET
"""microseconds before a refusal that have to be known"""
_LONGEST = 20_000  # exchanges of a window's surroundings that are looked at

Moment = tuple[int, str, bytes, bytes]
"""time, row, account, skeleton as bytes of uint32"""


@dataclass
class Handovers:
    """What followed refusals."""

    trials: dict[bytes, dict[int, tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """account that was refused -> windows hit -> (trials, those in which the real one was)"""
    takers: dict[tuple[bytes, bytes], tuple[int, str]] = field(default_factory=dict)
    """(refused, who took over) -> how often, and the first row of it"""


def handovers(
    refused: Sequence[Moment],
    exchanges: Sequence[Moment],
    organisations: Mapping[bytes, bytes],
) -> Handovers:
    """Return what followed each refusal.

    Args:
        refused: refusals; of each the exchanges from :data:`NEEDED` before to :data:`WITHIN` behind
            it have to be among the others.
        exchanges: by time.
        organisations: of accounts that have one.
    """
    found = Handovers()
    times = [moment[0] for moment in exchanges]
    sets: dict[int, np.ndarray] = {}
    for time, _, account, skeleton in refused:
        own = np.frombuffer(skeleton, "<u4")
        first = max(bisect_left(times, time - NEEDED), bisect_right(times, time) - _LONGEST)
        last = min(bisect_right(times, time + WITHIN), first + 2 * _LONGEST)
        same = [
            place
            for place in range(first, last)
            if _another(account, exchanges[place][2], organisations)
            and alike(own, _set(sets, exchanges, place), SAME)
        ]
        _count(found, time, account, [exchanges[place] for place in same])
    return found


def _another(one: bytes, other: bytes, organisations: Mapping[bytes, bytes]) -> bool:
    shared = organisations.get(one)
    return one != other and (shared is None or shared != organisations.get(other))


def _set(sets: dict[int, np.ndarray], exchanges: Sequence[Moment], place: int) -> np.ndarray:
    made = sets.get(place)
    if made is None:
        made = sets[place] = np.frombuffer(exchanges[place][3], "<u4")
    return made


def _count(found: Handovers, time: int, account: bytes, same: Sequence[Moment]) -> None:
    """Count the windows that are hit: by an account that had been quiet for a while before."""
    hit = []
    takers: list[Moment] = []
    for window in range(-BEFORE, 1):
        begins = time + window * WITHIN
        inside = [one for one in same if begins < one[0] <= begins + WITHIN]
        busy = {one[2] for one in same if begins - QUIET < one[0] <= begins}
        fresh = [one for one in inside if one[2] not in busy]
        hit.append(bool(fresh))
        if not window:
            takers = fresh
    count = sum(hit)
    trials, real = found.trials[account].get(count, (0, 0))
    found.trials[account][count] = (trials + 1, real + hit[-1])
    for taker in sorted({one[2] for one in takers}):
        row = min(one[1] for one in takers if one[2] == taker)
        times, first = found.takers.get((account, taker), (0, row))
        found.takers[account, taker] = (times + 1, min(first, row))


def evidence(trials: Mapping[int, tuple[int, int]]) -> float:
    """Return log10 of the e-value of what followed an account's refusals, or several accounts'."""
    return among(trials, BEFORE + 1, (0.3, 0.6, 0.9))
