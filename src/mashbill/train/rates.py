"""Learning rates over the steps of a training from scratch."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

Schedule: TypeAlias = Literal["linear", "cosine", "stable", "constant"]
WARM_UP = 30
"""steps in which the rate rises, where a recipe does not say"""
FLOOR = 0.05
"""of the highest rate, at the end"""
_FALL = 0.2
"""share of the steps in which a stable rate falls"""


def rate_at(step: int, steps: int, schedule: Schedule, warmup: float | None) -> float:
    """Return what the highest rate is multiplied by at a step.

    Args:
        step: from 0.
        steps: in all.
        schedule: how it falls: in a line from the first step on; by a cosine; in a line over the
            last fifth (as in Hägele et al., arXiv 2405.18392); or not.
        warmup: share of the steps in which it rises; 30 steps if None.
    """
    rising = WARM_UP if warmup is None else round(warmup * steps)
    rise = min(1.0, (step + 1) / rising) if rising else 1.0
    if schedule == "linear":
        return rise * max(FLOOR, 1 - step / steps)
    if schedule == "cosine":
        fallen = (1 + math.cos(math.pi * step / steps)) / 2
        return rise * (FLOOR + (1 - FLOOR) * fallen)
    if schedule == "stable":
        return rise * min(1.0, max(FLOOR, (1 - step / steps) / _FALL))
    return rise
