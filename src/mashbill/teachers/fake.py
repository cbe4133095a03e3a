"""A deterministic teacher without a model, for tests and for trying a recipe out.

It answers from a word list: a choice is likelier when the text holds more of its words. Where a
line of the text begins with the choice and a colon, as the candidates that a judge chooses from do,
only that line counts. Asked to write, it repeats some words of what it is asked and adds words of
the choice that these speak for. With ``delay`` and ``fail_every`` it stands in for a slow or a
failing service, with ``source_kind`` for a model of that kind.
"""

from __future__ import annotations

import json
import math
import random
import time
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mashbill.core.canonical import digest_bytes
from mashbill.core.chat import ToolCall
from mashbill.core.errors import TeacherError
from mashbill.core.source import Source, SourceKind
from mashbill.core.teacher import Answer, TeacherSpec
from mashbill.teachers.fake_json import Drawer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.schema import Schema
    from mashbill.core.teacher import Question


_ECHOED = 8  # words repeated of what it is asked, at most
_ADDED = 4


class FakeTeacherSpec(TeacherSpec):
    """``kind = "fake"``."""

    price: ClassVar[float | None] = 0.0
    can_write: ClassVar[bool] = True

    kind: Literal["fake"] = "fake"
    name: str = "fake teacher"
    """name on the bill; teachers of different names write differently"""
    source_kind: SourceKind = "test-double"
    """what it stands in for; its name then ends in "(stand-in)" """
    provider: str = "unknown"
    """provider of what it stands in for"""
    country: str = "unknown"
    """where that provider sits, ISO 3166 alpha-2"""
    license: str | None = None
    """SPDX identifier of the licence of what it stands in for"""
    words: dict[str, tuple[str, ...]] = Field(min_length=1)
    """choice, without its leading space -> words that speak for it"""
    noise: float = Field(default=0.0, ge=0)
    """log-odds of noise, drawn from a digest of the text"""
    batch: int = Field(default=16, gt=0)
    """questions a call"""
    invalid: float = Field(default=0.0, ge=0, le=1)
    """share of answers under a schema, and of calls of tools, that break it the first time"""
    delay: float = Field(default=0.0, ge=0)
    """seconds that a batch takes"""
    fail_every: int = Field(default=0, ge=0)
    """raise at every n-th batch; 0 never"""

    @property
    def source(self) -> Source:
        """A test double, in lineage too, unless it stands in for something else."""
        stands_in = self.source_kind != "test-double"
        return Source(
            name=f"{self.name} (stand-in)" if stands_in else self.name,
            what="model",
            kind=self.source_kind,
            route="in-process",
            provider=self.provider,
            country=self.country,
            license=self.license,
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What changes its answers; the name only where there is one."""
        return {
            "kind": "fake",
            "words": {choice: list(words) for choice, words in self.words.items()},
            "noise": self.noise,
            **({"name": self.name} if "name" in self.model_fields_set else {}),
            **({"invalid": self.invalid} if self.invalid else {}),
        }

    def load(self, folder: Path, cache: Path, threads: int) -> FakeTeacher:
        """Return it; there is nothing to load."""
        del folder, cache, threads
        return FakeTeacher(self)


class FakeTeacher:
    """See the module."""

    can_write = True

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
        if not question.choices:
            return self._write(question)
        words = question.body.lower().split()
        scores = []
        for choice in question.choices:
            hits = self._hits(choice.strip(), question.body)
            draw = int(digest_bytes(f"{choice} {question.body}".encode())[:8], 16) / 2**32
            scores.append(hits + self._spec.noise * (draw - 0.5))
        total = math.log(sum(math.exp(score) for score in scores))
        return Answer(tuple(score - total for score in scores), len(words))

    def _drawer(self, question: Question, key: str) -> Drawer:
        own = [word for words in self._spec.words.values() for word in words]
        document = question.body.rsplit("\n\n", 1)[-1].split()
        return Drawer(key, [*own, *question.body.split()[:20]], document)

    def _breaks(self, question: Question, key: str) -> bool:
        """Return whether an answer is one of those that break their schema the first time."""
        draw = int(digest_bytes(f"invalid {key}".encode())[:8], 16) / 2**32
        return draw < self._spec.invalid and not question.turns.said_by("assistant")

    def _fill(self, question: Question, schema: Schema, key: str, asked: int) -> Answer:
        value = self._drawer(question, key).value(schema.value)
        text = json.dumps(value, ensure_ascii=False)
        if self._breaks(question, key):
            text = text[: len(text) // 2]
        return Answer((), asked + len(text.split()), text, finish="stop")

    def _call_a_tool(self, question: Question, key: str, asked: int) -> Answer:
        tools = question.tools
        drawer = self._drawer(question, key)
        tool = tools[int(digest_bytes(key.encode())[:8], 16) % len(tools)]
        given = [] if self._breaks(question, key) else drawer.value(tool.parameters)
        arguments = json.dumps(given, ensure_ascii=False)
        call = ToolCall("call_1", tool.name, arguments)
        return Answer((), asked + 1, "", finish="tool_calls", tool_calls=(call,))

    def _hits(self, choice: str, body: str) -> int:
        """Return how many words speak for a choice, in its own line if it has one."""
        mark = f"{choice}:"
        own = [line.removeprefix(mark) for line in body.splitlines() if line.startswith(mark)]
        words = " ".join(own or [body]).lower().split()
        return sum(words.count(word) for word in self._spec.words.get(choice, ()))

    def _write(self, question: Question) -> Answer:
        """Return words of the question followed by words of the choice that they speak for.

        Under a schema it is a value that satisfies it; with tools, a call of one comes first.
        """
        asked = question.body.split()
        key = f"{self._spec.name}\n{question.prefix}\n{question.body}"
        # Only where there are any: what is written without them stays as it was.
        said = (question.system, question.turns.to_json())
        key += "".join(f"\n{part}" for part in said if part)
        key += f"\nsample {question.sample}" if question.sample else ""
        if question.tools and not question.turns.said_by("tool"):
            return self._call_a_tool(question, key, len(asked))
        if question.schema is not None:
            return self._fill(question, question.schema, key, len(asked))
        draw = random.Random(digest_bytes(key.encode()))  # noqa: S311 - repeatable, no secret
        start = draw.randrange(max(len(asked) - _ECHOED, 0) + 1)
        echo = asked[start : start + _ECHOED]
        choices = list(self._spec.words)
        hits = [self._hits(choice, " ".join(echo)) for choice in choices]
        choice = choices[hits.index(max(hits))] if any(hits) else draw.choice(choices)
        own = draw.choices(self._spec.words[choice], k=_ADDED) if self._spec.words[choice] else []
        return Answer((), len(asked) + len(echo) + len(own), " ".join([*echo, *own]), finish="stop")
