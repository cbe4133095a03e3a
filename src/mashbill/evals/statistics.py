"""Intervals for accuracies and for their differences."""

from __future__ import annotations

import numpy as np

_Z = 1.959963984540054  # the normal distribution's 97.5% quantile


def wilson(right: int, total: int) -> tuple[float, float]:
    """Return the 95% interval of a proportion (Wilson, JASA 22, 1927)."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    spread = 1 + _Z**2 / total
    centre = (share + _Z**2 / (2 * total)) / spread
    half = _Z * np.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2)) / spread
    return float(max(centre - half, 0.0)), float(min(centre + half, 1.0))


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
