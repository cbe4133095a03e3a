"""``form``: 1 if an output has the length and the form that are asked for; each demand is a part.

The score is the share of demands that it meets, so that each counts alike; a rubric weighs them.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from mashbill.core.patterns import Pattern, compiled
from mashbill.core.verifier import Case, Score, VerifierSpec
from mashbill.files.rows.prose import count_words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class FormSpec(VerifierSpec):
    """``kind = "form"``."""

    repeats: ClassVar[bool] = True
    release: ClassVar[str] = "2"  # 2: a word is what spaces divide; signs are none

    kind: Literal["form"] = "form"
    min_chars: int | None = Field(default=None, ge=0)
    """characters at least"""
    max_chars: int | None = Field(default=None, ge=0)
    """characters at most"""
    min_words: int | None = Field(default=None, ge=0)
    """words at least: what stands between white space and has a letter or a number; of scripts
    without spaces each letter is one"""
    max_words: int | None = Field(default=None, ge=0)
    """words at most"""
    match: tuple[str, ...] = ()
    """patterns (RE2) each of which is found in it"""
    refuse: tuple[str, ...] = ()
    """patterns none of which is"""

    @model_validator(mode="after")
    def _demands_something(self) -> FormSpec:
        for text in (*self.match, *self.refuse):
            compiled(text)
        limits = (self.min_chars, self.max_chars, self.min_words, self.max_words)
        if all(limit is None for limit in limits) and not (self.match or self.refuse):
            msg = (
                "it demands nothing: set min_chars, max_chars, min_words, max_words, match or "
                "refuse"
            )
            raise ValueError(msg)
        for low, high in ((self.min_chars, self.max_chars), (self.min_words, self.max_words)):
            if low is not None and high is not None and low > high:
                msg = f"no text has at least {low} and at most {high} of them"
                raise ValueError(msg)
        return self

    def load(self, folder: Path, cache: Path, threads: int) -> Form:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return Form(self)


class Form:
    """Holds texts to demands."""

    def __init__(self, spec: FormSpec) -> None:
        """Prepare to hold texts to what the keys say."""
        self._spec = spec

    @cached_property
    def _patterns(self) -> list[tuple[str, Pattern, bool]]:
        spec = self._spec
        return [
            *((text, compiled(text), True) for text in spec.match),
            *((text, compiled(text), False) for text in spec.refuse),
        ]

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return the share of demands that each meets."""
        return [self._one(case.output) for case in cases]

    def _one(self, text: str) -> Score:
        spec, told = self._spec, []
        met = asked = 0
        bounds = (
            (spec.min_chars, spec.max_chars, "characters", len(text)),
            (spec.min_words, spec.max_words, "words", count_words(text)),
        )
        for low, high, what, count in bounds:
            for limit, is_met, says in (
                (low, low is None or count >= low, f"{count} {what}, below {low}"),
                (high, high is None or count <= high, f"{count} {what}, above {high}"),
            ):
                if limit is not None:
                    asked, met = asked + 1, met + is_met
                    told += [] if is_met else [says]
        for pattern, found, is_wanted in self._patterns:
            is_met = found.found_in(text) == is_wanted
            asked, met = asked + 1, met + is_met
            what = "does not match" if is_wanted else "matches"
            told += [] if is_met else [f"{what} {pattern!r:.60}"]
        return Score(met / asked, "; ".join(told)[:300] or "as demanded")
