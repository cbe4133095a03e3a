"""Which teacher scores which rollout, and with which weight.

Three ways, of which a recipe takes one. *One teacher* scores all. Of *several*, each scores every
rollout, and counts by its weight: weights are made to sum to 1. Or a *column of the prompts* says
which one scores a rollout: it holds a teacher's name, or a value, such as a domain, that a table
turns into one. What is not in the table, or is none of the teachers, ends the run with the row and
what to do: a prompt that silently went to another teacher would be on the bill under a wrong name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.cells import is_missing
from mashbill.core.errors import InputError
from mashbill.core.explaining import near

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BETWEEN = "+"
"""between names where several teachers score one rollout"""


@dataclass(frozen=True)
class Teaching:
    """See the module."""

    weights: Mapping[str, float]
    """teacher -> weight; one of them scores a rollout if ``by`` is set, and each of them if not"""
    by: str = ""
    """column of the prompts that says who scores"""
    table: Mapping[str, str] = field(default_factory=dict)
    """what stands in that column -> teacher; the column holds names of teachers if empty"""

    @property
    def teachers(self) -> tuple[str, ...]:
        """All of them, each once, in order."""
        return tuple(self.weights)

    def of(self, row: Mapping[str, Any], where: str) -> str:
        """Return who scores what is sampled of a prompt: one name, or several with ``+`` between.

        Args:
            row: the prompt's columns.
            where: which row it is, for messages.

        Raises:
            InputError: if its column is not there, is empty, or says no teacher.
        """
        if not self.by:
            return BETWEEN.join(self.weights)
        if self.by not in row:
            there = near(self.by, row) or f"; it has {', '.join(row)}"
            msg = f"{where}: teacher_by = {self.by!r} is no column of it{there}"
            raise InputError(msg)
        said = row[self.by]
        if is_missing(said) or not str(said).strip():
            msg = f"{where}: its column {self.by!r} is empty, so no teacher scores it; fill it in"
            raise InputError(msg)
        name = self.table.get(str(said)) if self.table else str(said)
        if name is None or name not in self.weights:
            known = list(self.table or self.weights)
            key = "teacher_of" if self.table else "teacher_weights"
            msg = (
                f"{where}: its column {self.by!r} says {str(said)[:60]!r}, which is none of {key} "
                f"({', '.join(known)}){near(str(said), known)}; add it there, or leave such rows "
                "out"
            )
            raise InputError(msg)
        return name

    def shares(self, told: str) -> dict[str, float]:
        """Return teacher -> share of a rollout's loss, by what :meth:`of` said; they sum to 1.

        Where a column chose, the one that it chose has all; its weight counts against those of
        other rows, see :meth:`weight`.
        """
        names = told.split(BETWEEN)
        if len(names) == 1:
            return {names[0]: 1.0}
        total = sum(self.weights[name] for name in names)
        return {name: self.weights[name] / total for name in names}

    def weight(self, told: str) -> float:
        """Return the weight of a rollout among others: its teacher's, where a column chose."""
        return self.weights[told] if self.by else 1.0


def of_keys(
    teacher: str, teachers: Mapping[str, float], by: str, table: Mapping[str, str]
) -> Teaching:
    """Return what the keys of a recipe say.

    Args:
        teacher: the one that scores all; empty if there are several.
        teachers: teacher -> weight.
        by: column of the prompts that says who scores.
        table: what stands there -> teacher.

    Raises:
        ValueError: if keys do not go together, saying what to set.
    """
    if bool(teacher) == bool(teachers) and not (table and not teacher):
        msg = (
            "set teacher = one of [teachers.*], or teacher_weights = { NAME = weight, ... } for "
            "several" + ("; not both" if teacher else "")
        )
        raise ValueError(msg)
    if (table or by) and teacher:
        key = "teacher_by" if by else "teacher_of"
        msg = f"{key} chooses among several teachers, and teacher = {teacher!r} is one; drop either"
        raise ValueError(msg)
    if table and not by:
        msg = (
            "teacher_of says which teacher a value means, and no column is named; set teacher_by = "
            "a column of the prompts"
        )
        raise ValueError(msg)
    if teacher:
        return Teaching({teacher: 1.0})
    if table and teachers and (stray := sorted(set(table.values()) ^ set(teachers))):
        msg = (
            f"teacher_weights and teacher_of speak of other teachers ({', '.join(stray)} is in one "
            "of both); name the same, or leave teacher_weights out if all weigh 1"
        )
        raise ValueError(msg)
    weights = dict(teachers) or dict.fromkeys(table.values(), 1.0)
    for name, weight in weights.items():
        if not 1e-6 <= weight <= 1e6:
            msg = f"teacher_weights.{name} = {weight} must be above 0, from 1e-06 to 1e+06"
            raise ValueError(msg)
        if BETWEEN in name:
            msg = f"teacher_weights.{name}: {BETWEEN!r} stands between names of teachers; rename it"
            raise ValueError(msg)
    return Teaching(weights, by, dict(table))


def counted(told: Sequence[str]) -> dict[str, int]:
    """Return how many rollouts each teacher scores, by what :meth:`Teaching.of` said of each."""
    found: dict[str, int] = {}
    for each in told:
        for name in each.split(BETWEEN):
            found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))
