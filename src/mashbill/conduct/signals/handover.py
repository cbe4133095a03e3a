"""L: another account takes over within seconds of a refusal, with the same work.

After each refusal (429) of an account two things are asked of the :data:`WITHIN` seconds behind it:

* whether another account, of no common organisation, asked the very request that was refused, and
  whether one did that had done so before (:class:`Companions`);
* whether another account, of no common organisation, began with a prompt of the same template,
  which it had not done in the 20 seconds before.

The same is asked of windows of equal length before the refusal, which are what honest traffic does
at that time of the day: a popular tool, a class before its deadline, a benchmark that many run or a
surge after a release fills all windows alike. If refusals have nothing to do with it, the window
behind one is hit no more often than the others. Few prompts of strangers are the same to the
letter, so of the first question twenty minutes are looked at.

An account that waits and tries again is no other account, and several keys of one account, or
accounts of one organisation, share a limit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from mashbill.conduct.evidence.betting import among, mean
from mashbill.conduct.signals.templates import SAME, alike

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

How = Literal["template", "request", "known"]
"""what was asked: the same template, the very same request, that by an account which did before"""
SECOND = 1_000_000
WITHIN = 10 * SECOND
QUIET = 20 * SECOND
"""microseconds for which whoever takes over with a template had not asked for such work"""
BEFORE: dict[How, int] = {"template": 12, "request": 120, "known": 120}
"""windows that a refusal's is compared with"""
NEEDED = (BEFORE["request"] + 1) * WITHIN + QUIET
"""microseconds before a refusal that have to be known"""
RUNS = 8
"""of a prompt, from which it may be told that another is the very same"""
SHARES = (0.3, 0.6, 0.9)
"""of refusals that are followed, an alternative each"""
_LONGEST = 20_000  # exchanges of a window's surroundings that are looked at

Moment = tuple[int, str, bytes, bytes]
"""time, row, account, skeleton as bytes of uint32"""
Trials = dict[How, dict[int, tuple[int, int]]]
"""how -> windows hit -> (refusals, those of them in which the window behind was hit)"""


class Companions:
    """Accounts that asked the very request which another of them was refused, however far apart."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Join pairs of (refused, who took over)."""
        self._above: dict[bytes, bytes] = {}
        for pair in pairs:
            self.join(*pair)

    def join(self, one: bytes, other: bytes) -> None:
        """Take two accounts for companions from now on."""
        first, second = sorted((self.first_of(one), self.first_of(other)))
        self._above[second] = first

    def first_of(self, one: bytes) -> bytes:
        """Return which of its companions stands for all of them."""
        self._above.setdefault(one, one)
        while self._above[one] != one:
            self._above[one] = self._above[self._above[one]]
            one = self._above[one]
        return one

    def all(self) -> list[tuple[bytes, ...]]:
        """Return the companions, each and all in the order of their accounts."""
        found: dict[bytes, list[bytes]] = defaultdict(list)
        for one in sorted(self._above):
            found[self.first_of(one)].append(one)
        return [tuple(found[first]) for first in sorted(found)]


@dataclass
class Handovers:
    """What followed refusals."""

    trials: dict[bytes, Trials] = field(default_factory=dict)
    """of each account that was refused"""
    takers: dict[tuple[bytes, bytes, How], tuple[int, str]] = field(default_factory=dict)
    """(refused, who took over, how) -> how often, and the first row of it"""

    def count(self, how: How, account: bytes, hits: Sequence[bool]) -> None:
        """Count one refusal: which windows were hit, the one behind it last."""
        trials = self.trials.setdefault(account, {}).setdefault(how, {})
        number, real = trials.get(sum(hits), (0, 0))
        trials[sum(hits)] = (number + 1, real + hits[-1])

    def took(self, how: How, account: bytes, taken: Iterable[Moment]) -> set[bytes]:
        """Count who took over, each once, and return them."""
        rows: dict[bytes, str] = {}
        for _, row, taker, _ in taken:
            rows[taker] = min(row, rows.get(taker, row))
        for taker, row in rows.items():
            times, first = self.takers.get((account, taker, how), (0, row))
            self.takers[account, taker, how] = (times + 1, min(first, row))
        return set(rows)


