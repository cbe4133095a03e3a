"""Making one artifact: shards of a dataset, committed one by one, or the files of a model."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mashbill.core.artifact import FileDigest, Shard
from mashbill.core.canonical import digest, digest_bytes, digest_file
from mashbill.core.dataset import ROW_GROUP
from mashbill.core.errors import InputError, StoreError
from mashbill.core.merkle import root
from mashbill.core.record import (
    BILL,
    CALL,
    FROM,
    REASON,
    REJECTED_BY,
    identify,
    leaves,
    one_batch,
    user_columns,
)
from mashbill.core.store import NODES, publish, write_atomically
from mashbill.lineage.nodes import NodeTable, close_dataset, close_model
from mashbill.plan import row_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.conduct.journal import Journal
    from mashbill.core.artifact import ArtifactRef
    from mashbill.core.dataset import Dataset
    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageContext, StageSpec
    from mashbill.core.store import Store


@dataclass(frozen=True)
class Making:
    """One artifact in the making."""

    store: Store
    recipe: Recipe
    name: str
    ref: ArtifactRef
    spec: StageSpec
    fingerprint: str
    tables: dict[str, NodeTable]
    """node table of each stage made so far"""
    journal: Journal
    context: StageContext


def make_dataset(making: Making) -> dict[str, Any]:
    """Run a stage, shard by shard from the first that is missing; return the manifest's parts."""
    folder = making.store.folder("dataset", making.ref)
    done = _committed_shards(making)
    if done:
        making.context.measures |= done[max(done)]["measures"]
    table = row_nodes(making.recipe, making.name, making.tables)
    writer = _ShardWriter(making, folder, table, done)
    if making.spec.streams:
        _run_sliced(making, writer)
    else:
        _run_whole(making, writer)
    if not any(shard.rows for shard in writer.kept):
        msg = (
            f"stages.{making.name}: none of its rows is left, so nothing could follow; loosen its "
            "conditions, or give it other rows (gold = 'require' needs rows with human labels)"
        )
        raise InputError(msg)
    for shard in writer.kept:
        part = pq.read_table(folder / shard.file)
        table.count(np.asarray(part.column(BILL)), words_of(part))
    close_dataset(table, str(making.ref))
    return {
        "kind": "dataset",
        "shards": tuple(writer.kept),
        "rejected": tuple(writer.rejected),
        "rows": sum(shard.rows for shard in writer.kept),
        "rejected_rows": sum(shard.rows for shard in writer.rejected),
        "tokens": sum(table.tokens),
        **_write_nodes(folder, table),
    }


def make_model(making: Making) -> dict[str, Any]:
    """Train a model and return the manifest's parts."""
    scratch = making.context.work / "out"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    making.spec.train(making.context, scratch)
    folder = making.store.folder("model", making.ref)
    _committed_shards(making)
    files = []
    for path in sorted(scratch.iterdir()):
        files.append(FileDigest(file=path.name, sha256=digest_file(path)))
        publish(path, folder / path.name)
    learned = []
    tokens = 0
    for use in making.spec.uses():
        seen = making.context.seen[use.name]
        data = making.context.input(use.name)
        weights = _tokens_by_node(data, seen, len(making.tables[use.name].numbered))
        learned.append((use.channel, making.tables[use.name], weights))
        tokens += int(weights.sum())
    content = digest([[item.file, item.sha256] for item in files])
    table = close_model(str(making.ref), content, learned)
    return {
        "kind": "model",
        "files": tuple(files),
        "tokens": tokens,
        **_write_nodes(folder, table),
    }


def words_of(table: pa.Table) -> np.ndarray:
    """Return the words in each row's text, shape (rows,): the unit in which shares are weighed.

    Words separated by white space, because every step of a chain may have another tokenizer.
    """
    names = user_columns(table.column_names)
    name = (
        "text"
        if "text" in names
        else next((n for n in names if pa.types.is_string(table.schema.field(n).type)), None)
    )
    if name is None:
        return np.ones(table.num_rows, np.int64)
    words = pc.list_value_length(
        pc.utf8_split_whitespace(pc.utf8_trim_whitespace(table.column(name)))
    )
    return np.asarray(pc.fill_null(words, 0), np.int64)


def _tokens_by_node(data: Dataset, seen: np.ndarray, nodes: int) -> np.ndarray:
    table = data.read(0, data.num_rows)
    weights = words_of(table) * seen
    return np.bincount(np.asarray(table.column(BILL)), weights=weights, minlength=nodes).astype(
        np.int64
    )


def _write_nodes(folder: Path, table: NodeTable) -> dict[str, Any]:
    data = table.to_parquet()
    write_atomically(folder / NODES, data)
    return {
        "nodes": FileDigest(file=NODES, sha256=digest_bytes(data)),
        "nodes_digest": table.digest,
        "bill": table.root,
    }


def _committed_shards(making: Making) -> dict[int, dict[str, Any]]:
    """Return the shards of this artifact that are committed, and clear away everything else.

    What was committed under another fingerprint is given up on record; files that no entry speaks
    of, left by a run that was killed, are removed.
    """
    live: dict[int, dict[str, Any]] = {}
    stale = False
    for entry in making.store.ledger.entries:
        if entry.predicate.get("artifact") != str(making.ref):
            continue
        if entry.event == "abandon":
            live, stale = {}, False
        elif entry.event in {"shard", "commit"}:
            if entry.predicate["fingerprint"] != making.fingerprint:
                stale = True
            elif entry.event == "shard":
                live[entry.predicate["number"]] = entry.predicate
    if stale:
        live = {}
        making.store.ledger.append(
            "abandon",
            artifact=str(making.ref),
            reason="the recipe changed before this artifact was finished",
        )
    keep = {name for shard in live.values() for name in shard["shards"]}
    folder = making.store.folder(making.spec.output, making.ref)
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if making.store.relative(path) not in keep:
            path.unlink()
    return live


