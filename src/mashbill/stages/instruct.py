"""``instruct``: new instructions from seed instructions (self-instruct).

After Wang et al., "Self-Instruct", ACL 2023, arXiv 2212.10560: the teacher is shown some seeds and
writes instructions unlike them; near copies are rejected. The paper measures ROUGE-L; here it is
the share of an instruction's words, each counted once, that stand in one seed that was shown.

Seeds are shown together only if they rest on the same sources: so the bill of what is made of them
is that of the row which it names, and says neither more nor less than is true.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mashbill.core.canonical import digest_bytes
from mashbill.core.words import words
from mashbill.prompts.schema import Structure
from mashbill.stages.writing.candidate import Candidate, is_empty, needs_column
from mashbill.stages.writing.spec import WritingSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext


class InstructSpec(WritingSpec):
    """``kind = "instruct"``."""

    shipped: ClassVar[str] = "instruct"
    called: ClassVar[str] = "seeds"
    spreads: ClassVar[bool] = False
    takes_schema: ClassVar[bool] = False

    kind: Literal["instruct"] = "instruct"
    column: str = "text"
    """column of the seed instructions"""
    shown: int = Field(default=4, gt=0, le=32)
    """seeds that a prompt shows: the row's own, and others of its slice that rest on the same"""
    count: int = Field(default=4, gt=0, le=32)
    """instructions that a prompt asks for"""
    near: float = Field(default=0.7, gt=0, le=1)
    """share of its words in one shown seed from which on an instruction is a near copy"""

    @property
    def rows_each(self) -> int:
        """As many instructions as are asked for."""
        return self.count

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """The seeds that are shown, drawn by a hash, and how many are wanted."""
        own = needs_column(row, self.column, self.input)
        others = [
            needs_column(other, self.column, self.input)
            for other in rows
            if other is not row and not is_empty(other.get(self.column))
        ]
        key = digest_bytes(f"{ctx.seed}\n{sample}\n{own}".encode())
        draw = random.Random(key)  # noqa: S311 - repeatable, no secret
        drawn = draw.sample(others, min(self.shown - 1, len(others)))
        return {"seeds": [own, *drawn], "count": self.count}

    def structure(self, folder: Path) -> Structure:
        """So many instructions."""
        del folder
        items = {"type": "string", "minLength": 1}
        listed = {"type": "array", "minItems": 1, "maxItems": self.count, "items": items}
        return Structure(
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["instructions"],
                "properties": {"instructions": listed},
            },
            "stages.instruct",
        )

    def rows_of(self, candidate: Candidate) -> list[dict[str, Any]]:
        """A row an instruction; near copies of what was shown, or of each other, are rejected."""
        rows: list[dict[str, Any]] = []
        before = list(candidate.values["seeds"])
        for text in candidate.value["instructions"]:
            row = {"text": text.strip()}
            nearest = max((_overlap(text, other) for other in before), default=0.0)
            if nearest >= self.near:
                row["reason"] = f"{nearest:.0%} of its words stand in one that was there"
            before.append(text)
            rows.append(row)
        return rows


def _overlap(text: str, other: str) -> float:
    own = set(words(text))
    return len(own & set(words(other))) / max(len(own), 1)
