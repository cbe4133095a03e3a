"""An evaluation: what measuring found of each system, typed, whoever reads it.

A manifest keeps it among its measures; :func:`evaluation_of` reads it from there, also of stores
that earlier releases or strangers wrote.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeGuard, get_args

Metric = Literal["accuracy", "score", "bits_per_byte", "suite"]
"""what systems are measured by: part of the rows on which a system said what humans said; mean of a
verifier's scores; how many bits a model needs for a byte of a text; figures of a suite's tasks, by
task, which no one number stands for"""
METRICS: tuple[Metric, ...] = get_args(Metric)
WORDS: dict[Metric, str] = {
    "accuracy": "accuracy", "score": "mean score", "bits_per_byte": "bits per byte",
    "suite": "figures",
}  # fmt: skip
"""what each is called"""


@dataclass(frozen=True)
class Result:
    """What was found of one system."""

    value: float
    """of the evaluation's metric; NaN where nothing was scored"""
    low: float | None = None
    """lower bound of the 95% interval around it; None where none was computed"""
    high: float | None = None
    """upper bound"""
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """all that was measured of it, as the manifest has it: F1, confusion, rows without an answer"""

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds of the interval; the value itself where none was computed."""
        low = self.value if self.low is None else self.low
        return low, self.value if self.high is None else self.high

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)


@dataclass(frozen=True)
class Evaluation:
    """Systems side by side on the same rows."""

    systems: Mapping[str, Result]
    rows: int | None = None
    """rows that all of them were measured on"""
    majority: float | None = None
    """accuracy of whoever always says the commonest label"""
    compare: tuple[Mapping[str, Any], ...] = ()
    """differences of pairs: first, second, difference, low, high, and more of later releases"""
    measures: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """the whole of it, as the manifest has it"""
    metric: Metric = "accuracy"

    @property
    def is_share(self) -> bool:
        """Whether values lie in [0, 1], and more is better."""
        return self.metric != "bits_per_byte"

    def by_value(self) -> list[tuple[str, Result]]:
        """Return (system, result), the best first, those without a value last."""
        sign = -1 if self.is_share else 1
        return sorted(
            self.systems.items(),
            key=lambda item: (not item[1].is_known, sign * item[1].value, item[0]),
        )

    @property
    def majority_interval(self) -> tuple[float, float] | None:
        """Bounds of the interval around the commonest label's share; None if none was computed."""
        low, high = (_number(self.measures.get(f"majority_{end}")) for end in ("low", "high"))
        return None if low is None or high is None else (low, high)

    @property
    def figures(self) -> list[tuple[str, str, str, Mapping[str, Any]]]:
        """What a suite told: (task, metric, system, figure), by task."""
        found = [
            (str(task), str(metric), system, told)
            for system, result in self.systems.items()
            for task, metrics in _table(result.facts.get("tasks")).items()
            for metric, told in _table(metrics).items()
            if isinstance(told, Mapping)
        ]
        return sorted(found, key=lambda one: one[:2])

    @property
    def retention(self) -> tuple[Mapping[str, Any], ...]:
        """How much of its teacher's score each student has."""
        return _tables(self.measures.get("retention"))


Standing = Literal["below", "not better", "not clearly better", "better"]


def against_majority(result: Result, majority: float) -> Standing:
    """Return how a system stands to one that always gives the commonest human label.

    Where there is no interval, or none of any width, it is not told to be below or better.

    Args:
        result: a system's accuracy with its interval.
        majority: the commonest label's share of the rows.
    """
    between = told_between(result)
    if between is not None and between[1] < majority:
        return "below"
    if result.value <= majority:
        return "not better"
    return "better" if between is not None and between[0] > majority else "not clearly better"


def told_between(result: Result) -> tuple[float, float] | None:
    """Return the ends of a result's interval; None where there is none that says anything."""
    low, high = result.low, result.high
    return (low, high) if low is not None and high is not None and low < high else None


def is_evaluation(measures: Mapping[str, Any]) -> bool:
    """Return whether what a stage measured is an evaluation."""
    return isinstance(measures.get("systems"), Mapping)


def systems_in(literals: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return system -> the stages that it is, one a seed, from the literals of an evaluation.

    Args:
        literals: of the stage, as a manifest has them.
    """
    found: dict[str, tuple[str, ...]] = {}
    for key in ("systems", "models"):
        for name, made in _table(literals.get(key)).items():
            stages = made if isinstance(made, list | tuple) else (made,)
            found[str(name)] = tuple(one for one in stages if isinstance(one, str))
    return found


def evaluation_of(measures: Mapping[str, Any]) -> Evaluation | None:
    """Return the evaluation among a manifest's measures; None if there is none.

    Args:
        measures: of a manifest.
    """
    if not is_evaluation(measures):
        return None
    said = measures.get("metric", "accuracy")
    metric: Metric = next((one for one in METRICS if one == said), "accuracy")
    systems = {
        str(name): _result(facts, metric)
        for name, facts in measures["systems"].items()
        if isinstance(facts, Mapping)
    }
    rows = measures.get("rows")
    return Evaluation(
        systems=systems,
        rows=rows if isinstance(rows, int) else None,
        majority=_number(measures.get("majority")),
        compare=_tables(measures.get("compare")),
        measures=measures,
        metric=metric,
    )


def _result(facts: Mapping[str, Any], metric: Metric) -> Result:
    """Return what is told of a system; an interval that its value does not lie in is none."""
    value = _number(facts.get(metric))
    if value is None:
        value = 0.0 if metric == "accuracy" else math.nan
    elif value < 0 or (metric != "bits_per_byte" and value > 1 + _ROUNDING) or value > _LARGEST:
        value = math.nan
    low, high = (_number(facts.get(end)) for end in ("low", "high"))
    if low is None or high is None or not _lies_in(value, low, high):
        low = high = None
    return Result(value=value, low=low, high=high, facts=facts)


def _lies_in(value: float, low: float, high: float) -> bool:
    within = low - _ROUNDING <= value <= high + _ROUNDING
    return within and low >= -_LARGEST and high <= _LARGEST


_ROUNDING = 1e-6
_LARGEST = 1e12
_NUMBER = 1e300  # a larger whole number is none that a float holds


def _table(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _tables(told: Any) -> tuple[Mapping[str, Any], ...]:
    found = told if isinstance(told, list | tuple) else ()
    return tuple(one for one in found if isinstance(one, Mapping))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether what a manifest holds is a number that can be reckoned with and told."""
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and abs(value) < _NUMBER


def count_of(value: Any) -> int:
    """Return a count as a manifest holds it; 0 for what is none."""
    is_one = isinstance(value, int) and not isinstance(value, bool)
    return value if is_one and abs(value) < _NUMBER else 0


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None
