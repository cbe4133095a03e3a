"""Which texts the artifacts of a store hold: a sorted array of hashes for each, built once.

It is kept in the cache under the artifact's own digest, 12 bytes a text and 12 a passage of one,
and read by mapping it: to look up some million texts needs little memory. What the cache holds is
made again if it is not whole. Of texts that several artifacts hold the one that was committed first
decides, since what is made from a text comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.record import BILL, ID, OURS
from mashbill.core.source import Channel
from mashbill.core.store import write_atomically
from mashbill.lineage.circuit.arrays import CHANNEL_OF, MODEL, Circuit
from mashbill.lineage.circuit.contradicted import table_of
from mashbill.stages.marks.passages import formulas, passages, thinned
from mashbill.stages.marks.texts import Keyed, keyed, keyed_within

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable

FOLDER = "marks"
"""of the cache: files of an artifact begin with its digest"""
_VERSION = 3
"""of what is hashed, and how: part of the name in the cache"""
_ROWS = 1 << 14
_PASSAGES = 4_000_000
"""passages of a dataset, or of a journal, that are kept"""
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
class Hashes:
    """Hashes, sorted, each once and with a number."""

    hashes: np.ndarray
    """uint64, shape (n,)"""
    nodes: np.ndarray
    """int32, shape (n,)"""
    shift: int = 0
    """of 2**shift that there were, one is kept"""

    def at(self, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where hashes stand, and which of them do, both of shape (asked,)."""
        if not len(self.hashes):
            return np.zeros(len(asked), np.int64), np.zeros(len(asked), bool)
        at = np.minimum(np.searchsorted(self.hashes, asked), len(self.hashes) - 1)
        return at, np.asarray(self.hashes[at]) == asked


@dataclass(frozen=True)
class Held:
    """The texts of one artifact."""

    name: str
    manifest: Manifest
    hashes: np.ndarray
    """uint64, shape (texts,), sorted, each once"""
    nodes: np.ndarray
    """int32, shape (texts,): number of the node of the first row that has it"""
    passages: Hashes
    """passages of these texts, with such numbers; -1 for a formula"""
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
    """Return the texts of every dataset of a store, in the order of their commits.

    Args:
        store: the store.
        cache: where arrays are kept.
        most: rows of datasets that are hashed now; None for all.

    Returns:
        The texts, and the names of datasets that were left out for that.
    """
    found, left = [], []
    for manifest in store.manifests():
        if manifest.kind != "dataset" or store.removal(manifest.ref) is not None:
            continue  # what was removed is not known by its texts any more, either
        paths = [cache / FOLDER / f"{manifest.digest}-{_VERSION}{end}.npy" for end in ("", "p")]
        texts, parts = map(_kept, paths)
        if texts is None or parts is None:
            rows = manifest.rows + manifest.rejected_rows
            if most is not None and rows > most:
                left.append(str(manifest.ref))
                continue
            most = None if most is None else most - rows
            texts, parts = _built(store, manifest)
            _keep(paths[0], texts)
            _keep(paths[1], parts)
        table = table_of(store, manifest)
        found.append(Held(str(manifest.ref), manifest, texts.hashes, texts.nodes, parts, table,
                          Circuit.of(table)))  # fmt: skip
    return found, left


_KEPT = np.dtype([("hash", "<u8"), ("node", "<i4")])
NOBODY = -1
"""number in a node's place of a passage that stands in so many rows that it is a formula"""


def _kept(path: Path) -> Hashes | None:
    """Return the arrays of a file of the cache; None if there is none that is whole."""
    try:
        size = path.stat().st_size
        if size % 12 or not size:
            return None
        count = size // 12
        hashes = np.memmap(path, "<u8", "r", 0, (count,))
        nodes = np.memmap(path, "<i4", "r", 8 * count, (count,))
        return Hashes(hashes[1:], nodes[1:], int(nodes[0]))
    except (OSError, ValueError):
        return None


