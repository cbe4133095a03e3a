"""Holding the rows of a stage that asked a teacher against the answers that the journal has.

Its prompt is not in the store, so such rows cannot be made again. But each names the call that it
rests on, and the journal has that call's answer: where a stage can say which row follows from an
answer (:class:`SaysAgain`), a row that says else is found. So is one whose kept columns are not
those of the row that it came from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mashbill.calls.journal import Journal
from mashbill.core.artifact import ArtifactRef
from mashbill.core.plain import counted
from mashbill.core.record import CALL, FROM, user_columns
from mashbill.core.rowbytes import digests
from mashbill.core.store import MANIFEST
from mashbill.core.tables import read_parquet
from mashbill.teachers.weighing import ended, unweighed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store
    from mashbill.core.teacher import Answer
    from mashbill.lineage.evidence.finding import Rederived


@runtime_checkable
class SaysAgain(Protocol):
    """A stage that can say which of its rows do not follow from the answers that they rest on."""

    def denied(
        self,
        rows: pa.Table,
        answers: Sequence[Answer | None],
        choices: tuple[str, ...],
        measures: Mapping[str, Any],
    ) -> np.ndarray | None:
        """Return which rows their answers speak against, shape (rows,); None if it cannot say.

        Args:
            rows: as they were committed, kept or rejected.
            answers: of the call that each rests on; None where it rests on none.
            choices: that these calls put, in the order of their log-probabilities; empty if none.
            measures: what the stage measured.
        """
        ...


@runtime_checkable
class TakesOver(Protocol):
    """A stage that gives rows columns of the row of its one input that they came from."""

    def taken_over(self, columns: Sequence[str]) -> dict[str, str]:
        """Return its column -> the input's, of those that it takes over as they are.

        Args:
            columns: of the input, the user's.
        """
        ...


@runtime_checkable
class MeasuresAgain(Protocol):
    """A stage one of whose measures follows from the answers to some rows of its one input."""

    def measured_over(self, data: Dataset) -> np.ndarray:
        """Return these rows, by position."""
        ...

    def measured_else(
        self, answers: Sequence[Answer | None], choices: Sequence[str], measures: Mapping[str, Any]
    ) -> str:
        """Say what the answers to these rows speak against; empty if nothing.

        Args:
            answers: those that there are; None of a row that was not asked about.
            choices: that these calls put, in the order of their log-probabilities.
            measures: what the stage measured.
        """
        ...


def _measured_again(
    spec: MeasuresAgain, manifest: Manifest, store: Store, journal: Journal, found: Rederived
) -> None:
    """Compare a measure with the answers that it was taken from, where all of them are there."""
    data = store.dataset(ArtifactRef.parse(_rows_input(manifest)))
    wanted = set(spec.measured_over(data).tolist()) if data.num_rows else set()
    calls: dict[int, str] = {}
    for shard in (*manifest.shards, *manifest.rejected):
        path = store.folder(manifest.kind, manifest.ref) / shard.file
        rows = read_parquet(path, path)
        if CALL not in rows.column_names:
            continue
        pairs = zip(rows.column(FROM).to_pylist(), rows.column(CALL).to_pylist(), strict=True)
        calls |= {at: call.hex() if call else "" for at, call in pairs if at in wanted}
    named = {call for call in calls.values() if call}
    if calls.keys() != wanted or named - _answers(journal, named).keys():
        return  # a row that is not there, or an answer, was told of already
    # What was measured over them was asked at once: of a teacher in this process, a sitting.
    together = journal.here.together(named)
    calls = {at: together.get(call, call) for at, call in calls.items()}
    named = {call for call in calls.values() if call}
    have = _answers(journal, named)
    if not have:
        return
    if named - have.keys():
        found.not_derived.append(
            "the answers that its measures were taken from are not in the journal"
        )
        return
    asked = journal.call(next(iter(have)))
    what = spec.measured_else(
        [have.get(calls[at]) for at in sorted(calls)],
        asked.choices if asked is not None else (),
        manifest.measures,
    )
    if what:
        found.wrong.append((MANIFEST, f"{what:.400}"))


def _rows_input(manifest: Manifest) -> str:
    (name,) = [item.name for item in manifest.inputs if item.role == "rows"]
    return name


def hold_to_answers(spec: StageSpec, manifest: Manifest, store: Store, found: Rederived) -> None:
    """Compare the rows of a stage with the answers that they rest on, and the rows they are of."""
    journal = Journal.of(store)
    absent = 0
    said = False
    try:
        for shard in (*manifest.shards, *manifest.rejected):
            path = store.folder(manifest.kind, manifest.ref) / shard.file
            rows = read_parquet(path, path)
            if isinstance(spec, TakesOver):
                _told(found, shard.file, _changed(spec, rows, manifest, store), _OTHER_ROWS)
            if shard not in manifest.shards or not rows.num_rows:
                continue
            if not isinstance(spec, SaysAgain) or not _can_say(spec):
                continue
            if many := _on_no_call(spec, rows):
                rest = "rests" if many == 1 else "rest"
                what = f"{counted(many, 'row')} of a stage that asks a teacher {rest} on no call"
                found.wrong.append((shard.file, what))
                continue
            if journal is None:
                continue
            calls = [call.hex() if call else "" for call in rows.column(CALL).to_pylist()]
            have = _answers(journal, set(calls) - {""})
            known = np.array([not call or call in have for call in calls], bool)
            absent += int((~known).sum())
            asked = journal.call(next(iter(have))) if have else None
            denied = spec.denied(
                rows,
                [have.get(call) for call in calls],
                asked.choices if asked is not None else (),
                manifest.measures,
            )
            if denied is not None:
                said = True
                found.rows += int(known.sum())
                _told(found, shard.file, denied & known, _OTHER_ANSWERS)
        if journal is not None and isinstance(spec, MeasuresAgain) and not found.wrong:
            _measured_again(spec, manifest, store, journal, found)
    finally:
        if journal is not None:
            journal.close()
    if absent:
        found.not_derived.append(f"{absent:,} of its rows rest on answers that were pruned")
    if said:
        found.not_derived.append(
            "what its teacher was asked was not put together again: its rows were held against the "
            "answers in the journal"
        )
    else:
        found.not_derived.append(
            "its rows are what a teacher answered: its calls were compared with the journal"
        )


_OTHER_ANSWERS = "not as the answers in the journal say"
_OTHER_ROWS = "not as the rows of the input are"


def _can_say(spec: StageSpec) -> bool:
    """Return whether each row rests on one answer: not where a verifier makes one of several."""
    return not _by_verifier(spec) or bool(getattr(spec, "rests_on_one_answer", False))


def _by_verifier(spec: StageSpec) -> bool:
    return any(use.is_verifier for use in spec.uses())


def _on_no_call(spec: StageSpec, rows: pa.Table) -> int:
    """Return how many rows name no call and should; one without a score may rest on none."""
    if CALL not in rows.column_names:
        return int(rows.num_rows)
    none = np.asarray(pc.is_null(rows.column(CALL)), bool)
    if _by_verifier(spec) and "score" in rows.column_names:
        none &= np.asarray(pc.is_valid(rows.column("score")), bool)
    return int(none.sum())


def _told(found: Rederived, file: str, wrong: np.ndarray | None, why: str) -> None:
    if wrong is not None and wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        many = int(wrong.sum())
        told = f"row {row} is" if many == 1 else f"{many:,} rows, the first of them row {row}, are"
        what = f"{told} {why}"
        found.wrong.append((file, what))


def _answers(journal: Journal, calls: set[str]) -> dict[str, Answer]:
    """Return the answer of each call, as a stage was given it."""
    bought = {
        call: unweighed(ended(answer)) if answer.logprobs else answer
        for call, answer in journal.answered(calls).items()
    }
    return journal.answers(calls - bought.keys()) | bought


def _changed(
    spec: TakesOver, rows: pa.Table, manifest: Manifest, store: Store
) -> np.ndarray | None:
    """Return which rows have other columns than the row that each came from."""
    data = store.dataset(ArtifactRef.parse(_rows_input(manifest)))
    positions = np.asarray(rows.column(FROM))
    if not len(positions) or not 0 <= positions.min() <= positions.max() < data.num_rows:
        return None  # found already
    over = spec.taken_over(user_columns(data.columns))
    taken = {
        new: old for new, old in over.items() if new in rows.column_names and old in data.columns
    }
    lacking = [new for new, old in over.items() if old in data.columns and new not in taken]
    if lacking:
        return np.ones(len(positions), bool)
    low = int(positions.min())
    there = data.read(low, int(positions.max()) + 1, list(dict.fromkeys(taken.values())))
    were = there.take(pa.array(positions - low))
    differ = np.zeros(len(positions), bool)
    for new, old in taken.items():
        one, two = (_plain(table.column(name)) for table, name in ((rows, new), (were, old)))
        differ |= np.array(
            [a != b for a, b in zip(digests({"": one}), digests({"": two}), strict=True)]
        )
    return differ


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with an empty text where a text is missing: some stages write it so."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return pc.fill_null(column, "") if is_text else column
