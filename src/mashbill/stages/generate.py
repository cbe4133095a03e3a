"""``generate``: a teacher writes completions of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mashbill.core.record import columns_beside
from mashbill.stages.writing.candidate import needs_column
from mashbill.stages.writing.rollouts import RolloutSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.stage import StageContext


class GenerateSpec(RolloutSpec):
    """``kind = "generate"``."""

    called: ClassVar[str] = "prompt"

    kind: Literal["generate"] = "generate"
    column: str = "text"
    """column of the prompts: ``{{ prompt }}`` in the prompt file, or all of it without one"""

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """The prompt, by that name."""
        del sample, rows, ctx
        return {"prompt": row[self.column]} if self.column in row else {}

    def prompt_text(self, row: dict[str, Any], user: str) -> str:
        """The row's own prompt, if it has one; else the whole of what was asked."""
        if self.column in row or not user:
            return needs_column(row, self.column, self.input)
        return user

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of every answer, and what is kept; with a schema its fields are not looked for."""
        del inputs, files
        own = {"prompt", "text", "sample", "right", *self.further(), *self.beside()}
        return None if self.output_schema else columns_beside(self.along, sorted(own))

    def taken_over(self, columns: Sequence[str]) -> dict[str, str]:
        """The prompt, where the rows have it."""
        return {"prompt": self.column} if self.column in columns else {}
