"""Which texts the artifacts of a store hold: a sorted array of hashes for each, built once.

It is kept in the cache under the artifact's own digest, 12 bytes a text, and read by mapping it: to
look up some million texts needs little memory. What the cache holds is made again if it is not
whole. Of texts that several artifacts hold the one that was committed first decides, since what is
made from a text comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.record import BILL, OURS
from mashbill.core.source import Channel
from mashbill.core.store import write_atomically
from mashbill.lineage.circuit import CHANNEL_OF, MODEL, Circuit
from mashbill.lineage.contradicted import table_of
from mashbill.marks.texts import hashed, hashed_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.lineage.nodes import NodeTable

_VERSION = 2
"""of what is hashed, and how: part of the name in the cache"""
_ROWS = 1 << 14
_OTHERS = frozenset(["prompt", "original_prompt", "gold", "part", "label"])
"""columns that hold what was asked, or a word of a list"""
_WROTE = [c in (Channel.CONTENT, Channel.LOGITS, Channel.TRANSFORM) for c in Channel]
"""whether a channel is one by which a text comes to a row"""


@dataclass(frozen=True)
class Writer:
    """Whose text a row is."""

    name: str
    kind: str
    """a source's kind; ``model`` for a model of the store itself"""
    license: str | None = None


@dataclass(frozen=True)
class Held:
    """The texts of one artifact."""

    name: str
    manifest: Manifest
    hashes: np.ndarray
    """uint64, shape (texts,), sorted, each once"""
    nodes: np.ndarray
    """int32, shape (texts,): number of the node of the first row that has it"""
    table: NodeTable
    """as it is to be read: with what speaks against its own origins"""
    circuit: Circuit
    _writers: dict[int, tuple[Writer, ...]] = field(default_factory=dict)

    def writers(self, number: int) -> tuple[Writer, ...]:
        """Return whose text the rows of a number are: what reached them by text, not by judging."""
        if number not in self._writers:
            self._writers[number] = _writers(self.circuit, int(self.circuit.numbered[number]))
        return self._writers[number]


def held(store: Store, cache: Path, most: int | None = None) -> tuple[list[Held], list[str]]:
    """Return the texts of every data set of a store, in the order of their commits.

    Args:
        store: the store.
        cache: where arrays are kept.
        most: rows of data sets that are hashed now; None for all.

    Returns:
        The texts, and the names of data sets that were left out for that.
    """
    found, left = [], []
    for manifest in store.manifests():
        if manifest.kind != "dataset":
            continue
        path = cache / "marks" / f"{manifest.digest}-{_VERSION}.npy"
        arrays = _kept(path)
        if arrays is None:
            rows = manifest.rows + manifest.rejected_rows
            if most is not None and rows > most:
                left.append(str(manifest.ref))
                continue
            most = None if most is None else most - rows
            arrays = _built(store, manifest)
            _keep(path, arrays)
        table = table_of(store, manifest)
        hashes, nodes = arrays["hash"], arrays["node"]
        found.append(Held(str(manifest.ref), manifest, hashes, nodes, table, Circuit.of(table)))
    return found, left


_KEPT = np.dtype([("hash", "<u8"), ("node", "<i4")])


def _kept(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of a file of the cache; None if there is none that is whole."""
    try:
        size = path.stat().st_size
        if size % 12:
            return None
        count = size // 12
        if not count:
            return {"hash": np.empty(0, np.uint64), "node": np.empty(0, np.int32)}
        return {
            "hash": np.memmap(path, "<u8", "r", 0, (count,)),
            "node": np.memmap(path, "<i4", "r", 8 * count, (count,)),
        }
    except (OSError, ValueError):
        return None


def _keep(path: Path, arrays: dict[str, np.ndarray]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, arrays["hash"].tobytes() + arrays["node"].tobytes())
    except OSError:
        return  # a cache that cannot be written costs time only


def _built(store: Store, manifest: Manifest) -> dict[str, np.ndarray]:
    folder = store.folder("dataset", manifest.ref)
    pieces = []
    for shard in (*manifest.shards, *manifest.rejected):
        with pq.ParquetFile(folder / shard.file) as file:
            for batch in file.iter_batches(_ROWS):
                bills = np.asarray(batch.column(BILL)).astype(np.int32)
                for texts in hashes_of(batch, range(batch.num_rows), answers=True):
                    piece = np.zeros(len(texts), _KEPT)
                    piece["hash"], piece["node"] = texts["hash"], bills[texts["row"]]
                    pieces.append(piece)
    whole = np.concatenate(pieces) if pieces else np.empty(0, _KEPT)
    hashes, first = np.unique(whole["hash"], return_index=True)
    return {"hash": hashes, "node": np.ascontiguousarray(whole["node"][first])}


def hashes_of(batch: pa.RecordBatch, rows: range, *, answers: bool) -> Iterator[np.ndarray]:
    """Yield the hashes of each column of texts; short ones of the column ``text`` alone."""
    places = np.arange(rows.start, rows.stop)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if name in OURS or not is_text or (answers and name in _OTHERS):
            continue
        own = hashed(column, places)
        yield own if name == "text" else own[own["long"]]
        within = hashed_within(column, places, answers=answers)
        yield within[within["long"]]


def _writers(circuit: Circuit, row: int) -> tuple[Writer, ...]:
    met, waiting = {row}, [row]
    found = []
    while waiting:
        node = waiting.pop()
        if circuit.described[node]:
            source = circuit.source(node)
            kind = source.kind if source.what != "model" or source.kind != "unknown" else "model"
            found.append(Writer(source.title, kind, source.license))
            continue
        if circuit.type[node] == MODEL:
            found.append(Writer(circuit.title(node), "model"))
            continue
        for edge in range(int(circuit.start[node]), int(circuit.start[node + 1])):
            below = int(circuit.to[edge])
            if _WROTE[CHANNEL_OF[circuit.label[edge]]] and below not in met:
                met.add(below)
                waiting.append(below)
    return tuple(sorted(found, key=lambda writer: writer.name))
