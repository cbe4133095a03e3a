"""``maths``: 1 if the answer in an output is the one that is known to be right, else 0.

Both are read to an exact form (numbers, roots, letters, sets, intervals, relations, matrices,
units), and are the same if the forms are. What is of no such form may be put to math-verify
(``fallback``): where neither side could be read here, the output is undecided whatever that says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mashbill.core.controls import of_reference
from mashbill.core.shown import shown
from mashbill.core.verifier import Case, Control, Score, VerifierSpec
from mashbill.verifiers.maths.comparing import NUMBER_WORDS, compare, is_read
from mashbill.verifiers.maths.fallback import Fallback
from mashbill.verifiers.maths.finding import answer_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SHOWN = 60  # characters of an answer in a reason


class MathsSpec(VerifierSpec):
    """``kind = "maths"``."""

    needs_reference: ClassVar[bool] = True
    repeats: ClassVar[bool] = True

    kind: Literal["maths"] = "maths"
    fallback: Literal["none", "math-verify"] = "none"
    """who is asked of answers that cannot be read here"""
    seconds: float = Field(default=2.0, gt=0, le=60, allow_inf_nan=False)
    """that math-verify may take for a pair; what takes longer failed"""

    @property
    def extras(self) -> tuple[str, ...]:
        """math-verify is an extra."""
        return ("maths",) if self.fallback != "none" else ()

    def controls(self) -> tuple[Control, ...]:
        """Junk, another number and the right one."""
        return tuple(of_reference("42", ["17", "-42"]))

    def load(self, folder: Path, cache: Path, threads: int) -> Maths:
        """Return it; math-verify is loaded when it is first needed."""
        del folder, cache, threads
        return Maths(self)


class Maths:
    """Compares answers."""

    def __init__(self, spec: MathsSpec) -> None:
        """Prepare to compare as the keys say."""
        self._fallback = Fallback(spec.seconds) if spec.fallback != "none" else None

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return 1 or 0 for each; undecided where nothing is known to be right, or to be told."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        if case.reference is None or not case.reference.strip():
            return Score.undecided("there is no reference to compare with")
        known = answer_in(case.reference)
        if known is None:
            return Score.undecided("the reference is no answer: it has many lines and marks none")
        said = answer_in(case.output)
        if not said:
            return Score(0.0, "no answer is marked in it")
        found = compare(said, known)
        if found.verdict == "unknown" and is_read(known) and _says_nothing(said):
            return Score(0.0, f"{_short(said)} is a sentence, and no answer")
        if found.verdict == "same":
            return Score(1.0, f"{_short(said)} and {_short(known)}: {found.reason}")
        if found.verdict == "other":
            return Score(0.0, f"{_short(said)} is not {_short(known)}: {found.reason}")
        return self._asked(said, known)

    def _asked(self, said: str, known: str) -> Score:
        """Put a pair that cannot be told here to math-verify."""
        if not is_read(known) and not is_read(said):
            return Score.undecided(f"neither {_short(said)} nor {_short(known)} can be read here")
        if not is_read(said) and is_read(known) and self._fallback is None:
            return Score.undecided(f"{_short(said)} cannot be read here")
        if self._fallback is None:
            return Score.undecided(f"{_short(said)} and {_short(known)} cannot be told apart here")
        same = self._fallback.same(said, known)
        if same is None:
            return Score.failed(f"math-verify took too long over {_short(said)}")
        whose = "by math-verify"
        if same:
            return Score(1.0, f"{_short(said)} and {_short(known)}: the same, {whose}")
        return Score(0.0, f"{_short(said)} is not {_short(known)}, {whose}")


_WORDS = 4
"""words from which on a text without a number or a sign is a sentence and no answer"""


def _says_nothing(text: str) -> bool:
    """Return whether a text is a sentence in which no number stands, in digits or in words."""
    if re.search(r"[\d\\$=<>^+*/{}|%]", text):
        return False
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return len([word for word in words if len(word) > 1]) >= _WORDS and not NUMBER_WORDS & set(
        words
    )


def _short(text: str) -> str:
    return repr(shown(text, _SHOWN))
