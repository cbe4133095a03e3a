"""What in a verifier's scores looks as if the reward could be had without the work.

Each sign has a rule that is told with it, and needs rows enough: a sign is a reason to look at some
outputs, and no verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.correlating import LEAST
from mashbill.core.plain import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.correlating import Correlation
    from mashbill.report.rewards import Rewards

WITH_LENGTH = 0.2
"""a correlation with length whose interval lies beyond this is told"""
ALIKE = 0.95
"""parts whose correlation's interval lies above this say the same"""
APART = -0.2
"""parts whose correlation's interval lies below this pull apart"""
NEARLY_ALL = 0.98
"""share of outputs that pass from which a verifier may pay for anything"""
UNDECIDED, FAILED, TRUNCATED = 0.2, 0.01, 0.1
"""shares of rows from which these are told"""
REPEATED = 0.05
"""share of long passing outputs that are one text"""


def signs(told: Rewards) -> list[str]:
    """Return the signs that a reward could be hacked, or says little, a sentence each."""
    return [
        *_of_length(told),
        *_of_parts(told),
        *_of_others(told),
        *_of_scores(told),
        *_of_outcomes(told),
    ]


def interval(found: Correlation) -> str:
    """Return a correlation with its interval."""
    return f"{found.value:+.2f} ({found.low:+.2f} to {found.high:+.2f})"


def _of_length(told: Rewards) -> Iterator[str]:
    # What differs between prompts is no sign: hard ones may have long answers and low scores.
    found, where = (told.in_groups, "among attempts at one prompt ") if told.in_groups else (
        told.by_rank, "")  # fmt: skip
    if found is None:
        return
    if found.low > WITH_LENGTH:
        yield (
            f"{where}longer outputs score higher, {interval(found)}: look whether length itself is "
            "paid"
        )
    if found.high < -WITH_LENGTH:
        yield (
            f"{where}shorter outputs score higher, {interval(found)}: look whether saying little "
            "is paid"
        )


def _of_parts(told: Rewards) -> Iterator[str]:
    for name, part in told.parts.items():
        if part.rows >= LEAST and part.spread == 0:
            yield (
                f"{name} says {part.mean:.2f} of all {counted(part.rows, 'output')}: it tells none "
                "from another"
            )
    for (one, other), found in told.pairs.items():
        if found is not None and found.low > ALIKE:
            yield f"{one} and {other} say the same, {interval(found)}: it counts twice"
        if found is not None and found.high < APART:
            yield (
                f"{one} and {other} pull apart, {interval(found)}: what one pays for, the other "
                "takes away"
            )


def _of_others(told: Rewards) -> Iterator[str]:
    for name, found in told.others.items():
        if found is not None and found.low > ALIKE:
            yield f"its scores are those of {name}, {interval(found)}: one of both would do"
        if found is not None and found.high < APART:
            yield f"its scores pull apart from those of {name}, {interval(found)}"


def _of_scores(told: Rewards) -> Iterator[str]:
    scored, passed = told.counts.get("scored", 0), told.counts.get("passed")
    if passed is not None and scored >= LEAST and passed >= NEARLY_ALL * scored:
        yield (
            f"{passed:,} of {counted(scored, 'scored output')} pass: look at some of them, whether "
            "the tasks are that easy or anything is paid"
        )
    if passed == 0 and scored >= LEAST:
        yield (
            f"none of {counted(scored, 'scored output')} passes: nothing can be learned from what "
            "is never paid; look whether the verifier reads the outputs as they are written"
        )
    if told.scored >= LEAST and told.spread == 0 and passed not in (0, scored):
        yield f"all scores are {told.mean or 0:.2f}: they tell no output from another"
    most, compared = told.repeated
    if most >= LEAST and most > REPEATED * compared:
        yield (
            f"one text is {most:,} of {counted(compared, 'longer output')} that pass: look whether "
            "it answers what was asked"
        )


def _of_outcomes(told: Rewards) -> Iterator[str]:
    rows = sum(told.counts.get(name, 0) for name in _OUTCOMES)
    for name, (least, what) in _WHY.items():
        count = told.counts.get(name, 0)
        if rows >= LEAST and count > least * rows:
            yield f"{count:,} of {counted(rows, 'row')} are {name}: {what}"


_OUTCOMES = ("scored", "undecided", "failed", "truncated", "missing")
_WHY = {
    "undecided": (UNDECIDED, "what is paid is known of the others alone"),
    "failed": (FAILED, "the verifier could not look at them; mend that, and run again"),
    "truncated": (TRUNCATED, "raise the teacher's max_tokens, or ask for less"),
    "missing": (TRUNCATED, "there was no output to score"),
}
