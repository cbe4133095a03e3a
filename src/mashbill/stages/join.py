"""``join``: rows of two datasets that share a key become one row, made of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from mashbill.core.errors import InputError
from mashbill.core.missing import missing_reasons
from mashbill.core.record import FROM, OURS, REASON, REJECTED_BY, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses
from mashbill.stages.joining import made_of, matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


class JoinSpec(StageSpec):
    """``kind = "join"``."""

    repeats: ClassVar[bool] = True
    streams = False
    merges = True
    references: ClassVar[tuple[str, ...]] = ("left", "right")

    kind: Literal["join"] = "join"
    left: str
    """dataset whose order the result keeps"""
    right: str
    """dataset whose columns are put beside it"""
    on: tuple[str, ...] = Field(min_length=1)
    """columns that must be equal; a missing value, or an empty text, equals no other"""
    suffix: str = ""
    """put behind the name of a column of the right that the left has too; needed if there is one"""

    @model_validator(mode="after")
    def _are_two(self) -> JoinSpec:
        if self.left == self.right:
            msg = "left and right must be two datasets"
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows of both."""
        return (
            Uses(self.left, "rows", Channel.CONTENT),
            Uses(self.right, "rows", Channel.CONTENT),
        )

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """As many as the left has, if each finds one."""
        return inputs.get(self.left)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield joined rows, and as rejects the rows of either side that found none."""
        left = pa.Table.from_batches(records)
        data = ctx.input(self.right)
        right = data.read(0, data.num_rows)
        left, right = (side.select(user_columns(side.column_names)) for side in (left, right))
        first, second = matches(left, right, self.on, (self.left, self.right))
        keyed = (left, right)
        right = self._renamed(left, right)
        pairs = left.take(pa.array(first))
        for name in right.column_names:
            kept = right.column(name).take(pa.array(second))
            pairs = pairs.append_column(right.schema.field(name), kept)
        blank = pa.nulls(len(first), pa.string())
        yield from _with(pairs, made_of(first, left.num_rows + second), blank)
        for side, keys, found, offset, other in (
            (left, keyed[0], first, 0, self.right),
            (right, keyed[1], second, left.num_rows, self.left),
        ):
            alone = np.setdiff1d(np.arange(side.num_rows), found)
            rest = side.take(pa.array(alone))
            rest = pa.table(
                [
                    rest.column(name)
                    if name in rest.column_names
                    else pa.nulls(len(alone), pairs.schema.field(name).type)
                    for name in pairs.column_names
                ],
                schema=pairs.schema,
            )
            yield from _with(
                rest, made_of(offset + alone), self._reasons(keys.take(pa.array(alone)), other)
            )
        ctx.measures["joined"] = len(first)

    def _reasons(self, alone: pa.Table, other: str) -> pa.Array:
        """Return why rows of one side found none of the other."""
        found = f"no row of {other} has its {', '.join(self.on)}"
        lacks = missing_reasons(alone, self.on, blank=True)
        return pa.array([lack or found for lack in lacks], pa.string())

    def _renamed(self, left: pa.Table, right: pa.Table) -> pa.Table:
        """Return the right table with names that the left does not have; its keys stay as they are.

        Raises:
            InputError: naming the columns that both have.
        """
        own = [name for name in right.column_names if name not in self.on]
        both = [name for name in own if name in left.column_names]
        names = [name + self.suffix if name in both else name for name in own]
        held = {*left.column_names, *own, *OURS}
        taken = [name for name in both if name + self.suffix in held]
        if taken:
            msg = (
                f"{self.left} and {self.right} both have columns {', '.join(taken)}; set suffix in "
                "the recipe to what the right one's names shall end in"
            )
            raise InputError(msg)
        return right.select(own).rename_columns(names)


def _with(table: pa.Table, positions: pa.Array, reasons: pa.Array) -> list[pa.RecordBatch]:
    by = pc.if_else(pc.is_valid(reasons), "join", pa.scalar(None, pa.string()))
    columns: list[pa.RecordBatch] = (
        table.append_column(FROM, positions)
        .append_column(REJECTED_BY, by)
        .append_column(REASON, reasons)
        .to_batches()
    )
    return columns
