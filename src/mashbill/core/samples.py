"""Samples: what a model said before it was trained and after, to the same prompts.

A trainer that has both at hand appends to ``ctx.samples``; a few are kept with what it measured, so
that a page shows them side by side. They are for people: nothing is concluded from so few, and an
evaluation measures. Prompts come from what is held out, since what was learned says little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAMPLES = "samples"
"""the measure that holds them"""
MOST = 8
"""samples of a model; more are left out"""
LONGEST = 2000
"""characters of one text; the rest is cut"""
_KEYS = ("prompt", "wanted", "before", "after")


@dataclass(frozen=True)
class Sample:
    """One prompt and two answers."""

    prompt: str
    before: str
    """what the base said"""
    after: str
    """what the trained model says"""
    wanted: str = ""
    """what it should say, if that is known"""


def measured(samples: Sequence[Sample]) -> list[dict[str, str]]:
    """Return samples as a manifest keeps them, within their bounds."""
    return [{key: _cut(str(getattr(one, key))) for key in _KEYS} for one in samples[:MOST]]


def samples_of(measures: Mapping[str, Any]) -> tuple[Sample, ...]:
    """Return the samples among a manifest's measures, whoever wrote them; none if they are none."""
    found = measures.get(SAMPLES)
    if not isinstance(found, list):
        return ()
    return tuple(
        Sample(**{key: _cut(str(one.get(key) or "")) for key in _KEYS})
        for one in found[:MOST]
        if isinstance(one, Mapping)
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
