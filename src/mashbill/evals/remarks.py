"""What to say of a system beside its accuracy: where it is no better than the commonest label.

Everything here is computed from the measures of an evaluation, those of older stores too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from mashbill.core.evaluation import Evaluation, Result

Standing = Literal["below", "not better", "not clearly better", "better"]


class Remark(NamedTuple):
    """One thing to say of one system."""

    system: str
    text: str


def against_majority(result: Result, majority: float) -> Standing:
    """Return how a system stands to one that always gives the commonest human label.

    Args:
        result: a system's accuracy with its interval.
        majority: the commonest label's share of the rows.
    """
    low, high = result.interval
    if high < majority:
        return "below"
    if result.accuracy <= majority:
        return "not better"
    return "not clearly better" if low <= majority else "better"


_SAYS = {
    "below": "below the majority label ({share:.3f})",
    "not better": "not better than the majority label ({share:.3f}): its interval includes it",
    "not clearly better": "not clearly better than the majority label ({share:.3f}): its interval "
    "includes it",
}


def remarks(evaluation: Evaluation) -> list[Remark]:
    """Return what has to be said of an evaluation's systems, in their order."""
    found = []
    for system, result in evaluation.systems.items():
        if evaluation.majority is not None:
            standing = against_majority(result, evaluation.majority)
            if standing in _SAYS:
                text = _SAYS[standing].format(share=evaluation.majority)
                found.append(Remark(system, text))
        unanswered = result.facts.get("unanswered", 0)
        if result.facts.get("only") is not None:
            which = "every row that it labelled" if unanswered else "every row"
            found.append(Remark(system, f"says {result.facts['only']!r} of {which}"))
        if unanswered:
            rows = f"{unanswered:,} of {evaluation.rows or 0:,} rows"
            found.append(Remark(system, f"gave no label to {rows}, which count as wrong"))
    return found