def handovers(
    refused: Sequence[Moment],
    exchanges: Sequence[Moment],
    organisations: Mapping[bytes, bytes],
    companions: Companions,
) -> Handovers:
    """Return what followed each refusal.

    Args:
        refused: refusals, by time; of each the exchanges from :data:`NEEDED` before to
            :data:`WITHIN` behind it have to be among the others.
        exchanges: by time.
        organisations: of accounts that have one.
        companions: from before; those that are found are joined, each after it was counted.
    """
    found = Handovers()
    times = [moment[0] for moment in exchanges]
    sets: dict[int, np.ndarray] = {}
    same: dict[bytes, list[Moment]] = defaultdict(list)
    for moment in exchanges:
        same[moment[3]].append(moment)
    counted: dict[tuple[bytes, bytes], int] = {}
    for time, _, account, skeleton in refused:
        own = np.frombuffer(skeleton, "<u4")
        if len(own) >= RUNS and _is_new(counted, account, skeleton, time):
            theirs = [one for one in same[skeleton] if _another(account, one[2], organisations)]
            _count_requests(found, companions, time, account, theirs)
        if not _is_new(counted, account, b"", time):
            continue
        needed = (BEFORE["template"] + 1) * WITHIN + QUIET
        first = max(bisect_left(times, time - needed), bisect_right(times, time) - _LONGEST)
        last = min(bisect_right(times, time + WITHIN), first + 2 * _LONGEST)
        alike_ones = [
            exchanges[place]
            for place in range(first, last)
            if _another(account, exchanges[place][2], organisations)
            and alike(own, _set(sets, exchanges, place), SAME)
        ]
        _count_templates(found, time, account, alike_ones)
    return found


def _is_new(
    counted: dict[tuple[bytes, bytes], int], account: bytes, what: bytes, time: int
) -> bool:
    """Return whether the windows behind this refusal and the one before lie apart.

    Who tries again each second is refused each second, and what follows one follows all of them.
    """
    before = counted.get((account, what))
    if before is not None and time < before + WITHIN:
        return False
    counted[account, what] = time
    return True


def _another(one: bytes, other: bytes, organisations: Mapping[bytes, bytes]) -> bool:
    shared = organisations.get(one)
    return one != other and (shared is None or shared != organisations.get(other))


def _set(sets: dict[int, np.ndarray], exchanges: Sequence[Moment], place: int) -> np.ndarray:
    made = sets.get(place)
    if made is None:
        made = sets[place] = np.frombuffer(exchanges[place][3], "<u4")
    return made


def _windows(how: How, time: int, some: Sequence[Moment]) -> list[list[Moment]]:
    """Return what lies in each window, the one behind the refusal last."""
    found: list[list[Moment]] = [[] for _ in range(BEFORE[how] + 1)]
    for one in some:
        place = (one[0] - time - 1) // WITHIN
        if -BEFORE[how] <= place <= 0:
            found[place - 1].append(one)
    return found


def _count_requests(
    found: Handovers,
    companions: Companions,
    time: int,
    account: bytes,
    same: Sequence[Moment],
) -> None:
    """Count the windows in which the very request was asked, by anybody and by companions.

    Companions are those of before, or who took over would be known by that he did.
    """
    windows = _windows("request", time, same)
    found.count("request", account, [bool(window) for window in windows])
    ours = companions.first_of(account)
    known = [[one for one in window if companions.first_of(one[2]) == ours] for window in windows]
    found.count("known", account, [bool(window) for window in known])
    for taker in sorted(found.took("request", account, windows[-1])):
        companions.join(account, taker)


def _count_templates(
    found: Handovers, time: int, account: bytes, alike_ones: Sequence[Moment]
) -> None:
    """Count the windows that are hit: by an account that had been quiet for a while before."""
    hits, fresh = [], []
    for place, window in enumerate(_windows("template", time, alike_ones)):
        begins = time + (place - BEFORE["template"]) * WITHIN
        busy = {one[2] for one in alike_ones if begins - QUIET < one[0] <= begins}
        fresh = [one for one in window if one[2] not in busy]
        hits.append(bool(fresh))
    found.count("template", account, hits)
    found.took("template", account, fresh)


def evidence(trials: Trials, hows: Sequence[How]) -> float:
    """Return log10 of the e-value of what followed refusals: the mean over what was asked."""
    return mean([among(trials.get(how, {}), BEFORE[how] + 1, SHARES) for how in hows])


def added(every: Iterable[Trials]) -> Trials:
    """Return what followed the refusals of several accounts, as those of one."""
    whole: Trials = {}
    for trials in every:
        for how, counts in trials.items():
            mine = whole.setdefault(how, {})
            for hits, (number, real) in counts.items():
                one, other = mine.get(hits, (0, 0))
                mine[hits] = (one + number, other + real)
    return whole


def followed(trials: Trials, how: How) -> tuple[int, int]:
    """Return how many refusals there were, and after how many the window behind was hit."""
    counts = trials.get(how, {}).values()
    return sum(number for number, _ in counts), sum(real for _, real in counts)
