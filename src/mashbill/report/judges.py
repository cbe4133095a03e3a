"""What judges said, for a page: how often, how firmly, how far they agree with people and others.

Of agreement a stage measures how often judges said what together, which may be summed over slices;
the statistics are made of that here (:mod:`mashbill.core.agreement`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.agreement import agreement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import Manifest


_COUNTED = ("answered", "ties", "inconsistent")


@dataclass(frozen=True)
class Judge:
    """One judge of an artifact, in words for a table; empty where nothing was measured."""

    name: str
    answered: str
    ties: str
    inconsistent: str
    """things of which it said else where it was asked the other way round"""
    gold: str
    """how often it said what people said"""


@dataclass(frozen=True)
class Judged:
    """What judges said for one artifact."""

    artifact: str
    judges: tuple[Judge, ...]
    agreement: str
    """of several judges, in a sentence; empty of one"""
    gold: str
    """of the verdict that they came to together, against people"""


def judged_in(manifests: Sequence[Manifest]) -> tuple[Judged, ...]:
    """Return what judges said for each of these artifacts for which some did."""
    return tuple(
        _judged(str(manifest.ref), told)
        for manifest in manifests
        if isinstance(told := manifest.measures, dict) and _has_judges(told)
    )


def _has_judges(told: Mapping[str, Any]) -> bool:
    judges = told.get("judges")
    return isinstance(judges, dict) and all(isinstance(one, dict) for one in judges.values())


def _judged(artifact: str, told: Mapping[str, Any]) -> Judged:
    judges = tuple(_judge(name, facts) for name, facts in told["judges"].items())
    return Judged(artifact, judges, _agreement(told.get("agreement")), _gold(told.get("gold")))


def _judge(name: str, facts: Mapping[str, Any]) -> Judge:
    answered, ties, inconsistent = map(_count, map(facts.get, _COUNTED))
    return Judge(name, answered, ties, inconsistent, _gold(facts.get("gold")))


def _count(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _gold(told: Any) -> str:
    if not isinstance(told, dict) or not isinstance(told.get("pairs"), int) or not told["pairs"]:
        return ""
    right, pairs = told.get("right", 0), told["pairs"]
    return f"{right / pairs:.1%} ({right:,} of {pairs:,})"


def _agreement(told: Any) -> str:
    if not isinstance(told, dict) or not isinstance(told.get("patterns"), dict):
        return ""
    found = agreement(told["judges"], told["patterns"])
    if found["percent"] is None:
        return "no two of them said something of the same thing"
    pairs = ", ".join(
        f"{names} {'not defined' if value is None else f'{value:.2f}'}"
        for names, value in found["kappa"].items()
    )
    alpha = "not defined" if found["alpha"] is None else f"{found['alpha']:.2f}"
    return (
        f"they say the same in {found['percent']:.1%} of comparisons over "
        f"{found['things']:,} things; Cohen's kappa: {pairs}; Krippendorff's alpha: {alpha}"
    )
