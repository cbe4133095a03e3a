"""What is measured of each system, whatever it is measured by: scores by seed and row, and sums.

Scores are one number a row and seed: of several attempts at a row their mean. Where nothing is
known of a row (undecided, failed, not answered) there is none, and bounds say what it could come
to.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.attempts import interval
from mashbill.core.paired import seeds_drawn, spread_of
from mashbill.core.resampling import DRAWS, ROUNDING, resampled, settled, unit_sums

if TYPE_CHECKING:
    import pyarrow as pa

_ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Measured:
    """A system's scores of the rows of an evaluation."""

    values: np.ndarray
    """score of each row under each seed, NaN where there is none, shape (seeds, rows)"""
    facts: dict[str, Any] = field(default_factory=dict)
    """what else was measured of it"""
    columns: dict[str, pa.Array] = field(default_factory=dict)
    """what its rows have of it"""
    weights: np.ndarray | None = None
    """of the rows in the mean, such as their bytes, shape (rows,); None for one each"""
    is_share: bool = True
    """whether scores lie in [0, 1]"""

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.values)


@dataclass(frozen=True)
class Mean:
    """A mean over rows and seeds, with its 95% interval; NaN where there is none."""

    value: float
    low: float
    high: float
    rows: int
    """that it is over: those with a score under every seed"""

    def as_json(self, name: str) -> dict[str, Any]:
        """Return it for a manifest; a number that there is not is null.

        Args:
            name: of the mean.
        """
        told = {name: self.value, "low": self.low, "high": self.high}
        return {key: None if math.isnan(value) else value for key, value in told.items()}


def mean_of(
    of: Measured, seed: int, units: np.ndarray | None = None, among: np.ndarray | None = None
) -> Mean:
    """Return a system's mean score.

    Of shares under one seed the interval is Wilson's, with as many rows as they vary like
    (:func:`mashbill.core.attempts.interval`), so that a system that is right everywhere has one,
    too; of all else it is a bootstrap's over seeds and rows, and of shares no narrower than
    Wilson's. Where rows are all alike a bootstrap's has no width, and so there is none.

    Args:
        of: the system.
        seed: of the resampling.
        units: which rows belong together, counted from 0, shape (rows,); None for none.
        among: rows that count, bool, shape (rows,); all if None.
    """
    known = np.isfinite(of.values).all(axis=0)
    if among is not None:
        known &= among
    rows = int(known.sum())
    if not rows:
        return Mean(math.nan, math.nan, math.nan, 0)
    values = of.values[:, known]
    weights = np.ones(rows) if of.weights is None else of.weights[known].astype(np.float64)
    if not weights.sum():
        return Mean(math.nan, math.nan, math.nan, rows)
    mean = float((values.mean(axis=0) * weights).sum() / weights.sum())
    own = None if units is None else np.unique(units[known], return_inverse=True)[1]
    by_unit = unit_sums(np.stack([values.mean(axis=0) * weights, weights]), own)
    count = by_unit.shape[1]
    if of.seeds == 1 and of.is_share:
        return Mean(mean, *_wilson(mean, by_unit, rows), rows)
    if count < 2:  # one unit does not say how far units lie apart, whatever seeds do
        return Mean(mean, math.nan, math.nan, rows)
    sums = unit_sums(np.concatenate([values * weights, weights[None]]), own)
    drawn = means_drawn(sums, seed)
    low, high = map(float, np.quantile(drawn[np.isfinite(drawn)], _ENDS))
    if of.is_share:
        least, most = _wilson(mean, by_unit, rows * of.seeds)
        # What few seeds vary is scaled up, which may go beyond what a share can be.
        low, high = max(min(low, least), 0.0), min(max(high, most), 1.0)
    if high - low <= ROUNDING * float(np.abs(values).max()):
        low = high = math.nan
    return Mean(mean, low, high, rows)


def _wilson(mean: float, by_unit: np.ndarray, attempts: int) -> tuple[float, float]:
    """Return Wilson's interval of a mean of shares.

    Args:
        mean: of all rows.
        by_unit: sums of shares and of weights, shape (2, units).
        attempts: rows, under each seed, that the mean is of: it varies no less than so many.
    """
    count, total = by_unit.shape[1], float(by_unit[1].sum())
    left = settled(by_unit[0] - mean * by_unit[1], by_unit[1])
    # The variance of a ratio of sums, as of so many means of one unit each.
    spread = count**2 / max(count - 1, 1) * float(np.square(left).sum()) / total**2
    return interval(mean, spread, count, attempts)


def means_drawn(sums: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Return means over seeds and units that are both drawn again, shape (draws,).

    Args:
        sums: by unit, of each seed and last of the weights, shape (seeds + 1, units).
        seed: of the draws.
        draws: how many.
    """
    drawn = resampled(sums, seed, draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = drawn[:, :-1] / drawn[:, -1:]
    return seeds_drawn(means, np.random.default_rng([seed, 1]))


def of_seeds(of: Measured) -> dict[str, Any] | None:
    """Return how a system's mean varies with the seed; None of one seed.

    Each seed's mean is over the rows that have a score under it.
    """
    if of.seeds < 2:
        return None
    weights = np.ones(of.values.shape[1]) if of.weights is None else of.weights
    means = []
    for own in of.values:
        known = ~np.isnan(own)
        total = float(weights[known].sum())
        means.append(float((own[known] * weights[known]).sum() / total) if total else math.nan)
    told = [None if math.isnan(value) else value for value in means]
    return {"values": told, **spread_of(means).as_json()}


def by_level(
    of: Measured, levels: dict[str, np.ndarray], seed: int, units: np.ndarray | None, name: str
) -> dict[str, Any]:
    """Return a system's mean score among the rows of each level.

    Args:
        of: the system.
        levels: level -> its rows, bool, shape (rows,).
        seed: of the resampling.
        units: which rows belong together.
        name: of the mean.
    """
    found = {}
    for level, among in levels.items():
        mean = mean_of(of, seed, units, among)
        found[level] = {**mean.as_json(name), "rows": mean.rows}
    return found
