"""What evaluations found of an artifact, number by number, for the standards that list metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.evaluation import is_number
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.evaluation import Result
    from mashbill.lineage.described.describing import Described
    from mashbill.lineage.described.evaluated import Evaluated

_LABELS = 200  # labels that are told each


@dataclass(frozen=True)
class Metric:
    """One number."""

    name: str
    """accuracy, macro F1, recall, majority label"""
    value: float
    of: str
    """what it was measured on: evaluation, dataset, rows, system and label, in words"""
    low: float | None = None
    """lower bound of the 95% interval; None where there is none"""
    high: float | None = None

    def told(self) -> str:
        """Return the value with its interval, in words."""
        if self.low is None or self.high is None:
            return f"{self.value:.6g}"
        return f"{self.value:.6g} (95% interval {self.low:.6g} to {self.high:.6g})"


def metrics(described: Described) -> Iterator[Metric]:
    """Yield what evaluations found of the artifact itself, by evaluation and system."""
    for each in described.own:
        if each.found.metric == "suite":
            yield from _suite(each)
            continue
        for system, result in each.results():
            yield from _of(each, system, result)
        if each.found.majority is not None:
            low, high = each.found.majority_interval or (None, None)
            yield Metric("accuracy of the majority label", each.found.majority,
                         _on(each, "", each.found.rows), low, high)  # fmt: skip


def _of(each: Evaluated, system: str, result: Result) -> Iterator[Metric]:
    on = _on(each, system if len(each.own) > 1 else "", each.rows_of(result))
    if result.is_known:
        yield Metric(each.metric, result.value, on, result.low, result.high)
    f1 = result.facts.get("macro_f1")
    if is_number(f1):
        yield Metric("macro F1", float(f1), on)
    labels = result.facts.get("labels")
    for label, told in list(labels.items())[:_LABELS] if isinstance(labels, dict) else ():
        for name in ("precision", "recall", "f1"):
            value = told.get(name) if isinstance(told, dict) else None
            if is_number(value):
                yield Metric(name, float(value), f"{on}; label {label}")


def _suite(each: Evaluated) -> Iterator[Metric]:
    for task, metric, system, told in each.found.figures:
        value = told.get("value")
        if system in each.own and is_number(value):
            yield Metric(metric, float(value), f"{each.name}; task {task}")


def _on(each: Evaluated, system: str, rows: int | None) -> str:
    parts = [each.name, f"rows of {each.held_out}" if each.held_out else "", system]
    parts.append(counted(rows, "row") if rows is not None else "")
    return "; ".join(part for part in parts if part)