def _keep(path: Path, found: Hashes) -> None:
    """Write arrays behind a first record, which says how they were thinned."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hashes = np.concatenate([np.zeros(1, np.uint64), found.hashes])
        nodes = np.concatenate([np.array([found.shift], np.int32), found.nodes])
        write_atomically(path, hashes.tobytes() + nodes.tobytes())
    except OSError:
        return  # a cache that cannot be written costs time only


def _built(store: Store, manifest: Manifest) -> tuple[Hashes, Hashes]:
    """Return the hashes of the texts of a dataset, and of their passages."""
    folder = store.folder("dataset", manifest.ref)
    pieces, thin = [], Thinned()
    for shard in (*manifest.shards, *manifest.rejected):
        with pq.ParquetFile(folder / shard.file) as file:
            for batch in file.iter_batches(_ROWS):
                bills = np.asarray(batch.column(BILL)).astype(np.int32)
                for texts, keys in texts_of(batch):
                    piece = np.zeros(len(texts), _KEPT)
                    piece["hash"], piece["node"] = texts["hash"], bills[texts["row"]]
                    pieces.append(piece)
                    found = passages(keys)
                    nodes = bills[keys.rows[found["text"]]]
                    nodes[formulas(found, len(keys.rows))] = NOBODY
                    thin.add(found["hash"], nodes)
    whole = np.concatenate(pieces) if pieces else np.empty(0, _KEPT)
    hashes, first = np.unique(whole["hash"], return_index=True)
    return Hashes(hashes, np.ascontiguousarray(whole["node"][first])), thin.sorted()


class Thinned:
    """Passages of many texts: where there are too many, one of two is kept, and so on."""

    def __init__(self) -> None:
        self.shift, self._size = 0, 0
        self._pieces: list[np.ndarray] = []

    def add(self, hashes: np.ndarray, values: np.ndarray) -> None:
        """Add passages, each with a number."""
        piece = np.zeros(len(hashes), _KEPT)
        piece["hash"], piece["node"] = hashes, values
        self._pieces.append(piece[thinned(piece["hash"], self.shift)])
        self._size += len(self._pieces[-1])
        while self._size > _PASSAGES:
            whole = _firsts(np.concatenate(self._pieces))
            if len(whole) > _PASSAGES / 2:
                self.shift += 1
                whole = whole[thinned(whole["hash"], self.shift)]
            self._pieces, self._size = [whole], len(whole)

    def sorted(self) -> Hashes:
        """Return what was kept, each once: of several numbers the first, or that it is nobody's."""
        whole = np.concatenate(self._pieces) if self._pieces else np.empty(0, _KEPT)
        whole = _firsts(whole)
        return Hashes(
            np.ascontiguousarray(whole["hash"]), np.ascontiguousarray(whole["node"]), self.shift
        )


def _firsts(whole: np.ndarray) -> np.ndarray:
    nobody = np.unique(whole["hash"][whole["node"] == NOBODY])
    hashes, first = np.unique(whole["hash"], return_index=True)
    found: np.ndarray = whole[first]
    found["node"][np.isin(hashes, nobody, assume_unique=True)] = NOBODY
    return found


def texts_of(batch: pa.RecordBatch) -> Iterator[tuple[np.ndarray, Keyed]]:
    """Yield the hashes and keys of a store's texts; hashes of short ones of ``text`` alone.

    The ids of rows count as texts, so that one under another name is found.
    """
    places = np.arange(batch.num_rows)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if name == ID and pa.types.is_fixed_size_binary(column.type) | pa.types.is_binary(
            column.type
        ):
            ids = pa.array(
                [None if one is None else one.hex() for one in column.to_pylist()], pa.string()
            )
            yield keyed(ids, places).hashed(), _NOTHING
        if name in OURS or not is_text or name in _OTHERS:
            continue
        keys = keyed(column, places)
        own = keys.hashed()
        yield own if name == "text" else own[own["long"]], keys
        keys = keyed_within(column, places, answers=True)
        within = keys.hashed()
        yield within[within["long"]], keys


_NOTHING = Keyed(np.empty(0, np.uint8), np.zeros(1, np.int64), np.empty(0, np.int64))


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
