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
from mashbill.core.reasons import rejections
from mashbill.core.record import (
    BILL,
    CALL,
    FROM,
    ID,
    REASON,
    REJECTED_BY,
    identify,
    leaves,
    one_batch,
    user_columns,
)
from mashbill.core.store import NODES, publish, write_atomically
from mashbill.lineage.nodes import Composer, NodeTable, close_dataset, close_model
from mashbill.plan import row_nodes
from mashbill.run.opening import ENOUGH, Piece
from mashbill.run.slicing import Slice, check_wanted, run_slices, slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mashbill.conduct.journal import Journal
    from mashbill.core.artifact import ArtifactRef
    from mashbill.core.dataset import Dataset
    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageContext, StageSpec
    from mashbill.core.store import Store
    from mashbill.run.opening import Opening


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
    ahead: int = 1
    """slices asked for at once"""
    interrupt: Callable[[], None] = lambda: None
    """lets nothing more be asked of services"""
    opening: Opening | None = None
    """looks at the first answers of a service before the rest is bought"""


def make_dataset(making: Making) -> dict[str, Any]:
    """Run a stage, shard by shard from the first that is missing; return the manifest's parts."""
    folder = making.store.folder("dataset", making.ref)
    done = _committed_shards(making)
    if done:
        making.context.measures |= done[max(done)]["measures"]
    composer = row_nodes(making.recipe, making.name, making.tables)
    table = composer.table
    writer = _ShardWriter(making, folder, table, done)
    if making.spec.streams:
        _run_sliced(making, writer, composer)
    else:
        _run_whole(making, writer, composer)
    if not any(shard.rows for shard in writer.kept):
        msg = (
            f"stages.{making.name}: none of its rows is left, so nothing could follow"
            f"{_commonest_reason(folder, writer)}; loosen its conditions, or give it other rows "
            "(gold = 'require' needs rows with human labels)"
        )
        raise InputError(msg)
    for shard in writer.kept:
        names = pq.read_schema(folder / shard.file)
        part = pq.read_table(folder / shard.file, columns=[*_weighed(names), BILL])
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


def _commonest_reason(folder: Path, writer: _ShardWriter) -> str:
    """Say why most rows were rejected."""
    reasons = rejections(folder, writer.rejected)
    if not reasons.rows:
        return ""
    first, *others = reasons.commonest()
    told = "; ".join([first.reason, *map(str, others)])
    return f" ({first.rows:,} of {reasons.rows:,} were rejected with: {told})"


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
    for use in (use for use in making.spec.uses() if use.role == "trained-on"):
        seen = making.context.seen[use.name]
        data = making.context.input(use.name)
        weights = _tokens_by_node(data, seen, len(making.tables[use.name].numbered))
        learned.append((use.via, making.tables[use.name], weights))
        tokens += int(weights.sum())
    bases = [(u.via, making.tables[u.name]) for u in making.spec.uses() if u.role == "base"]
    content = digest([[item.file, item.sha256] for item in files])
    table = close_model(str(making.ref), content, learned, bases)
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
    total = np.zeros(table.num_rows, np.int64)
    columns = _weighed(table.schema)
    for name in columns:
        text = pc.utf8_trim_whitespace(table.column(name))
        gaps = pc.count_substring_regex(text, r"\s+")
        words = pc.if_else(pc.equal(text, ""), 0, pc.add(gaps, 1))
        total += np.asarray(pc.fill_null(words, 0), np.int64)
    return total if columns else np.ones(table.num_rows, np.int64)


def _weighed(schema: pa.Schema) -> list[str]:
    """Return the columns whose words are a row's weight: what a model would learn to write."""
    names = [n for n in user_columns(schema.names) if pa.types.is_string(schema.field(n).type)]
    for wanted in (["text"], ["prompt", "chosen", "rejected"], ["completion"]):
        found = [name for name in wanted if name in names]
        if found:
            return found
    return names[:1]


def _tokens_by_node(data: Dataset, seen: np.ndarray, nodes: int) -> np.ndarray:
    schema = pq.read_schema(data.path / data.manifest.shards[0].file)
    table = data.read(0, data.num_rows, [*_weighed(schema), BILL])
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


def _rows_inputs(making: Making) -> list[str]:
    return [use.name for use in making.spec.uses() if use.role == "rows"]


