"""Resampling: how much a mean, a ratio or a difference of scores varies with the rows it is of.

Everything is a ratio of sums over **units**: the rows, or the groups of rows that belong together,
such as the attempts at one prompt, since those do not vary by themselves. Units are drawn again as
often as there are, with going back (Efron and Tibshirani, "An Introduction to the Bootstrap",
1993), and all sums are taken over the same draws, so that what is paired stays paired.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DRAWS = 10_000
_KINDS = 512  # distinct units: of more, single ones are drawn
_UNITS = 5_000  # of more, sums are drawn from the normal distribution that they tend to
_AT_ONCE = 4_000_000  # units drawn at once
_ENDS = (0.025, 0.975)
ROUNDING = 1e-12
"""of the numbers' size: what differs by less is the same"""


def settled(values: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return differences, 0 where they are what rounding leaves of numbers that are the same.

    A mean of 0.1, 0.2 and 0.3 is not that of 0.3, 0.2 and 0.1 to the last bit, and no system is
    better for the order that its attempts came in.

    Args:
        values: of any shape.
        sizes: how large the numbers are that they are differences or sums of, not below 0.
    """
    return np.where(np.abs(values) <= ROUNDING * sizes, 0.0, values)


def unit_sums(values: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """Return values summed by unit, shape (series, units); as they are where rows are units.

    Args:
        values: shape (series, rows).
        units: the unit that each row belongs to, counted from 0, shape (rows,); None for each row
            by itself.
    """
    if units is None:
        return values
    count = int(units.max()) + 1 if len(units) else 0
    return np.stack([np.bincount(units, series, count) for series in values])


def units_by(columns: Sequence[Sequence[Any]]) -> np.ndarray:
    """Return the unit of each row, counted from 0 as they come, shape (rows,).

    Rows belong together where all columns are alike; one without a value in any is its own unit.

    Args:
        columns: cells of each column, one a row; at least one column.
    """
    known: dict[Any, int] = {}
    found = np.empty(len(columns[0]), np.int64)
    for place, row in enumerate(zip(*columns, strict=True)):
        lacks = any(cell is None or cell != cell for cell in row)  # noqa: PLR0124 - NaN
        cells = tuple(cell if isinstance(cell, str | int) else str(cell) for cell in row)
        found[place] = known.setdefault((None, place) if lacks else cells, len(known))
    return found


def joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return units of rows that belong together by one of two, over any number of steps.

    Args:
        one: the unit of each row, counted from 0, shape (rows,).
        other: its unit by the other.
    """
    if np.array_equal(one, other):
        return one
    found = one
    while True:
        # Each unit gets the least number that any of its rows has, by the other and by the one.
        new = found
        for units in (other, one):
            least = np.full(int(units.max()) + 1, len(units))
            np.minimum.at(least, units, new)
            new = least[units]
        if np.array_equal(new, found):
            return np.asarray(np.unique(found, return_inverse=True)[1])
        found = new


def resampled(values: np.ndarray, seed: int, draws: int = DRAWS) -> np.ndarray:
    """Return sums over units that are drawn again, shape (draws, series).

    Args:
        values: a finite number of each unit in each series, shape (series, units).
        seed: of the draws.
        draws: how many.
    """
    count = values.shape[1]
    random = np.random.default_rng(seed)
    if not count:
        return np.zeros((draws, len(values)))
    if count <= _UNITS or _few(values):
        kinds, counts = _kinds(values)
        if len(counts) <= _KINDS:
            # A multinomial draw over the distinct units: exact, and small.
            drawn = random.multinomial(count, counts / count, size=draws)
            return np.asarray(drawn @ kinds.T)
    if count > _UNITS:
        spread = np.atleast_2d(np.cov(values, bias=True))
        sums: np.ndarray = random.multivariate_normal(
            values.sum(axis=1), count * spread, size=draws, method="svd"
        )
        return sums
    sums = np.empty((draws, len(values)))
    step = max(_AT_ONCE // count, 1)
    for start in range(0, draws, step):
        behind = min(start + step, draws)
        places = random.integers(0, count, (behind - start, count))
        for number, series in enumerate(values):
            sums[start:behind, number] = series[places].sum(axis=1)
    return sums


def _kinds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct units, shape (series, kinds), and how often each is there."""
    if len(values) == 1:
        kinds, counts = np.unique(values[0], return_counts=True)
        return kinds[None], counts
    if len(values) == 2:  # in the same order, and many times as fast
        both, counts = np.unique(values[0] + 1j * values[1], return_counts=True)
        return np.stack([both.real, both.imag]), counts
    kinds, counts = np.unique(values, axis=1, return_counts=True)
    return kinds, counts


def _few(values: np.ndarray) -> bool:
    """Return whether units may be of few kinds: sorting millions of different ones is dear."""
    some = values[:, :: max(values.shape[1] // (4 * _KINDS), 1)]
    return len(_kinds(some)[1]) <= _KINDS


def interval(
    values: np.ndarray,
    seed: int,
    reckoned: Callable[[np.ndarray], np.ndarray],
    draws: int = DRAWS,
) -> tuple[float, float]:
    """Return the 95% interval of what is reckoned from sums over units (percentiles).

    Args:
        values: shape (series, units).
        seed: of the draws.
        reckoned: from sums, shape (draws, series), to a number of each draw; NaN where it has none,
            and such draws are left out.
        draws: how many.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = reckoned(resampled(values, seed, draws))
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, _ENDS)
    return float(low), float(high)


def shares(sums: np.ndarray) -> np.ndarray:
    """Return the first series of sums over the second: a mean, where that counts rows."""
    ratio: np.ndarray = sums[:, 0] / sums[:, 1]
    return ratio
