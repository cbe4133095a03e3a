"""The circuit as arrays: one pass over it answers any question, a level at a time.

Nodes are numbered so that each level is contiguous and everything a node rests on stands before
it. A level's edges are contiguous too, so evaluating a level is a gather and a ``reduceat``;
nothing recurses, and a graph of millions of nodes is a few dozen numpy calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mashbill.core.errors import StoreError
from mashbill.core.parsing import foreign, json_value
from mashbill.core.source import Channel, Purpose, Source, parse_via, via
from mashbill.core.store import NODES
from mashbill.core.tables import read_parquet
from mashbill.lineage.circuit.contradicted import beside, contradictions
from mashbill.lineage.circuit.levels import levels_of, ragged
from mashbill.lineage.circuit.nodes import NodeTable, committed_nodes, edges
from mashbill.lineage.weights import Weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

SOURCE, MADE, DATASET, MODEL = range(4)
TYPES = ("source", "made", "dataset", "model")

LABELS = tuple(via(channel, purpose) for channel in Channel for purpose in Purpose)
"""every way to reach something; an edge holds the place in this list"""
CHANNEL_OF = np.array([list(Channel).index(parse_via(label)[0]) for label in LABELS], np.uint8)
"""place of a label's channel in :class:`Channel`, shape (labels,)"""
_CODE = {label: code for code, label in enumerate(LABELS)}


