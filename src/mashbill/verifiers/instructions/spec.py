"""``instructions``: the share of a row's demands that its output keeps, or 1 for all and else 0.

A row names its demands and gives their arguments, in lists of the same length, as IFEval has them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mashbill.core.shown import shown
from mashbill.core.verifier import Case, Control, Score, VerifierSpec
from mashbill.verifiers.instructions.demands import DEMANDS, BadDemandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST = 64  # demands of a row
_LONGEST = 400_000  # characters of an output that are looked through


class InstructionsSpec(VerifierSpec):
    """``kind = "instructions"``."""

    repeats: ClassVar[bool] = True

    kind: Literal["instructions"] = "instructions"
    demands: str = "instruction_id_list"
    """column that names a row's demands: a list of texts, or JSON"""
    given: str = "kwargs"
    """column with the arguments of each: a list of objects, or JSON"""
    strict: bool = True
    """whether only all of them together are worth anything"""

    def reads(self) -> tuple[str, ...]:
        """The demands and their arguments."""
        return (self.demands, self.given)

    def controls(self) -> tuple[Control, ...]:
        """An output that keeps a demand and one that does not, for each that there is."""
        found = []
        for name, demand in DEMANDS.items():
            row = {self.demands: [name], self.given: [dict(demand.given)]}
            found += [
                Control(f"what keeps {name}", Case(demand.good, row=row), is_right=True),
                Control(f"what does not keep {name}", Case(demand.bad, row=row), is_right=False),
                Control(f"an empty output for {name}", Case("", row=row), is_right=False),
            ]
        return tuple(found)

    def load(self, folder: Path, cache: Path, threads: int) -> Instructions:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return Instructions(self)


class Instructions:
    """Holds outputs to demands."""

    def __init__(self, spec: InstructionsSpec) -> None:
        """Prepare to read demands as the keys say."""
        self._spec = spec

    def score(self, cases: Sequence[Case]) -> list[Score]:
        """Return the share of each row's demands that are kept."""
        return [self._one(case) for case in cases]

    def _one(self, case: Case) -> Score:
        names, given = (_listed(case.row.get(key)) for key in self._spec.reads())
        if not names or given is None or len(names) != len(given):
            return Score.undecided(
                f"{self._spec.demands} and {self._spec.given} are no two lists of the same length"
            )
        if len(names) > _MOST:
            return Score.undecided(f"it has {len(names):,} demands, above {_MOST}")
        text = case.output[:_LONGEST]
        missed = []
        for name, arguments in zip(names, given, strict=True):
            demand = DEMANDS.get(name) if isinstance(name, str) else None
            if demand is None:
                return Score.undecided(f"the demand {shown(name, 60)!r} is not known here")
            told = arguments if isinstance(arguments, dict) else {}
            try:
                kept = bool(text.strip()) and demand.check(text, told)
            except BadDemandError as error:
                return Score.undecided(f"{name}: {error}")
            missed += [] if kept else [name]
        share = 1 - len(missed) / len(names)
        value = float(not missed) if self._spec.strict else share
        return Score(value, f"not kept: {', '.join(missed)}"[:300] if missed else "all are kept")


def _listed(value: Any) -> list[Any] | None:
    """Return a list as a row has it, or as its JSON says."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None
