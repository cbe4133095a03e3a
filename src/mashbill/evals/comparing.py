"""Systems held against each other: differences, and what a student has of a teacher's ability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.paired import difference_of, holm, seeds_drawn
from mashbill.core.resampling import DRAWS, ROUNDING, resampled, settled, unit_sums
from mashbill.evals.measured import Measured, mean_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Pair = tuple[str, str]


def compared(
    systems: Mapping[str, Measured],
    pairs: Sequence[Pair],
    seed: int,
    units: np.ndarray | None,
    *,
    with_wins: bool = False,
) -> list[dict[str, Any]]:
    """Return the difference of each pair, corrected for all pairs that are told.

    Args:
        systems: what was measured of each.
        pairs: (first, second).
        seed: of the resampling.
        units: which rows belong together, counted from 0, shape (rows,); None for none.
        with_wins: whether the first's win rate is told, too.
    """
    found = [
        difference_of(
            systems[one].values, systems[other].values, seed, units=units,
            weights=systems[one].weights,
        )
        for one, other in pairs
    ]  # fmt: skip
    told = [
        {"first": one, "second": other, **told.as_json()}
        for (one, other), told in zip(pairs, holm(found), strict=True)
    ]
    if with_wins:
        for (one, other), own in zip(pairs, told, strict=True):
            own.update(win_rate(systems[one], systems[other], seed, units))
    return told


def win_rate(
    one: Measured, other: Measured, seed: int, units: np.ndarray | None
) -> dict[str, float | None]:
    """Return the share of rows on which one system is above another, a tie counting half.

    It is over the rows that both have a score of under every seed, with the interval of a mean of
    shares (:func:`mashbill.evals.measured.mean_of`). As many seeds of both are held against each
    other seed by seed, other numbers each against each.

    Args:
        one: whose rate it is.
        other: what it is held against.
        seed: of the resampling.
        units: which rows belong together, counted from 0, shape (rows,); None for none.
    """
    if one.seeds == other.seeds:
        wins = _won(one.values, other.values)
    else:
        wins = _won(one.values[:, None], other.values[None]).mean(axis=1)
    told = mean_of(Measured(wins), seed, units)
    return {f"win_{key}": value for key, value in told.as_json("rate").items()}


def _won(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return 1 where the first is above, 0 where it is below, and a half where they are alike."""
    gap = settled(one - other, np.maximum(np.abs(one), np.abs(other)))
    won: np.ndarray = (1 + np.sign(gap)) / 2
    return won


def retained(
    systems: Mapping[str, Measured],
    pairs: Sequence[Pair],
    chance: float,
    seed: int,
    units: np.ndarray | None,
) -> list[dict[str, Any]]:
    """Return how much of its teacher's score each student has, on the rows that both have one of.

    Told only where the teacher is above chance beyond its interval: a part of nothing is no part.

    Args:
        systems: what was measured of each; scores in [0, 1].
        pairs: (student, teacher).
        chance: score that nothing is known at.
        seed: of the resampling.
        units: which rows belong together.
    """
    found = []
    for student, teacher in pairs:
        one, other = systems[student], systems[teacher]
        known = ~(np.isnan(one.values).any(axis=0) | np.isnan(other.values).any(axis=0))
        told: dict[str, Any] = {
            "student": student, "teacher": teacher, "chance": chance, "rows": int(known.sum()),
            "ratio": None, "low": None, "high": None, "why": "",
        }  # fmt: skip
        mean = mean_of(other, seed, units, known)
        if not mean.rows:
            told["why"] = "no row has a score of both"
        elif math.isnan(mean.low):
            told["why"] = f"the teacher's score, {mean.value:.3f}, has no interval that could say "
            told["why"] += f"whether it is above chance ({chance:.3f})"
        elif not min(mean.low, mean.value - ROUNDING) > chance + ROUNDING:
            told["why"] = (
                f"the teacher's score, {mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f}), is "
                f"not above chance ({chance:.3f}) beyond its interval"
            )
        else:
            own = None if units is None else np.unique(units[known], return_inverse=True)[1]
            told |= _ratio(one.values[:, known], other.values[:, known], own, seed)
        found.append(told)
    return found


def _ratio(
    one: np.ndarray, other: np.ndarray, units: np.ndarray | None, seed: int
) -> dict[str, float | None]:
    """Return the ratio of two means with its 95% interval, over seeds and units drawn again.

    Where all draws have one ratio, as of two that are right everywhere, there is no interval.
    """
    sums = unit_sums(np.concatenate([one, other]), units)
    told = {"ratio": float(one.mean() / other.mean()), "low": math.nan, "high": math.nan}
    if sums.shape[1] > 1:
        drawn = resampled(sums, seed, DRAWS)
        random = np.random.default_rng([seed, 1])
        student, teacher = seeds_drawn(drawn[:, : len(one)], random), drawn[:, len(one) :]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = student / seeds_drawn(teacher, random)
        ratios = ratios[np.isfinite(ratios)]
        if len(ratios):
            low, high = map(float, np.quantile(ratios, [0.025, 0.975]))
            if high - low > ROUNDING * max(abs(low), abs(high)):
                told["low"], told["high"] = low, high
    return {key: None if math.isnan(value) else value for key, value in told.items()}
