"""The shards of a dataset: one file each, committed by itself, and counted as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.artifact import Shard
from mashbill.core.canonical import digest_file
from mashbill.core.dataset import ROW_GROUP
from mashbill.core.errors import StoreError
from mashbill.core.json_fields import carried, with_carried
from mashbill.core.merkle import root
from mashbill.core.record import (
    BILL,
    CALL,
    FROM,
    ID,
    REASON,
    REJECTED_BY,
    identify,
    leaves,
)
from mashbill.core.store import publish
from mashbill.core.weights import weighed, words_of
from mashbill.run.measuring import settle_measures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.run.task import Task


def _kept_and_rejected(table: pa.Table | None) -> Iterator[tuple[str, pa.Table]]:
    if table is None:
        return
    if REJECTED_BY not in table.column_names:
        yield "part", table
        return
    rejected = pc.is_valid(table.column(REJECTED_BY))
    yield "part", table.filter(pc.invert(rejected)).drop_columns([REJECTED_BY, REASON])
    turned_down = table.filter(rejected)
    if turned_down.num_rows:
        yield "rejected", turned_down


def write_parquet(table: pa.Table, path: Path) -> str:
    """Write a Parquet file atomically and return its SHA-256.

    Row positions are delta-coded: a step that keeps every row costs almost nothing.
    """
    temporary = path.with_name(f".{path.name}")
    encodings = {}
    if FROM in table.column_names:
        nested = pa.types.is_list(table.schema.field(FROM).type)
        encodings[f"{FROM}.list.element" if nested else FROM] = "DELTA_BINARY_PACKED"
    if BILL in table.column_names:
        # Bytes of like weight side by side: zstd then codes the commoner nodes in fewer bits.
        encodings[BILL] = "BYTE_STREAM_SPLIT"
    pq.write_table(
        table,
        temporary,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=[field.name for field in table.schema if pa.types.is_string(field.type)],
        column_encoding=encodings,
        # Digests and node numbers are looked up by nobody: their bounds would only take room.
        write_statistics=[n for n in table.column_names if n not in {ID, CALL, BILL}],
    )
    sha256 = digest_file(temporary)
    publish(temporary, path)
    return sha256


class ShardWriter:
    """Writes shards: a temporary name, fsync, rename, and one ledger entry each."""

    def __init__(
        self, task: Task, folder: Path, nodes: NodeTable, done: dict[int, dict[str, Any]]
    ) -> None:
        self.kept: list[Shard] = []
        self.rejected: list[Shard] = []
        self._task = task
        self.folder = folder
        self._nodes = nodes
        self._done = done
        inputs = (use.name for use in task.spec.uses() if use.role == "rows")
        self._json = carried([task.context.input(name).schema for name in inputs])

    def has(self, number: int) -> bool:
        """Take over a shard that is committed already; False if it is to be made."""
        if number not in self._done:
            return False
        for name, facts in self._done[number]["shards"].items():
            path = self._task.store.root / name
            if not path.name.startswith("rejected-"):
                columns = [*weighed(pq.read_schema(path)), BILL]
                self._count(pq.read_table(path, columns=columns))
            self._add(
                Shard(
                    file=path.name,
                    rows=facts["rows"],
                    sha256=facts["sha256"],
                    merkle_root=facts["merkle_root"],
                )
            )
        return True

    def _count(self, rows: pa.Table) -> None:
        self._nodes.count(np.asarray(rows.column(BILL)), words_of(rows))

    def _add(self, shard: Shard) -> None:
        (self.rejected if shard.file.startswith("rejected-") else self.kept).append(shard)

    def write(self, number: int, table: pa.Table | None) -> None:
        """Commit one shard, with the rejected rows beside it.

        Raises:
            CanonicalError: naming stage and measure, if one cannot be kept.
            StoreError: if a shard of this number was committed with other records, which means
                that the stage is not deterministic.
        """
        settle_measures(self._task.context, self._task.name)
        shards: dict[str, dict[str, Any]] = {}
        new: list[Shard] = []
        # Stages put their rows together from arrays, so a mark would be lost at each of them.
        marked = None if table is None else with_carried(table, self._json)
        for prefix, part in _kept_and_rejected(marked):
            name = f"{prefix}-{number:05d}.parquet"
            rows = identify(part)
            if prefix == "part":
                self._count(rows)
            merkle = root(leaves(rows, self._nodes.numbered))
            sha256 = write_parquet(rows, self.folder / name)
            facts = {"rows": rows.num_rows, "sha256": sha256, "merkle_root": merkle}
            if CALL in rows.column_names:
                calls = (value.hex() for value in rows.column(CALL).to_pylist() if value)
                facts["calls_root"] = self._task.journal.merkle_root(calls)
            shards[self._task.store.relative(self.folder / name)] = facts
            new.append(Shard(file=name, rows=rows.num_rows, sha256=sha256, merkle_root=merkle))
        # What a committed shard rests on must not be lost behind it.
        self._task.journal.sync()
        if number in self._done:
            if self._done[number]["shards"] != shards:
                msg = (
                    f"{self._task.ref}: shard {number} came out different from the one that is "
                    f"committed; the stage {self._task.spec.kind!r} is not deterministic here"
                )
                raise StoreError(msg)
        else:
            self._task.store.ledger.append(
                "shard",
                {name: facts["sha256"] for name, facts in shards.items()},
                artifact=str(self._task.ref),
                fingerprint=self._task.fingerprint,
                number=number,
                shards=shards,
                measures=self._task.context.measures,
            )
        for shard in new:
            self._add(shard)


def write_learned(path: Path, times: Sequence[tuple[str, np.ndarray]]) -> str:
    """Write how often a trainer learned from each row, and return the file's SHA-256.

    Args:
        path: the file.
        times: (address, times of each row, shape (rows,)) of each dataset.
    """
    names = [pa.repeat(pa.scalar(name), len(seen)) for name, seen in times]
    seen = np.concatenate([np.empty(0, np.int64), *(seen for _, seen in times)])
    columns = {
        "input": pa.chunked_array(names, pa.string()),
        "times": pa.array(seen, pa.int64()),
    }
    return write_parquet(pa.table(columns), path)
