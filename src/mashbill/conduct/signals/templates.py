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

USUAL = 0.18
"""of an account's sampled prompts, and three at least: who mixes in other work still has it"""
LEAST = 4
"""prompts from which something may be told to be usual"""
RUNS = 5
"""of a template: fewer are a turn of phrase, and join strangers"""
ALIKE = 0.5
"""of the runs of the smaller of two templates"""
SAME = 0.2
"""of the runs of the smaller of two prompts, from which both are of one template: the rest is what
the template was filled with, and strangers' prompts next to never share a run of four words"""


def template(skeletons: Sequence[np.ndarray]) -> np.ndarray:
    """Return the runs that are usual in an account's prompts: uint32, ascending; often none."""
    if len(skeletons) < LEAST:
        return np.empty(0, np.uint32)
    runs, counts = np.unique(np.concatenate(skeletons), return_counts=True)
    usual = runs[counts >= max(3, USUAL * len(skeletons))]
    return np.asarray(usual if len(usual) >= RUNS else usual[:0])


def families(templates: Mapping[bytes, np.ndarray], least: int = 2) -> list[list[bytes]]:
    """Return families of accounts, each and all in the order of their accounts.

    An account is of the family of the first leader whose template is like its own, and a leader of
    one where there is none (canopies; McCallum, Nigam, Ungar, KDD 2000). So all of a family are
    like one account, and no chain of others joins those that are not alike.

    Args:
        templates: of accounts; those that are empty are left out.
        least: accounts of a family.
    """
    spread: Counter[int] = Counter()
    for runs in templates.values():
        spread.update(runs.tolist())
    leaders: dict[int, list[bytes]] = defaultdict(list)
    found: dict[bytes, list[bytes]] = {}
    for account in sorted(templates):
        own = templates[account]
        shared = [run for run in own.tolist() if spread[run] > 1]
        if not shared:
            continue
        near = Counter(one for run in shared for one in leaders[run])
        for leader, _ in sorted(near.items(), key=lambda one: (-one[1], one[0])):
            if alike(own, templates[leader]):
                found[leader].append(account)
                break
        else:
            found[account] = [account]
            for run in shared:
                leaders[run].append(account)
    return [found[leader] for leader in sorted(found) if len(found[leader]) >= least]


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
