"""``mix``: several datasets as one, each so many times over.

A row that a part of a repetition would keep is kept by a hash of its content, so that the choice
is the same in every run and does not depend on the other rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.missing import missing_in
from mashbill.core.record import FROM, ID, one_batch, user_columns
from mashbill.core.source import Channel
from mashbill.core.stage import StageSpec, Uses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


class MixSpec(StageSpec):
    """``kind = "mix"``."""

    repeats: ClassVar[bool] = True
    keeps_texts: ClassVar[bool] = True
    references: ClassVar[tuple[str, ...]] = ("inputs",)

    kind: Literal["mix"] = "mix"
    inputs: dict[str, Annotated[float, Field(gt=0)]] = Field(min_length=1)
    """dataset -> times that its rows are taken; of a part of one, as many rows by a hash"""
    columns: Literal["common", "all"] = "common"
    """columns that all inputs have, or those that any has, empty where an input lacks them"""

    def uses(self) -> tuple[Uses, ...]:
        """The rows of each."""
        return tuple(Uses(name, "rows", Channel.CONTENT) for name in self.inputs)

    def expected_rows(self, inputs: dict[str, int]) -> int | None:
        """The rows of each, times its repetitions."""
        return round(sum(inputs[name] * times for name, times in self.inputs.items()))

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the input at hand, repeated, with the columns of the mix."""
        schema = self._schema(ctx)
        times = self.inputs[ctx.current]
        start = 0
        for batch in records:
            copies = np.full(batch.num_rows, int(times))
            copies += _drawn(batch.column(ID), f"{ctx.seed}\n{ctx.current}") < times % 1
            rows = np.repeat(np.arange(batch.num_rows), copies)
            columns = [
                batch.column(name)
                if name in batch.schema.names and batch.schema.field(name).type == kind
                else pa.nulls(batch.num_rows, kind)
                for name, kind in zip(schema.names, schema.types, strict=True)
            ]
            table = pa.table(columns, schema=schema).take(pa.array(rows))
            yield one_batch(table.append_column(FROM, pa.array(start + rows, pa.int64())))
            start += batch.num_rows

    def _schema(self, ctx: StageContext) -> pa.Schema:
        """Return the columns of the mix.

        Raises:
            InputError: naming the columns whose types differ, or if there are none in common.
        """
        kinds: dict[str, dict[str, pa.DataType]] = {}
        for name in self.inputs:
            data = ctx.input(name)
            schema = pq.read_schema(data.path / data.manifest.shards[0].file)
            for column in user_columns(schema.names):
                kinds.setdefault(column, {})[name] = schema.field(column).type
        wanted = {
            column: self._types(column, types, ctx)
            for column, types in kinds.items()
            if self.columns == "all" or len(types) == len(self.inputs)
        }
        for column, found in wanted.items():
            if len(found) > 1:
                each = ", ".join(f"{kind} in {name}" for name, kind in kinds[column].items())
                msg = f"mix: column {column!r} is {each}; make them one type, or rename one"
                raise InputError(msg)
        if not wanted:
            each = "; ".join(
                f"{name}: {', '.join(c for c, types in kinds.items() if name in types)}"
                for name in self.inputs
            )
            msg = f"mix: its inputs have no column in common ({each}); set columns = 'all'"
            raise InputError(msg)
        return pa.schema([(column, *found) for column, found in wanted.items()])

    def _types(
        self, column: str, kinds: dict[str, pa.DataType], ctx: StageContext
    ) -> set[pa.DataType]:
        """Return the types of a column in the inputs; where it has no value it has no type."""
        found = set(kinds.values()) - {pa.null()}
        if len(found) > 1:
            found = {
                kind
                for name, kind in kinds.items()
                if not missing_in(ctx.input(name).column(column), blank=True).all()
            }
        return found or {next(iter(kinds.values()))}


def _drawn(ids: pa.Array, salt: str) -> np.ndarray:
    """Return a number in [0, 1) for each row, by its content, shape (rows,).

    An ``_id`` is part of a SHA-256, but a mix of a mix would meet only those that the first kept:
    the bits are mixed with the salt (the finaliser of splitmix64, Steele et al., OOPSLA 2014).
    """
    halves = np.frombuffer(ids.buffers()[1], "<u8").reshape(-1, 2)
    bits = halves[ids.offset : ids.offset + len(ids), 0].astype(np.uint64)
    bits += np.uint64(int(digest_bytes(salt.encode())[:16], 16))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    numbers: np.ndarray = (bits ^ (bits >> np.uint64(31))) / 2**64
    return numbers
