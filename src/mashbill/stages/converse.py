"""``converse``: conversations of several turns: a teacher answers, a teacher asks on as the user.

Each turn is asked for all conversations of a slice together. What a provider wants back with its
own turn (encrypted or signed reasoning) goes back with that turn, to that model and account only.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from mashbill.core.source import Channel
from mashbill.core.stage import Question, Uses
from mashbill.stages.prompting import Prompt, shipped_prompt
from mashbill.stages.writing import Candidate, Work, WritingSpec, needs_column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ConverseSpec(WritingSpec):
    """``kind = "converse"``."""

    references: ClassVar[tuple[str, ...]] = ("input", "teacher", "judge", "user_teacher")

    kind: Literal["converse"] = "converse"
    column: str = "text"
    """column of the opening prompts"""
    turns: int = Field(default=2, gt=1, le=32)
    """answers in a conversation"""
    user_teacher: str = ""
    """which of [teachers.*] writes the user's further turns; the same teacher if empty"""
    user_prompt: str = ""
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

    def go_on(self, items: Sequence[Candidate], work: Work) -> None:
        """Ask on, turn by turn; a turn that fails ends its conversation, which is rejected."""
        folder = work.ctx.recipe_folder
        path = folder / self.user_prompt if self.user_prompt else shipped_prompt("user")
        asking = Prompt(path)
        history = {id(item): [_turn(item)] for item in items}
        for turns in history.values():
            turns.insert(0, {"role": "user", "content": ""})
        for item in items:
            item.first = item.first or item.question.body
            history[id(item)][0]["content"] = item.first
        left = list(items)
        for _ in range(self.turns - 1):
            left = self._turn(left, history, asking, work)
        for item in items:
            shown = [{k: v for k, v in t.items() if k != "opaque"} for t in history[id(item)]]
            answers = sum(turn["role"] == "assistant" for turn in shown)
            text = json.dumps(shown, ensure_ascii=False)
            item.columns |= {"messages_json": text, "turns": answers}

    def _turn(
        self,
        items: list[Candidate],
        history: dict[int, list[dict[str, Any]]],
        asking: Prompt,
        work: Work,
    ) -> list[Candidate]:
        """Take one more turn of each conversation; return those that can go on."""
        users = work.ctx.teacher(self.user_teacher or self.teacher)
        said = [
            asking.render({"conversation": history[id(item)]}, f"row {item.row}") for item in items
        ]
        asked = users.ask([Question("", s.user, system=s.system, sample=i.sample)
                           for s, i in zip(said, items, strict=True)])  # fmt: skip
        going: list[tuple[Candidate, Question]] = []
        for item, (_, answer) in zip(items, asked, strict=True):
            if answer.failed or not answer.text.strip():
                item.reason = f"the user's next turn failed: {answer.failed or 'nothing written'}"
                continue
            before = json.dumps(history[id(item)], ensure_ascii=False)
            history[id(item)].append({"role": "user", "content": answer.text.strip()})
            question = Question(
                "", answer.text.strip(), system=item.question.system, turns=before,
                sample=item.sample,
            )  # fmt: skip
            going.append((item, question))
        work.ask(work.ctx.teacher(self.teacher), going)
        for item, _ in going:
            if item.reason is None:
                history[id(item)].append(_turn(item))
        return [item for item, _ in going if item.reason is None]


def _turn(item: Candidate) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": "assistant", "content": item.text}
    if item.answer is not None and item.answer.opaque:
        turn["opaque"] = json.loads(item.answer.opaque)
    return turn
