"""``converse``: conversations of several turns: a teacher answers, a teacher asks on as the user.

Each turn is asked for all conversations of a slice together. What a provider wants back with its
own turn (encrypted or signed reasoning) goes back with that turn, to that model and account only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from mashbill.core.chat import Conversation, Turn
from mashbill.core.errors import InputError
from mashbill.core.source import Channel
from mashbill.core.stage import Uses
from mashbill.core.teacher import Question
from mashbill.prompts.prompt import Prompt, shipped_prompt
from mashbill.prompts.schema import flaw
from mashbill.stages.judging import FileName
from mashbill.stages.writing.candidate import (
    Candidate,
    needs_column,
    turn_of,
    whole,
)
from mashbill.stages.writing.rollouts import RolloutSpec
from mashbill.stages.writing.work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ConverseSpec(RolloutSpec):
    """``kind = "converse"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher", "judge", "user_teacher")
    takes_schema: ClassVar[bool] = False
    as_json: ClassVar[frozenset[str]] = frozenset({"messages_json"})

    kind: Literal["converse"] = "converse"
    column: str = "text"
    """column of the opening prompts"""
    turns: int = Field(default=2, gt=1, le=32)
    """answers in a conversation"""
    user_teacher: str = ""
    """which of [teachers.*] writes the user's further turns; the same teacher if empty"""
    user_prompt: FileName = ""
    """Jinja file for those, with {{ conversation }}; the stage's own if empty"""

    def uses(self) -> tuple[Uses, ...]:
        """Beside what every writing stage uses, who asks on: as what was asked."""
        asking = self.user_teacher or self.teacher
        return (*super().uses(), Uses(asking, "actor", Channel.PROMPT, is_teacher=True))

    def files(self) -> tuple[str, ...]:
        """The user's prompt too."""
        return (*super().files(), *((self.user_prompt,) if self.user_prompt else ()))

    def own_files(self) -> dict[str, Path]:
        """The shipped prompt of the user."""
        own = super().own_files()
        return own if self.user_prompt else {**own, "user": shipped_prompt("user")}

    def prompt_text(self, row: dict[str, Any], user: str) -> str:
        """The opening prompt."""
        return user or needs_column(row, self.column, self.input)

    def further(self) -> dict[str, pa.DataType]:
        """The whole conversation, and its number of answers."""
        return {"messages_json": pa.string(), "turns": pa.int64()}

    def judged(self, candidate: Candidate, row: dict[str, Any]) -> dict[str, str]:
        """All that was said before the last answer, and that answer."""
        return {"prompt": candidate.said.transcript(), "text": row["text"]}

    def check(self, folder: Path) -> None:
        """Read the user's prompt too."""
        super().check(folder)
        self._asking(folder).check(("conversation",))

    def dialogue(self, folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return who is asked: a first answer, then turn by turn whoever asks on, and an answer."""
        del folder
        turn = (self.user_teacher or self.teacher, self.teacher)
        whole = (self.teacher, *turn * (self.turns - 1))
        return whole, whole

    def _asking(self, folder: Path) -> Prompt:
        return Prompt(folder / self.user_prompt if self.user_prompt else shipped_prompt("user"))

    def go_on(self, items: Sequence[Candidate], work: Work) -> None:
        """Ask on, turn by turn; a turn that fails ends its conversation, which is rejected."""
        asking = self._asking(work.ctx.recipe_folder)
        talks = [_Talk(item) for item in items]
        left = talks
        for _ in range(self.turns - 1):
            left = self._turn(left, asking, work)
        for talk in talks:
            talk.close()

    def _turn(self, talks: list[_Talk], asking: Prompt, work: Work) -> list[_Talk]:
        """Take one more turn of each conversation; return those that can go on."""
        questions = []
        for talk in talks:
            try:
                so_far = {"conversation": talk.item.said.shown().without_reasoning().value()}
                said = asking.render(so_far, talk.item.where)
            except InputError as error:  # what there is was bought, so it is kept and not raised
                talk.item.reason = f"the user's next turn cannot be asked for: {error}"
                continue
            sample = talk.item.sample
            questions.append(Question("", said.user, system=said.system, sample=sample))
        talks = [talk for talk in talks if talk.item.reason is None]
        asked = work.ctx.teacher(self.user_teacher or self.teacher).ask(questions)
        going: list[_Talk] = []
        for talk, (_, answer) in zip(talks, asked, strict=True):
            problem = answer.unfinished(keep_cut=self.keeps_cut)
            problem = problem or ("" if answer.text.strip() else "nothing was written")
            problem = problem or flaw(answer.text)
            if problem:
                talk.item.reason = f"the user's next turn failed: {problem}"
            else:
                going.append(talk)
                talk.says(answer.text)
        work.ask(work.ctx.teacher(self.teacher), [(talk.item, talk.question) for talk in going])
        left = [talk for talk in going if talk.item.reason is None]
        for talk in left:
            talk.item.said = talk.item.said.then(turn_of(talk.item))
        return left


class _Talk:
    """One conversation as it grows."""

    def __init__(self, item: Candidate) -> None:
        self.item = item
        item.said = Conversation((Turn("user", item.first), turn_of(item)))
        self.question = item.question

    def says(self, text: str) -> None:
        """Let the user say something."""
        self.question = Question(
            "", text, system=self.item.question.system,
            turns=self.item.said.without_reasoning(), sample=self.item.sample,
        )  # fmt: skip
        self.item.said = self.item.said.then(Turn("user", text))

    def close(self) -> None:
        """Set the columns of the conversation's row: what there is, where it failed too."""
        self.item.columns |= {
            "messages_json": whole(self.item.question.system, self.item.said).to_json(),
            "turns": len(self.item.said.said_by("assistant")),
        }
