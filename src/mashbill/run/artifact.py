"""Making one artifact: shards of a dataset, committed one by one; a model is in ``trained``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.artifact import FileDigest
from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import InputError
from mashbill.core.reasons import rejections
from mashbill.core.record import (
    BILL,
    CALL,
    FROM,
    REASON,
    REJECTED_BY,
    one_batch,
    user_columns,
)
from mashbill.core.removals import STAY
from mashbill.core.store import NODES, write_atomically
from mashbill.files.rows.cells import Cells
from mashbill.lineage.circuit.composer import Composer, close_dataset
from mashbill.lineage.circuit.declared import row_nodes
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.run.contract import Contract
from mashbill.run.opening import ENOUGH, Piece
from mashbill.run.shards import Prepared, ShardWriter, measured_before
from mashbill.run.slices import Slice, check_wanted, run_slices, slices
from mashbill.run.stage_work import MadeSlice, Nodes
from mashbill.run.task import Task
from mashbill.stages.reading import ReadsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageSpec


_READ_ROWS = 1 << 16
_SHARD_BYTES = 64 << 20
"""of rows that wait: books fill a shard before their number does, and a column holds 2 GiB"""


def make_dataset(task: Task) -> dict[str, Any]:
    """Run a stage, shard by shard from the first that is missing; return the manifest's parts."""
    folder = task.store.folder("dataset", task.ref)
    done = committed_shards(task)
    if task.spec.streams:
        measured_before(done, task.context)
    composer = row_nodes(task.recipe, task.name, task.tables)
    table = composer.table
    writer = ShardWriter(task, folder, table, done)
    if task.spec.streams:
        _run_sliced(task, writer, composer)
    else:
        _run_whole(task, writer, composer)
    if not any(shard.rows for shard in writer.kept):
        msg = (
            f"stages.{task.name}: none of its rows is left, so nothing could follow"
            f"{_commonest_reason(folder, writer)}; {_cure(task.spec)}"
        )
        raise InputError(msg)
    close_dataset(table, str(task.ref))
    return {
        "kind": "dataset",
        "shards": tuple(writer.kept),
        "rejected": tuple(writer.rejected),
        "rows": sum(shard.rows for shard in writer.kept),
        "rejected_rows": sum(shard.rows for shard in writer.rejected),
        "tokens": sum(table.tokens),
        **write_nodes(task, folder, table),
    }


def _commonest_reason(folder: Path, writer: ShardWriter) -> str:
    """Say why most rows were rejected."""
    reasons = rejections(folder, writer.rejected)
    if not reasons.rows:
        return ""
    first, *others = reasons.commonest()
    told = "; ".join([first.reason, *map(str, others)])
    return f" ({first.rows:,} of {reasons.rows:,} were rejected with: {told})"


def write_nodes(task: Task, folder: Path, table: NodeTable) -> dict[str, Any]:
    """Write the nodes of an artifact; return what its manifest says of them.

    Those of what was removed are there, and have to be the same.
    """
    again = task.again
    if again is not None:
        if (table.digest, table.root) != (again.nodes_digest, again.bill):
            raise task.differs("its lineage comes out")
        return {"nodes": again.nodes, "nodes_digest": again.nodes_digest, "bill": again.bill}
    data = table.to_parquet()
    write_atomically(folder / NODES, data)
    return {
        "nodes": FileDigest(file=NODES, sha256=digest_bytes(data)),
        "nodes_digest": table.digest,
        "bill": table.root,
    }


def committed_shards(task: Task) -> dict[int, dict[str, Any]]:
    """Return the shards of this artifact that are committed, and clear away everything else.

    What was committed under another fingerprint is given up on record; files that no entry speaks
    of, left by a run that was killed, are removed.
    """
    live: dict[int, dict[str, Any]] = {}
    stale = False
    for entry in task.store.ledger.accepted:
        if entry.predicate.get("artifact") != str(task.ref):
            continue
        if entry.event == "abandon":
            live, stale = {}, False
        elif entry.event in {"shard", "commit"}:
            if entry.predicate["fingerprint"] != task.fingerprint:
                stale = True
            elif entry.event == "shard":
                live[entry.predicate["number"]] = entry.predicate
    if stale:
        live = {}
        task.store.ledger.append(
            "abandon",
            artifact=str(task.ref),
            reason="the recipe changed before this artifact was finished",
        )
    keep = {name for shard in live.values() for name in shard["shards"]}
    folder = task.store.folder(task.spec.output, task.ref)
    if task.again is not None:
        keep |= {task.store.relative(folder / name) for name in STAY}
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if task.store.relative(path) not in keep:
            path.unlink()
    return live


