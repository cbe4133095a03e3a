"""The numbers that manifests hold: of each system of an evaluation, or what a trainer measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mashbill.core.evaluation import is_evaluation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mashbill.core.artifact import Manifest

_ENDS = frozenset({"low", "high", "at_least", "at_most"})
_SCORES = frozenset({"accuracy", "score", "bits_per_byte", "macro_f1"})


def metric_of(manifest: Manifest) -> str:
    """Return the measure that an evaluation's rows have scores of; empty for a trainer."""
    if not is_evaluation(manifest.measures):
        return ""
    return str(manifest.measures.get("metric", "accuracy"))


def numbers_of(
    manifest: Manifest, systems: Mapping[str, str] | None = None
) -> dict[tuple[str, str], float]:
    """Return the numbers that a manifest has, by system and measure: what is no end of an interval.

    Args:
        manifest: of an evaluation; or of another artifact, whose system is "".
        systems: of an evaluation, those that are meant -> what they are called; all if None.
    """
    measures = manifest.measures
    if not is_evaluation(measures):
        return {("", name): value for name, value in _plain(measures)}
    metric = metric_of(manifest)
    found: dict[tuple[str, str], float] = {}
    for system, facts in measures["systems"].items():
        if systems is not None and system not in systems:
            continue
        own = dict(_plain(facts))
        title = system if systems is None else systems[system]
        found |= {(title, name): own[name] for name in (metric, *own) if name in own}
    return found


def _plain(measures: Any) -> Iterable[tuple[str, float]]:
    for name, value in measures.items() if hasattr(measures, "items") else ():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and math.isfinite(value) and name not in _ENDS:
            yield name, value


def counts_among(numbers: Iterable[dict[tuple[str, str], float]]) -> set[str]:
    """Return the measures that are counts: whole in every run, and no score.

    A manifest writes 1.0 as 1, so that one run does not say which it is.
    """
    all_ = [(name, value) for run in numbers for (_, name), value in run.items()]
    parts = {name for name, value in all_ if isinstance(value, float)} | _SCORES
    return {name for name, _ in all_} - parts
