"""``exact``: 1 if an output equals what is known to be right, else 0.

Both are compared as they stand, in Unicode's composed form (NFC), so that one text typed on two
machines is one text; ``fold`` and ``trim`` loosen that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal
from unicodedata import normalize

from mashbill.core.controls import of_reference
from mashbill.core.verifier import Case, Control, Score, VerifierSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SHOWN = 60  # characters of a text in a reason


class ExactSpec(VerifierSpec):
    """``kind = "exact"``."""

    repeats: ClassVar[bool] = True
    needs_reference: ClassVar[bool] = True

    kind: Literal["exact"] = "exact"
    trim: bool = True
    """whether white space around both is left out"""
    fold: bool = False
    """whether upper and lower case are the same"""

    def controls(self) -> tuple[Control, ...]:
        """Junk, another number and the right one."""
        return tuple(of_reference("42", ["17", "-42"]))

    def load(self, folder: Path, cache: Path, threads: int) -> Exact:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return Exact(self)


class Exact:
    """Compares texts."""

    def __init__(self, spec: ExactSpec) -> None:
        """Prepare to compare as the keys say."""
        self._spec = spec

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return 1 or 0 for each; undecided where nothing is known to be right."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        if case.reference is None:
            return Score.undecided("there is no reference to compare with")
        output, known = self._plain(case.output), self._plain(case.reference)
        if output == known:
            return Score(1.0, "equal to the reference")
        return Score(0.0, f"{_short(output)} is not {_short(known)}")

    def _plain(self, text: str) -> str:
        plain = normalize("NFC", text)
        plain = plain.strip() if self._spec.trim else plain
        return normalize("NFC", plain.casefold()) if self._spec.fold else plain


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
