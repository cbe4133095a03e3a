"""What can be said before anything is bought: do a recipe's choices go on from its prompts?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import RecipeError, TeacherError
from mashbill.core.parsing import foreign
from mashbill.teachers.continuing import Finding, Weighing, check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mashbill.core.recipe import Recipe, TeacherSpec


@dataclass(frozen=True)
class Foreseen:
    """A finding about a stage."""

    stage: str
    file: str
    """the prompt"""
    teacher: str
    finding: Finding

    def __str__(self) -> str:
        return f"stages.{self.stage} ({self.file}): {self.finding}"

    def as_json(self) -> dict[str, str]:
        """Return it for a program."""
        return {
            "stage": self.stage, "file": self.file, "teacher": self.teacher,
            "says": self.finding.says,
        }  # fmt: skip


def foresee(recipe: Recipe, stages: Iterable[str], cache: Path) -> list[Foreseen]:
    """Return what will cost these stages answers, as far as prompts and choices show it.

    Args:
        recipe: the recipe.
        stages: those that are to run.
        cache: where a teacher's file may lie already; nothing is fetched.

    Raises:
        RecipeError: if two choices are the same to their teacher.
    """
    known: dict[str, Weighing] = {}
    found = []
    for stage in stages:
        for choosing in recipe.stages[stage].choosings(recipe.folder):
            if choosing.teacher not in known:
                teacher = recipe.teachers[choosing.teacher]
                known[choosing.teacher] = _weighing(teacher, recipe.folder, cache)
            for finding in check(choosing.before, choosing.choices, known[choosing.teacher]):
                one = Foreseen(stage, choosing.file, choosing.teacher, finding)
                if finding.is_error:
                    raise RecipeError(str(one))
                found.append(one)
    return found


def _weighing(teacher: TeacherSpec, folder: Path, cache: Path) -> Weighing:
    at_hand = getattr(teacher, "tokenizer_at_hand", None)
    tokenizer: Any = at_hand(folder, cache) if at_hand is not None else None
    if tokenizer is not None:

        def encoded(text: str) -> list[int]:
            with foreign(teacher.source.name, "a teacher with a tokenizer", error=TeacherError):
                return list(tokenizer.encode(text, add_special_tokens=False).ids)

        def decoded(ids: Sequence[int]) -> str:
            with foreign(teacher.source.name, "a teacher with a tokenizer", error=TeacherError):
                return str(tokenizer.decode(ids, skip_special_tokens=False))

        return Weighing(encoded, decoded)
    if teacher.is_remote:
        service = getattr(teacher, "service", None)
        wants = getattr(teacher, "logprobs", None)
        weighs = getattr(service, "logprobs", 0) if wants is None else wants
        return Weighing(strips=True, by_first_token=bool(weighs))
    strips = teacher.kind in {"fake", "replay"}
    return Weighing(strips=strips, by_first_token=not strips)
