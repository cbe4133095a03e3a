"""I: accounts that ask equally often in the same days, as if one hand dealt their work out.

Strangers of one tool differ in how much they ask: logarithms of counts of people's activity have a
standard deviation of about one and more, over any window of days. Accounts that one queue feeds
have equal shares, up to chance. So the counts of a group in one window of the calendar are held
against a normal distribution of their logarithms that is as narrow as the most alike strangers
(:data:`STRANGERS`) and against narrower ones; the noise of counting is in both.

Equal shares are no offence. They count beside a second sign only, and at most by
:func:`limit`, since people who do one and the same task ask about equally often as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mashbill.conduct.evidence.betting import mean

if TYPE_CHECKING:
    from collections.abc import Sequence

STRANGERS = 0.8
"""standard deviation of the logarithm of counts, of the most alike strangers"""
ONE_HAND = (0.05, 0.15, 0.3)
LEAST = 4
"""accounts of which it may be told"""
_MOST = 4.0


def limit(spans: int) -> float:
    """Return what it may add at most (log10), of so many spans of four hours with work in them."""
    return min(_MOST, 0.5 + spans / 5)


def evidence(counts: Sequence[int], spans: int, there: Sequence[int]) -> float:
    """Return log10 of the e-value of equal counts.

    Args:
        counts: exchanges of each account in the window.
        spans: spans of the window in which the group asked anything.
        there: spans of the window in which each account was there, at least 1: neither yet to come
            nor banned.
    """
    if len(counts) < LEAST or sum(counts) < 8 * len(counts):
        return 0.0
    logs = _rates(counts, there)
    noise = [1 / (count + 0.5) for count in counts]
    apart = _normal(logs, noise, STRANGERS)
    found = mean([(_normal(logs, noise, one) - apart) / math.log(10) for one in ONE_HAND])
    return max(-4.0, min(found, limit(spans)))


def _rates(counts: Sequence[int], there: Sequence[int]) -> list[float]:
    return [math.log((count + 0.5) / spans) for count, spans in zip(counts, there, strict=True)]


def spread(counts: Sequence[int], there: Sequence[int]) -> float:
    """Return the standard deviation of the logarithm of rates, the noise of counting in it."""
    logs = _rates(counts, there)
    middle = math.fsum(logs) / len(logs)
    return math.sqrt(math.fsum((one - middle) ** 2 for one in logs) / max(1, len(logs) - 1))


def _normal(logs: Sequence[float], noise: Sequence[float], deviation: float) -> float:
    """Return the log likelihood of values, whatever their middle, each with a noise of its own.

    The middle is integrated out with one flat weight in all models, so that their ratio is that of
    what does not depend on it, and an e-value for every middle (Lehmann and Romano, Testing
    Statistical Hypotheses, chapter 6); at an estimate of it the ratio would be no e-value.
    """
    weights = [1 / (deviation**2 + own) for own in noise]
    whole = math.fsum(weights)
    middle = math.fsum(weight * one for weight, one in zip(weights, logs, strict=True)) / whole
    return 0.5 * (
        math.fsum(
            math.log(weight) - weight * (one - middle) ** 2
            for weight, one in zip(weights, logs, strict=True)
        )
        - math.log(whole)
    )
