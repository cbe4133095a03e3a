"""A plan with what was decided about it, and what became of one that was run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mashbill.core.curves import CURVES, read_curves, summary
from mashbill.core.evaluation import evaluation_of
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.evaluation import Evaluation
    from mashbill.core.store import Store
    from mashbill.lineage.bills.definitions import Verdict
    from mashbill.lineage.duties.decisions import Decided
    from mashbill.plan import Plan, PlannedStage
    from mashbill.policy.documents import Registry
    from mashbill.policy.house import HouseRule
    from mashbill.report.comparing import Compared
    from mashbill.report.rewards import Rewards
    from mashbill.run.execution import Done
    from mashbill.run.foreseen import Foreseen

_COLUMNS = ("stage", "kind", "status", "rows", "calls", "US dollars")


@dataclass(frozen=True)
class Planned:
    """A plan against a workspace's store, decided by terms, licences and house rules."""

    plan: Plan
    warnings: tuple[Foreseen, ...]
    """what will cost stages that are to run answers"""
    registry: Registry
    rules: tuple[HouseRule, ...]
    as_of: date
    """the day whose texts count"""
    supposed: bool = False
    """whether another teacher than the recipe's is supposed: it can be looked at, not be run"""

    @cached_property
    def decision(self) -> Decided:
        """What terms, licences and house rules say to it."""
        return self.plan.decide(self.registry, self.as_of, self.rules)

    @property
    def stages(self) -> tuple[PlannedStage, ...]:
        """Its steps, in order."""
        return self.plan.stages

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            **self.plan.as_json(),
            "policy": self.decision.as_json(),
            "warnings": [item.as_json() for item in self.warnings],
        }

    def _rows(self) -> list[tuple[Any, ...]]:
        return [
            (stage.name, stage.spec.kind, stage.status, stage.rows, stage.calls, stage.price)
            for stage in self.stages
        ]

    def _title(self) -> str:
        return f"Plan of {self.plan.result}: terms and rules say {self.decision.outcome}"

    def __str__(self) -> str:
        return text_table(self._title(), _COLUMNS, self._rows())

    def _repr_html_(self) -> str:
        return html_table(self._title(), _COLUMNS, self._rows())


@dataclass(frozen=True)
class Ran:
    """What became of a plan that was run."""

    done: tuple[Done, ...]
    """each stage, in order"""
    result: Manifest
    verdicts: tuple[tuple[Verdict, Verdict], ...]
    """of each definition about the result: on closed models, and on any model"""
    report: Path
    """one HTML file that opens offline"""
    rewards: tuple[Rewards, ...] = ()
    """what verifiers paid for, of the stages ``verify`` that the result rests on"""
    store: Store | None = field(default=None, repr=False)
    """where it was made"""
    arms: Compared | None = None
    """the recipe's arms side by side, as far as they are made; None without any"""
    apart: frozenset[str] = field(default=frozenset(), repr=False)
    """stages that are one of the recipe's in some arm, with some seed"""

    def curves(self, item: Done) -> dict[str, dict[str, Any]]:
        """Return how what a trainer measured began and ended, by name; empty of all else."""
        manifest = item.manifest
        has_curves = CURVES in {each.file for each in manifest.files}
        if self.store is None or not has_curves or self.store.removal(manifest.ref) is not None:
            return {}
        return summary(read_curves(self.store.folder(manifest.kind, manifest.ref)))

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """What each measuring stage found, by its name."""
        found = {item.name: evaluation_of(item.manifest.measures) for item in self.done}
        return {name: one for name, one in found.items() if one is not None}

    def is_of_arms(self, evaluation: str) -> bool:
        """Return whether an evaluation is one of those that :attr:`arms` holds side by side."""
        return self.arms is not None and evaluation in self.apart

    def _rows(self) -> list[tuple[Any, ...]]:
        return [
            (
                item.manifest.ref,
                "was there" if item.was_cached else "made",
                item.manifest.rows,
                item.manifest.rejected_rows,
                item.calls,
                item.usd,
            )
            for item in self.done
        ]

    def __str__(self) -> str:
        return text_table(f"Made {self.result.ref}", _MADE, self._rows())

    def _repr_html_(self) -> str:
        return html_table(f"Made {self.result.ref}", _MADE, self._rows())


_MADE = ("artifact", "status", "rows", "rejected", "calls", "US dollars")
