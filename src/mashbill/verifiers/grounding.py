"""``grounding``: the share of an output's values that stand in the text that they were taken from.

An output in JSON has its texts and numbers as values, at whatever depth; another is one value.
Texts are compared by their words, so that white space and case are no matter; numbers as numbers,
so that ``1,200`` and ``1200`` are one.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mashbill.core.controls import JUNK
from mashbill.core.shown import shown
from mashbill.core.verifier import Case, Control, Score, VerifierSpec
from mashbill.core.words import words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d{1,40}(?:,\d{3})*(?:\.\d{1,40})?(?!\w)")
_ALONE = re.compile(r"[-+]?\d{1,40}(?:,\d{3})*(?:\.\d{1,40})?")
_MOST = 10_000  # values of an output


class GroundingSpec(VerifierSpec):
    """``kind = "grounding"``."""

    repeats: ClassVar[bool] = True

    kind: Literal["grounding"] = "grounding"
    within: str = "text"
    """column with the text that values are taken from"""

    def reads(self) -> tuple[str, ...]:
        """The text that values are taken from."""
        return (self.within,)

    def controls(self) -> tuple[Control, ...]:
        """Junk, which stands in no text, and a part of one, which does."""
        row = {self.within: "The bridge was built in 1890 by two brothers."}
        junk = [Control(name, Case(text, row=row), is_right=False) for name, text in JUNK.items()]
        right = Case('{"when": 1890, "by": "two brothers"}', row=row)
        return (*junk, Control("what stands in the text", right, is_right=True))

    def load(self, folder: Path, cache: Path, threads: int) -> Grounding:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return Grounding(self)


class Grounding:
    """Looks for values in texts."""

    def __init__(self, spec: GroundingSpec) -> None:
        """Prepare to look as the keys say."""
        self._within = spec.within

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return the share of values that are found; undecided where nothing is to be looked in."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        source: Any = case.row.get(self._within)
        if not isinstance(source, str) or not source.strip():
            return Score.undecided(f"column {self._within!r} has no text to look in")
        found = leaves(case.output)
        values = [case.output] if found is None else found
        values = [value for value in values if value.strip()][:_MOST]
        if not values:
            return Score(0.0, "it has no value")
        there = f" {' '.join(words(source.casefold()))} "
        numbers = {_exact(number) for number in _NUMBER.findall(source)}
        lacking = [value for value in values if not _stands(value, there, numbers)]
        share = 1 - len(lacking) / len(values)
        if not lacking:
            return Score(1.0, f"all {len(values)} values stand in {self._within}")
        first = repr(shown(lacking[0], 60))
        return Score(share, f"{len(lacking)} of {len(values)} do not stand there: {first}")


def _stands(value: str, there: str, numbers: set[Fraction]) -> bool:
    plain = value.strip()
    if _ALONE.fullmatch(plain):
        return _exact(plain) in numbers
    looked_for = " ".join(words(plain.casefold()))
    return bool(looked_for) and f" {looked_for} " in there


def _exact(number: str) -> Fraction:
    return Fraction(number.replace(",", ""))


def leaves(text: str) -> list[str] | None:
    """Return the texts and numbers in a JSON document, in order; None if it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    found, left = [], [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            left += reversed(list(part.values()))
        elif isinstance(part, list):
            left += reversed(part)
        elif isinstance(part, str) or (
            isinstance(part, int | float) and not isinstance(part, bool)
        ):
            found.append(str(part))
    return found
