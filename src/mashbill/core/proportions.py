"""The interval of a proportion."""

from __future__ import annotations

import math

Z = 1.959963984540054
"""the normal distribution's 97.5% quantile"""


def wilson(share: float, count: float) -> tuple[float, float]:
    """Return the 95% interval of a proportion (Wilson, JASA 22, 1927).

    Args:
        share: that was seen, in [0, 1].
        count: of how many it was seen, or of how many single ones it varies like.
    """
    if not count:
        return 0.0, 1.0
    whole = 1 + Z**2 / count
    centre = (share + Z**2 / (2 * count)) / whole
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / whole
    # What was seen lies within, whatever is lost in the last bits.
    return max(min(centre - half, share), 0.0), min(max(centre + half, share), 1.0)
