"""Intervals for differences of accuracies."""

from __future__ import annotations

import numpy as np


def paired_difference(
    first: np.ndarray, second: np.ndarray, seed: int, draws: int = 10_000
) -> tuple[float, float, float]:
    """Return the mean of ``first - second`` and its 95% interval, by paired bootstrap.

    Args:
        first: scores of one system, shape (rows,).
        second: scores of the other on the same rows.
        seed: of the resampling.
        draws: resamples (Efron and Tibshirani, 1993).
    """
    difference = first - second
    values, counts = np.unique(difference, return_counts=True)
    # Resampling rows is a multinomial draw over the distinct differences: exact, and small.
    drawn = np.random.default_rng(seed).multinomial(
        len(difference), counts / len(difference), size=draws
    )
    means = drawn @ values / len(difference)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)
