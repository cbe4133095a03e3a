"""``exact``: 1 if an output equals what is known to be right, else 0.

Both are compared as they stand, in Unicode's composed form (NFC), so that one text typed on two
machines is one text; ``fold`` and ``trim`` loosen that. With ``field`` both are JSON objects, of
which the values of one key are compared: a rubric of such parts gives the share of fields that are
right.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal
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
    added: ClassVar[frozenset[str]] = frozenset({"field"})

    kind: Literal["exact"] = "exact"
    trim: bool = True
    """whether white space around both is left out"""
    fold: bool = False
    """whether upper and lower case are the same"""
    field: str = ""
    """key whose value is compared, where outputs and references are JSON objects; all if empty"""

    def controls(self) -> tuple[Control, ...]:
        """Junk, another number and the right one."""
        right, *wrong = ("42", "17", "-42")
        if self.field:
            right, *wrong = (json.dumps({self.field: each}) for each in (right, *wrong))
        return tuple(of_reference(right, wrong))

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
        said, right = case.output, case.reference
        if key := self._spec.field:
            found, wanted = (_value(text, key) for text in (said, right))
            if wanted is None:
                return Score.undecided(f"the reference is no JSON object with a value of {key!r}")
            if found is None:
                return Score(0.0, f"it is no JSON object with a value of {key!r}")
            said, right = found, wanted
        output, known = self._plain(said), self._plain(right)
        if output == known:
            return Score(1.0, "equal to the reference")
        return Score(0.0, f"{_short(output)} is not {_short(known)}")

    def _plain(self, text: str) -> str:
        plain = normalize("NFC", text)
        plain = plain.strip() if self._spec.trim else plain
        return normalize("NFC", plain.casefold()) if self._spec.fold else plain


def _value(text: str, key: str) -> str | None:
    """Return the value of a key of a JSON object, as JSON if no text; None if there is none."""
    try:
        read: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    value = read.get(key) if isinstance(read, dict) else None
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
