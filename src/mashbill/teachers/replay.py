"""A teacher that answers from a journal and never asks: what was bought once, anywhere.

Its recipe table holds the table of the teacher whose answers these are: source, identity and so the
digests of requests are that teacher's. What the journal does not hold is an error that says how
much is missing, or with ``missing = "reject"`` a rejected row.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, ValidationError, model_validator

from mashbill.calls import upkeep as keeping
from mashbill.calls.journal import Journal
from mashbill.calls.paid_call import call_digest, request_digest
from mashbill.core import registry
from mashbill.core.canonical import digest_file
from mashbill.core.errors import RecipeError, TeacherError
from mashbill.core.teacher import Answer, TeacherSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.source import Source
    from mashbill.core.teacher import Question


class ReplayTeacherSpec(TeacherSpec):
    """``kind = "replay"``."""

    can_write: ClassVar[bool] = True
    context: ClassVar[frozenset[str]] = frozenset({"journal"})
    price: ClassVar[float | None] = 0.0

    kind: Literal["replay"] = "replay"
    journal: str
    """journal, from the recipe's folder: a store's calls.sqlite, or what `mashbill journal export`
    wrote of one"""
    teacher: dict[str, Any] = Field(min_length=1)
    """table of the teacher whose answers these are, with its kind"""
    missing: Literal["stop", "reject"] = "stop"
    """what becomes of a question that the journal does not answer"""

    @model_validator(mode="after")
    def _is_a_teacher(self) -> ReplayTeacherSpec:
        try:
            _ = self.original
        except (RecipeError, ValidationError, KeyError) as error:
            msg = f"teacher is no table of a teacher: {error}"
            raise ValueError(msg) from error
        return self

    @cached_property
    def original(self) -> TeacherSpec:
        """The teacher whose answers these are."""
        model = registry.find(self.teacher["kind"], registry.TEACHERS)
        spec = model.model_validate(self.teacher)
        if not isinstance(spec, TeacherSpec) or isinstance(spec, ReplayTeacherSpec):
            msg = f"kind {self.teacher['kind']!r} cannot be replayed"
            raise RecipeError(msg)
        if spec.made_by:  # whose bill is another store's: a source in its place would hide it
            msg = (
                f"kind {self.teacher['kind']!r} cannot be replayed: it is a model of a recipe; "
                "train it in this one, or import what it wrote"
            )
            raise RecipeError(msg)
        return spec

    @property
    def source(self) -> Source:
        """The original's: whose words they are does not change."""
        return self.original.source

    @property
    def identity(self) -> dict[str, Any]:
        """The original's."""
        return self.original.identity

    def addresses(self) -> tuple[str, ...]:
        """The journal; the original is not loaded."""
        return (self.journal,)

    def load(self, folder: Path, cache: Path, threads: int) -> Replayed:
        """Open the journal.

        Raises:
            StoreError: if it is not there.
            InputError: naming file and line, if it is an export and a line is no call.
        """
        del threads
        path = folder / self.journal
        if path.suffix == ".jsonl" and path.exists():
            taken = cache / "replay" / f"{digest_file(path)}.sqlite"
            if not taken.exists():
                taken.parent.mkdir(parents=True, exist_ok=True)
                part = taken.with_name(f".{taken.name}.{os.getpid()}")
                keeping.take_in(part, path)
                part.replace(taken)
            path = taken
        return Replayed(Journal(path), self)


class Replayed:
    """See the module; a :class:`mashbill.core.teacher.Teacher`."""

    can_write = True
    batch = 500

    def __init__(self, journal: Journal, spec: ReplayTeacherSpec) -> None:
        self.identity = spec.identity
        self._journal = journal
        self._stops = spec.missing == "stop"

    def sizes(self, questions: Sequence[Question]) -> list[int]:
        """Return the characters of each question's body."""
        return [len(question.body) for question in questions]

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Return what the journal holds; of several versions of the terms, the latest.

        Raises:
            TeacherError: if it holds no answer to one of them.
        """
        requests = [request_digest(self.identity, question) for question in questions]
        found = self._journal.here.answers_to(requests)
        for terms in ["", *self._journal.terms()]:
            keys = {call_digest(r, terms): r for r in requests if r not in found}
            found |= {keys[k]: answer for k, answer in self._journal.answered(keys).items()}
        missing = [request for request in requests if request not in found]
        if missing and self._stops:
            msg = (
                f"{self._journal.path} answers {len(requests) - len(missing)} of {len(requests)} "
                f"questions of a batch; the first it does not hold is {missing[0][:16]}. Ask the "
                "teacher itself, or set missing = 'reject'"
            )
            raise TeacherError(msg)
        reason = f"{self._journal.path.name} holds no answer to it"
        return [found.get(request) or Answer((), 0, failed=reason) for request in requests]
