"""Which part of a recipe with arms a run makes, and what its result is then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.recipe import Recipe
    from mashbill.run.execution import Done


@dataclass(frozen=True)
class Part:
    """Stages that a run makes, and those that may be its result, the first that is made."""

    only: frozenset[str] | None
    """None for all"""
    results: tuple[str, ...]

    def result(self, done: Sequence[Done]) -> Manifest:
        """Return what the bill and the verdicts at the end of a run are about."""
        made = {item.name: item.manifest for item in done}
        found = (made[name] for name in self.results if name in made)
        return next(found, done[-1].manifest)


def part_of(recipe: Recipe, arms: Sequence[str], seeds: Sequence[int]) -> Part:
    """Return what a run makes of some arms with some seeds.

    Raises:
        InputError: if there are none of that name, or no arms at all.
    """
    if not arms and not seeds:
        return Part(None, (recipe.result,))
    if recipe.arms is None:
        msg = "this recipe has no [arms], so no arm and no seed of it can be run alone"
        raise InputError(msg)
    cells = recipe.arms.of(arms, seeds)
    inputs = {name: [use.name for use in recipe.uses(name)] for name in recipe.stages}
    wanted = recipe.arms.stages.get(recipe.result, recipe.result)
    results = (recipe.result, *(c.stages[wanted] for c in cells if wanted in c.stages))
    only = recipe.arms.part(cells, inputs)
    beside = {part for part, name in recipe.beside.items() if name in only}
    return Part(frozenset(only | beside), results)
