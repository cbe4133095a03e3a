"""Giving a streaming stage its input slice by slice; a slice becomes a shard.

Where the stage asks a service, several slices are asked for at once, each from a thread of its
own, so that the stragglers of one hold up no other. They are committed in order all the same.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.errors import InputError, LosingError
from mashbill.core.record import BILL
from mashbill.run.contract import Contract
from mashbill.run.measuring import add_measures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext, StageSpec


@dataclass(frozen=True)
class Slice:
    """Some rows of one input."""

    number: int
    """of the shard that is made of it"""
    of: str
    """the input"""
    start: int
    """rows of all inputs before it"""
    rows: pa.Table
    offset: int
    """what to add to a row's node to get its code"""
    first: int = 0
    """position of its first row in the input"""

    @property
    def codes(self) -> np.ndarray:
        """Code of each row's node, shape (rows,)."""
        return np.asarray(self.rows.column(BILL)) + self.offset


def slices(
    inputs: list[tuple[str, Dataset]], offsets: np.ndarray, rows: int, skip: Callable[[int], bool]
) -> Iterator[Slice]:
    """Yield the slices of all inputs, one behind the other, that are not made yet.

    Args:
        inputs: (name, dataset), in order.
        offsets: of each input's codes.
        rows: of a slice.
        skip: whether the shard of a number is made already.
    """
    number = before = 0
    for (name, data), offset in zip(inputs, offsets, strict=False):
        for start, piece in data.chunks(rows):
            if not skip(number):
                yield Slice(number, name, before + start, piece, int(offset), start)
            number += 1
        before += data.num_rows


def run_slices(
    spec: StageSpec,
    context: StageContext,
    todo: Iterator[Slice],
    settle: Callable[[Slice, list[pa.RecordBatch], StageContext], int],
    *,
    ahead: int,
    interrupt: Callable[[], None],
) -> None:
    """Run a stage over slices and settle each in order.

    No slice knows of another: each has a context of its own, and what it measures is its own.

    Args:
        spec: the stage.
        context: its context; what slices measure is put together there, in order.
        todo: the slices.
        settle: commits what a slice gave, with its context, and returns the rows kept so far.
        ahead: slices at once; 1 runs them here, one after the other.
        interrupt: told to let nothing more be asked, when a slice failed or the run was stopped.
    """

    def take(item: Slice, out: list[pa.RecordBatch], own: StageContext) -> None:
        kept = settle(item, out, own)
        add_measures(context.measures, own.measures)
        context.kept = kept

    if ahead == 1:
        for item in todo:
            own = context_of(context, item)
            take(item, run_slice(spec, item, own), own)
            if spec.wanted is not None and context.kept >= spec.wanted:
                return
        return

    def work(item: Slice) -> tuple[list[pa.RecordBatch], StageContext]:
        own = replace(context_of(context, item), before={})
        return run_slice(spec, item, own), own

    pending: deque[tuple[Slice, Future[tuple[list[pa.RecordBatch], StageContext]]]] = deque()
    for use in spec.uses():
        if use.is_teacher:
            context.teacher(use.name)  # one session each, made before threads could make two
    with ThreadPoolExecutor(ahead, thread_name_prefix="slice") as pool:
        try:
            for item in todo:
                pending.append((item, pool.submit(work, item)))
                if len(pending) > ahead:
                    first, future = pending.popleft()
                    take(first, *future.result())
            while pending:
                first, future = pending.popleft()
                take(first, *future.result())
        except BaseException as error:
            # What is in flight was looked at already where first answers are no good.
            if not isinstance(error, LosingError):
                interrupt()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def context_of(context: StageContext, item: Slice) -> StageContext:
    """Return the context of one slice: what it measures is its own."""
    return replace(context, current=item.of, measures={}, before=context.measures)


def run_slice(spec: StageSpec, item: Slice, context: StageContext) -> list[pa.RecordBatch]:
    """Run a stage over a slice.

    Raises:
        InputError: as the stage raises it; rows are counted within the slice, so it says where
            that begins.
    """
    try:
        made = spec.run(iter(item.rows.to_batches()), context)
        contract = Contract(context.name, spec)
        return list(contract.held(made, item.rows.num_rows, item.first))
    except InputError as error:
        if not item.first:
            raise
        msg = f"{error} (rows counted from row {item.first} of {item.of})"
        raise InputError(msg) from error


def check_wanted(spec: StageSpec, name: str, kept: int) -> None:
    """Refuse to finish a stage that has fewer rows than it is to have.

    Raises:
        InputError: saying how many are lacking; all that was bought is in the journal.
    """
    if spec.wanted is not None and kept < spec.wanted:
        msg = (
            f"stages.{name}: {kept:,} rows were accepted and {spec.wanted:,} are wanted, and the "
            "prompts are used up; give it more prompts or samples, or loosen its conditions. What "
            "was bought is in the journal, and is not bought again"
        )
        raise InputError(msg)
