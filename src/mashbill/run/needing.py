"""What stages need of others' code: optional packages, told before anything runs, and plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core import registry
from mashbill.core.errors import MissingExtraError
from mashbill.core.given import is_address
from mashbill.core.installed import missing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import Uses
    from mashbill.plan import Plan, PlannedStage


def needed(plan: Plan) -> dict[str, list[str]]:
    """Return the extras that stages which are still to do need: extra -> who needs it."""
    recipe = plan.recipe
    found: dict[str, dict[str, None]] = {}
    for stage in plan.stages:
        if stage.status == "done":
            continue
        asked = {f"stages.{stage.name}": stage.spec.extras}
        for use in stage.job.uses:
            if use.is_teacher:
                asked[f"teachers.{use.name}"] = recipe.teachers[use.name].extras
            elif use.is_verifier:
                asked[f"verifiers.{use.name}"] = recipe.verifiers[use.name].extras
            elif use.is_source:
                asked[f"models.{use.name}"] = recipe.models[use.name].extras
            elif use.role in {"actor", "base"} and use.name in recipe.stages:
                asked[f"stages.{use.name}"] = recipe.stages[use.name].extras
        for who, extras in asked.items():
            for extra in extras:
                found.setdefault(extra, {})[who] = None
    return {extra: list(names) for extra, names in found.items()}


def last_asked(stages: Iterable[PlannedStage]) -> dict[str, int]:
    """Return the last stage, from 1, that asks each teacher, verifier and stage, of those to do."""
    return {
        name: number
        for number, stage in enumerate(stages, 1)
        if stage.status != "done"
        for use in stage.job.uses
        for name in (use.name, use.teacher)
        if name
    }


def lacking(plan: Plan) -> MissingExtraError | None:
    """Return the error that tells all that a plan needs and this environment lacks, or None."""
    wanted = {extra: who for extra, who in needed(plan).items() if missing(extra)}
    if not wanted:
        return None
    who = list(dict.fromkeys(name for names in wanted.values() for name in names))
    more = f" and {len(who) - 4} more" if len(who) > 4 else ""
    return MissingExtraError(f"this run ({', '.join(who[:4])}{more})", *wanted)


def check_extras(plan: Plan) -> None:
    """Refuse a plan for which something is not installed, before its first stage.

    Raises:
        MissingExtraError: naming all extras that are lacking, and who needs them.
    """
    error = lacking(plan)
    if error is not None:
        raise error


def telling_stage(recipe: Recipe, name: str) -> AbstractContextManager[None]:
    """Tell what a plugin does wrong while a stage is made as the plugin's own; see ``telling``."""
    groups = (registry.STAGES, registry.TRAINERS)
    kind, beside = recipe.stages[name].kind, called_by(recipe, name)
    return registry.telling(f"stages.{name}", kind, *groups, beside=beside)


def plugins_of(recipe: Recipe, name: str) -> list[dict[str, str]]:
    """Return the plugins that making a stage calls: its own, its teachers', its models'."""
    own = recipe.stages[name]
    is_trainer = own.output == "model" or own.hands_on
    group = registry.TRAINERS if is_trainer else registry.STAGES
    return registry.origins([(own.kind, group), *called_by(recipe, name)])


def called_by(recipe: Recipe, name: str) -> list[tuple[str, str]]:
    """Return (kind, group) of what a stage calls in turn: teachers, verifiers, trained models."""
    uses = recipe.uses(name)
    students = [recipe.teachers[use.asked_as].kind for use in uses if use.asked_as]
    return [
        *(_kind_of(recipe, use) for use in uses if not (use.is_source or is_address(use.name))),
        *((kind, registry.TEACHERS) for kind in students),
    ]


def _kind_of(recipe: Recipe, use: Uses) -> tuple[str, str]:
    if use.is_teacher:
        return recipe.teachers[use.name].kind, registry.TEACHERS
    if use.is_verifier:
        return recipe.verifiers[use.name].kind, registry.VERIFIERS
    return recipe.stages[use.name].kind, registry.TRAINERS
