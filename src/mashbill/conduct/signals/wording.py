"""J and X: what an account's prompts ask for, by their words, over all of them.

One prompt is no finding. A model of texts gives each prompt log10 odds, and two levels of them are
passed seldom by ordinary prompts, and next to never (:data:`NULL`; rates of the worst honest kind,
not of the mean). A template that trips, trips each time, so what counts is how many different
templates an account's prompts are of, and how many of these trip: a pipeline of a hundred thousand
prompts of one template is one piece of evidence and not a hundred thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.conduct.evidence.betting import counted, graded
from mashbill.conduct.signals.templates import in_all

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

LEVELS = {"J": (1.4, 2.0), "X": (0.85, 2.0)}
"""scores from which a prompt trips, which 1% of the worst honest kind for development pass, and
from which it plainly does"""
NULL = (0.888, 0.10, 0.012)
"""probabilities that a template of an honest account passes no level; the first, at most; and the
second, at most: of the worst honest person and not of the mean. Of prompts about reasoning and
system prompts 9% pass X's first level and 0.6% its second, of commissions to write 2% and 0.2% J's;
of those two kinds none was learned"""
SHARES = (0.25, 0.5, 0.8)
"""of an abuser's templates that trip: more than the null's, or few trips would speak for abuse"""
LEAST = 2
"""prompts that trip, from which it is worth to look: one alone is never a note"""
PARTS = ((0.35, 0.65), (0.8, 0.2))
"""of what trips, by level: plain abuse, and such as is worded carefully"""


def evidence(
    sampled: Sequence[np.ndarray],
    tripped: Sequence[np.ndarray],
    high: Sequence[bool],
    exchanges: int,
    trips: tuple[int, int],
) -> float:
    """Return log10 of the e-value of an account's wordings.

    Args:
        sampled: skeletons of a uniform sample of its prompts.
        tripped: skeletons of a uniform sample of those that trip.
        high: which of these pass the second level.
        exchanges: prompts that were scored.
        trips: of all prompts, those that pass the first level only, and those that pass the second.
    """
    if not tripped or not sum(trips):
        return 0.0
    tripping = in_all(tripped, sum(trips))
    whole = max(in_all(sampled, exchanges), tripping)
    upper = in_all([one for one, is_high in zip(tripped, high, strict=True) if is_high], trips[1])
    upper = min(upper, tripping)
    shapes = [shape for parts in PARTS for shape in graded(SHARES, parts)]
    return counted((whole - tripping, tripping - upper, upper), NULL, shapes)