def _rows_inputs(task: Task) -> list[str]:
    return [use.name for use in task.spec.uses() if use.role == "rows"]


def _run_sliced(task: Task, writer: ShardWriter, composer: Composer) -> None:
    """Give the stage one slice of an input at a time; a slice is a shard."""
    inputs = [(name, task.context.input(name)) for name in _rows_inputs(task)]
    total = sum(data.num_rows for _, data in inputs)
    # Every node gets its number beforehand, so that a resumed run gives the same ones.
    numbers = composer.one_each(np.arange(int(composer.offsets[-1])))
    nodes = Nodes(numbers, tuple(composer.table.numbered), writer.json_columns)

    def kept() -> int:
        return sum(shard.rows for shard in writer.kept)

    def skip(number: int) -> bool:
        made = writer.has(number)
        task.context.kept = kept()
        # What is wanted may be there already, in shards of a run that was cut off.
        return made or _has_enough(task)

    def commit(item: Slice, made: MadeSlice) -> int:
        writer.commit(made.shard, {"measures": made.measures, "overall": made.overall})
        task.context.progress(item.start + item.count, total, "")
        if task.opening is not None and task.opening.is_open:
            task.opening.see(_first_answers(writer, made.shard), total - item.start - item.count)
        return kept()

    todo = slices(inputs, composer.offsets, task.spec.shard_rows, skip)
    run_slices(
        task.spec,
        task.context,
        _opened(task, writer, todo, total),
        task.doing(nodes, writer.folder),
        commit,
        goes_ahead=task.goes_ahead,
        interrupt=task.interrupt,
    )
    check_wanted(task.spec, task.name, kept())


def _first_answers(writer: ShardWriter, made: Prepared) -> Iterator[pa.RecordBatch]:
    """Yield what a stage's first shard says of the calls that it rests on."""
    for part in made.parts:
        path = writer.folder / part.name
        names = [n for n in (CALL, REJECTED_BY, REASON) if n in pq.read_schema(path).names]
        yield from pq.read_table(path, columns=names).to_batches()


def _opened(task: Task, writer: ShardWriter, todo: Iterator[Slice], total: int) -> Iterator[Slice]:
    """Yield slices; the first only once what comes back for them was looked at."""
    opening = task.opening
    if opening is None:
        yield from todo
        return
    held: list[Slice] = []
    pieces: list[Piece] = []
    for item in todo:
        if opening.is_open:
            held.append(item)
            pieces.append(Piece(item.of, item.rows.to_batches()))
            if sum(map(opening.candidates, pieces)) < ENOUGH and opening.tries:
                continue
            opening.recall(writer.folder, writer.kept, writer.rejected)
            opening.look(pieces, total - held[0].start)
            yield from held
            held, pieces = [], []
        else:
            yield item
    if held:
        opening.recall(writer.folder, writer.kept, writer.rejected)
        opening.look(pieces, total - held[0].start)
        yield from held


def _cure(spec: StageSpec) -> str:
    """Return what to do where a stage turned every row down."""
    if not spec.uses():
        return "correct the file, or what the recipe says of its columns"
    needs_gold = getattr(spec, "gold", None) == "require"
    hint = " (gold = 'require' needs rows with human labels)" if needs_gold else ""
    return f"loosen its conditions, or give it other rows{hint}"


def _has_enough(task: Task) -> bool:
    wanted = task.spec.wanted
    return wanted is not None and task.context.kept >= wanted


