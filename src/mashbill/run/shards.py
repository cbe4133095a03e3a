"""The shards of a dataset: one file each, committed by itself, and counted as it is written."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
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
from mashbill.run.measuring import add_measures, settle_measures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mashbill.core.stage import StageContext
    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.run.task import Task

FORMAT = 2
"""of a shard's entry: 2 has the shard's own measures, 1 those of all shards up to it"""
_COUNTED = 1024  # nodes of a shard whose counts its entry holds; of more its rows are read again


def _as_yielded(rows: pa.Table) -> pa.Table:
    """Return rows with lists of pyarrow's own kind: Parquet gives what is in them another name."""
    fields = [
        field.with_type(pa.list_(field.type.value_type)) if pa.types.is_list(field.type) else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields))


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
    """Write a Parquet file atomically and return its SHA-256."""
    temporary, sha256 = _written(table, path)
    publish(temporary, path)
    return sha256


def _written(table: pa.Table, path: Path) -> tuple[Path, str]:
    """Write a Parquet file beside the name that it is to have; return where, and its SHA-256.

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
    return temporary, digest_file(temporary)


@dataclass(frozen=True)
class Part:
    """One file of a shard, written and not committed: it has no name yet."""

    name: str
    """that it is to have"""
    temporary: Path
    rows: int
    sha256: str
    merkle_root: str
    calls: tuple[str, ...] | None
    """digests of the calls that its rows rest on; None if they have no such column"""


@dataclass(frozen=True)
class Prepared:
    """A shard that is written and only has to be committed, whichever process wrote it."""

    number: int
    parts: tuple[Part, ...]
    counts: tuple[tuple[int, int, int], ...] = ()
    """(node number, kept rows, their tokens), by number"""

    @property
    def rows(self) -> int:
        """Rows that were kept."""
        return sum(rows for _, rows, _ in self.counts)

    def discard(self) -> None:
        """Remove what was written: it will not be committed."""
        for part in self.parts:
            part.temporary.unlink(missing_ok=True)


def prepare(
    number: int,
    table: pa.Table | None,
    folder: Path,
    digests: Sequence[str],
    json_columns: Mapping[str, pa.DataType],
) -> Prepared:
    """Write a shard's files under names of their own, and count what is in them.

    Args:
        number: of the shard.
        table: its rows, the rejected ones among them; None if there are none.
        folder: of the artifact.
        digests: of its nodes, by number.
        json_columns: columns whose cells are JSON, from the inputs.
    """
    parts = []
    counts: tuple[tuple[int, int, int], ...] = ()
    # Stages put their rows together from arrays, so a mark would be lost at each of them.
    marked = None if table is None else with_carried(table, json_columns)
    for prefix, part in _kept_and_rejected(marked):
        name = f"{prefix}-{number:05d}.parquet"
        rows = identify(part)
        if prefix == "part":
            counts = _counted(rows)
        merkle = root(leaves(rows, digests))
        temporary, sha256 = _written(rows, folder / name)
        calls = None
        if CALL in rows.column_names:
            calls = tuple(value.hex() for value in rows.column(CALL).to_pylist() if value)
        parts.append(Part(name, temporary, rows.num_rows, sha256, merkle, calls))
    return Prepared(number, tuple(parts), counts)


def _counted(rows: pa.Table) -> tuple[tuple[int, int, int], ...]:
    """Return (node number, rows, their tokens) for each node that rows have."""
    bills = np.asarray(rows.column(BILL))
    records = np.bincount(bills)
    tokens = np.bincount(bills, weights=words_of(rows))
    return tuple(
        (number, int(records[number]), int(tokens[number]))
        for number in np.flatnonzero(records).tolist()
    )


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
        self.json_columns = carried([task.context.input(name).schema for name in inputs])

    def has(self, number: int) -> bool:
        """Take over a shard that is committed already; False if it is to be made."""
        if number not in self._done or not self._is_there(number):
            return False
        for name, facts in self._done[number]["shards"].items():
            path = self._task.store.root / name
            if not path.name.startswith("rejected-"):
                self._count(self._counts_of(number, path))
            self._add(
                Shard(
                    file=path.name,
                    rows=facts["rows"],
                    sha256=facts["sha256"],
                    merkle_root=facts["merkle_root"],
                )
            )
        return True

    def committed(self, number: int) -> pa.Table | None:
        """Return the rows of a committed shard as the stage yielded them; None if there is none.

        Rejected rows are not among them.
        """
        if number not in self._done or not self._is_there(number):
            return None
        names = [Path(name).name for name in self._done[number]["shards"]]
        kept = [self.folder / name for name in names if not name.startswith("rejected-")]
        if not kept:
            return None
        rows = pq.read_table(kept[0])
        return _as_yielded(
            rows.drop_columns([name for name in (ID, BILL) if name in rows.column_names])
        )

    def _is_there(self, number: int) -> bool:
        """Return whether the files of a committed shard are there: those of what was removed went.

        A run that made it again may have been cut off.
        """
        root, shards = self._task.store.root, self._done[number]["shards"]
        return self._task.again is None or all(
            (root / name).is_file() and digest_file(root / name) == facts["sha256"]
            for name, facts in shards.items()
        )

    def _check_again(self, made: Prepared) -> None:
        """See that a shard which was removed comes out as it was, before it is put back."""
        if self._task.again is None:
            return
        before = self._done.get(made.number, {"shards": {}})["shards"]
        relative = self._task.store.relative
        now = {relative(self.folder / part.name): part.sha256 for part in made.parts}
        if now != {name: facts["sha256"] for name, facts in before.items()}:
            made.discard()
            raise self._task.differs(f"shard {made.number} comes out")

    def _counts_of(self, number: int, path: Path) -> Iterable[tuple[int, int, int]]:
        """Return the counts by node of a committed shard: as its entry says, or from its rows."""
        told = self._done[number].get("counts")
        if told is not None:
            return [(int(node), int(rows), int(tokens)) for node, rows, tokens in told]
        columns = [*weighed(pq.read_schema(path)), BILL]
        return _counted(pq.read_table(path, columns=columns))

    def _count(self, counts: Iterable[tuple[int, int, int]]) -> None:
        for number, rows, tokens in counts:
            self._nodes.records[number] += rows
            self._nodes.tokens[number] += tokens

    def _add(self, shard: Shard) -> None:
        (self.rejected if shard.file.startswith("rejected-") else self.kept).append(shard)

    def write(self, number: int, table: pa.Table | None, context: StageContext) -> None:
        """Write and commit one shard, with the rejected rows beside it.

        Args:
            number: of the shard.
            table: its rows.
            context: in which it was made.

        Raises:
            CanonicalError: naming stage and measure, if one cannot be kept.
            StoreError: as :meth:`commit` does.
        """
        settle_measures(context, self._task.name)
        made = prepare(number, table, self.folder, self._nodes.numbered, self.json_columns)
        self.commit(made, {})

    def commit(self, made: Prepared, own: Mapping[str, Any]) -> None:
        """Commit a shard that is written.

        Args:
            made: the shard.
            own: what its entry says of it alone: ``measures`` and ``overall``; a resume puts them
                together in order. Empty where the stage was given all of its input at once.

        Raises:
            StoreError: if a shard of this number was committed with other records, which means
                that the stage is not deterministic.
        """
        self._check_again(made)
        shards: dict[str, dict[str, Any]] = {}
        new: list[Shard] = []
        for part in made.parts:
            publish(part.temporary, self.folder / part.name)
            facts = {"rows": part.rows, "sha256": part.sha256, "merkle_root": part.merkle_root}
            if part.calls is not None:
                facts["calls_root"] = self._task.journal.merkle_root(part.calls)
            shards[self._task.store.relative(self.folder / part.name)] = facts
            new.append(
                Shard(
                    file=part.name, rows=part.rows, sha256=part.sha256, merkle_root=part.merkle_root
                )
            )
        self._count(made.counts)
        # What a committed shard rests on must not be lost behind it.
        self._task.journal.sync()
        if made.number in self._done:
            if self._done[made.number]["shards"] != shards:
                msg = (
                    f"{self._task.ref}: shard {made.number} came out different from the one that "
                    f"is committed; the stage {self._task.spec.kind!r} is not deterministic here"
                )
                raise StoreError(msg)
        else:
            self._task.store.ledger.append(
                "shard",
                {name: facts["sha256"] for name, facts in shards.items()},
                artifact=str(self._task.ref),
                fingerprint=self._task.fingerprint,
                number=made.number,
                shards=shards,
                **self._own(made, own),
            )
            self._done[made.number] = {"shards": shards}
        for shard in new:
            self._add(shard)

    def _own(self, made: Prepared, own: Mapping[str, Any]) -> dict[str, Any]:
        facts: dict[str, Any] = {"format": FORMAT, **own}
        if own and len(made.counts) <= _COUNTED:
            facts["counts"] = [list(one) for one in made.counts]
        return facts


def measured_before(done: Mapping[int, Mapping[str, Any]], context: StageContext) -> None:
    """Put together what the committed shards of a stage measured, in their order.

    Entries of format 1, which state none, hold what all shards up to theirs measured.

    Args:
        done: entries of shards by number.
        context: gets it.
    """
    for _, entry in sorted(done.items()):
        if entry.get("format", 1) < FORMAT:
            context.measures.clear()
            context.measures.update(copy.deepcopy(entry["measures"]))
        else:
            add_measures(context.measures, entry.get("measures", {}))
            context.overall |= entry.get("overall", {})
