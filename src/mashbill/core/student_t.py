"""Student's t: how probable a value is, and which value has a probability.

For means of few values, such as one a seed, of which the normal distribution promises too much.
"""

from __future__ import annotations

import math

_TERMS = 100  # of a continued fraction, at least


def two_sided(t: float, freedom: float) -> float:
    """Return the probability that a value lies at least as far from 0 as ``t``, on either side.

    Args:
        t: the value.
        freedom: degrees of freedom, above 0.
    """
    if math.isnan(t):
        return math.nan
    if math.isinf(t):
        return 0.0
    # One side's tail is half the incomplete beta function (Abramowitz and Stegun, 26.7.1).
    x = freedom / (freedom + t * t)
    # Near 1 what is left to 1 is computed by itself: a difference has lost most of its digits.
    rest = 1 - x if x < 0.5 else t * t / (freedom + t * t)
    return _incomplete_beta(x, rest, freedom / 2, 0.5)


def quantile(share: float, freedom: float) -> float:
    """Return the value that lies above ``share`` of the distribution.

    Args:
        share: above 0.5 and below 1.
        freedom: degrees of freedom, above 0.
    """
    tail = 2 * (1 - share)
    low, high = 0.0, 1.0
    while two_sided(high, freedom) > tail:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        if two_sided(middle, freedom) > tail:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(x: float, rest: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function, x in [0, 1], of which 1 - x is given."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction of the other end converges quickly
        return 1 - _fraction(rest, b, a)
    return _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return it by its continued fraction (Abramowitz and Stegun, 26.5.8)."""
    whole = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(whole + a * math.log(x) + b * math.log1p(-x)) / a
    # From the back: this side of the middle, so many terms are more than a double tells apart.
    fraction = 1.0
    for place in range(_TERMS + 4 * math.isqrt(int(max(a, b))), 0, -1):
        half = place // 2
        if place % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        fraction = 1 + term / fraction
    return front / fraction
