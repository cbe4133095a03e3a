"""A deterministic teacher without a model, for tests and for trying a recipe out.

It answers from a word list: a choice is likelier when the text holds more of its words. With
``delay`` and ``fail_every`` it stands in for a slow or a failing service.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import TeacherError
from mashbill.core.recipe import TeacherSpec
from mashbill.core.source import Source
from mashbill.core.stage import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.stage import Question


class FakeTeacherSpec(TeacherSpec):
    """``kind = "fake"``."""

    price: ClassVar[float | None] = 0.0

    kind: Literal["fake"] = "fake"
    words: dict[str, tuple[str, ...]] = Field(min_length=1)
    """choice, without its leading space -> words that speak for it"""
    noise: float = Field(default=0.0, ge=0)
    """log-odds of noise, drawn from a digest of the text"""
    batch: int = Field(default=16, gt=0)
    """questions a call"""
    delay: float = Field(default=0.0, ge=0)
    """seconds that a batch takes"""
    fail_every: int = Field(default=0, ge=0)
    """raise at every n-th batch; 0 never"""

    @property
    def source(self) -> Source:
        """A test double, in lineage too."""
        return Source(name="fake teacher", what="model", kind="test-double", route="in-process")

    @property
    def identity(self) -> dict[str, Any]:
        """What changes its answers."""
        return {"kind": "fake", "words": {k: list(v) for k, v in self.words.items()},
                "noise": self.noise}  # fmt: skip

    def load(self, folder: Path, cache: Path, threads: int) -> FakeTeacher:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return FakeTeacher(self)


class FakeTeacher:
    """See the module."""

    def __init__(self, spec: FakeTeacherSpec) -> None:
        self.identity = spec.identity
        self.batch = spec.batch
        self.asked = 0
        self._spec = spec
        self._batches = 0

    def sizes(self, questions: Sequence[Question]) -> list[int]:
        """Return the characters of each question's body."""
        return [len(question.body) for question in questions]

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer each question by counting words.

        Raises:
            TeacherError: at every ``fail_every``-th batch.
        """
        self._batches += 1
        if self._spec.fail_every and self._batches % self._spec.fail_every == 0:
            msg = f"the fake teacher fails at batch {self._batches}, as its recipe says"
            raise TeacherError(msg)
        time.sleep(self._spec.delay)
        self.asked += len(questions)
        return [self._one(question) for question in questions]

    def _one(self, question: Question) -> Answer:
        words = question.body.lower().split()
        scores = []
        for choice in question.choices:
            hits = sum(words.count(word) for word in self._spec.words.get(choice.strip(), ()))
            draw = int(digest_bytes(f"{choice} {question.body}".encode())[:8], 16) / 2**32
            scores.append(hits + self._spec.noise * (draw - 0.5))
        total = math.log(sum(math.exp(score) for score in scores))
        return Answer(tuple(score - total for score in scores), len(words))
