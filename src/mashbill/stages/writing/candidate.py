"""A candidate of a stage whose teacher writes: one row on its way, and the turns that it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.cells import is_missing
from mashbill.core.chat import NOTHING_SAID, Conversation, Turn
from mashbill.core.errors import InputError
from mashbill.core.teacher import Question
from mashbill.stages.writing.tool_calls import whole_calls

if TYPE_CHECKING:
    from mashbill.core.teacher import Answer


@dataclass(slots=True)
class Candidate:
    """One thing asked for."""

    row: int
    """position within the batch"""
    sample: int
    values: dict[str, Any]
    """the row's columns, and what the stage adds"""
    question: Question
    """what was asked last"""
    first: str
    """what was asked at first"""
    where: str
    """the row, for errors"""
    said: Conversation = NOTHING_SAID
    """the whole conversation, where it has several turns"""
    call: str = ""
    text: str = ""
    value: Any = None
    """the answer as JSON, where there is a schema"""
    reason: str | None = None
    """why it is rejected"""
    answer: Answer | None = None
    tokens: int = 0
    """read and written by its teacher, over all that it was asked"""
    columns: dict[str, Any] = field(default_factory=dict)
    """further columns of its row"""
    rows: list[dict[str, Any]] = field(default_factory=list)
    """what was made of its answer"""


def turn_of(item: Candidate) -> Turn:
    """Return a candidate's last answer as a turn, with what its provider wants back with it."""
    answer = item.answer
    if answer is None:
        return Turn("assistant", item.text)
    calls = whole_calls(answer)
    return Turn("assistant", item.text, calls, answer.opaque, reasoning=answer.reasoning)


def whole(system: str, said: Conversation) -> Conversation:
    """Return a conversation as anybody may see it, with what both were told at its beginning."""
    told = (Turn("system", system),) if system else ()
    return Conversation((*told, *said.shown()))


def _may_mend(item: Candidate) -> bool:
    """Return whether showing the error could help: the teacher did write, and not too much."""
    answer = item.answer
    return (
        answer is not None
        and not answer.failed
        and answer.finish != "length"
        and bool(item.text.strip())
    )


def once_more(question: Question, answer: Answer, problem: str) -> Question:
    """Return the question that shows a teacher its answer and what is wrong with it."""
    turns = question.turns.then(
        Turn("user", question.body), Turn("assistant", answer.text, opaque=answer.opaque)
    )
    return Question(
        "",
        f"That answer {problem}. Write it again so that it is one JSON value that satisfies the "
        "schema, and nothing else.",
        system=question.system,
        turns=turns,
        schema=question.schema,
        sample=question.sample,
    )


def is_empty(value: Any) -> bool:
    """Return whether a cell is missing, blank text, or a list or object of nothing."""
    return is_missing(value) or value in ([], {}) or (isinstance(value, str) and not value.strip())


def needs_column(row: dict[str, Any], column: str, of: str) -> str:
    """Return a row's text in a column; an absent value is empty.

    Raises:
        InputError: if there is no such column, or it holds no text.
    """
    if column not in row:
        have = ", ".join(row)
        msg = f"{of} has no column {column!r}; it has {have}; correct the column name in the recipe"
        raise InputError(msg)
    value = None if is_missing(row[column]) else row[column]
    if value is not None and not isinstance(value, str):
        msg = f"{of}: column {column!r} holds {type(value).__name__}; text is needed"
        raise InputError(msg)
    return value or ""
