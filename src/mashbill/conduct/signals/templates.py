"""What recurs in an account's prompts, and which prompts are of one template.

A run of words recurs if it stands in three of an account's sampled prompts and in :data:`USUAL` of
them. What recurs is what the account's templates are made of, in whichever number there are.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

USUAL = 0.05
"""of an account's sampled prompts, and three at least"""
LEAST = 4
"""prompts from which something may be told to be usual"""
RUNS = 5
"""of a template: fewer are a turn of phrase, and join strangers"""
SAME = 0.2
"""of the runs of the smaller of two prompts, from which both are of one template: the rest is what
the template was filled with, and strangers' prompts next to never share a run of four words"""


class Template(NamedTuple):
    """What recurs in an account's prompts."""

    runs: np.ndarray
    """of words, as hashes: uint32, ascending"""
    shares: np.ndarray
    """of sampled prompts that each stands in: float32"""


def template(skeletons: Sequence[np.ndarray]) -> Template:
    """Return what recurs in an account's prompts; often nothing does."""
    none = Template(np.empty(0, np.uint32), np.empty(0, np.float32))
    if len(skeletons) < LEAST:
        return none
    runs, counts = np.unique(np.concatenate(skeletons), return_counts=True)
    recur = counts >= max(3, USUAL * len(skeletons))
    if recur.sum() < RUNS:
        return none
    return Template(runs[recur], (counts[recur] / len(skeletons)).astype(np.float32))


def alike(one: np.ndarray, other: np.ndarray, share: float = SAME) -> bool:
    """Return whether two ascending sets of runs share so much of the smaller one."""
    least = min(len(one), len(other))
    return least > 0 and len(np.intersect1d(one, other, assume_unique=True)) >= share * least


def phrasings(skeletons: Sequence[np.ndarray], share: float = SAME) -> tuple[int, int]:
    """Return how many templates some prompts are of, and how many of those are there once.

    Each prompt is of the first template whose first prompt it is like.
    """
    sizes: list[int] = []
    times: list[int] = []
    of: dict[int, list[int]] = {}
    for skeleton in skeletons:
        runs = skeleton.tolist()
        shared = Counter(place for run in runs for place in of.get(run, ()))
        for place, count in sorted(shared.items()):
            if count >= share * min(len(runs), sizes[place]):
                times[place] += 1
                break
        else:
            for run in runs:
                of.setdefault(run, []).append(len(sizes))
            sizes.append(len(runs))
            times.append(1)
    return len(times), times.count(1)


def in_all(sampled: Sequence[np.ndarray], number: int) -> float:
    """Return how many templates ``number`` prompts are of, from a uniform sample of them.

    A prompt more is of a new template with the share of those that were seen once (Good, Biometrika
    1953), which is an upper end: with more prompts new ones become rarer.
    """
    if not sampled:
        return 0.0
    kinds, once = phrasings(sampled)
    return kinds + max(0, number - len(sampled)) * once / len(sampled)