def _run_sliced(making: Making, writer: _ShardWriter, composer: Composer) -> None:
    """Give the stage one slice of an input at a time; a slice is a shard."""
    inputs = [(name, making.context.input(name)) for name in _rows_inputs(making)]
    total = sum(data.num_rows for _, data in inputs)
    # Every node gets its number beforehand, so that a resumed run gives the same ones.
    for code in range(int(composer.offsets[-1])):
        composer.one_each(np.array([code]))

    def kept() -> int:
        return sum(shard.rows for shard in writer.kept)

    def skip(number: int) -> bool:
        made = writer.has(number)
        making.context.kept = kept()
        # What is wanted may be there already, in shards of a run that was cut off.
        return made or _has_enough(making)

    def settle(item: Slice, out: list[pa.RecordBatch]) -> int:
        writer.write(item.number, _placed(making, out, composer, item.codes, item.start))
        making.context.progress(item.start + item.rows.num_rows, total, "")
        if making.opening is not None:
            making.opening.see(out, total - item.start - item.rows.num_rows)
        return kept()

    run_slices(
        making.spec,
        making.context,
        _opened(
            making, writer, slices(inputs, composer.offsets, making.spec.shard_rows, skip), total
        ),
        settle,
        ahead=making.ahead,
        interrupt=making.interrupt,
    )
    check_wanted(making.spec, making.name, kept())


def _opened(
    making: Making, writer: _ShardWriter, todo: Iterator[Slice], total: int
) -> Iterator[Slice]:
    """Yield slices; the first only once what comes back for them was looked at."""
    opening = making.opening
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


def _has_enough(making: Making) -> bool:
    wanted = making.spec.wanted
    return wanted is not None and making.context.kept >= wanted


def _run_whole(making: Making, writer: _ShardWriter, composer: Composer) -> None:
    """Give the stage all of its input; what it yields is cut into shards."""
    batches: Iterator[pa.RecordBatch] = iter(())
    codes = np.empty(0, np.int64)
    inputs = [making.context.input(name) for name in _rows_inputs(making)]
    if inputs:
        codes = np.concatenate(
            [
                np.asarray(data.column(BILL)) + offset
                for data, offset in zip(inputs, composer.offsets, strict=False)
            ]
        )
        piece = inputs[0].read(0, inputs[0].num_rows)
        found = piece.to_batches() or [one_batch(piece)]
        if making.opening is not None and making.spec.heeds_trial:
            making.opening.look([Piece(inputs[0].manifest.name, found)], piece.num_rows)
        batches = iter(found)
    out = []
    done = 0
    for batch in making.spec.run(batches, making.context):
        out.append(batch)
        done += batch.num_rows
        making.context.progress(done, 0, "")
    table = _placed(making, out, composer, codes if inputs else None, 0)
    if table is None:
        return
    for number, start in enumerate(range(0, max(table.num_rows, 1), making.spec.shard_rows)):
        writer.write(number, table.slice(start, making.spec.shard_rows))


def _placed(
    making: Making,
    out: list[pa.RecordBatch],
    composer: Composer,
    codes: np.ndarray | None,
    start: int,
) -> pa.Table | None:
    """Return output rows with the number of their node, and ``_from`` in their dataset.

    Args:
        making: the artifact.
        out: what the stage yielded.
        composer: gives nodes.
        codes: of each row that ``_from`` may name, shape (rows,); None for a first stage.
        start: what to add to ``_from``.
    """
    if not out:
        return None
    table = pa.Table.from_batches(out)
    if codes is None:
        for parts in making.context.origins:
            made = [(channel.value, composer.table.add_source(leaf)) for channel, leaf in parts]
            composer.table.number(composer.table.add_made(made))
        return table
    at = table.schema.get_field_index(FROM)
    positions = table.column(FROM).combine_chunks()
    if pa.types.is_list(positions.type):
        if making.spec.streams:
            msg = f"stage kind {making.spec.kind!r} streams, so a row may not come from several"
            raise StoreError(msg)
        ends = np.asarray(positions.offsets)
        flat = np.asarray(positions.flatten())
        bills = composer.several_each(codes[flat], ends[1:] - ends[0])
    else:
        bills = composer.one_each(codes[np.asarray(positions)])
        table = table.set_column(at, FROM, pc.add(positions, start))
    return table.append_column(BILL, pa.array(bills, pa.int32()))


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


class _ShardWriter:
    """Writes shards: a temporary name, fsync, rename, and one ledger entry each."""

    def __init__(
        self, making: Making, folder: Path, nodes: NodeTable, done: dict[int, dict[str, Any]]
    ) -> None:
        self.kept: list[Shard] = []
        self.rejected: list[Shard] = []
        self._making = making
        self.folder = folder
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
            sha256 = _write_parquet(rows, self.folder / name)
            facts = {"rows": rows.num_rows, "sha256": sha256, "merkle_root": merkle}
            if CALL in rows.column_names:
                calls = (value.hex() for value in rows.column(CALL).to_pylist() if value)
                facts["calls_root"] = self._making.journal.merkle_root(calls)
            shards[self._making.store.relative(self.folder / name)] = facts
            new.append(Shard(file=name, rows=rows.num_rows, sha256=sha256, merkle_root=merkle))
        # What a committed shard rests on must not be lost behind it.
        self._making.journal.sync()
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
