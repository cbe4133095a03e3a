"""``qa``: questions and answers from documents, each with the words of the document behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from mashbill.core.letters import folded
from mashbill.core.source import Channel
from mashbill.prompts.schema import Structure
from mashbill.stages.writing.candidate import Candidate, needs_column
from mashbill.stages.writing.spec import WritingSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext


class QaSpec(WritingSpec):
    """``kind = "qa"``."""

    shipped: ClassVar[str] = "qa"
    called: ClassVar[str] = "document"
    takes: ClassVar[Channel] = Channel.CONTENT
    spreads: ClassVar[bool] = False
    takes_schema: ClassVar[bool] = False
    added: ClassVar[frozenset[str]] = WritingSpec.added | {"min_quote"}

    kind: Literal["qa"] = "qa"
    column: str = "text"
    """column of the documents"""
    pairs: int = Field(default=3, gt=0, le=20)
    """pairs a document"""
    min_quote: int = Field(default=0, ge=0, le=100_000)
    """letters that a quote has at least: one of a few letters stands in any document"""

    @property
    def rows_each(self) -> int:
        """As many pairs as are asked for."""
        return self.pairs

    def asked(
        self, row: dict[str, Any], sample: int, rows: Sequence[dict[str, Any]], ctx: StageContext
    ) -> dict[str, Any]:
        """The document and the number of pairs."""
        del sample, rows, ctx
        return {"document": needs_column(row, self.column, self.input), "pairs": self.pairs}

    def structure(self, folder: Path) -> Structure:
        """So many pairs."""
        del folder
        text = {"type": "string", "minLength": 1}
        quote = {**text, "description": "words of the document, word for word"}
        pair = {
            "type": "object",
            "additionalProperties": False,
            "required": ["question", "answer", "quote"],
            "properties": {"question": text, "answer": text, "quote": quote},
        }
        pairs = {"type": "array", "minItems": 1, "maxItems": self.pairs, "items": pair}
        return Structure(
            {
                "type": "object",
                "additionalProperties": False,
                "required": ["pairs"],
                "properties": {"pairs": pairs},
            },
            "stages.qa",
        )

    def further(self) -> dict[str, pa.DataType]:
        """The words of the document that support an answer."""
        return {"quote": pa.string()}

    def rows_of(self, candidate: Candidate) -> list[dict[str, Any]]:
        """A row a pair; one whose quote is not in the document is rejected."""
        document = _folded(candidate.values["document"])
        rows = []
        for pair in candidate.value["pairs"]:
            row = {"prompt": pair["question"], "text": pair["answer"], "quote": pair["quote"]}
            quote = _folded(pair["quote"])
            if not quote or quote not in document:
                row["reason"] = "its quote is not in the document"
            elif len(quote) < self.min_quote:
                row["reason"] = f"its quote has {len(quote)} characters, below {self.min_quote}"
            elif not pair["question"].strip() or not pair["answer"].strip():
                row["reason"] = "its question or its answer is empty"
            rows.append(row)
        return rows


def _folded(text: str) -> str:
    """Return a text as quotes are compared: without case, with single spaces, in one spelling."""
    return " ".join(folded(text.casefold()).split())
