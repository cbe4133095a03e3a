"""Printing arms: stages of a plan that are one stage in several arms and with several seeds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.cli.printing import out
from mashbill.core.plain import listed
from mashbill.lineage.bills.telling import counted
from mashbill.teachers.projection import Projection

if TYPE_CHECKING:
    from mashbill.core.arms import Arms
    from mashbill.core.recipe import Recipe
    from mashbill.plan import Plan, PlannedStage

_SHOWN = 12  # arms whose settings a terminal shows
_VALUE = 120  # characters of a setting


@dataclass(frozen=True)
class Group:
    """Stages of a plan that a terminal shows in a line."""

    name: str
    stages: tuple[PlannedStage, ...]

    @property
    def projected(self) -> Projection | None:
        """What their teachers are asked; None if that is not known of one of them."""
        found = [stage.projected for stage in self.stages]
        known = [one for one in found if one is not None]
        return sum(known, Projection()) if len(known) == len(found) else None

    @property
    def seconds(self) -> str:
        """Say how long those take that are to be made, and how many are made."""
        todo = [stage for stage in self.stages if stage.status != "done"]
        if not todo:
            return "done"
        each = [stage.seconds for stage in todo]
        known = [one for one in each if one is not None]
        told = f"{sum(known):,.1f}" if len(known) == len(each) else "?"
        made = len(self.stages) - len(todo)
        return f"{told} ({made:,} of {len(self.stages):,} done)" if made else told


def named_alike(recipe: Recipe) -> dict[str, str]:
    """Return stage and teacher as written out -> as the recipe calls it in all arms."""
    arms = recipe.arms
    return {} if arms is None else dict(arms.stages)


def grouped(plan: Plan, *, whole: bool) -> list[Group]:
    """Return the stages of a plan by line: a stage in all arms and with all seeds is one.

    Args:
        plan: the plan.
        whole: each by itself.
    """
    arms = plan.recipe.arms
    if arms is None or whole:
        return [Group(stage.name, (stage,)) for stage in plan.stages]
    found: dict[str, list[PlannedStage]] = {}
    for stage in plan.stages:
        found.setdefault(arms.stages.get(stage.name, stage.name), []).append(stage)
    return [
        Group(_times(arms, name, stages) if len(stages) > 1 else stages[0].name, tuple(stages))
        for name, stages in found.items()
    ]


def _times(arms: Arms, name: str, stages: list[PlannedStage]) -> str:
    """Say how often a stage is made."""
    made = {stage.name for stage in stages}
    cells = [cell for cell in arms.cells if cell.stages.get(name) in made]
    in_arms = {cell.arm: {c.stages[name] for c in cells if c.arm == cell.arm} for cell in cells}
    by_seed = {len(names) for names in in_arms.values()}
    each = {frozenset(names) for names in in_arms.values()}
    if len(by_seed) == 1 and len(stages) == len(each) * max(by_seed):
        parts = [counted(len(each), "arm")] if len(each) > 1 else []
        parts += [counted(max(by_seed), "seed")] if max(by_seed) > 1 else []
        return f"{name} x {' x '.join(parts)}"
    return f"{name} x {len(stages):,}"


def print_arms(recipe: Recipe) -> None:
    """Print the arms of a recipe and what each sets otherwise."""
    arms = recipe.arms
    if arms is None:
        return
    seeds = [str(seed) for seed in arms.seeds]
    named = [name for name in arms.names if name]
    parts = [counted(len(named), "arm")] if named else []
    parts += [f"{counted(len(seeds), 'seed')} ({listed(seeds, 12)})"] if seeds else []
    out.fit(f"{' times '.join(parts)}; {len(arms.apart):,} stages are made apart, "
            f"{len(recipe.stages) - len(arms.apart):,} once for all.")  # fmt: skip
    for name in named[:_SHOWN]:
        sets = arms.sets.get(name, {})
        told = ", ".join(
            f"without {key}" if value is False and "." not in key else f"{key} = {_value(value)}"
            for key, value in sets.items()
        )
        out.fit(f"{name}: {told or 'as the recipe is written'}")
    if len(named) > _SHOWN:
        out.fit(f"and {len(named) - _SHOWN:,} more arms, told by --json")
    base = arms.stages.get(recipe.result)
    if base is not None:
        out.fit(f"Bill and verdicts are about {recipe.result}, one of those of {base}.")


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _VALUE else f"{text[:_VALUE]}..."
