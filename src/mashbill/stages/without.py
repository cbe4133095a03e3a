"""``without``: keep the rows that do not rest on the sources named; the rest are rejected.

It stands here and not among the stages because it reads nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import model_validator

from mashbill.core.record import BILL, FROM, REASON, REJECTED_BY, user_columns
from mashbill.core.source import Channel, Source
from mashbill.core.stage import StageSpec, Uses
from mashbill.core.store import NODES
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.nodes import committed_nodes
from mashbill.lineage.whatif.removal import Selector, touch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.stage import StageContext


class WithoutSpec(StageSpec):
    """``kind = "without"``."""

    keeps_columns: ClassVar[bool] = True
    kind: Literal["without"] = "without"
    input: str
    """dataset to keep rows of"""
    without: Selector
    """which sources: any of source, provider, country, kind, license, terms"""
    unknown: Literal["keep", "reject"] = "keep"
    """what to do with rows of unknown origin, which may rest on them"""

    @model_validator(mode="after")
    def _names_something(self) -> WithoutSpec:
        if not str(self.without):
            msg = "without names no source; give at least one of source, provider, country, ..."
            raise ValueError(msg)
        return self

    def uses(self) -> tuple[Uses, ...]:
        """The rows."""
        return (Uses(self.input, "rows", Channel.CONTENT),)

    def drops(self, source: Source) -> bool:
        """Those named."""
        return self.without.holds(source)

    def run(self, records: Iterator[pa.RecordBatch], ctx: StageContext) -> Iterator[pa.RecordBatch]:
        """Yield all rows, those that rest on the sources marked as rejected."""
        data = ctx.input(self.input)
        circuit = Circuit.read(data.path / NODES, committed_nodes(data.path, data.manifest))
        result = touch(circuit, self.without)
        drop = result.numbers | result.maybe if self.unknown == "reject" else result.numbers
        start = 0
        for batch in records:
            rows = batch.select(user_columns(batch.schema.names))
            bills = np.asarray(batch.column(BILL))
            gone = pa.array(drop[bills])
            positions = pa.array(np.arange(start, start + batch.num_rows), pa.int64())
            why = f"rests on {self.without}"
            marks = [
                pa.array([text if out.as_py() else None for out in gone], pa.string())
                for text in ("without", why)
            ]
            yield pa.RecordBatch.from_arrays(
                [*rows.columns, positions, *marks],
                [*rows.schema.names, FROM, REJECTED_BY, REASON],
            )
            start += batch.num_rows
