"""``evolve``: an instruction made harder, or made into another one (Evol-Instruct).

After Xu et al., "WizardLM", arXiv 2304.12244: four ways to deepen and one to broaden; which one is
drawn by a hash of the instruction and the sample. Further rounds are further stages. What is made
holds words of what it was made from, which so comes in as content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from mashbill.core.canonical import digest_bytes
from mashbill.core.letters import folded
from mashbill.core.source import Channel
from mashbill.stages.writing.candidate import Candidate, needs_column
from mashbill.stages.writing.spec import WritingSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.stage import StageContext

Operation = Literal["constrain", "deepen", "concretise", "reason", "broaden"]
WAYS: dict[Operation, str] = {
    "constrain": "add one requirement or limit that its answer must keep to",
    "deepen": "ask for one thing more about the same matter that takes knowledge to answer",
    "concretise": "replace what is general in it by particular things, names, places or numbers",
    "reason": "change it so that its answer takes several steps of visible working",
    "broaden": "write another instruction, of the same field and about as hard, on a rarer matter",
}
_LEAKS = ("rewritten instruction", "given instruction", "original instruction", "new instruction:")


class EvolveSpec(WritingSpec):
    """``kind = "evolve"``."""

    shipped: ClassVar[str] = "evolve"
    called: ClassVar[str] = "instruction"
    takes: ClassVar[Channel] = Channel.CONTENT
    takes_schema: ClassVar[bool] = False

    kind: Literal["evolve"] = "evolve"
    column: str = "text"
    """column of the instructions"""
    operations: tuple[Operation, ...] = Field(default=tuple(WAYS), min_length=1)
    """ways to evolve that are drawn from"""
    growth: float = Field(default=4.0, gt=0)
    """an evolved instruction of more than so many times the characters, and 400, is rejected"""

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """The instruction, the operation, and what it does in words."""
        del rows
        text = needs_column(row, self.column, self.input)
        key = int(digest_bytes(f"{ctx.seed}\n{sample}\n{text}".encode())[:8], 16)
        operation = self.operations[key % len(self.operations)]
        return {"instruction": text, "operation": operation, "way": WAYS[operation]}

    def further(self) -> dict[str, pa.DataType]:
        """The operation, and what it was applied to."""
        return {"operation": pa.string(), "original": pa.string()}

    def rows_of(self, candidate: Candidate) -> list[dict[str, Any]]:
        """One row; an evolution that failed is rejected with the reason."""
        old, new = candidate.values["instruction"], candidate.text
        row = {"text": new, "operation": candidate.values["operation"], "original": old}
        if folded(new).split() == folded(old).split():
            row["reason"] = "it is the instruction that it was made from"
        elif any(leak in new.casefold() for leak in _LEAKS):
            row["reason"] = "it speaks of the instruction instead of being one"
        elif len(new.strip()) > self.growth * len(old) + 400:
            row["reason"] = f"{len(new.strip())} characters, made from {len(old)}"
        return [row]
