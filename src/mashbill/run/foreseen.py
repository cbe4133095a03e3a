"""What can be said before anything is bought.

Do a recipe's choices go on from its prompts, and are its labels those that humans gave?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import RecipeError, TeacherError
from mashbill.core.evaluation import systems_in
from mashbill.core.parsing import foreign
from mashbill.teachers.continuing import Finding, Weighing, check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mashbill.core.recipe import Recipe
    from mashbill.core.teacher import TeacherSpec


@dataclass(frozen=True)
class Foreseen:
    """A finding about a stage."""

    stage: str
    file: str
    """the prompt; empty if it is about none"""
    teacher: str
    finding: Finding

    def __str__(self) -> str:
        where = f" ({self.file})" if self.file else ""
        return f"stages.{self.stage}{where}: {self.finding}"

    def as_json(self) -> dict[str, str]:
        """Return it for a program."""
        return {
            "stage": self.stage,
            "file": self.file,
            "teacher": self.teacher,
            "says": self.finding.says,
        }


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
        found += _other_labels(recipe, stage)
        found += _one_to_the_journal(recipe, stage)
    return found


def _one_to_the_journal(recipe: Recipe, stage: str) -> list[Foreseen]:
    """Return where teachers at two addresses are one: what one answered, the other is not asked."""
    found = []
    for use in recipe.stages[stage].uses():
        teacher = recipe.teachers.get(use.name) if use.is_teacher else None
        address = getattr(teacher, "base_url", None)
        if teacher is None or address is None:
            continue
        same = [
            name
            for name, other in recipe.teachers.items()
            if name != use.name
            and getattr(other, "base_url", address) != address
            and other.identity == teacher.identity
        ]
        if same:
            says = (
                f"teachers {_told([use.name, *same])} have other addresses and are one model by "
                "all else, so that what one answered the other is not asked: set revision where "
                "they are two"
            )
            found.append(Foreseen(stage, "", use.name, Finding(says)))
    return found


def _other_labels(recipe: Recipe, stage: str) -> list[Foreseen]:
    """Return where an evaluation holds labels to gold that has others: such rows score 0."""
    spec: Any = recipe.stages[stage]
    if spec.kind != "evaluate" or spec.by:
        return []
    golds: dict[str, list[str]] = {
        name: list(gold.labels)
        for name in _above(recipe, spec.input)
        if (gold := getattr(recipe.stages[name], "gold", None)) and hasattr(gold, "labels")
    }
    gold = list(dict.fromkeys(label for labels in golds.values() for label in labels))
    found = []
    named = systems_in(spec.model_dump()).values()
    for name in dict.fromkeys(name for stages in named for name in stages) if gold else ():
        system: Any = recipe.stages.get(name)
        if system is None or system.kind != "label":
            continue
        lacking = [label for label in gold if label not in system.labels]
        others = [label for label in system.labels if label not in gold]
        if not lacking and not others:
            continue
        says = (
            f"gold labels of {_named(golds)} are {_told(gold)}, and labels of stages.{name} are "
            f"{_told(system.labels)}"
        )
        if lacking:
            says += f"; {_told(lacking)} is never given, so rows with that gold are all wrong"
        if others:
            says += f"; {_told(others)} is no gold label, so rows that are given it are all wrong"
        says += "; name the labels alike in both, if they mean the same"
        found.append(Foreseen(stage, "", system.teacher, Finding(says)))
    return found


def _above(recipe: Recipe, stage: str) -> list[str]:
    """Return a stage and those that its rows are made of."""
    found: dict[str, None] = {}
    waiting = [stage]
    while waiting:
        name = waiting.pop()
        if name in recipe.stages and name not in found:
            found[name] = None
            waiting += [use.name for use in recipe.stages[name].uses() if use.role == "rows"]
    return list(found)


def _named(stages: Iterable[str]) -> str:
    return " and ".join(f"stages.{name}" for name in stages)


def _told(labels: Iterable[str]) -> str:
    return ", ".join(map(repr, labels))


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
        wire = getattr(teacher, "wire", None) or getattr(service, "wire", "")
        chats = bool(wire) and wire != "openai-completions"
        return Weighing(strips=True, chats=chats, by_first_token=bool(weighs))
    strips = teacher.kind in {"fake", "replay"}
    return Weighing(strips=strips, by_first_token=not strips)
