"""What to say of a system beside its score: what its interval includes, and what it is not of.

Everything here is computed from the measures of an evaluation, those of older stores too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mashbill.core.evaluation import against_majority, count_of, is_number, told_between
from mashbill.core.paired import LEVEL, beyond_chance
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.evaluation import Evaluation, Result

__all__ = ["Remark", "against_majority", "remarks"]


class Remark(NamedTuple):
    """One thing to say of one system, or of a pair of them."""

    system: str
    text: str


_MANY = 0.1
"""share of answers that repeat, from which on it is told"""
_INCLUDES = "its interval includes it"
_SAYS = {
    "below": "below the majority label ({share:.3f})",
    "not better": "not better than the majority label ({share:.3f}): {why}",
    "not clearly better": "not clearly better than the majority label ({share:.3f}): {why}",
}


def remarks(evaluation: Evaluation) -> list[Remark]:
    """Return what has to be said of an evaluation's systems, in their order, and of its pairs."""
    found = []
    for system, result in evaluation.systems.items():
        found += [Remark(system, text) for text in _of_system(evaluation, result)]
    found += [
        Remark(f"{pair.get('first')} - {pair.get('second')}", text)
        for pair in evaluation.compare
        if (text := _of_pair(pair))
    ]
    found += [
        Remark(f"{pair.get('student')} of {pair.get('teacher')}", f"retention is not told: {why}")
        for pair in evaluation.retention
        if (why := pair.get("why"))
    ]
    found += [Remark("contamination", text) for text in _of_overlaps(evaluation)]
    return found


def _of_system(evaluation: Evaluation, result: Result) -> Iterator[str]:
    facts = result.facts
    if evaluation.majority is not None:
        standing = against_majority(result, evaluation.majority)
        if standing in _SAYS:
            why = "no interval can be told" if told_between(result) is None else _INCLUDES
            yield _SAYS[standing].format(share=evaluation.majority, why=why)
    unanswered = count_of(facts.get("unanswered"))
    if facts.get("only") is not None:
        which = "every row that it labelled" if unanswered else "every row"
        yield f"says {facts['only']!r} of {which}"
    if unanswered:
        rows = f"{unanswered:,} of {evaluation.rows or 0:,} rows"
        yield f"gave no label to {rows}, which count as wrong"
    yield from _of_what_came(evaluation, result)
    repeating = facts.get("repeating")
    if is_number(repeating) and _MANY <= repeating <= 1:
        yield f"{repeating:.0%} of its answers end in a phrase that is said over and over"
    seeds = facts.get("seeds")
    if not isinstance(seeds, Mapping):
        return
    if count_of(seeds.get("seeds")) == 2:
        yield "two seeds say little of how much seeds vary: take five"
    if result.is_known and (known := count_of(facts.get("rows"))):
        yield f"its mean is over the {counted(known, 'row')} that have a score under every seed"


def _of_what_came(evaluation: Evaluation, result: Result) -> Iterator[str]:
    """Say what was not scored, and what it could come to."""
    came = result.facts.get("came")
    if not isinstance(came, Mapping):
        return
    other = {str(name): count_of(count) for name, count in came.items() if name != "scored"}
    told = [f"{count:,} {name}" for name, count in other.items() if count]
    if not result.is_known:
        yield f"has no score at all: {', '.join(told) or 'it has no answers'}"
        return
    chance = evaluation.measures.get("chance")
    between = told_between(result)
    if is_number(chance) and chance and (between is None or between[0] <= chance):
        how = ": no interval can be told" if between is None else " beyond its interval"
        yield f"not above chance ({chance:.3f}){how}"
    if other.get("unanswered") and isinstance(why := result.facts.get("why_unanswered"), str):
        yield f"rows without an answer were rejected before: {why}"
    least, most = result.facts.get("at_least"), result.facts.get("at_most")
    if told and is_number(least) and is_number(most) and least < most:
        yield (
            f"{', '.join(told)}, which have no score: it lies between {least:.3f} and {most:.3f}, "
            "whatever they are worth"
        )


def _of_pair(pair: Mapping[str, Any]) -> str:
    """Say of a difference that is not beyond its interval that it is none."""
    low, high, value = pair.get("low"), pair.get("high"), pair.get("difference")
    if not is_number(value):
        return "no row has a score of both, so they cannot be compared"
    if not (is_number(low) and is_number(high)):
        rows = counted(count_of(pair.get("pairs")), "row")
        return f"of {rows} no interval can be told, and so no difference"
    if pair["low"] <= 0 <= pair["high"]:
        return (
            f"the difference, {value:+.3f}, is not beyond its interval ({low:+.3f} to {high:+.3f})"
        )
    if not beyond_chance(pair):
        p = pair.get("p")
        how = f"p = {p:.3f}" if is_number(p) else "its interval has no width"
        return f"the difference, {value:+.3f}, is of too few rows to be told from chance ({how})"
    corrected = pair.get("p_corrected")
    if is_number(corrected) and pair["p_corrected"] > LEVEL:
        return (
            "beyond chance by itself, and not once all comparisons count (Holm, p = "
            f"{corrected:.3f})"
        )
    return ""


def _of_overlaps(evaluation: Evaluation) -> Iterator[str]:
    told = evaluation.measures.get("contamination")
    if not isinstance(told, Mapping):
        return
    rows, looked, asked = (count_of(told.get(key)) for key in ("held", "looked_for", "questions"))
    if rows:
        which = "stands" if rows == 1 else "stand"
        yield f"{counted(rows, 'row')} {which} in what systems learned from"
    if looked < asked:
        yield (
            f"{counted(asked - looked, 'text')} of {asked:,} could not be looked for: too short, "
            "the same as another, or common text"
        )
    names = told.get("unrecorded")
    if isinstance(names, list) and names:
        yield f"what {', '.join(map(str, names))} learned from is not recorded here"
