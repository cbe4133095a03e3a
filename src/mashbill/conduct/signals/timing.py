"""I: accounts that ask at the same moments, as if one hand let them go.

What makes accounts of one hand stand out is that they act within the same seconds again and again
(SynchroTrap; Cao et al., CCS 2014). Time is divided into blocks of a quarter of an hour, and those
into slots of 20 seconds. Of each account one slot is drawn of each block in which it asked. Account
after account it is asked whether its slot is one that an account of the group before it has.
Whoever asks at moments of its own hits those with the share that they are of the block, whatever
the hours of the day and the weeks do, and a bet on each is fair. Where many strangers ask in these
slots as well, it is held against their share: a service that comes back after a failure is asked by
all. And it is held against the blocks before and behind, as a time-shifted null: an account that
asks every minute, or at seven past each hour, hits by its habit, so that its own share of those
places in all other blocks is its chance.

The first minute of each five is left out. Schedulers begin then, and that the jobs of a thousand
strangers run at the full hour makes nobody of them one. It counts beside another sign only, and is
limited, since people who are told to begin together do. That accounts ask at moments of their own
is next to nothing against their being one: a tenth is bet.

An eighth of all blocks is kept, the same of all accounts (:data:`KEPT`).
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.betting import fair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SLOT, BLOCK, ROUND = 20, 900, 300
"""seconds of a slot, of a block, and from one round minute to the next"""
SLOTS = (BLOCK - 60 * (BLOCK // ROUND)) // SLOT
"""of a block, without those of round minutes"""
KEPT = 8
"""one of so many blocks is kept"""
DAYS = 14
"""that are looked at"""
SHARES = (0.3, 0.6)
MARGIN = 1.5
"""times as often as by chance, which people's hurry within a quarter of an hour may make of it"""
LEAST, STRANGERS = 12, 20
"""trials from which it says something; strangers of a block whose share is asked for"""
HABIT = 10
"""slots of an account in other blocks, from which it is known when it asks"""
STAKE = 0.1
"""part of what is had that is bet: the rest is there whatever comes"""
LIMIT = 2.5
_A_BLOCK = BLOCK // SLOT
_MIX = 0x9E3779B97F4A7C15
_ALL = (1 << 64) - 1


def slot(time: int) -> int | None:
    """Return the slot of a moment in microseconds, or None where it is not kept.

    Its number counts slots of 20 seconds since 1970, so that its block is it divided by 45.
    """
    second = time // 1_000_000
    if second % ROUND < 60 or (second // BLOCK * _MIX & _ALL) >> 32 & (KEPT - 1):
        return None
    return second // SLOT


def trials(
    own: Mapping[bytes, Sequence[int]], crowd: Mapping[int, int]
) -> list[tuple[float, int, int]]:
    """Return of each account and block the chance of a hit, 1, and whether it was one.

    Args:
        own: slots of each account of the group, ascending.
        crowd: of each slot, how many accounts of all asked in it.
    """
    blocks: dict[int, list[tuple[bytes, int]]] = {}
    for account in sorted(own):
        for block, slots in _by_block(own[account]):
            number = hashlib.blake2b(account + block.to_bytes(8), digest_size=8).digest()
            one = slots[int.from_bytes(number) % len(slots)]
            blocks.setdefault(block, []).append((account, one))
    habits = {account: Counter(at % _A_BLOCK for at in slots) for account, slots in own.items()}
    found = []
    for block, drawn in sorted(blocks.items()):
        if len(drawn) > 1:
            found += _of_block(block, drawn, own, crowd, habits)
    return found


def _of_block(
    block: int,
    drawn: Sequence[tuple[bytes, int]],
    own: Mapping[bytes, Sequence[int]],
    crowd: Mapping[int, int],
    habits: Mapping[bytes, Counter[int]],
) -> list[tuple[float, int, int]]:
    begins = block * _A_BLOCK
    strangers = {at: crowd.get(at, 0) for at in range(begins, begins + _A_BLOCK)}
    for account, _ in drawn:
        for at in _within(own[account], begins):
            strangers[at] -= 1
    whole = sum(strangers.values())
    found, before = [], set[int]()
    for account, at in drawn:
        if before:
            chance = MARGIN * len(before) / SLOTS
            if whole >= STRANGERS:
                chance = max(chance, sum(strangers[one] for one in before) / whole)
            here = _within(own[account], begins)
            others = len(own[account]) - len(here)
            if others >= HABIT:
                places = {one % _A_BLOCK for one in before}
                usual = sum(habits[account][place] for place in places)
                usual -= sum(one % _A_BLOCK in places for one in here)
                chance = max(chance, (usual + 1) / (others + 1))
            if chance < 1:
                found.append((chance, 1, int(at in before)))
        before.add(at)
    return found


def evidence(tried: Sequence[tuple[float, int, int]]) -> float:
    """Return log10 of the e-value of so many hits, at most :data:`LIMIT`."""
    if len(tried) < LEAST:
        return 0.0
    bet = fair(tried, SHARES) + math.log10(STAKE)
    kept = math.log10(1 - STAKE)
    return min(LIMIT, max(bet, kept) + math.log10(1 + 10 ** -abs(bet - kept)))


def _by_block(slots: Sequence[int]) -> list[tuple[int, list[int]]]:
    blocks: dict[int, list[int]] = {}
    for at in slots:
        blocks.setdefault(at // _A_BLOCK, []).append(at)
    return list(blocks.items())


def _within(slots: Sequence[int], begins: int) -> Sequence[int]:
    return slots[bisect_left(slots, begins) : bisect_left(slots, begins + _A_BLOCK)]
