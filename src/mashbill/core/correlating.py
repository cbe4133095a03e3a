"""Correlations with intervals: of numbers, and of their ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mashbill.core.proportions import Z

LEAST = 30
"""pairs below which no correlation is told: its interval would be wider than what it could say"""


@dataclass(frozen=True)
class Correlation:
    """How two columns go together."""

    value: float
    """-1 to 1"""
    low: float
    """lower bound of the 95% interval"""
    high: float
    pairs: int
    """rows that have both"""


def pearson(one: np.ndarray, other: np.ndarray) -> Correlation | None:
    """Return how far two columns lie on a line; None where too few rows, or one value, say nothing.

    The interval is Fisher's (Metron 1, 1921).

    Args:
        one: float64, shape (rows,); NaN where there is none.
        other: the same of another.
    """
    value, pairs = _correlated(*_both(one, other))
    return None if value is None else _with_interval(value, pairs, 1.0)


def spearman(one: np.ndarray, other: np.ndarray) -> Correlation | None:
    """Return how far the ranks of two columns go together, ties by their mean rank.

    The interval is that of Bonett and Wright (Psychometrika 65, 2000).

    Args:
        one: float64, shape (rows,); NaN where there is none.
        other: the same of another.
    """
    value, pairs = _correlated(*(_ranks(side) for side in _both(one, other)))
    return None if value is None else _with_interval(value, pairs, 1 + value**2 / 2)


def within(one: np.ndarray, other: np.ndarray, group: np.ndarray) -> Correlation | None:
    """Return how far two columns go together inside of groups, whatever differs between these.

    It is Pearson's, of what each row differs by from the mean of its group; the interval takes
    away a degree of freedom a group.

    Args:
        one: float64, shape (rows,); NaN where there is none.
        other: the same of another.
        group: number of each row's group, int64, shape (rows,).
    """
    there = np.isfinite(one) & np.isfinite(other)
    one, other, group = one[there], other[there], group[there]
    if not len(group):
        return None
    _, group = np.unique(group, return_inverse=True)
    sizes = np.bincount(group)
    sides = [side - (np.bincount(group, side) / sizes)[group] for side in (one, other)]
    alone = (sizes == 1)[group]
    value, pairs = _correlated(*(side[~alone] for side in sides))
    free = pairs - int((sizes > 1).sum()) + 1
    return None if value is None or free < LEAST else _with_interval(value, free, 1.0)


def _both(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = np.isfinite(one) & np.isfinite(other)
    return one[there], other[there]


def _correlated(one: np.ndarray, other: np.ndarray) -> tuple[float | None, int]:
    if len(one) < LEAST:
        return None, len(one)
    one, other = one - one.mean(), other - other.mean()
    # What is the same in all rows but for rounding varies with nothing.
    scale = [np.abs(side).max() for side in (one, other)]
    if min(scale) < 1e-12:
        return None, len(one)
    one, other = one / scale[0], other / scale[1]
    value = float(one @ other / math.sqrt(float(one @ one) * float(other @ other)))
    return min(max(value, -1.0), 1.0), len(one)


def _with_interval(value: float, pairs: int, spread: float) -> Correlation:
    if abs(value) == 1 or pairs <= 3:
        return Correlation(value, value, value, pairs)
    half = Z * math.sqrt(spread / (pairs - 3))
    middle = math.atanh(value)
    return Correlation(value, math.tanh(middle - half), math.tanh(middle + half), pairs)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value from 1; equal ones have the mean of theirs."""
    if not len(values):
        return values
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = ((2 * last - counts + 1) / 2)[inverse]
    return ranks
