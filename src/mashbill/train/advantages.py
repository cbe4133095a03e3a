"""Advantages: how much better an attempt was than the others at the same prompt.

Attempts at one prompt in one step are a *group*. With rewards ``r`` of its attempts:

    group-mean     r - mean(r)                       Dr.GRPO (Liu et al., 2025, arXiv 2503.20783)
    group-std      (r - mean(r)) / std(r)            GRPO (DeepSeekMath, 2024, arXiv 2402.03300)
    batch-std      (r - mean(r)) / std of the step's rewards, of all groups
    leave-one-out  r - mean of the others' r         RLOO (Ahmadian et al., 2024, arXiv 2402.14740)

Standard deviations are those of a population, and nothing is added to them. An attempt that was not
scored (undecided, failed, left out) is no member of its group: it is never 0, and changes nobody's
advantage. A group with fewer than two members tells nothing, and one whose rewards are all alike
has nothing to tell: both give 0. Groups may have any number of members; nothing goes from one group
to another but in ``batch-std``.

Shapes: n attempts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Kind = Literal["group-mean", "group-std", "batch-std", "leave-one-out"]
_ALIKE = 1e-9
"""rewards that lie no further apart are alike: what is left is rounding, and is not divided by"""
FEWEST = 2
"""members of a group that tells something"""


def advantages(rewards_n: np.ndarray, group_n: np.ndarray, kind: Kind = "group-mean") -> np.ndarray:
    """Return the advantage of each attempt, float64, shape (n,); 0 of one that has no reward.

    Args:
        rewards_n: rewards; NaN where nothing was scored.
        group_n: group of each attempt, whole numbers.
        kind: see the module.

    Raises:
        ValueError: if a reward is infinite.
    """
    rewards = np.asarray(rewards_n, np.float64)
    if np.isinf(rewards).any():
        msg = "a reward is infinite"
        raise ValueError(msg)
    found = np.zeros(len(rewards))
    telling = counted(rewards, group_n)
    if not telling.any():
        return found
    paid = rewards[telling]
    _, group, size = np.unique(group_n[telling], return_inverse=True, return_counts=True)
    # Sums are of distances from a member, so that what all have in common is not rounded away.
    lowest = np.full(len(size), np.inf)
    highest = np.full(len(size), -np.inf)
    np.minimum.at(lowest, group, paid)
    np.maximum.at(highest, group, paid)
    above = paid - lowest[group]
    above -= (np.bincount(group, above) / size)[group]
    alike = (highest - lowest <= _ALIKE)[group]
    above[alike] = 0
    if kind == "leave-one-out":
        above *= (size / (size - 1))[group]
    elif kind == "group-std":
        spread = np.sqrt(np.bincount(group, above**2) / size)
        above /= np.where(spread > 0, spread, 1)[group]
    elif kind == "batch-std" and np.ptp(paid) > _ALIKE:
        above /= (paid - paid.min()).std()
    found[telling] = above
    return found


def counted(rewards_n: np.ndarray, group_n: np.ndarray) -> np.ndarray:
    """Return which attempts were scored with another of their group, bool, shape (n,).

    These have an advantage, be it 0; a loss is divided by them and no others.
    """
    scored = ~np.isnan(np.asarray(rewards_n, np.float64))
    if not scored.any():
        return scored
    _, group = np.unique(group_n, return_inverse=True)
    members = np.bincount(group, scored)
    enough: np.ndarray = members[group] >= FEWEST
    found: np.ndarray = scored & enough
    return found
