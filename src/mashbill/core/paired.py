"""Differences between two systems on the same rows: estimate, interval, and how probable by chance.

``evaluate`` compares systems so, row by row, and ``mashbill compare`` arms, seed by seed; both keep
what was found as :meth:`Difference.as_json` has it. The interval says how far the difference would
lie apart on other rows like these (paired bootstrap, :mod:`mashbill.core.resampling`), or under
other seeds (Student's t); ``p`` how often a difference this large would come about if the two were
alike (sign flips: exact where that can be counted). Several differences told together have ``p``
corrected by Holm.

What was not scored of either system is in no pair: it is counted, and no score is made up for it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from mashbill.core.resampling import (
    DRAWS,
    ROUNDING,
    interval,
    resampled,
    settled,
    shares,
    unit_sums,
)
from mashbill.core.student_t import quantile, two_sided

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EXACT = 16  # units that differ, of which all flips of signs are counted
_KINDS = 512
_UNITS = 5_000  # of more, flips follow the normal distribution
_AT_ONCE = 4_000_000
ALIKE = "all seeds differ alike, which does not say how far seeds lie apart"
SAME = "no seed differs"
_PAIR = 2
LEVEL = 0.05
"""probability by chance up to which a difference is told as one"""


@dataclass(frozen=True)
class Difference:
    """What was found between two systems, the first minus the second."""

    difference: float
    """mean over the pairs; NaN where there are none"""
    low: float
    """lower bound of its 95% interval; NaN where there is none, as of a single pair"""
    high: float
    p: float
    """probability of a difference this large if the two are alike, two-sided; NaN where unknown"""
    test: str
    """how ``p`` was reckoned"""
    pairs: int
    """rows, or seeds, that both have"""
    wins: int
    """pairs in which the first is above"""
    losses: int
    ties: int
    unpaired: int = 0
    """rows of which one of the two has no score"""
    p_corrected: float | None = None
    """``p`` corrected for all differences that are told with it (Holm); None if it is alone"""

    @property
    def is_beyond(self) -> bool:
        """Whether it is beyond chance: see :func:`beyond_chance`."""
        return beyond_chance(self.as_json())

    @property
    def is_beyond_all(self) -> bool:
        """Whether it is beyond chance, also once all that are told with it count."""
        return self.is_beyond and (self.p_corrected is None or self.p_corrected <= LEVEL)

    @property
    def lacks(self) -> str:
        """Why there is no interval; empty if there is one."""
        if not math.isnan(self.low):
            return ""
        if self.pairs < _PAIR:
            return "a single pair tells none" if self.pairs else "there is no pair"
        return self.test if self.test in (ALIKE, SAME) else "all pairs belong together"

    def as_json(self) -> dict[str, Any]:
        """Return it for a manifest; a number that there is not is null."""
        told = {
            "difference": self.difference, "low": self.low, "high": self.high, "p": self.p,
            "test": self.test, "pairs": self.pairs, "wins": self.wins, "losses": self.losses,
            "ties": self.ties, "unpaired": self.unpaired, "p_corrected": self.p_corrected,
        }  # fmt: skip
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in told.items()
        }


def beyond_chance(told: Mapping[str, Any]) -> bool:
    """Return whether a difference is more than chance would give: its interval does not include 0.

    Of few pairs that all differ alike an interval by resampling has no width, so ``p`` has to say
    the same, where it is told: two rows of two are no difference. Where it is not, an interval
    without width says nothing.

    Args:
        told: as :meth:`Difference.as_json` has it, or an earlier release had it, without ``p``.
    """
    low, high, p = told.get("low"), told.get("high"), told.get("p")
    if not (_is_number(low) and _is_number(high)) or low <= 0 <= high or low > high:
        return False
    return p <= LEVEL if _is_number(p) else low < high


def _is_number(value: Any) -> TypeGuard[int | float]:
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and -math.inf < value < math.inf


def difference_of(
    first: np.ndarray,
    second: np.ndarray,
    seed: int,
    *,
    units: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    draws: int = DRAWS,
) -> Difference:
    """Return how two systems differ on the same rows.

    Args:
        first: its scores, shape (rows,), or (seeds, rows) of one that was trained under several
            seeds, whose mean over the seeds it then is; NaN where there is none.
        second: scores of the other on the same rows, under as many seeds or another number.
        seed: of the resampling.
        units: which rows belong together, counted from 0, shape (rows,); None for none.
        weights: of the rows in the mean, such as their bytes, shape (rows,); None for one each.
        draws: resamples.
    """
    one, other = np.atleast_2d(first), np.atleast_2d(second)
    scored = np.isfinite(one).all(axis=0) & np.isfinite(other).all(axis=0)
    one, other = one[:, scored], other[:, scored]
    weight = np.ones(one.shape[1]) if weights is None else weights[scored].astype(np.float64)
    sizes = np.abs(np.concatenate([one, other])).max(axis=0)
    gap = settled(one.mean(axis=0) - other.mean(axis=0), sizes)
    unpaired = int((~scored).sum())
    if not weight.sum():
        nothing = math.nan
        return Difference(nothing, nothing, nothing, nothing, "no pairs", 0, 0, 0, 0, unpaired)
    own = None if units is None else np.unique(units[scored], return_inverse=True)[1]
    by_unit = unit_sums(np.stack([gap * weight, weight, sizes * weight]), own)
    by_unit[0] = settled(by_unit[0], by_unit[2])
    if len(one) == len(other) == 1:
        low, high = interval(by_unit[:2], seed, shares, draws)
    else:
        low, high = _over_seeds([one * weight, other * weight], weight, own, seed, draws)
    if by_unit.shape[1] < 2:
        low = high = math.nan  # one unit does not say how far units lie apart
    p, test = flipped(by_unit[0], seed, draws)
    ends = np.array([(gap * weight).sum() / weight.sum(), low, high])
    mean, low, high = settled(ends, (sizes * weight).sum() / weight.sum()).tolist()
    return Difference(mean, low, high, p, test, gap.size, *_counted(gap), unpaired)


def _over_seeds(
    both: Sequence[np.ndarray],
    weight: np.ndarray,
    units: np.ndarray | None,
    seed: int,
    draws: int,
) -> tuple[float, float]:
    """Return the interval over seeds and rows: both are drawn again, as rows are the same in all.

    Equal numbers of seeds are pairs, drawn together. Few seeds drawn with going back vary less than
    seeds do, by (seeds - 1) / seeds: what a draw of them adds is scaled up by the root of that.
    """
    one, other = both
    stacks = [one - other] if len(one) == len(other) else [one, -other]
    rows = [*(unit_sums(stack, units) for stack in stacks), unit_sums(weight[None], units)]
    sums = resampled(np.concatenate(rows), seed, draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, :-1] / sums[:, -1:]
    random = np.random.default_rng([seed, 1])
    total = np.zeros(draws)
    start = 0
    for stack in stacks:
        total += seeds_drawn(means[:, start : start + len(stack)], random)
        start += len(stack)
    low, high = np.quantile(total[np.isfinite(total)], [0.025, 0.975])
    return float(low), float(high)


def seeds_drawn(means: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the mean over seeds that are drawn again in each draw, shape (draws,).

    Args:
        means: of each seed in each draw of rows, shape (draws, seeds).
        random: draws the seeds.
    """
    draws, seeds = means.shape
    middle = means.mean(axis=1)
    if seeds == 1:
        return np.asarray(middle)
    places = random.integers(0, seeds, (draws, seeds))
    drawn = np.take_along_axis(means, places, axis=1).mean(axis=1)
    widened: np.ndarray = middle + math.sqrt(seeds / (seeds - 1)) * (drawn - middle)
    return widened


