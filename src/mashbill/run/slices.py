"""Giving a streaming stage its input slice by slice; a slice becomes a shard.

Slices are handed to whoever does them (:class:`Doing`: here, in threads, in processes) on three
verbs, submit, wait and cancel, and may be done in any order; they are committed in theirs. Where a
stage asks a service, several are asked for at once, so that the stragglers of one hold up no other.
"""

from __future__ import annotations

import copy
import queue
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mashbill.core.dataset import Dataset
from mashbill.core.errors import InputError, LosingError
from mashbill.core.plain import counted
from mashbill.core.record import BILL
from mashbill.core.source import Purpose
from mashbill.run.contract import Contract
from mashbill.run.measuring import add_measures
from mashbill.run.wanting import Wanting
from mashbill.teachers.session import InOneSlice, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pyarrow as pa

    from mashbill.core.stage import StageContext, StageSpec
    from mashbill.core.teacher import TeacherSession
    from mashbill.core.verifier import VerifierSession
    from mashbill.run.stage_work import MadeSlice


@dataclass(frozen=True)
class Place:
    """What came of all slices before one."""

    kept: int
    """rows"""
    measures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Slice:
    """Some rows of one input."""

    number: int
    """of the shard that is made of it"""
    of: str
    """the input"""
    data: Dataset
    start: int
    """rows of all inputs before it"""
    count: int
    """its rows"""
    offset: int
    """what to add to a row's node to get its code"""
    first: int = 0
    """position of its first row in the input"""
    place: Place | None = None
    """what came of the slices before it, where it is told"""

    @cached_property
    def rows(self) -> pa.Table:
        """The rows, read when they are needed."""
        return self.data.read(self.first, self.first + self.count)

    @property
    def codes(self) -> np.ndarray:
        """Code of each row's node, shape (rows,)."""
        return np.asarray(self.rows.column(BILL)) + self.offset