@dataclass
class Circuit:
    """A lineage graph of n nodes and m edges, parts before what is made of them."""

    type: np.ndarray
    """uint8, shape (n,): SOURCE, MADE, DATASET or MODEL"""
    start: np.ndarray
    """int64, shape (n + 1,): edges of node i are ``start[i]`` up to ``start[i + 1]``"""
    to: np.ndarray
    """int32, shape (m,): the node an edge leads to; always a smaller number"""
    label: np.ndarray
    """uint8, shape (m,): places in LABELS"""
    tokens: np.ndarray
    """float64, shape (m,): weight in tokens; NaN where it is not known"""
    records: np.ndarray
    """int64, shape (m,): rows behind an edge; -1 where it counts none"""
    levels: np.ndarray
    """int64, shape (levels + 1,): nodes of level k are ``levels[k]`` up to ``levels[k + 1]``"""
    place: np.ndarray
    """int64, shape (n,): number a node had before it was put in order -> its number here"""
    digests: Sequence[Any]
    """digest or name of each node, in the order it had before"""
    about: Sequence[Any]
    """JSON of each node's own fields, in the order it had before; None if it has none"""
    root: int = -1
    """node that stands for the whole artifact"""
    numbered: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """node of each number that a row may hold, shape (numbers,)"""
    number_records: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """rows that point at each number, shape (numbers,)"""
    described: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    """bool, shape (n,): nodes that are sources: leaves and, in the catalogue of public models,
    models and datasets whose own making is recorded too"""
    before: np.ndarray | None = field(default=None, repr=False)
    """int64, shape (n,): the inverse of ``place``, where it is kept; worked out if None"""
    _sources: dict[int, Source] = field(default_factory=dict, repr=False)
    _models: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def build(
        cls,
        kind: np.ndarray,
        parent: np.ndarray,
        to: np.ndarray,
        label: np.ndarray,
        tokens: np.ndarray,
        records: np.ndarray | None = None,
        *,
        digests: Sequence[Any] = (),
        about: Sequence[Any] = (),
        root: int = -1,
        numbered: np.ndarray | None = None,
        number_records: np.ndarray | None = None,
        described: np.ndarray | None = None,
    ) -> Circuit:
        """Put a graph in order; edges need none.

        Args:
            kind: shape (n,), SOURCE to MODEL.
            parent: shape (m,), the node made of ``to``.
            to: shape (m,).
            label: shape (m,), places in LABELS.
            tokens: shape (m,), NaN where not known.
            records: shape (m,), or None.
            digests: names, to be told in errors and paths.
            about: JSON texts.
            root: the node asked about by default.
            numbered: nodes that rows point at.
            number_records: rows that point at each of those.
            described: bool, shape (n,), which nodes are sources; those of type SOURCE if None. What
                an inner one is, its JSON has under ``source``.

        Raises:
            InputError: if the graph has a cycle; a node of it is named.
        """
        count = len(kind)
        level = levels_of(count, parent, to, digests)
        order = np.argsort(level, kind="stable")
        place = np.empty(count, np.int64)
        place[order] = np.arange(count)
        sorting = np.argsort(place[parent].astype(np.int32), kind="stable")
        fan_out = np.bincount(parent, minlength=count)[order] if count else np.empty(0, np.int64)
        ends = np.bincount(level) if count else np.empty(0, np.int64)
        return cls(
            type=np.asarray(kind, np.uint8)[order],
            start=np.concatenate([[0], np.cumsum(fan_out)]).astype(np.int64),
            to=place[to[sorting]].astype(np.int32),
            label=np.asarray(label, np.uint8)[sorting],
            tokens=np.asarray(tokens, np.float64)[sorting],
            records=(
                np.full(len(to), -1, np.int64) if records is None else np.asarray(records)[sorting]
            ),
            levels=np.concatenate([[0], np.cumsum(ends)]).astype(np.int64),
            place=place,
            digests=digests,
            about=about,
            root=-1 if root < 0 else int(place[root]),
            numbered=np.empty(0, np.int64) if numbered is None else place[numbered],
            number_records=(
                np.empty(0, np.int64) if number_records is None else np.asarray(number_records)
            ),
            described=(np.asarray(kind) == SOURCE if described is None else described)[order],
        )

    @classmethod
    def of(cls, table: NodeTable) -> Circuit:
        """Return the circuit of a node table in memory."""
        names = [*table.numbered, *sorted(table.bodies.keys() - set(table.numbered))]
        at = {name: number for number, name in enumerate(names)}
        rows = [
            (number, at[end], _CODE[how], np.nan if tokens is None else tokens,
             -1 if records is None else records)
            for number, name in enumerate(names)
            for how, end, records, tokens in edges(table.bodies[name])
        ]  # fmt: skip
        parent, to, label, tokens, records = zip(*rows, strict=True) if rows else ((),) * 5
        bodies = [table.bodies[name] for name in names]
        own = ("parts", "members", "type")
        return cls.build(
            np.array([TYPES.index(body["type"]) for body in bodies], np.uint8),
            np.array(parent, np.int64),
            np.array(to, np.int64),
            np.array(label, np.uint8),
            np.array(tokens, np.float64),
            np.array(records, np.int64),
            digests=names,
            about=[json.dumps({k: v for k, v in b.items() if k not in own}) for b in bodies],
            root=at[table.root] if table.root else -1,
            numbered=np.arange(len(table.numbered)),
            number_records=np.array(table.records, np.int64),
        )

    @classmethod
    def read(cls, path: Path, data: bytes | None = None) -> Circuit:
        """Read ``nodes.parquet`` straight into arrays.

        Args:
            path: the file.
            data: its bytes, if they were read already.

        Raises:
            StoreError: if it is not one.
        """
        given = path if data is None else pa.py_buffer(data)
        table = read_parquet(given, path, what="a node table").combine_chunks()
        with foreign(path, "a node table", error=StoreError, remedy="run `mashbill audit`"):
            to = _flat(table, "to")
            sizes = np.diff(_numbers(_list(table, "to").offsets))
            tokens = _numbers(_flat_values(table, "tokens"), -1).astype(np.float64)
            tokens[tokens < 0] = np.nan
            how = _flat_values(table, "via").dictionary_encode()
            codes = np.array([_CODE[label.as_py()] for label in how.dictionary], np.uint8)
            kinds = table.column("type").chunk(0).dictionary_encode()
            kind = np.array([TYPES.index(name.as_py()) for name in kinds.dictionary], np.uint8)
            if not len(to) == len(how) == len(tokens) == len(_flat_values(table, "records")):
                msg = "its columns of edges differ in length"
                raise ValueError(msg)
            roots = np.flatnonzero(_numbers(table.column("is_root").cast(pa.uint8())))
            numbers = table.column("number").drop_null()
            if not len(roots):
                msg = "no node of it stands for the whole artifact"
                raise ValueError(msg)
            return cls.build(
                kind[_numbers(kinds.indices)],
                np.repeat(np.arange(table.num_rows), sizes),
                to,
                codes[_numbers(how.indices)] if len(to) else np.empty(0, np.uint8),
                tokens,
                _numbers(_flat_values(table, "records"), -1),
                digests=table.column("digest"),
                about=table.column("about"),
                root=int(roots[0]),
                numbered=np.arange(len(numbers)),
                number_records=_numbers(table.column("number_records").drop_null()),
            )

    @classmethod
    def of_artifact(cls, store: Store, manifest: Manifest) -> Circuit:
        """Read the circuit of an artifact of a store, with what speaks against its origins.

        Raises:
            StoreError: if its nodes are not those that were committed.
        """
        told = contradictions(store, manifest)
        if told:
            return cls.of(beside(NodeTable.of(store, manifest), told.values()))
        folder = store.folder(manifest.kind, manifest.ref)
        return cls.read(folder / NODES, committed_nodes(folder, manifest))

    @property
    def size(self) -> int:
        """Nodes."""
        return len(self.type)

    @cached_property
    def _before(self) -> np.ndarray:
        """Number a node had before it was put in order, shape (n,)."""
        if self.before is not None:
            return self.before
        before = np.empty(self.size, np.int64)
        before[self.place] = np.arange(self.size)
        return before

    @property
    def leaves(self) -> int:
        """Nodes that are made of nothing that is recorded; they come first."""
        return int(self.levels[1]) if len(self.levels) > 1 else self.size

    @cached_property
    def weights(self) -> Weights:
        """Weights of the edges as every share needs them."""
        return Weights.of(self)

    def facts(self, node: int) -> dict[str, Any]:
        """Return a node's own fields: a source's, or an artifact's address."""
        text = self.about[int(self._before[node])]
        text = text.as_py() if isinstance(text, pa.Scalar) else text
        return dict(json_value(text or "{}", f"node {node}", error=StoreError))

    def digest(self, node: int) -> str:
        """Return a node's digest, or its name in a graph that has no digests."""
        if not len(self.digests):
            return str(node)
        text = self.digests[int(self._before[node])]
        return str(text.as_py() if isinstance(text, pa.Scalar) else text)

    def source(self, node: int) -> Source:
        """Return the source that a node is."""
        if node not in self._sources:
            facts = self.facts(node)
            own = facts if self.type[node] == SOURCE else facts["source"]
            with foreign(f"node {self.digest(node)[:16]}", "a source", error=StoreError,
                         remedy="run `mashbill audit`"):  # fmt: skip
                self._sources[node] = Source.model_validate(own)
        return self._sources[node]

    def title(self, node: int) -> str:
        """Name a node for people."""
        if self.described[node]:
            source = self.source(node)
            return f"{source.title} ({source.route})"
        return str(self.facts(node).get("artifact", self.digest(node)[:12]))

    def sources(self) -> np.ndarray:
        """Return the nodes that are sources, shape (sources,)."""
        return np.flatnonzero(self.described)

    def under(self, node: int) -> Circuit:
        """Return the circuit of one node and all that it rests on; it is the root."""
        keep = np.zeros(self.size, bool)
        keep[node] = True
        waiting = np.array([node])
        while len(waiting):
            below = np.unique(self.to[ragged(self.start[waiting], self.start[waiting + 1])])
            waiting = below[~keep[below]]
            keep[waiting] = True
        nodes = np.flatnonzero(keep)
        number = np.cumsum(keep) - 1
        edges = ragged(self.start[nodes], self.start[nodes + 1])
        fan_out = self.start[nodes + 1] - self.start[nodes]
        return Circuit.build(
            self.type[nodes],
            np.repeat(np.arange(len(nodes)), fan_out),
            number[self.to[edges]],
            self.label[edges],
            self.tokens[edges],
            self.records[edges],
            digests=[self.digest(at) for at in nodes.tolist()],
            about=[json.dumps(self.facts(at)) for at in nodes.tolist()],
            root=int(number[node]),
            described=self.described[nodes],
        )

    def matching(self, test: Callable[[Source], bool]) -> np.ndarray:
        """Return which nodes are sources that pass a test, bool, shape (n,)."""
        found = np.zeros(self.size, bool)
        for node in self.sources().tolist():
            found[node] = test(self.source(node))
        return found

    def is_model(self) -> np.ndarray:
        """Return which nodes are models, leaf or not, bool, shape (n,): reaching one is a hop."""
        if self._models is not None:
            return self._models
        found: np.ndarray = (self.type == MODEL) | self.matching(
            lambda source: source.what not in {"dataset", "program"}
        )
        found &= self.type != DATASET
        self._models = found
        return found


def _numbers(array: pa.Array | pa.ChunkedArray, blank: int | None = None) -> np.ndarray:
    """Return numbers as numpy has them, ``blank`` for nulls.

    np.asarray and fill_null would load pandas where it is installed: half a second for nothing.
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if blank is None or array.null_count == 0:
        return np.from_dlpack(array)
    whole = pa.Array.from_buffers(
        array.type, len(array), [None, array.buffers()[1]], offset=array.offset
    )
    valid = np.from_dlpack(array.is_valid().cast(pa.uint8())).astype(bool)
    return np.where(valid, np.from_dlpack(whole), blank)


def _list(table: pa.Table, name: str) -> pa.ListArray:
    return table.column(name).chunk(0)


def _flat_values(table: pa.Table, name: str) -> pa.Array:
    return _list(table, name).flatten()


def _flat(table: pa.Table, name: str) -> np.ndarray:
    values = _numbers(_flat_values(table, name)).astype(np.int64)
    if len(values) and (values.min() < 0 or values.max() >= table.num_rows):
        msg = f"column {name!r} points outside the table"
        raise ValueError(msg)
    return values
