"""Learning rates over the steps of a training."""

from __future__ import annotations

from math import cos, pi
from typing import Literal

Schedule = Literal["cosine", "linear", "constant"]
_LEAST = 0.1  # of the highest rate, at the end of a cosine


def rate_at(step: int, steps: int, warmup: float, schedule: Schedule) -> float:
    """Return the rate of a step as a part of the highest, within 0 and 1.

    It rises over the first part, and falls from there (Loshchilov and Hutter, "SGDR", ICLR 2017,
    arXiv 1608.03983): to a tenth, to nothing, or not at all.

    Args:
        step: from 0.
        steps: in all.
        warmup: part of the steps in which it rises.
        schedule: how it falls.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    if schedule == "constant":
        return 1.0
    done = (step - rising) / max(steps - rising, 1)
    if schedule == "linear":
        return 1.0 - done
    return _LEAST + (1 - _LEAST) * (1 + cos(pi * done)) / 2
