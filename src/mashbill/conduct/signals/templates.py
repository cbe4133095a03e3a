"""What an account's prompts have in common, and which accounts have it in common with it.

A run of words is part of an account's template if it stands in :data:`USUAL` of its sampled
prompts. Accounts are of one family if the smaller of their templates shares at least half of its
runs with the other's. That alone says nothing about anybody: a popular tool, a paper's prompt and a
class's assignment make families of strangers. Families are where other signals are looked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

USUAL = 0.4
"""of an account's sampled prompts"""
LEAST = 4
"""prompts from which something may be told to be usual"""
ALIKE = 0.5
"""of the runs of the smaller of two templates"""
SAME = 0.2
"""of the runs of the smaller of two prompts, from which both are of one template: the rest is what
the template was filled with, and strangers' prompts next to never share a run of four words"""
_KEYS = 6  # runs of a template by which others of its family are found


def template(skeletons: Sequence[np.ndarray]) -> np.ndarray:
    """Return the runs that are usual in an account's prompts: uint32, ascending; often none."""
    if len(skeletons) < LEAST:
        return np.empty(0, np.uint32)
    runs, counts = np.unique(np.concatenate(skeletons), return_counts=True)
    return np.asarray(runs[counts >= max(3, USUAL * len(skeletons))])


def families(templates: Mapping[bytes, np.ndarray], least: int = 2) -> list[list[bytes]]:
    """Return families of accounts, each and all in the order of their accounts.

    Args:
        templates: of accounts; those that are empty are left out.
        least: accounts of a family.
    """
    spread: Counter[int] = Counter()
    for runs in templates.values():
        spread.update(runs.tolist())
    met: dict[int, list[bytes]] = defaultdict(list)
    parents: dict[bytes, bytes] = {}
    for account in sorted(templates):
        shared = [run for run in templates[account].tolist() if spread[run] > 1]
        if not shared:
            continue
        parents[account] = account
        for run in shared[:_KEYS]:
            leaders = met[run]
            for leader in leaders:
                if alike(templates[account], templates[leader]):
                    _join(parents, leader, account)
                    break
            else:
                leaders.append(account)
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for account in sorted(parents):
        found[_root(parents, account)].append(account)
    return [found[root] for root in sorted(found) if len(found[root]) >= least]


def alike(one: np.ndarray, other: np.ndarray, share: float = ALIKE) -> bool:
    """Return whether two ascending sets of runs share so much of the smaller one."""
    least = min(len(one), len(other))
    return least > 0 and len(np.intersect1d(one, other, assume_unique=True)) >= share * least


def phrasings(skeletons: Sequence[np.ndarray], share: float = SAME) -> tuple[int, int]:
    """Return how many templates some prompts are of, and how many of those are there once.

    Each prompt is of the first template whose first prompt it is like.
    """
    first: list[np.ndarray] = []
    times: list[int] = []
    for runs in skeletons:
        for place, leader in enumerate(first):
            if alike(runs, leader, share):
                times[place] += 1
                break
        else:
            first.append(runs)
            times.append(1)
    return len(first), times.count(1)


def in_all(sampled: Sequence[np.ndarray], number: int) -> float:
    """Return how many templates ``number`` prompts are of, from a uniform sample of them.

    A prompt more is of a new template with the share of those that were seen once (Good, Biometrika
    1953), which is an upper end: with more prompts new ones become rarer.
    """
    if not sampled:
        return 0.0
    kinds, once = phrasings(sampled)
    return kinds + max(0, number - len(sampled)) * once / len(sampled)


def _root(parents: dict[bytes, bytes], one: bytes) -> bytes:
    while parents[one] != one:
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one


def _join(parents: dict[bytes, bytes], one: bytes, other: bytes) -> None:
    first, second = sorted((_root(parents, one), _root(parents, other)))
    parents[second] = first
