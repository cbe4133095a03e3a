"""``decontaminate``: rows that hold items of evaluation sets are turned down, or marked.

What is looked for, and by which rule, :mod:`mashbill.files.rows.contamination` says; what of a row
is looked at, ``columns``: what teachers wrote as well as what they were asked. An evaluation set is
no source of what the rows say. It decided which of them stay: its channel is selection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from mashbill.core.errors import InputError, RecipeError
from mashbill.core.explaining import check_columns, near
from mashbill.core.record import FROM, columns_beside, kept_beside, user_columns
from mashbill.core.source import Channel, Purpose
from mashbill.core.stage import StageSpec, Uses
from mashbill.files.rows.contamination import Looking
from mashbill.files.rows.items import (
    Against,
    Items,
    Lengths,
    columns_of_file,
    read_items,
)
from mashbill.files.rows.said import holds_text
from mashbill.stages.judging import marks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.stage import StageContext

MARK = "contamination"
"""column that says why a row is marked"""


class DecontaminateSpec(StageSpec):
    """``kind = "decontaminate"``."""

    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("input", "against")

    kind: Literal["decontaminate"] = "decontaminate"
    input: str
    """dataset to look through"""
    against: dict[str, Against] = Field(min_length=1)
    """evaluation set -> its columns: ``against.NAME.question = "..."``, and ``answer`` where there
    is one; NAME is a stage of the recipe, or any name where ``file`` says which file has the set"""
    columns: tuple[str, ...] = ()
    """columns to look at: all that hold text if not said"""
    action: Literal["drop", "mark"] = "drop"
    """turn such rows down, or keep them with the reason in a column ``contamination``"""
    words: int = Field(default=8, ge=4, le=32)
    """words of a run that is looked for"""
    characters: int = Field(default=12, ge=6, le=64)
    """letters of a run, where most of a text is of a script without spaces"""
    overlap: float = Field(default=0.5, ge=0.1, lt=1)
    """a row is a hit that has more than this share of the runs of a question"""
    near: float | None = Field(default=0.7, ge=0.3, le=1)
    """or whose text is nearly the question as a whole: least Jaccard similarity of shingles"""
    common: int = Field(default=20, ge=1)
    """a run that stands in more texts of the evaluation sets than this tells nothing"""
    details: Literal["same", "any"] = "same"
    """whether a text has to have the numbers and names of the question"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows, selected by the evaluation sets."""
        sets = [name for name, one in self.against.items() if one.file is None]
        return (
            Uses(self.input, "rows", Channel.CONTENT),
            *(Uses(name, "beside", Channel.SELECTION, purpose=Purpose.CLEANING) for name in sets),
        )

    def files(self) -> tuple[str, ...]:
        """The files of evaluation sets."""
        return tuple(one.file for one in self.against.values() if one.file is not None)

    def check(self, folder: Path) -> None:
        """See that those files are there."""
        for name, one in self.against.items():
            if one.file is not None and not (folder / one.file).is_file():
                msg = f"against.{name}.file = {one.file!r} is no file beside the recipe"
                raise RecipeError(msg)

    def check_inputs(self, folder: Path, columns: Mapping[str, Sequence[str]]) -> None:
        """See that the columns are there, where they are known, of rows and evaluation sets."""
        own = [("columns", name) for name in self.columns]
        check_columns(own, columns.get(self.input), self.input)
        for name, one in self.against.items():
            key = f"against.{name}"
            named = [(f"{key}.question", column) for column in one.question]
            named += [(f"{key}.answer", column) for column in one.answer]
            known = columns.get(name) if one.file is None else columns_of_file(folder, one.file)
            check_columns(named, known, one.file or name)

    def may_have(
        self, inputs: Mapping[str, Sequence[str]], files: Sequence[str] | None
    ) -> Sequence[str] | None:
        """Those of its input, and why a row is marked."""
        del files
        known = inputs.get(self.input)
        return None if known is None else columns_beside(known, (MARK,))

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows; those that hold items marked as rejected, or told in a column."""
        lengths = Lengths(self.words, self.characters, self.common, self.near)
        items: Items = ctx.once("items", lambda: read_items(self.against, ctx, lengths))
        ctx.overall |= {"sets": items.told()}
        looking = Looking(items, self.overlap, any_details=self.details == "any")
        start = 0
        for batch in records:
            found = looking.find(batch, self._columns(batch))
            if found.is_redacted:
                ctx.warn(
                    "some texts hold what a stage pii puts in the place of what it redacts, such "
                    "as <PHONE_1>: there, a number of a question counts as found, and an answer "
                    "that was redacted does not; to lose no hit, let decontaminate stand before pii"
                )
            self._measure(ctx, batch.num_rows, found.reasons, found.hits, found.rules)
            given = () if self.action == "drop" else (MARK,)
            columns = kept_beside(batch.select(user_columns(batch.schema.names)), given)
            if self.action == "mark":
                columns[MARK] = pa.array(found.reasons, pa.string())
            columns[FROM] = pa.array(np.arange(start, start + batch.num_rows), pa.int64())
            if self.action == "drop":
                columns |= marks("decontaminate", found.reasons)
            yield pa.RecordBatch.from_pydict(columns)
            start += batch.num_rows

    def _columns(self, batch: pa.RecordBatch) -> list[str]:
        """Return the columns that are looked at.

        Raises:
            InputError: if one of them is not there, or holds no text.
        """
        names = user_columns(batch.schema.names)
        for name in self.columns:
            if name not in names:
                there = near(name, names) or f"; it has {', '.join(names)}"
                msg = f"{self.input} has no column {name!r}{there}"
                raise InputError(msg)
            held = batch.schema.field(name).type
            if not (holds_text(held) or pa.types.is_null(held)):
                msg = f"{self.input}: column {name!r} holds {held}; text is needed"
                raise InputError(msg)
        if self.columns:
            return list(self.columns)
        return [name for name in names if holds_text(batch.schema.field(name).type)]

    @staticmethod
    def _measure(
        ctx: StageContext,
        rows: int,
        reasons: Sequence[str | None],
        hits: Mapping[str, Mapping[str, int]],
        rules: Mapping[str, int],
    ) -> None:
        told = ctx.measures
        told["rows"] = told.get("rows", 0) + rows
        told["contaminated"] = told.get("contaminated", 0) + sum(map(bool, reasons))
        for name, places in hits.items():
            own = told.setdefault("hits", {}).setdefault(name, {})
            for where, count in places.items():
                own[where] = own.get(where, 0) + count
        for rule, count in rules.items():
            own = told.setdefault("rules", {})
            own[rule] = own.get(rule, 0) + count
