"""An evaluation: what measuring found of each system, typed, whoever reads it.

A manifest keeps it among its measures; :func:`evaluation_of` reads it from there, also of stores
that earlier releases or strangers wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Result:
    """What was found of one system."""

    accuracy: float
    """part of the rows that it got right, 0 to 1; the score of a suite that has another"""
    low: float | None = None
    """lower bound of the interval around it (Wilson, 95%); None where none was computed"""
    high: float | None = None
    """upper bound"""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """all that was measured of it, as the manifest has it: F1, confusion, rows without an answer"""

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the interval; the accuracy itself where none was computed."""
        low = self.accuracy if self.low is None else self.low
        return low, self.accuracy if self.high is None else self.high


@dataclass(frozen=True)
class Evaluation:
    """Systems side by side on the same rows."""

    systems: Mapping[str, Result]
    rows: int | None = None
    """rows that all of them were measured on"""
    majority: float | None = None
    """accuracy of whoever always says the commonest label"""
    compare: tuple[Mapping[str, Any], ...] = ()
    """differences of pairs: first, second, difference, low, high"""
    measures: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """the whole of it, as the manifest has it"""

    def by_accuracy(self) -> list[tuple[str, Result]]:
        """Return (system, result), the most accurate first."""
        return sorted(self.systems.items(), key=lambda item: (-item[1].accuracy, item[0]))

    @property
    def majority_interval(self) -> tuple[float, float] | None:
        """Bounds of the interval around the commonest label's share; None if none was computed."""
        low, high = (_number(self.measures.get(f"majority_{end}")) for end in ("low", "high"))
        return None if low is None or high is None else (low, high)


def is_evaluation(measures: Mapping[str, Any]) -> bool:
    """Return whether what a stage measured is an evaluation."""
    return isinstance(measures.get("systems"), Mapping)


def evaluation_of(measures: Mapping[str, Any]) -> Evaluation | None:
    """Return the evaluation among a manifest's measures; None if there is none.

    Args:
        measures: of a manifest.
    """
    if not is_evaluation(measures):
        return None
    systems = {
        str(name): Result(
            accuracy=_number(facts.get("accuracy")) or 0.0,
            low=_number(facts.get("low")),
            high=_number(facts.get("high")),
            facts=facts,
        )
        for name, facts in measures["systems"].items()
        if isinstance(facts, Mapping)
    }
    rows = measures.get("rows")
    compare = measures.get("compare")
    return Evaluation(
        systems=systems,
        rows=rows if isinstance(rows, int) else None,
        majority=_number(measures.get("majority")),
        compare=tuple(pair for pair in compare or () if isinstance(pair, Mapping))
        if isinstance(compare, list | tuple)
        else (),
        measures=measures,
    )


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None
