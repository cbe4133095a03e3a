"""Rows of a writing stage as rollouts: each with its whole conversation, its end and its tokens.

An attempt that was cut off is kept, with ``finish`` saying so, even where nothing was written by
then: whoever verifies it must tell it apart from one that is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
from pydantic import field_validator

from mashbill.core.chat import Conversation, Turn
from mashbill.core.errors import RecipeError
from mashbill.core.explaining import near
from mashbill.core.record import OURS
from mashbill.core.source import Channel
from mashbill.stages.writing.candidate import turn_of, whole
from mashbill.stages.writing.spec import WritingSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import Uses
    from mashbill.stages.writing.candidate import Candidate

_COLUMNS = {"messages_json": pa.string(), "finish": pa.string(), "tokens": pa.int64()}


class RolloutSpec(WritingSpec):
    """Keys of a writing stage whose rows are an attempt each."""

    added: ClassVar[frozenset[str]] = WritingSpec.added | {"rollouts", "keep"}

    rollouts: bool = False
    """whether rows are rollouts: the whole conversation (messages_json), how it ended (finish:
    stop, length, tool_calls, content_filter, other) and the tokens read and written for it
    (tokens); what was cut off at max_tokens is kept, as with keep_cut"""
    keep: tuple[str, ...] = ()
    """columns of the input that go along into each row, such as what is known to be right: with
    these the input is content of the rows, and no prompt alone"""

    @field_validator("keep")
    @classmethod
    def _names_columns(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [name for name in names if not name or name in OURS or names.count(name) > 1]
        if wrong:
            msg = f"keep names columns of the input, each once, and {wrong[0]!r} is none or twice"
            raise ValueError(msg)
        return names

    def uses(self) -> tuple[Uses, ...]:
        """What a writing stage uses; what rows keep of the input is its content."""
        rows, *others = super().uses()
        return (replace(rows, channel=Channel.CONTENT) if self.keep else rows, *others)

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that what is kept is there, too."""
        super().check_inputs(folder, columns)
        known = columns.get(self.input)
        for name in self.keep:
            if known is not None and name not in known:
                there = near(name, known) or f"; it has {', '.join(known)}"
                msg = f"keep = {name!r} is no column of {self.input}{there}"
                raise RecipeError(msg)

    @property
    def along(self) -> tuple[str, ...]:
        """The columns of the input that go along."""
        return self.keep

    @property
    def keeps_cut(self) -> bool:
        """Whether answers that were cut off are kept."""
        return self.keep_cut or self.rollouts

    @property
    def keeps_nothing_said(self) -> bool:
        """Whether an answer that was cut off before it said anything is kept."""
        return self.rollouts

    def beside(self) -> dict[str, pa.DataType]:
        """What a rollout has beside its stage's own columns."""
        own = self.further()
        if not self.rollouts:
            return {}
        return {name: kind for name, kind in _COLUMNS.items() if name not in own}

    def told_beside(self, candidate: Candidate) -> dict[str, Any]:
        """The conversation, its end and its tokens."""
        answer = candidate.answer
        if answer is None:  # it was not asked
            return {}
        said = Conversation((Turn("user", candidate.first), turn_of(candidate)))
        return {
            "messages_json": whole(candidate.question.system, said).to_json(),
            "finish": answer.finish or None,
            "tokens": candidate.tokens,
        }
