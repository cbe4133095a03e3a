"""Nodes of the lineage circuit, hash-consed: equal combinations are one node.

A node's digest is that of its body, and a body names its parts by digest, so the whole history is
one directed acyclic graph (provenance circuits: Deutch, Milo, Roy, Tannen, ICDT 2014). Bodies:

* ``{"type": "source", ...}``: a leaf, the fields of :class:`mashbill.core.source.Source`.
* ``{"type": "made", "parts": [[channel, digest], ...]}``: a record made of others.
* ``{"type": "dataset", "artifact": ..., "members": [[digest, records, tokens], ...]}``.
* ``{"type": "model", "artifact": ..., "files": digest, "members": [[channel, digest, tokens]]}``:
  what it learned from, weighted by the tokens that it saw.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.canonical import canonical, digest
from mashbill.core.errors import StoreError
from mashbill.core.source import Channel, Source
from mashbill.core.store import NODES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

Body = dict[str, Any]


def children(body: Body) -> list[tuple[Channel, str]]:
    """Return (channel, digest) of what a node rests on. A dataset holds its members as content."""
    match body["type"]:
        case "made":
            return [(Channel(channel), part) for channel, part in body["parts"]]
        case "dataset":
            return [(Channel.CONTENT, node) for node, _, _ in body["members"]]
        case "model":
            return [(Channel(channel), node) for channel, node, _ in body["members"]]
        case _:
            return []


@dataclass
class NodeTable:
    """The nodes of one artifact: those its rows point at, by number, and all they rest on."""

    bodies: dict[str, Body] = field(default_factory=dict)
    numbered: list[str] = field(default_factory=list)
    """digest of each node that a row may point at; ``_bill`` is the place in this list"""
    records: list[int] = field(default_factory=list)
    """rows that point at each numbered node"""
    tokens: list[int] = field(default_factory=list)
    """tokens in those rows"""
    root: str = ""
    """digest of the node that stands for the whole artifact"""

    def add(self, body: Body) -> str:
        """Add a node and return its digest; an equal node is the same node."""
        name = digest(body)
        self.bodies.setdefault(name, body)
        return name

    def add_source(self, source: Source) -> str:
        """Add a leaf."""
        return self.add({"type": "source", **source.model_dump(mode="json")})

    def absorb(self, other: NodeTable) -> None:
        """Take over another table's nodes, so that this one stays complete by itself."""
        self.bodies.update(other.bodies)

    def number(self, node: str) -> int:
        """Return the number of a node that rows point at, giving it one if it has none."""
        if node not in self.numbered:
            self.numbered.append(node)
            self.records.append(0)
            self.tokens.append(0)
        return self.numbered.index(node)

    def count(self, bills: np.ndarray, tokens: np.ndarray) -> None:
        """Add rows: their node numbers and token counts, both shape (rows,)."""
        size = len(self.numbered)
        for target, weights in ((self.records, np.ones_like(tokens)), (self.tokens, tokens)):
            added = np.bincount(bills, weights=weights, minlength=size)
            target[:] = [have + int(more) for have, more in zip(target, added, strict=True)]

    @property
    def digest(self) -> str:
        """Identity of the table: every node digest, number and count."""
        return digest(
            {
                "root": self.root,
                "numbered": [list(row) for row in self._numbered_rows()],
                "nodes": sorted(self.bodies),
            }
        )

    def _numbered_rows(self) -> Iterable[tuple[str, int, int]]:
        return zip(self.numbered, self.records, self.tokens, strict=True)

    def to_parquet(self) -> bytes:
        """Return the table as the bytes of ``nodes.parquet``."""
        rest = sorted(self.bodies.keys() - set(self.numbered))
        names = [*self.numbered, *rest]
        padding = [None] * len(rest)
        table = pa.table(
            {
                "digest": pa.array(names, pa.string()),
                "body": pa.array([canonical(self.bodies[n]).decode() for n in names], pa.string()),
                "number": pa.array([*range(len(self.numbered)), *padding], pa.int32()),
                "records": pa.array([*self.records, *padding], pa.int64()),
                "tokens": pa.array([*self.tokens, *padding], pa.int64()),
                "is_root": pa.array([name == self.root for name in names], pa.bool_()),
            }
        )
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()

    @classmethod
    def of(cls, store: Store, manifest: Manifest) -> NodeTable:
        """Read the nodes of an artifact of a store."""
        return cls.read(store.folder(manifest.kind, manifest.ref) / NODES)

    @classmethod
    def read(cls, path: Path) -> NodeTable:
        """Read ``nodes.parquet``.

        Raises:
            StoreError: if it is not one.
        """
        try:
            rows = pq.read_table(path).to_pylist()
            table = cls()
            for row in rows:
                table.bodies[row["digest"]] = json.loads(row["body"])
                if row["number"] is not None:
                    table.numbered.append(row["digest"])
                    table.records.append(row["records"])
                    table.tokens.append(row["tokens"])
                if row["is_root"]:
                    table.root = row["digest"]
        except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            msg = f"{path} cannot be read as a node table: {error}; run `mashbill audit`"
            raise StoreError(msg) from error
        return table