def flipped(gaps: np.ndarray, seed: int, draws: int = DRAWS) -> tuple[float, str]:
    """Return how often signs at random give a sum as far from 0, two-sided, and how it was counted.

    Where all gaps are of one size this is the exact sign test, and of right and wrong answers
    McNemar's in its exact form.

    Args:
        gaps: of each pair, shape (pairs,).
        seed: of the draws, where not all flips are counted.
        draws: of signs.
    """
    sizes = np.abs(gaps[gaps != 0])
    if not len(sizes):
        return 1.0, "no pair differs"
    wins = int((gaps > 0).sum())
    if sizes.max() - sizes.min() <= ROUNDING * sizes.max():
        return sign_test(wins, len(sizes) - wins), "exact sign test"
    seen = abs(float(gaps.sum()))
    least = seen - 1e-9 * float(sizes.sum())
    if len(sizes) <= _EXACT:
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=len(sizes))))
        return float((np.abs(signs @ sizes) >= least).mean()), "exact permutation"
    kinds, counts = np.unique(sizes, return_counts=True)
    random = np.random.default_rng([seed, 2])
    if len(kinds) <= _KINDS:
        drawn = (2 * random.binomial(counts, 0.5, (draws, len(kinds))) - counts) @ kinds
    elif len(sizes) <= _UNITS:
        step = max(_AT_ONCE // len(sizes), 1)
        drawn = np.concatenate(
            [
                (2 * random.integers(0, 2, (min(step, draws - start), len(sizes))) - 1) @ sizes
                for start in range(0, draws, step)
            ]
        )
    else:
        p = math.erfc(seen / math.sqrt(2 * float(np.square(sizes).sum())))
        return p, "permutation, normal limit"
    # What was seen is one of the flips (Phipson and Smyth, SAGMB 9, 2010): p is never 0.
    beyond = int((np.abs(drawn) >= least).sum())
    return (1 + beyond) / (1 + draws), f"permutation, {draws:,} draws"


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided probability of so uneven a split, if both are as probable.

    Args:
        wins: pairs in which the first is above.
        losses: pairs in which the second is.
    """
    count, few = wins + losses, min(wins, losses)
    if 2 * few == count:
        return 1.0
    log_term = math.lgamma(count + 1) - math.lgamma(few + 1) - math.lgamma(count - few + 1)
    term = math.exp(log_term - count * math.log(2))
    total = 0.0
    for place in range(
        few, -1, -1
    ):  # from the largest on, each smaller by more than the one before
        total += term
        term *= place / (count - place + 1)
        if term <= total * 1e-18:
            break
    return min(2 * total, 1.0)


def holm(found: Sequence[Difference]) -> list[Difference]:
    """Return differences with ``p`` corrected for all of them (Holm, Scand. J. Statist. 6, 1979).

    One alone is not corrected; one without ``p`` is none of those that are counted.
    """
    told = [place for place, one in enumerate(found) if not math.isnan(one.p)]
    if len(told) < 2:
        return list(found)
    corrected = list(found)
    least = 0.0
    for rank, place in enumerate(sorted(told, key=lambda place: found[place].p)):
        least = max(least, min((len(told) - rank) * found[place].p, 1.0))
        corrected[place] = replace(found[place], p_corrected=least)
    return corrected


@dataclass(frozen=True)
class Spread:
    """A number under several seeds: accuracy, perplexity, seconds."""

    mean: float
    sd: float
    """standard deviation over the seeds (divided by one less than there are); NaN of one"""
    low: float
    """lower bound of the mean's 95% interval over seeds, by Student's t; NaN of one, and where all
    are alike, which does not say how far seeds lie apart"""
    high: float
    seeds: int

    def as_json(self) -> dict[str, Any]:
        """Return it for a manifest; a number that there is not is null."""
        told = {"mean": self.mean, "sd": self.sd, "low": self.low, "high": self.high}
        numbers = {key: None if math.isnan(value) else value for key, value in told.items()}
        return {**numbers, "seeds": self.seeds}


def spread_of(values: Sequence[float]) -> Spread:
    """Return how a number varies over seeds; one that there is not (NaN) is left out."""
    found = np.array([value for value in values if not math.isnan(value)], np.float64)
    if not len(found):
        return Spread(math.nan, math.nan, math.nan, math.nan, 0)
    mean = float(found.mean())
    if len(found) == 1:
        return Spread(mean, math.nan, math.nan, math.nan, 1)
    sd = float(settled(found.std(ddof=1), np.abs(found).max()))
    if not sd:
        return Spread(mean, sd, math.nan, math.nan, len(found))
    half = quantile(1 - LEVEL / 2, len(found) - 1) * sd / math.sqrt(len(found))
    return Spread(mean, sd, mean - half, mean + half, len(found))


def difference_of_seeds(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return how two arms differ that ran under the same seeds, one number each.

    Interval and ``p`` are those of the paired t test: with few seeds, flips of signs could not tell
    anything (five have p = 0.0625 at the least). Where all seeds differ alike, there is neither: it
    is not known how far seeds lie apart. A seed that one of them lacks (NaN) is no pair.

    Args:
        first: a number of each seed.
        second: the other's, seed by seed.

    Raises:
        ValueError: if they are not as many.
    """
    both = np.array([*zip(first, second, strict=True)], np.float64).reshape(-1, 2)
    known = both[np.isfinite(both).all(axis=1)]
    sizes = np.abs(known).max(axis=1)
    paired = settled(known[:, 0] - known[:, 1], sizes)
    unpaired, counted = len(both) - len(paired), _counted(paired)
    told = spread_of(paired.tolist())
    test, p, low, high = "too few seeds", math.nan, told.low, told.high
    if told.seeds > 1 and told.sd > ROUNDING * float(sizes.max()):
        test = "paired t test over seeds"
        p = two_sided(told.mean / (told.sd / math.sqrt(told.seeds)), told.seeds - 1)
    elif told.seeds > 1:
        low = high = math.nan
        test, p = (ALIKE, math.nan) if paired.any() else (SAME, 1.0)
    return Difference(told.mean, low, high, p, test, len(paired), *counted, unpaired)


def _counted(gaps: np.ndarray) -> tuple[int, int, int]:
    """Return pairs in which the first is above, in which the second is, and ties."""
    wins, losses = int((gaps > 0).sum()), int((gaps < 0).sum())
    return wins, losses, len(gaps) - wins - losses