def slices(
    inputs: Iterable[tuple[str, Dataset]],
    offsets: np.ndarray,
    rows: int,
    skip: Callable[[int], bool],
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
        # Another opening of the files, which lets each go once it is behind.
        own = Dataset(data.path, data.manifest, keeps_open=2)
        for first in range(0, own.num_rows, rows):
            if not skip(number):
                count = min(rows, own.num_rows - first)
                yield Slice(number, name, own, before + first, count, int(offset), first)
            number += 1
        before += own.num_rows


Done = tuple[int, "MadeSlice | BaseException"]
"""(number of the slice, what came of it)"""


class Doing(Protocol):
    """Who does slices. One thread submits and waits."""

    ahead: int
    """slices that are worth having submitted at once"""

    def submit(self, item: Slice) -> None:
        """Let a slice be done."""
        ...

    def wait(self) -> Done:
        """Return the next that is done, in whichever order; one was submitted and not returned."""
        ...

    def cancel(self) -> None:
        """Let nothing more be begun; what is submitted and not returned is given up."""
        ...


class Here:
    """Does slices in this thread, one after the other."""

    ahead = 1

    def __init__(self, make: Callable[[Slice], MadeSlice]) -> None:
        self._make = make
        self._items: deque[Slice] = deque()

    def submit(self, item: Slice) -> None:
        """Keep a slice for :meth:`wait`."""
        self._items.append(item)

    def wait(self) -> Done:
        """Do the first that was submitted; what goes wrong is raised at once."""
        item = self._items.popleft()
        return item.number, self._make(item)

    def cancel(self) -> None:
        """Forget what was submitted."""
        self._items.clear()


class Threads:
    """Does slices in threads: for stages that wait for services."""

    def __init__(self, make: Callable[[Slice], MadeSlice], ahead: int) -> None:
        self.ahead = ahead
        self._make = make
        self._is_over = False
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._pool = ThreadPoolExecutor(ahead, thread_name_prefix="slice")

    def submit(self, item: Slice) -> None:
        """Let a thread do a slice."""

        def work() -> None:
            try:
                made = self._make(item)
            except BaseException as error:  # noqa: BLE001 - raised where its turn comes
                self._done.put((item.number, error))
                return
            if self._is_over:
                made.shard.discard()
            self._done.put((item.number, made))

        self._pool.submit(work)

    def wait(self) -> Done:
        """Return the next that is done."""
        return self._done.get()

    def cancel(self) -> None:
        """Let no thread begin another slice; those that are at one end by themselves."""
        self._is_over = True
        self._pool.shutdown(wait=False, cancel_futures=True)


def run_slices(
    spec: StageSpec,
    context: StageContext,
    todo: Iterator[Slice],
    doing: Doing,
    commit: Callable[[Slice, MadeSlice], int],
    *,
    goes_ahead: bool,
    interrupt: Callable[[], None],
) -> None:
    """Run a stage over slices and commit each in order.

    No slice knows of another: what it measures is its own, and is put together here, in order.
    A stage that wants so many rows (``spec.wanted``) goes ahead with slices that are needed whole
    at the rate so far; the one that decides is done again with the true count.

    Args:
        spec: the stage.
        context: gets what the slices measured, and the rows kept so far.
        todo: the slices.
        doing: who does them.
        commit: commits what a slice gave, and returns the rows kept so far.
        goes_ahead: whether a slice of a stage that wants so many rows may be done before it is
            known how many there are; else each is told.
        interrupt: told to let nothing more be asked, when a slice failed or the run was stopped.
    """
    turns = _Turns(doing)
    wanting: Wanting | None = None

    def counted(item: Slice) -> Slice:
        return replace(item, place=Place(context.kept, copy.deepcopy(context.measures)))

    def take() -> bool:
        """Commit the first that waits; return whether there are enough rows."""
        item, made = turns.first()
        if wanting is not None and item.place is None and wanting.is_decided_by(made.rows):
            made.shard.discard()
            turns.give_up()
            turns.submit(counted(item))
            item, made = turns.first()
        context.kept = commit(item, made)
        add_measures(context.measures, made.measures)
        context.overall |= made.overall
        if wanting is None:
            return False
        wanting.came(item.count, context.kept)
        return wanting.is_over

    try:
        for item in todo:
            if wanting is None and spec.wanted is not None:
                # With what is committed already.
                wanting = Wanting(spec.wanted, context.kept, goes_ahead=goes_ahead)
            while wanting and turns.waiting and not wanting.goes_ahead(turns.rows + item.count):
                if take():
                    return
            alone = wanting is not None and not wanting.goes_ahead(item.count)
            turns.submit(counted(item) if alone else item)
            if (alone or len(turns.waiting) >= doing.ahead) and take():
                return
        while turns.waiting:
            if take():
                return
    except BaseException as error:
        # What is in flight was looked at already where first answers are no good.
        if not isinstance(error, LosingError):
            interrupt()
        raise
    finally:
        doing.cancel()


class _Turns:
    """Slices that were submitted, in order."""

    def __init__(self, doing: Doing) -> None:
        self._doing = doing
        self.waiting: deque[Slice] = deque()
        self._done: dict[int, MadeSlice | BaseException] = {}

    @property
    def rows(self) -> int:
        """Rows of the input that they have."""
        return sum(item.count for item in self.waiting)

    def submit(self, item: Slice) -> None:
        self.waiting.append(item)
        self._doing.submit(item)

    def first(self) -> tuple[Slice, MadeSlice]:
        """Return the first, once it is done.

        Raises:
            MashbillError: what went wrong in it.
        """
        item = self.waiting.popleft()
        while item.number not in self._done:
            number, made = self._doing.wait()
            self._done[number] = made
        came = self._done.pop(item.number)
        if isinstance(came, BaseException):
            raise came
        return item, came

    def give_up(self) -> None:
        """Wait for those that are submitted, and forget them."""
        while self.waiting:
            item = self.waiting.popleft()
            while item.number not in self._done:
                number, made = self._doing.wait()
                self._done[number] = made
        for made in self._done.values():
            if not isinstance(made, BaseException):
                made.shard.discard()
        self._done.clear()


def context_of(context: StageContext, item: Slice) -> StageContext:
    """Return the context of one slice: what it measures is its own."""
    place = item.place or Place(0)
    asked: dict[str, TeacherSession] = {}

    def teacher(name: str) -> TeacherSession:
        if name not in asked:
            session = context.teacher(name)
            asked[name] = InOneSlice(session) if isinstance(session, Session) else session
        return asked[name]

    def verifier(name: str) -> VerifierSession:
        return context.verifier(name).asking(teacher)

    return replace(
        context, current=item.of, first=item.first, measures={}, overall={}, before=place.measures,
        kept=place.kept, teacher=teacher, verifier=verifier,
        teacher_apart=context.teacher,
    )  # fmt: skip


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
        InputError: saying how many are lacking, and of what was bought that it is in the journal.
    """
    if spec.wanted is not None and kept < spec.wanted:
        asked = [use.purpose for use in spec.uses() if use.is_teacher]
        writes = any(purpose is not Purpose.VERIFYING for purpose in asked)
        msg = (
            f"stages.{name}: {counted(kept, 'row')} {'was' if kept == 1 else 'were'} accepted and "
            f"{spec.wanted:,} {'is' if spec.wanted == 1 else 'are'} wanted, and "
            f"{'the prompts are used up' if writes else 'all its rows were looked at'}; give it "
            f"more {'prompts or samples' if writes else 'rows'}, or loosen its conditions"
        )
        if asked:
            msg += ". What was bought is in the journal, and is not bought again"
        raise InputError(msg)
