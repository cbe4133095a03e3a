"""``personas``: from a text to somebody who would read it; from somebody to what they would ask.

After Ge et al., "Scaling Synthetic Data Creation with 1,000,000,000 Personas", arXiv 2406.20094.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mashbill.core.source import Channel
from mashbill.stages.writing.candidate import needs_column
from mashbill.stages.writing.spec import WritingSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.stage import StageContext


class PersonasSpec(WritingSpec):
    """``kind = "personas"``: without ``task`` a persona a row, with it a prompt by that persona."""

    shipped: ClassVar[str] = "personas"
    called: ClassVar[str] = "source"
    takes: ClassVar[Channel] = Channel.PROMPT

    kind: Literal["personas"] = "personas"
    column: str = "text"
    """column of the texts, or with ``task`` of the personas"""
    task: str = ""
    """what the persona is to ask for, such as "a problem of arithmetic" """

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """The text or persona, and the task."""
        del sample, rows, ctx
        return {"source": needs_column(row, self.column, self.input), "task": self.task}
