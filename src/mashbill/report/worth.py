"""How good a model is, by the evaluations of a store: which system is it, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mashbill.core.evaluation import WORDS, Standing, against_majority, is_number
from mashbill.core.plain import counted
from mashbill.lineage.described.evaluated import own_systems

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.evaluation import Evaluation, Result
    from mashbill.core.store import Store
    from mashbill.report.confusion import Shown
    from mashbill.report.rows_shown import Examples

Level = Literal["good", "fair", "poor", "unknown"]
_LEVELS: dict[Standing, Level] = {
    "better": "good", "not clearly better": "fair", "not better": "poor", "below": "poor",
}  # fmt: skip
ORDER: tuple[Level, ...] = ("poor", "fair", "good", "unknown")
"""of levels, what has to be said first"""
_FIRST: dict[Standing, str] = {
    "below": "Worse than {nothing}",
    "not better": "No better than {nothing}",
    "not clearly better": "Not clearly better than {nothing}",
    "better": "Better than {nothing}",
}


@dataclass(frozen=True)
class Worth:
    """What one evaluation says of one system."""

    system: str
    level: Level
    first: str
    """how it stands to knowing nothing, in a few words; empty where there is nothing to stand to"""
    says: str
    """its value with its interval, in a sentence"""
    what: str
    """what was measured, in a word or two"""
    value: str
    interval: str
    """empty where there is none"""
    nothing: str
    """what knowing nothing gives, in words; empty where that is not known"""


@dataclass(frozen=True)
class Measured:
    """An evaluation, and what of it is about the artifact that a page is about."""

    shown: Shown
    mine: tuple[str, ...]
    """systems that are the artifact; none if it measures others that rest on it"""
    worths: tuple[Worth, ...]
    """of those"""
    examples: Examples | None
    """held-out rows, right and wrong; None where there are none to show"""


def systems_of(store: Store, evaluation: Manifest, result: Manifest) -> tuple[str, ...]:
    """Return the systems of an evaluation that are an artifact: that it answered for, itself.

    What other models answered that were made of it is not it.

    Args:
        store: where both lie.
        evaluation: what a stage ``evaluate`` made.
        result: a model, or the evaluation itself, of which all systems are.
    """
    if evaluation.ref == result.ref:
        told = evaluation.measures["systems"]
        return tuple(str(name) for name in told)
    return own_systems(store, evaluation, str(result.ref)) if result.kind == "model" else ()


def worth_of(evaluation: Evaluation, system: str) -> Worth:
    """Return what an evaluation says of a system, for the head of a page."""
    result = evaluation.systems[system]
    if evaluation.metric == "suite":
        by = evaluation.measures.get("by", "a suite")
        return Worth(system, "unknown", "", f"Figures of {by}, by task, stand below.",
                     "figures", "see below", "", "")  # fmt: skip
    what = WORDS[evaluation.metric]
    if not result.is_known:
        return Worth(system, "unknown", "No row of it was scored", "", what, "not known", "", "")
    nothing, share = _nothing(evaluation)
    standing = None if share is None else against_majority(result, share)
    first = "" if standing is None else _FIRST[standing].format(nothing=nothing)
    return Worth(
        system,
        "unknown" if standing is None else _LEVELS[standing],
        first,
        _says(evaluation, result, nothing, share),
        what,
        _number(evaluation, result.value),
        _between(evaluation, result),
        "" if share is None else f"{nothing}: {_number(evaluation, share)}",
    )


def _nothing(evaluation: Evaluation) -> tuple[str, float | None]:
    """Return what it is to know nothing, in words, and its value; none where it is not told."""
    if evaluation.metric == "accuracy" and evaluation.majority is not None:
        label = evaluation.measures.get("majority_label")
        said = f"“{label}”" if isinstance(label, str) else "the commonest label"
        return f"always saying {said}", evaluation.majority
    chance = evaluation.measures.get("chance")
    if is_number(chance) and 0 < chance < 1:
        return "chance", float(chance)
    return "", None


def _says(evaluation: Evaluation, result: Result, nothing: str, share: float | None) -> str:
    value = _number(evaluation, result.value)
    rows = evaluation.rows or 0
    between = _between(evaluation, result)
    around = f" (95% interval {between})" if between else " (with no interval)"
    if evaluation.metric == "accuracy":
        held = counted(rows, "held-out row")
        text = f"It is right on {value} of {held}{around}"
        other = "" if share is None else f"; {nothing} is right on {_number(evaluation, share)}"
    elif evaluation.metric == "score":
        by = evaluation.measures.get("by", "a verifier")
        held = counted(rows, "held-out row")
        text = f"Its mean score by {by} is {value} on {held}{around}"
        other = "" if share is None else f"; {nothing} gives {_number(evaluation, share)}"
    else:
        held = counted(rows, "held-out text")
        text = f"It needs {value} bits for a byte of {held}{around}; fewer is better"
        other = ""
    return f"{text}{other}."


def _between(evaluation: Evaluation, result: Result) -> str:
    if result.low is None or result.high is None:
        return ""
    return f"{_number(evaluation, result.low)} to {_number(evaluation, result.high)}"


def _number(evaluation: Evaluation, value: float) -> str:
    return f"{value:.1%}" if evaluation.metric == "accuracy" else f"{value:.3f}"
