"""``instructions``: the share of a row's demands that its output keeps, or 1 for all and else 0.

A row names its demands and gives their arguments, in lists of the same length, as IFEval and
IFBench have them. A name may come twice, with other arguments: each is held to its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mashbill.core.shown import shown
from mashbill.core.verifier import Case, Control, Score, VerifierSpec
from mashbill.verifiers.instructions.demand import BadDemandError
from mashbill.verifiers.instructions.demands import DEMANDS, UNTOLD

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOST = 64  # demands of a row
_LONGEST = 400_000  # characters of an output that are looked through


class InstructionsSpec(VerifierSpec):
    """``kind = "instructions"``."""

    repeats: ClassVar[bool] = True
    release: ClassVar[str] = "2"  # 2: other scripts' words; what asks for nothing is undecided
    added: ClassVar[frozenset[str]] = frozenset({"loose"})

    kind: Literal["instructions"] = "instructions"
    demands: str = "instruction_id_list"
    """column that names a row's demands: a list of texts, or JSON"""
    given: str = "kwargs"
    """column with the arguments of each: a list of objects, or JSON"""
    strict: bool = True
    """whether only all of them together are worth anything"""
    loose: bool = False
    """whether a demand is kept, too, if the output keeps it without its first line, its last one,
    both or its asterisks, as models set them around what they were asked for"""

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
        ways = _ways(case.output[:_LONGEST], loose=self._spec.loose)
        missed = []
        for name, arguments in zip(names, given, strict=True):
            demand = DEMANDS.get(name) if isinstance(name, str) else None
            if demand is None:
                why = (
                    UNTOLD.get(name, "it is not known here") if isinstance(name, str) else "no text"
                )
                return Score.undecided(f"the demand {shown(name, 60)!r}: {why}")
            told = arguments if isinstance(arguments, dict) else {}
            try:
                demand.check(demand.good, told)  # so that arguments are looked at, whatever is said
                kept = any(demand.check(way, told) for way in ways)
            except BadDemandError as error:
                return Score.undecided(f"{name}: {error}")
            missed += [] if kept else [name]
        share = 1 - len(missed) / len(names)
        value = float(not missed) if self._spec.strict else share
        return Score(value, f"not kept: {', '.join(missed)}"[:300] if missed else "all are kept")


def _ways(text: str, *, loose: bool) -> list[str]:
    """Return the output as demands are held to it; nothing if it says nothing."""
    found = [text]
    if loose:
        lines = text.split("\n")
        cut = [lines[1:], lines[:-1], lines[1:-1]]
        found += ["\n".join(left).strip() for left in cut]
        found += [one.replace("*", "") for one in found]
    return [one for one in dict.fromkeys(found) if one.strip()]


def _listed(value: Any) -> list[Any] | None:
    """Return a list as a row has it, or as its JSON says."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value if isinstance(value, list) else None
