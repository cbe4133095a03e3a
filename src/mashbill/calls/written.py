"""A question and an answer as a journal has them and digests are made of them: as texts.

This is the one place where conversations, schemas, tools and calls of tools become text, and are
read again.
A row of a journal stays as it was written, so that whoever audits it, or takes in an export, holds
it to its digests without reading what strangers wrote into it.
"""

from __future__ import annotations

from dataclasses import dataclass

from mashbill.core.chat import (
    Conversation,
    Opaque,
    calls_from_json,
    calls_to_json,
    tools_from_json,
    tools_to_json,
)
from mashbill.core.schema import Schema
from mashbill.core.teacher import Answer, Question


@dataclass(frozen=True, slots=True)
class WrittenQuestion:
    """A :class:`mashbill.core.teacher.Question`, field by field; JSON where it has a type there."""

    prefix: str
    body: str
    choices: tuple[str, ...] = ()
    system: str = ""
    turns: str = ""
    schema: str = ""
    tools: str = ""
    sample: int = 0

    @classmethod
    def of(cls, question: Question | WrittenQuestion) -> WrittenQuestion:
        """Write a question; one that is written stays as it is."""
        if isinstance(question, WrittenQuestion):
            return question
        return cls(
            question.prefix,
            question.body,
            question.choices,
            question.system,
            question.turns.to_json() if question.turns.turns else "",
            question.schema.to_json() if question.schema is not None else "",
            tools_to_json(question.tools) if question.tools else "",
            question.sample,
        )

    def read(self) -> Question:
        """Return what is asked.

        Raises:
            InputError: if its turns, schema or tools are none.
        """
        return Question(
            self.prefix,
            self.body,
            self.choices,
            self.system,
            Conversation.from_json(self.turns),
            Schema.from_json(self.schema),
            tools_from_json(self.tools),
            self.sample,
        )


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """A :class:`mashbill.core.teacher.Answer`, field by field; JSON where it has a type there."""

    logprobs: tuple[float, ...]
    tokens: int
    text: str = ""
    failed: str = ""
    finish: str = ""
    tool_calls: str = ""
    reasoning: str = ""
    opaque: str = ""

    @classmethod
    def of(cls, answer: Answer) -> WrittenAnswer:
        """Write an answer."""
        return cls(
            answer.logprobs,
            answer.tokens,
            answer.text,
            answer.failed,
            answer.finish,
            calls_to_json(answer.tool_calls) if answer.tool_calls else "",
            answer.reasoning,
            answer.opaque.to_json() if answer.opaque is not None else "",
        )

    def read(self) -> Answer:
        """Return what was answered.

        Raises:
            InputError: if its calls of tools are none.
        """
        return Answer(
            self.logprobs,
            self.tokens,
            self.text,
            self.failed,
            self.finish,
            calls_from_json(self.tool_calls) if self.tool_calls else (),
            self.reasoning,
            Opaque.from_json(self.opaque) if self.opaque else None,
        )
