"""``given``: a score that rows bring along, between two bounds.

Whoever made the rows gave it, or an earlier stage did, and is on the bill as that; this only reads
it, so that the best of a group may be chosen and pass@k measured by scores that are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.cells import is_missing, number_of
from mashbill.core.verifier import Case, Score, VerifierSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class GivenSpec(VerifierSpec):
    """``kind = "given"``."""

    repeats: ClassVar[bool] = True

    kind: Literal["given"] = "given"
    score: str = Field(min_length=1)
    """column with the score: numbers, texts that write them, or yes and no"""
    low: float = Field(default=0.0, allow_inf_nan=False)
    """what becomes 0"""
    high: float = Field(default=1.0, allow_inf_nan=False)
    """what becomes 1"""

    @model_validator(mode="after")
    def _is_a_range(self) -> GivenSpec:
        if self.low >= self.high:
            msg = f"low = {self.low:g} is to be less than high = {self.high:g}"
            raise ValueError(msg)
        return self

    def reads(self) -> tuple[str, ...]:
        """The column with the score."""
        return (self.score,)

    def load(self, folder: Path, cache: Path, threads: int) -> Given:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return Given(self)


class Given:
    """Reads scores."""

    def __init__(self, spec: GivenSpec) -> None:
        """Prepare to read as the keys say."""
        self._spec = spec

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return the score of each row; undecided where there is none, or it lies outside."""
        return [self._one(case.row.get(self._spec.score)) for case in cases]

    def _one(self, value: Any) -> Score:
        spec = self._spec
        if is_missing(value):
            return Score.undecided(f"its column {spec.score} is empty")
        if isinstance(value, bool):
            return Score(float(value), f"{spec.score} is {str(value).lower()}")
        number = number_of(value)
        if number is None:
            return Score.undecided(f"{spec.score} {value!r:.60} is no number")
        if not spec.low <= number <= spec.high:
            return Score.undecided(
                f"{spec.score} {value!s:.60} is not between {spec.low:g} and {spec.high:g}"
            )
        share = (float(number) - spec.low) / (spec.high - spec.low)
        return Score(min(max(share, 0.0), 1.0), f"{spec.score} is {value!s:.60}")
