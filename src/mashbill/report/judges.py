"""What judges said, for a page: how often, how firmly, how far they agree with people and others.

Of agreement a stage measures how often judges said what together, which may be summed over slices;
the statistics are made of that here (:mod:`mashbill.core.agreement`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.agreement import agreement
from mashbill.core.calibration import calibrated

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
    calibration: str = ""
    """how scores stand to what people say, in a sentence"""


def judged_in(manifests: Sequence[Manifest]) -> tuple[Judged, ...]:
    """Return what judges said for each of these artifacts for which some did."""
    return tuple(
        _judged(name, told)
        for manifest in manifests
        for name, told in _judging(str(manifest.ref), manifest.measures)
    )


_DEEP = 3  # a stage's measures, those of its verifier, those of a verifier's parts


def _judging(artifact: str, measures: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Return what was measured of judges: a stage's own, and those of its verifier and its parts.

    Each has the artifact's name, and the verifier's behind it.
    """
    found: list[tuple[str, Mapping[str, Any]]] = []
    level: list[tuple[str, Any]] = [(artifact, measures)]
    for _ in range(_DEEP):
        tables = [(name, told) for name, told in level if isinstance(told, dict)]
        found += [(name, told) for name, told in tables if _has_judges(told)]
        inner = [(name, told.get("judging", told)) for name, told in tables]
        level = [
            (f"{name}, {key}", value)
            for name, told in inner
            if isinstance(told, dict) and not _has_judges(told)
            for key, value in told.items()
            if isinstance(value, dict)
        ]
    return found


def _has_judges(told: Mapping[str, Any]) -> bool:
    judges = told.get("judges")
    return isinstance(judges, dict) and all(isinstance(one, dict) for one in judges.values())


def _judged(artifact: str, told: Mapping[str, Any]) -> Judged:
    judges = tuple(_judge(name, facts) for name, facts in told["judges"].items())
    gold = told.get("gold")
    return Judged(
        artifact, judges, _agreement(told.get("agreement")), _gold(gold), _calibration(gold)
    )


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


def _calibration(told: Any) -> str:
    if not isinstance(told, dict) or "sums" not in told:
        return ""
    found = calibrated(told)
    if not found["rows"]:
        return ""
    words = [f"over {found['rows']:,} outputs accuracy {found['accuracy']:.1%}"]
    if found["correlation"] is not None:
        words.append(f"correlation {found['correlation']:.2f}")
    words.append(f"expected calibration error {found['error']:.3f}")
    if found["held_accuracy"] is not None and found["held_rows"]:
        words.append(
            f"from {found['threshold']:.2f} on, which is best on one part of them, accuracy "
            f"{found['held_accuracy']:.1%} on the other {found['held_rows']:,}, where 0.5 has "
            f"{found['held_at_half']:.1%}"
        )
    return "; ".join(words)


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