def _run_sliced(making: Making, writer: _ShardWriter) -> None:
    """Give the stage one slice of its input at a time; a slice is a shard."""
    rows = next(use for use in making.spec.uses() if use.role == "rows")
    data = making.context.input(rows.name)
    for number, (start, piece) in enumerate(data.chunks(making.spec.shard_rows)):
        if not writer.has(number):
            out = list(making.spec.run(iter(piece.to_batches()), making.context))
            writer.write(number, _placed(out, piece, start))
        making.context.progress(
            min(start + making.spec.shard_rows, data.num_rows), data.num_rows, ""
        )


def _run_whole(making: Making, writer: _ShardWriter) -> None:
    """Give the stage all of its input; what it yields is cut into shards."""
    rows = next((use for use in making.spec.uses() if use.role == "rows"), None)
    piece = None
    batches: Iterator[pa.RecordBatch] = iter(())
    if rows is not None:
        data = making.context.input(rows.name)
        piece = data.read(0, data.num_rows)
        batches = iter(piece.to_batches() or [one_batch(piece)])
    out = []
    for batch in making.spec.run(batches, making.context):
        out.append(batch)
        making.context.progress(sum(b.num_rows for b in out), 0, "")
    table = _placed(out, piece, 0)
    if table is None:
        return
    for number, start in enumerate(range(0, max(table.num_rows, 1), making.spec.shard_rows)):
        writer.write(number, table.slice(start, making.spec.shard_rows))


def _placed(out: list[pa.RecordBatch], piece: pa.Table | None, start: int) -> pa.Table | None:
    """Return output rows with ``_bill`` of the row each came from, and ``_from`` in its dataset."""
    if not out:
        return None
    table = pa.Table.from_batches(out)
    if piece is None:
        return table
    positions = table.column(FROM)
    bills = piece.column(BILL).take(positions).cast(pa.int32())
    at = table.schema.get_field_index(FROM)
    table = table.set_column(at, FROM, pc.add(positions, start))
    return table.append_column(BILL, bills)


class _ShardWriter:
    """Writes shards: a temporary name, fsync, rename, and one ledger entry each."""

    def __init__(
        self, making: Making, folder: Path, nodes: NodeTable, done: dict[int, dict[str, Any]]
    ) -> None:
        self.kept: list[Shard] = []
        self.rejected: list[Shard] = []
        self._making = making
        self._folder = folder
        self._nodes = nodes
        self._done = done

    def has(self, number: int) -> bool:
        """Take over a shard that is committed already; False if it is to be made."""
        if number not in self._done:
            return False
        for name, facts in self._done[number]["shards"].items():
            path = self._making.store.root / name
            self._add(
                Shard(
                    file=path.name,
                    rows=facts["rows"],
                    sha256=facts["sha256"],
                    merkle_root=facts["merkle_root"],
                )
            )
        return True

    def _add(self, shard: Shard) -> None:
        (self.rejected if shard.file.startswith("rejected-") else self.kept).append(shard)

    def write(self, number: int, table: pa.Table | None) -> None:
        """Commit one shard, with the rejected rows beside it.

        Raises:
            StoreError: if a shard of this number was committed with other records, which means
                that the stage is not deterministic.
        """
        shards: dict[str, dict[str, Any]] = {}
        new: list[Shard] = []
        for prefix, part in _kept_and_rejected(table):
            name = f"{prefix}-{number:05d}.parquet"
            rows = identify(part)
            merkle = root(leaves(rows, self._nodes.numbered))
            sha256 = _write_parquet(rows, self._folder / name)
            facts = {"rows": rows.num_rows, "sha256": sha256, "merkle_root": merkle}
            if CALL in rows.column_names:
                calls = (value.hex() for value in rows.column(CALL).to_pylist())
                facts["calls_root"] = self._making.journal.merkle_root(calls)
            shards[self._making.store.relative(self._folder / name)] = facts
            new.append(Shard(file=name, rows=rows.num_rows, sha256=sha256, merkle_root=merkle))
        if number in self._done:
            if self._done[number]["shards"] != shards:
                msg = (
                    f"{self._making.ref}: shard {number} came out different from the one that is "
                    f"committed; the stage {self._making.spec.kind!r} is not deterministic here"
                )
                raise StoreError(msg)
        else:
            self._making.store.ledger.append(
                "shard",
                {name: facts["sha256"] for name, facts in shards.items()},
                artifact=str(self._making.ref),
                fingerprint=self._making.fingerprint,
                number=number,
                shards=shards,
                measures=self._making.context.measures,
            )
        for shard in new:
            self._add(shard)


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


def _write_parquet(table: pa.Table, path: Path) -> str:
    """Write a Parquet file atomically and return its SHA-256.

    Row positions are delta-coded: for a step that keeps every row they cost almost nothing.
    """
    temporary = path.with_name(f".{path.name}")
    delta = [name for name in (FROM,) if name in table.column_names]
    dictionary = [
        field.name for field in table.schema if pa.types.is_string(field.type) or field.name == BILL
    ]
    pq.write_table(
        table,
        temporary,
        compression="zstd",
        row_group_size=ROW_GROUP,
        use_dictionary=dictionary,
        column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
    )
    sha256 = digest_file(temporary)
    publish(temporary, path)
    return sha256
