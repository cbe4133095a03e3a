"""What evidence is worth: from which e-value on it is noted, reviewed by a person, acted on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.conduct.scan.engine import Tier

NOTE, REVIEW, ACT = math.log10(20), math.log10(400), 4.0
"""log10 of e-values. If all accounts were honest, one in 10,000 at most would ever reach the last
(Ville's inequality), as far as the nulls hold."""
TIERS: tuple[tuple[Tier, float], ...] = (("act", ACT), ("review", REVIEW), ("note", NOTE))
ORDER: tuple[Tier, ...] = ("none", "note", "review", "act")
LEVEL = 0.01
"""of false discoveries among groups (e-BH)"""


def tier_of(log10: float) -> Tier:
    """Return the tier of an e-value."""
    return next((tier for tier, least in TIERS if log10 >= least), "none")
