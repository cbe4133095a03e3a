"""``numeric``: 1 if the number in an output is the one that is right, within a tolerance.

Units are converted where both sides name one that is known (:mod:`mashbill.verifiers.maths.units`).
Where one side names none it is taken to mean the other's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mashbill.core.controls import of_reference
from mashbill.core.shown import shown
from mashbill.core.verifier import Case, Control, Score, VerifierSpec
from mashbill.verifiers.maths.finding import answer_in
from mashbill.verifiers.maths.quantities import quantity_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SHOWN = 60  # characters of an answer in a reason
_KNOWN = 42  # what its controls have as the right number
_SLIP = 1e6


class NumericSpec(VerifierSpec):
    """``kind = "numeric"``."""

    repeats: ClassVar[bool] = True
    needs_reference: ClassVar[bool] = True

    kind: Literal["numeric"] = "numeric"
    relative: float = Field(default=0.0, ge=0, le=1, allow_inf_nan=False)
    """share of the reference by which an output may be off"""
    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """amount by which it may be off, in the reference's unit"""
    unit: Literal["any", "required"] = "any"
    """whether an output has to name a unit where the reference does"""

    def controls(self) -> tuple[Control, ...]:
        """Junk, numbers that are off by twice what is allowed and more, and the right one.

        Who allows more than a million is taken to have slipped.
        """
        allowed = min(max(self.absolute, self.relative * _KNOWN), _SLIP)
        far = round(_KNOWN + 2 * allowed + 25)
        return tuple(of_reference(str(_KNOWN), [str(far), str(-far)]))

    def load(self, folder: Path, cache: Path, threads: int) -> Numeric:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return Numeric(self)


class Numeric:
    """Compares numbers."""

    def __init__(self, spec: NumericSpec) -> None:
        """Prepare to compare as the keys say."""
        self._spec = spec

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return 1 or 0 for each; undecided where no number is known to be right."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        known = quantity_of(answer_in(case.reference or "") or "")
        if known is None:
            return Score.undecided("the reference is no number")
        written = answer_in(case.output)
        said = quantity_of(written or "")
        if said is None:
            return Score(0.0, "no number is marked as its answer")
        what = repr(shown(written, _SHOWN))
        if said.unit is None and known.unit is not None and self._spec.unit == "required":
            return Score(0.0, f"{what} names no unit")
        if not said.is_like(known):
            return Score(0.0, f"{what} is measured in another unit")
        off = abs(float(said.in_unit_of(known)) - float(known.number))
        allowed = max(self._spec.absolute, self._spec.relative * abs(float(known.number)))
        is_right = said.in_unit_of(known) == known.number or off <= allowed
        return Score(float(is_right), f"{what} is off by {off:.4g}, and {allowed:.4g} is allowed")
