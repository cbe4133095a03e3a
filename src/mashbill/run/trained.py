"""Making a model: its files, what it measured as it was trained, and what it learned from."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.artifact import FileDigest
from mashbill.core.canonical import digest
from mashbill.core.curves import CURVES
from mashbill.core.errors import StoreError
from mashbill.core.learning import Learned, RowSizes, learned_table, set_by_trainer, weigh
from mashbill.core.record import BILL
from mashbill.core.samples import SAMPLES, measured
from mashbill.core.store import LEARNED
from mashbill.core.weights import weighed, words_of
from mashbill.lineage.circuit.composer import close_model
from mashbill.lineage.circuit.declared import learned_beside
from mashbill.run.artifact import write_nodes
from mashbill.run.reloading import check_written
from mashbill.run.shards import write_parquet
from mashbill.run.taken_model import kept_files, take_model
from mashbill.train.trained import TrainedSpec

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.run.task import Task

_READ_ROWS = 1 << 16


def make_model(task: Task) -> dict[str, Any]:
    """Train a model and return the manifest's parts."""
    scratch = task.context.work / "out"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    task.spec.train(task.context, scratch)
    if isinstance(task.spec, TrainedSpec):
        return take_model(task, task.spec, scratch)
    check_written(task, scratch)
    task.context.curves.end()
    if task.context.samples:
        task.context.measures[SAMPLES] = measured(task.context.samples)
    _write_curves(task, scratch)
    folder, files = kept_files(task, scratch)
    learned = _learned(task)
    found = weigh(learned, {name: _weighed_rows(task, name) for name in learned})
    members = [
        (use.via, task.tables[use.name], found.by_node[use.name])
        for use in task.spec.uses()
        if use.role == "trained-on"
    ]
    bases = learned_beside(task.recipe, task.name, task.tables)
    content = digest([[item.file, item.sha256] for item in files])
    table = close_model(str(task.ref), content, members, bases)
    refs = {name: str(task.context.input(name).manifest.ref) for name in learned}
    said = learned_table({refs[name]: each for name, each in learned.items()})
    return {
        "kind": "model",
        "files": files,
        "tokens": found.tokens,
        "token_unit": found.unit,
        "learned": _learned_file(task, said, folder, scratch),
        "learned_from": tuple(
            each.model_copy(update={"name": refs[each.name]}) for each in found.learned_from
        ),
        **write_nodes(task, folder, table),
    }


def _learned_file(task: Task, said: pa.Table, folder: Path, scratch: Path) -> FileDigest:
    """Write how often each row was learned from; of what was removed it is there."""
    if task.again is None:
        return FileDigest(file=LEARNED, sha256=write_parquet(said, folder / LEARNED))
    found = FileDigest(file=LEARNED, sha256=write_parquet(said, scratch / LEARNED))
    if found != task.again.learned:
        raise task.differs("how often rows were learned from comes out")
    return found


def _write_curves(task: Task, scratch: Path) -> None:
    """Put what the trainer measured as it went among the model's files."""
    if (scratch / CURVES).exists():
        msg = (
            f"stages.{task.name}: kind {task.spec.kind!r} wrote a file {CURVES}, which is where "
            "what ctx.curves keeps is written; nothing was committed: call it otherwise"
        )
        raise StoreError(msg)
    table = task.context.curves.table()
    if table is not None:
        write_parquet(table, scratch / CURVES)


def _learned(task: Task) -> dict[str, Learned]:
    """Return what the trainer says of what it learned from, by stage."""
    names = list(dict.fromkeys(u.name for u in task.spec.uses() if u.role == "trained-on"))
    ctx = task.context
    rows = {name: ctx.input(name).num_rows for name in names}
    try:
        return set_by_trainer(names, rows, ctx.seen, ctx.loss_weight, ctx.tokens, ctx.seen_tokens)
    except ValueError as error:
        msg = (
            f"stages.{task.name}: kind {task.spec.kind!r} {error}. Nothing was committed: this is "
            "a fault of the trainer"
        )
        raise StoreError(msg) from error


def _weighed_rows(task: Task, name: str) -> RowSizes:
    """Return the words and the node of each row that a model learned from."""
    data = task.context.input(name)
    schema = pq.read_schema(data.path / data.manifest.shards[0].file)
    words, bills = np.zeros(data.num_rows, np.int64), np.zeros(data.num_rows, np.int64)
    for start, piece in data.chunks(_READ_ROWS, [*weighed(schema), BILL]):
        words[start : start + piece.num_rows] = words_of(piece)
        bills[start : start + piece.num_rows] = np.asarray(piece.column(BILL))
    return RowSizes(words, bills, len(task.tables[name].numbered))
