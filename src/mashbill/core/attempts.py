"""Attempts at prompts, and how often they pass: pass@1 and pass@k with what is not known of them.

A prompt has a group of attempts. An attempt is scored, and passed or not; or nothing was scored of
it (undecided, failed, truncated, no output), which says nothing of whether it would have passed.
All that pass@k needs of a group are three counts, so groups are kept by these and any number of
tallies can be put together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mashbill.core.proportions import wilson

_FEW = 20  # groups below which how far they differ is not estimated
_FACTORS = 10_000  # that are multiplied; of more, logarithms are added
_LARGEST = 1024  # k that is told unasked
_MOST = 2000  # kinds of groups that measures hold

Group = tuple[int, int, int]
"""attempts of a group: scored, passed of these, and not scored"""


def pass_at(scored: int, passed: int, k: int) -> float:
    """Return how probable it is that one of k attempts passes, drawn without going back.

    The unbiased estimator of Chen et al., "Evaluating Large Language Models Trained on Code",
    arXiv 2107.03374, section 2.1.

    Args:
        scored: attempts, k at least.
        passed: those of them that passed.
        k: how many are drawn.
    """
    if scored - passed < k:
        return 1.0
    # C(n - c, k) / C(n, k) is a product of k factors, and the same one of c factors.
    few, many = sorted((k, passed))
    if few > _FACTORS:
        left = np.log1p(-many / (scored - np.arange(few, dtype=np.float64))).sum()
        return 1.0 - math.exp(float(left))
    fails = 1.0
    for place in range(few):
        fails *= (scored - many - place) / (scored - place)
    return 1.0 - fails


def interval(mean: float, spread: float, groups: int, attempts: int) -> tuple[float, float]:
    """Return the 95% interval of a mean over groups, each with a value from 0 to 1.

    Wilson's interval (JASA 22, 1927) with the effective number of groups, as Franco, Little, Louis
    and Slud recommend (Journal of Survey Statistics and Methodology 7, 2019, PMC6690503): how many
    attempts one by one would vary as much. Where groups are few, or all alike, their number stands
    for it, which is never too many: no values in [0, 1] of this mean vary more than 0 and 1 do.

    Args:
        mean: of the values.
        spread: their variance, about their mean and divided by one less than there are.
        groups: how many there are.
        attempts: of all of them: they vary no less than so many one by one.
    """
    if not groups:
        return 0.0, 1.0
    count = float(groups)
    if groups >= _FEW and spread > 0 and 0 < mean < 1:
        count = max(min(mean * (1 - mean) * groups / spread, float(attempts)), count)
    return wilson(mean, count)


@dataclass(frozen=True)
class PassAt:
    """Pass@k of many groups."""

    k: int
    estimate: float | None
    """mean over the groups that have k scored attempts; None if none has"""
    low: float
    """lower bound of its 95% interval, over prompts like these"""
    high: float
    at_least: float
    """if none of the attempts that were not scored would have passed"""
    at_most: float
    """if all of them would have"""
    groups: int
    """those that the estimate is of"""
    unscored: int
    """groups that have k attempts, of which fewer than k were scored: in the bounds alone"""
    short: int
    """groups that have fewer than k attempts: in none of these figures"""

    @property
    def lacking(self) -> str:
        """Why there is no estimate; empty if there is one."""
        if self.estimate is not None:
            return ""
        return "none scored" if self.unscored else "too few attempts"

    def as_json(self) -> dict[str, Any]:
        """Return it for a manifest."""
        return {
            "estimate": self.estimate, "low": self.low, "high": self.high,
            "at_least": self.at_least, "at_most": self.at_most, "groups": self.groups,
            "unscored": self.unscored, "short": self.short,
        }  # fmt: skip


@dataclass
class Attempts:
    """Groups of attempts, counted by what became of them."""

    groups: Counter[Group] = field(default_factory=Counter)

    def add(self, scored: int, passed: int, unscored: int, groups: int = 1) -> None:
        """Count groups of such attempts.

        Args:
            scored: attempts of each that have a score.
            passed: those of them that passed.
            unscored: attempts of each that have none.
            groups: how many groups.

        Raises:
            ValueError: if no group is like that.
        """
        if not 0 <= passed <= scored or unscored < 0 or groups < 0:
            msg = f"of {scored} scored attempts {passed} passed and {unscored} were not scored"
            raise ValueError(msg)
        if groups:
            self.groups[scored, passed, unscored] += groups

    def ks(self) -> tuple[int, ...]:
        """Return the k that say most of these groups: 1, 2, 4, ..., and the commonest size."""
        sizes: Counter[int] = Counter()
        for (scored, _, unscored), count in self.groups.items():
            sizes[scored + unscored] += count
        if not sizes:
            return ()
        usual = min(max(sizes, key=lambda size: (sizes[size], size)), _LARGEST)
        doubled = [1 << power for power in range(usual.bit_length()) if 1 << power < usual]
        return (*doubled, usual) if usual else ()

    def pass_at(self, k: int) -> PassAt:
        """Return pass@k.

        Raises:
            ValueError: if k is below 1.
        """
        if k < 1:
            msg = f"pass@k needs a k of 1 at least, and this is {k}"
            raise ValueError(msg)
        short = unscored = told = attempts = 0
        values, least, most = Counter[float](), Counter[float](), Counter[float]()
        for (scored, passed, other), count in self.groups.items():
            if scored + other < k:
                short += count
                continue
            if scored < k:
                unscored += count
                most[1.0] += count
                continue
            told += count
            attempts += count * scored
            values[pass_at(scored, passed, k)] += count
            least[pass_at(scored + other, passed, k)] += count
            most[pass_at(scored + other, passed + other, k)] += count
        mean = _mean(values, told) if told else None
        spread = 0.0
        if mean is not None and told > 1:
            squares = Counter[float]()
            for value, count in values.items():
                squares[(value - mean) ** 2] += count
            spread = _mean(squares, told - 1)
        low, high = interval(mean or 0.0, spread, told, attempts)
        all_ = told + unscored
        bounds = (_mean(least, all_), _mean(most, all_)) if all_ else (0.0, 1.0)
        return PassAt(k, mean, low, high, *bounds, told, unscored, short)

    def as_json(self, ks: tuple[int, ...] = (), most: int = _MOST) -> dict[str, Any]:
        """Return it for a manifest: groups by kind as counts, which measures add up, and pass@k.

        Args:
            ks: of which; those that say most if there are none.
            most: kinds of groups that are listed; of more none is.
        """
        kinds = {
            f"{scored} {passed} {other}": count
            for (scored, passed, other), count in sorted(self.groups.items())
        }
        found: dict[str, Any] = {
            "groups": sum(self.groups.values()),
            "pass_at": {str(k): self.pass_at(k).as_json() for k in ks or self.ks()},
        }
        return found | ({"kinds": kinds} if len(kinds) <= most else {})


def _mean(values: Counter[float], count: int) -> float:
    """Return the sum of values, each so often, by a count; the same in whichever order."""
    return math.fsum(value * times for value, times in values.items()) / count


def pass_ats(measured: Any) -> list[PassAt]:
    """Return pass@k as a manifest has it, the smallest k first; what cannot be read is left out."""
    told = measured.get("pass_at") if isinstance(measured, Mapping) else None
    found = []
    for k, value in told.items() if isinstance(told, Mapping) else ():
        try:
            one = PassAt(k=int(k), **value)
        except (TypeError, ValueError):
            continue
        numbers = (one.low, one.high, one.at_least, one.at_most, one.groups, one.estimate or 0)
        if all(isinstance(number, int | float) for number in numbers):
            found.append(one)
    return sorted(found, key=lambda one: one.k)