def compose(rows: NodeTable, actors: Sequence[tuple[Channel, NodeTable | Source]]) -> NodeTable:
    """Return the table of records made from ``rows`` with the help of these actors.

    Numbers stay as they are: row node i of the result is row node i of ``rows``, acted on. With no
    actor the nodes are the same nodes.

    Args:
        rows: table of the input records.
        actors: (channel, the artifact's table or the source) of each that acted on every record.
    """
    table = NodeTable()
    table.absorb(rows)
    parts = []
    for channel, actor in actors:
        if isinstance(actor, Source):
            parts.append([channel.value, table.add_source(actor)])
        else:
            table.absorb(actor)
            parts.append([channel.value, actor.root])
    for node in rows.numbered:
        made = [[Channel.CONTENT.value, node], *parts]
        table.numbered.append(table.add({"type": "made", "parts": made}) if parts else node)
        table.records.append(0)
        table.tokens.append(0)
    return table


def close_dataset(table: NodeTable, artifact: str) -> None:
    """Add the node that stands for a dataset, drop what nothing points at, and make it the root."""
    members = [list(row) for row in table._numbered_rows() if row[1]]  # noqa: SLF001
    table.root = table.add({"type": "dataset", "artifact": artifact, "members": members})
    keep = reachable(table, [table.root, *table.numbered])
    table.bodies = {name: table.bodies[name] for name in table.bodies if name in keep}


def close_model(
    artifact: str, files: str, learned: Sequence[tuple[Channel, NodeTable, np.ndarray]]
) -> NodeTable:
    """Return the table of a model.

    Args:
        artifact: its address.
        files: digest of its files.
        learned: (channel, table of the dataset, tokens seen for each numbered node) of each input.
    """
    table = NodeTable()
    weights: dict[tuple[str, str], int] = {}
    for channel, dataset, tokens in learned:
        table.absorb(dataset)
        for node, seen in zip(dataset.numbered, tokens.tolist(), strict=True):
            if seen:
                key = (channel.value, node)
                weights[key] = weights.get(key, 0) + int(seen)
    members = [[channel, node, seen] for (channel, node), seen in sorted(weights.items())]
    table.root = table.add(
        {"type": "model", "artifact": artifact, "files": files, "members": members}
    )
    keep = reachable(table, [table.root])
    table.bodies = {name: table.bodies[name] for name in table.bodies if name in keep}
    return table


def reachable(table: NodeTable, roots: Iterable[str]) -> set[str]:
    """Return every node that these rest on, themselves included."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [part for _, part in children(table.bodies[name])]
    return seen


def parts_first(table: NodeTable, root: str) -> list[str]:
    """Return the nodes under ``root`` so that each comes after all it rests on."""
    order: list[str] = []
    state: dict[str, bool] = {}
    waiting = [root]
    while waiting:
        name = waiting[-1]
        if name in state:
            waiting.pop()
            if not state[name]:
                state[name] = True
                order.append(name)
            continue
        state[name] = False
        waiting += [part for _, part in children(table.bodies[name]) if part not in state]
    return order


def supposing(table: NodeTable, exchanged: dict[str, Source]) -> NodeTable:
    """Return the table as it would be if these leaves were other sources.

    Node digests stay those of what happened: the result is for answering questions, not evidence.

    Args:
        table: a node table.
        exchanged: digest of a source's node -> the source to suppose in its place.
    """
    bodies = {
        name: {"type": "source", **exchanged[name].model_dump(mode="json")}
        if name in exchanged
        else body
        for name, body in table.bodies.items()
    }
    return NodeTable(bodies, table.numbered, table.records, table.tokens, table.root)