def _run_whole(task: Task, writer: ShardWriter, composer: Composer) -> None:
    """Give the stage all of its input; what it yields is cut into shards."""
    inputs = [task.context.input(name) for name in _rows_inputs(task)]
    codes = _codes(task, inputs, composer) if inputs else None
    batches = _batches_of(inputs[0]) if inputs else iter(())
    if inputs and task.opening is not None and task.spec.heeds_trial:
        found = list(batches)
        task.opening.look([Piece(inputs[0].manifest.name, found)], inputs[0].num_rows)
        batches = iter(found)
    waiting: list[pa.Table] = []
    number = done = origins = held = 0
    rows = sum(data.num_rows for data in inputs) if inputs else None
    contract = Contract(task.name, task.spec)
    task.context.committed = writer.committed
    for batch in contract.held(task.spec.run(batches, task.context), rows):
        # Origins come with the first row that has one; each is numbered once, in that order.
        for parts in task.context.origins[origins:]:
            made = [(channel.value, composer.table.add_source(leaf)) for channel, leaf in parts]
            composer.table.number(composer.table.add_made(made))
        origins = len(task.context.origins)
        if not inputs and not isinstance(task.spec, ReadsFiles):
            # A plugin's first stage shows nothing of what it reads: what it yields is looked at.
            columns = {n: Cells.of_arrow(batch.column(n)) for n in user_columns(batch.schema.names)}
            task.context.look.see(columns, batch.num_rows)
        table = _placed([batch], composer, codes)
        if table is None:
            continue
        waiting.append(table)
        held += table.nbytes
        done += batch.num_rows
        task.context.progress(done, 0, "")
        if sum(item.num_rows for item in waiting) >= task.spec.shard_rows:
            number, waiting = _write_full(task, writer, number, pa.concat_tables(waiting))
            held = sum(item.nbytes for item in waiting)
        elif held > _SHARD_BYTES:
            writer.write(number, pa.concat_tables(waiting), task.context)
            number, waiting, held = number + 1, [], 0
    left = pa.concat_tables(waiting) if waiting else None
    if left is not None and (left.num_rows or not number):
        writer.write(number, left, task.context)


def _write_full(
    task: Task, writer: ShardWriter, number: int, table: pa.Table
) -> tuple[int, list[pa.Table]]:
    """Write the whole shards that there are; return the next number, and the rows left."""
    size = task.spec.shard_rows
    full = table.num_rows // size
    for place in range(full):
        writer.write(number + place, table.slice(place * size, size), task.context)
    left = table.slice(full * size)
    # What is kept is copied, so that the rows that were written need not be.
    return number + full, [left.take(pa.array(np.arange(left.num_rows)))]


def _batches_of(data: Dataset) -> Iterator[pa.RecordBatch]:
    """Yield all rows of an input in order; one empty batch if there are none."""
    if not data.num_rows:
        yield one_batch(data.read(0, 0))
    for _, piece in data.chunks(_READ_ROWS):
        yield one_batch(piece)


def _codes(task: Task, inputs: list[Dataset], composer: Composer) -> np.ndarray:
    """Return the code of each row's node over all inputs, shape (rows,), on disk: it grows."""
    total = sum(data.num_rows for data in inputs)
    if not total:
        return np.empty(0, np.int32)
    codes = np.lib.format.open_memmap(
        task.context.work / "codes.npy", "w+", dtype=np.int32, shape=(total,)
    )
    begin = 0
    for data, offset in zip(inputs, composer.offsets, strict=False):
        for start, piece in data.chunks(_READ_ROWS, [BILL]):
            bills = np.asarray(piece.column(BILL)) + offset
            codes[begin + start : begin + start + len(bills)] = bills
        begin += data.num_rows
    return codes


def _placed(
    out: list[pa.RecordBatch],
    composer: Composer,
    codes: np.ndarray | None,
) -> pa.Table | None:
    """Return output rows with the number of their node, and ``_from`` in their dataset.

    Args:
        out: what the stage yielded.
        composer: gives nodes.
        codes: of each row that ``_from`` may name, shape (rows,); None for a first stage.
    """
    if not out:
        return None
    table = pa.Table.from_batches(out)
    if codes is None:
        return table
    positions = table.column(FROM).combine_chunks()
    if pa.types.is_list(positions.type):
        ends = np.asarray(positions.offsets)
        flat = np.asarray(positions.flatten())
        bills = composer.several_each(codes[flat], ends[1:] - ends[0])
    else:
        bills = composer.one_each(codes[np.asarray(positions)])
    return table.append_column(BILL, pa.array(bills, pa.int32()))
