"""Teachers that are models which stages trained: students that teach.

Such a teacher is no source of lineage. A stage that asks it takes an artifact, the model, as it
takes its rows: the plan makes the model first, its digest is in the stage's fingerprint, and on the
bill stands the model with its own bill, one hop further away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import RecipeError
from mashbill.core.explaining import near
from mashbill.core.given import is_address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageSpec, Uses

STUDENT = "student"
"""kind of such a teacher, and in manifests the ``kind`` that its calls name it by"""


def with_students(uses: tuple[Uses, ...], students: Mapping[str, str]) -> tuple[Uses, ...]:
    """Return what a stage uses, each teacher that is a student led to the stage that trained it.

    Args:
        uses: as the stage declares them, which knows its teachers by name only.
        students: teacher -> stage, of those teachers that are students.
    """
    return tuple(
        replace(use, name=students[use.name], is_teacher=False, asked_as=use.name)
        if use.is_teacher and use.name in students
        else use
        for use in uses
    )


def students_named(literals: Mapping[str, Any]) -> dict[str, str]:
    """Return teacher -> stage, of the students that a stage's literals name."""
    stated = literals.get("teachers")
    return {
        name: str(table.get("model"))
        for name, table in (stated.items() if isinstance(stated, dict) else ())
        if isinstance(table, dict) and table.get("kind") == STUDENT
    }


def check_students(path: Path, recipe: Recipe) -> None:
    """Check that each student is a model of this recipe that writes.

    Raises:
        RecipeError: naming the teacher, its key, what the stage makes and what to do.
    """
    for name, teacher in recipe.teachers.items():
        stage = teacher.made_by
        if is_address(stage):
            _check_address(path, recipe, name, stage)
            continue
        spec = recipe.stages.get(stage)
        if not stage or (spec is not None and spec.output == "model" and spec.can_write):
            continue
        keys = (key for key, value in teacher if value == stage)
        where = f"{path}: teachers.{name}.{next(keys, 'kind')} names {stage!r}"
        writing = ", ".join(_writing(recipe)) or "none"
        there = f"stages that make a model that writes: {writing}"
        if spec is None:
            hint = near(stage, recipe.stages) or (
                f"; {there}; what a store has already is named NAME@VERSION"
            )
            msg = f"{where}, which is no stage{hint}"
            raise RecipeError(msg)
        labels = spec.output == "model" and spec.can_label
        apply = "; a stage of kind 'apply' has it label" if labels else ""
        msg = (
            f"{where}, and a model that writes is needed; stages.{stage} (kind {spec.kind!r}) "
            f"makes {made_by(spec)}; {there}{apply}"
        )
        raise RecipeError(msg)


def _check_address(path: Path, recipe: Recipe, name: str, address: str) -> None:
    """Check that a student's address is one, and that of no stage of this recipe."""
    where = f"{path}: teachers.{name}.model names {address!r}"
    try:
        ArtifactRef.parse(address)
    except RecipeError as error:
        msg = f"{where}: {error}"
        raise RecipeError(msg) from error
    for stage in recipe.stages:
        if str(recipe.ref(stage)) == address:
            msg = f"{where}, which stages.{stage} of this recipe makes; write model = {stage!r}"
            raise RecipeError(msg)


def made_by(spec: StageSpec) -> str:
    """Say what a stage makes, as far as what may be done with it goes."""
    if spec.output != "model":
        return f"a {spec.output}"
    if spec.can_label and spec.can_write:
        return "a model that labels and writes"
    if spec.can_label or spec.can_write:
        does, not_does = ("labels", "write") if spec.can_label else ("writes", "label")
        return f"a model that {does} and does not {not_does}"
    return "a model that neither labels nor writes"


def as_a_teacher(recipe: Recipe, stage: str) -> str:
    """Say what to do where a stage is named and a teacher is wanted.

    Args:
        recipe: the recipe.
        stage: one of its stages.
    """
    writing = _writing(recipe)
    if stage in writing:
        return (
            f"; it is a stage whose model writes: add [teachers.NAME] with kind = {STUDENT!r} and "
            f"model = {stage!r}, and name that"
        )
    able = f"; stages that make a model that writes: {', '.join(writing)}" if writing else ""
    return f"; it is a stage, and makes {made_by(recipe.stages[stage])}{able}"


def _writing(recipe: Recipe) -> list[str]:
    return [
        name for name, spec in recipe.stages.items() if spec.output == "model" and spec.can_write
    ]
