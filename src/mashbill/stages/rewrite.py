"""``rewrite``: a teacher writes a text anew: cleaned, translated, corrected, in another style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from mashbill.core.errors import RecipeError
from mashbill.core.source import Channel, Purpose
from mashbill.files.rows.cells import as_text
from mashbill.stages.writing.candidate import needs_column
from mashbill.stages.writing.spec import WritingSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext
    from mashbill.stages.writing.candidate import Candidate

_SLOTS = ("text", "style", "purpose")


class RewriteSpec(WritingSpec):
    """``kind = "rewrite"``."""

    shipped: ClassVar[str] = "rewrite"
    takes: ClassVar[Channel] = Channel.CONTENT
    gives: ClassVar[Channel] = Channel.TRANSFORM
    keeps: ClassVar[bool] = True
    takes_schema: ClassVar[bool] = False
    added: ClassVar[frozenset[str]] = frozenset({"original"})

    kind: Literal["rewrite"] = "rewrite"
    purpose: Literal["making", "cleaning"] = "making"
    """cleaning if what is said stays as it was; some definitions leave that out"""
    style: str = ""
    """what to make of it, such as "as a dialogue" or "in French"; {{ style }} in the prompt"""
    max_chars: int = Field(default=8000, gt=0)
    """longer texts are rejected: a part of them would be lost"""
    original: str = ""
    """column that keeps the text as it was; none if empty. As "prompt", what a student is trained
    on has what it is asked beside what it is to write"""

    @field_validator("original")
    @classmethod
    def _is_free(cls, name: str) -> str:
        if name in {"text", "sample", "right"} or name.startswith("_"):
            msg = f"{name!r} is a column of its own; choose another name for the text as it was"
            raise ValueError(msg)
        return name

    def purpose_of(self) -> Purpose:
        """As the recipe says."""
        return Purpose(self.purpose)

    def check(self, folder: Path) -> None:
        """Read the prompt: the text stands in it once."""
        super().check(folder)
        if not self.prompt:
            return
        prompt = self.template(folder)
        count = prompt.count("text") if prompt is not None else 0
        if prompt is not None and count != 1:
            msg = f"{prompt.path} has {{{{ text }}}} {count} times; once is needed"
            raise RecipeError(msg)
        for name in sorted(prompt.variables - set(_SLOTS)) if prompt is not None else ():
            there = ", ".join(_SLOTS)
            msg = f"{folder / self.prompt} has {{{{ {name} }}}}; there are only {there}; correct it"
            raise RecipeError(msg)

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """The text, and what to make of it."""
        del sample, rows, ctx
        text = needs_column(row, "text", self.input)
        return {"text": text, "style": self.style, "purpose": self.purpose}

    def beside(self) -> dict[str, pa.DataType]:
        """The text as it was, if it is kept."""
        return {self.original: pa.string()} if self.original else {}

    def told_beside(self, candidate: Candidate) -> dict[str, Any]:
        """The text as it was."""
        return {self.original: as_text(candidate.values["text"])} if self.original else {}

    def unfit(self, values: dict[str, Any], system: str, user: str) -> str | None:
        """Texts that are empty, or too long: the prompt around them does not count."""
        del system, user
        if not values["text"].strip():
            return "its text is empty"
        if len(values["text"]) > self.max_chars:
            return (
                f"longer than {self.max_chars} characters, so the teacher would not read all of it"
            )
        return None
