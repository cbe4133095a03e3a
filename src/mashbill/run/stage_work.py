"""The work of one stage that streams, as a value: what a process needs to do a slice of it.

Whoever does a slice writes its shard's files under temporary names and hands back what is to be
committed. Which process did it, and in which order, is not to be seen in what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.core.errors import StoreError
from mashbill.core.record import BILL, FROM
from mashbill.run.measuring import settle_measures
from mashbill.run.shards import Prepared, prepare
from mashbill.run.slices import context_of, run_slice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mashbill.core.stage import StageContext, StageSpec
    from mashbill.run.slices import Slice


@dataclass(frozen=True)
class Nodes:
    """Which node each row gets, known before the first slice: all have their numbers by then."""

    numbers: np.ndarray
    """of the node of a row that is made of one with this code, shape (codes,)"""
    digests: tuple[str, ...]
    """by number"""
    json_columns: Mapping[str, pa.DataType]
    """columns whose cells are JSON, from the inputs"""


@dataclass(frozen=True)
class MadeSlice:
    """A slice that is done: its shard is written, and only has to be committed."""

    shard: Prepared
    rows: int
    """that were kept"""
    measures: dict[str, Any] = field(default_factory=dict)
    overall: dict[str, Any] = field(default_factory=dict)


class GivenUp(Exception):  # noqa: N818 - no error: nobody sees it
    """A slice was done that nobody waits for any more; nothing of it is written."""


def make_slice(
    spec: StageSpec,
    item: Slice,
    context: StageContext,
    nodes: Nodes,
    folder: Path,
    is_wanted: Callable[[], bool] = lambda: True,
) -> MadeSlice:
    """Run a stage over a slice and write what comes of it.

    Args:
        spec: the stage.
        item: the slice.
        context: of the stage; what this slice measures is its own.
        nodes: which node each row gets.
        folder: of the artifact.
        is_wanted: asked before anything is written.

    Raises:
        GivenUp: if it is not wanted any more.
        InputError: as the stage raises it, with the rows that it is about.
        CanonicalError: naming stage and measure, if one cannot be kept.
    """
    own = context_of(context, item)
    out = run_slice(spec, item, own)
    if not is_wanted():
        raise GivenUp
    settle_measures(own, context.name)
    table = None
    if out:
        table = pa.Table.from_batches(out)
        at = table.schema.get_field_index(FROM)
        positions = table.column(FROM).combine_chunks()
        if pa.types.is_list(positions.type):
            msg = f"stage kind {spec.kind!r} streams, so a row may not come from several"
            raise StoreError(msg)
        bills = nodes.numbers[item.codes[np.asarray(positions)]]
        table = table.set_column(at, FROM, pc.add(positions, item.start))
        table = table.append_column(BILL, pa.array(bills, pa.int32()))
    shard = prepare(item.number, table, folder, nodes.digests, nodes.json_columns)
    return MadeSlice(shard, shard.rows, own.measures, own.overall)
