"""Nodes of the lineage circuit, hash-consed: equal combinations are one node.

A node's digest is that of its body, and a body names its parts by digest, so the whole history is
one directed acyclic graph (provenance circuits: Deutch, Milo, Roy, Tannen, ICDT 2014). Bodies:

* ``{"type": "source", ...}``: a leaf, the fields of :class:`mashbill.core.source.Source`.
* ``{"type": "made", "parts": [[via, digest], ...]}``: a record made of others, a set of parts.
* ``{"type": "dataset", "artifact": ..., "members": [[digest, records, tokens], ...]}``.
* ``{"type": "model", "artifact": ..., "files": digest, "members": [[via, digest, tokens]]}``: what
  it learned from, weighted by the tokens that it saw; null where the weight is not known, as for
  the weights that it started from.

*Via* is a channel, with its purpose behind a slash where that is not making: ``content``,
``judgement/verifying``.

The purpose stands there so that a definition can leave cleaning, enriching or verifying out.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mashbill.core.canonical import canonical, digest, digest_bytes
from mashbill.core.errors import StoreError
from mashbill.core.parsing import check_regular, foreign, json_value
from mashbill.core.source import Channel, Source, parse_via
from mashbill.core.store import NODES
from mashbill.core.tables import read_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

Body = dict[str, Any]

CONTENT = Channel.CONTENT.value


def edges(body: Body) -> list[tuple[str, str, int | None, int | None]]:
    """Return (via, digest, records, tokens) of what a node rests on, None where there is none.

    A dataset holds its members as content.
    """
    match body["type"]:
        case "made":
            return [(how, part, None, None) for how, part in body["parts"]]
        case "dataset":
            return [(CONTENT, node, records, tokens) for node, records, tokens in body["members"]]
        case "model":
            return [(how, node, None, tokens) for how, node, tokens in body["members"]]
        case _:
            return []


def source_of(body: Body) -> Source:
    """Return the source that a leaf is."""
    return Source.model_validate({key: body[key] for key in body if key != "type"})


def check_body(body: Body) -> None:
    """Check that a body is that of a node, so that whoever asks about it finds what it has.

    Raises:
        ValueError: saying what it lacks; a KeyError or TypeError where a part is missing.
    """
    kind = body["type"]
    if kind == "source":
        source_of(body)
        return
    if kind != "made" and not isinstance(body["artifact"], str):
        msg = f"the artifact of a node is {body['artifact']!r:.60}"
        raise ValueError(msg)
    if kind not in {"made", "dataset", "model"}:
        msg = f"{kind!r:.60} is no type of a node"
        raise ValueError(msg)
    for how, end, *counts in edges(body):
        parse_via(how)
        if not isinstance(end, str) or not all(map(_is_count, counts)):
            msg = f"a part of a node is {[how, end, *counts]!r:.120}"
            raise ValueError(msg)


def _is_count(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value is None or (whole and 0 <= value < 2**62)


def children(body: Body) -> list[tuple[Channel, str]]:
    """Return (channel, digest) of what a node rests on."""
    return [(parse_via(how)[0], part) for how, part, _, _ in edges(body)]


def parts_of(body: Body) -> list[str]:
    """Return the digests of what a node rests on; each stage looks at all that is behind it."""
    match body["type"]:
        case "made":
            return [part for _, part in body["parts"]]
        case "dataset":
            return [node for node, _, _ in body["members"]]
        case "model":
            return [node for _, node, _ in body["members"]]
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
    _places: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

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

    def add_made(self, parts: Iterable[tuple[str, str]]) -> str:
        """Add a record made of these (via, digest) parts; one part taken as it is is itself."""
        distinct = sorted(set(parts))
        if len(distinct) == 1 and distinct[0][0] == CONTENT:
            return distinct[0][1]
        return self.add({"type": "made", "parts": [list(part) for part in distinct]})

    def number(self, node: str) -> int:
        """Return the number of a node that rows point at, giving it one if it has none."""
        if len(self._places) != len(self.numbered):
            self._places = {name: place for place, name in enumerate(self.numbered)}
        place = self._places.get(node)
        if place is None:
            place = self._places[node] = len(self.numbered)
            self.numbered.append(node)
            self.records.append(0)
            self.tokens.append(0)
        return place

    def count(self, bills: np.ndarray, tokens: np.ndarray) -> None:
        """Add rows: their node numbers and token counts, both shape (rows,)."""
        size = len(self.numbered)
        for target, weights in ((self.records, np.ones_like(tokens)), (self.tokens, tokens)):
            added = np.bincount(bills, weights=weights, minlength=size)
            for place in np.flatnonzero(added).tolist():
                target[place] += int(added[place])

    @property
    def digest(self) -> str:
        """Identity of the table: every node digest, number and count."""
        return digest(
            {
                "root": self.root,
                "numbered": [list(row) for row in self.numbered_rows()],
                "nodes": sorted(self.bodies),
            }
        )

    def numbered_rows(self) -> Iterable[tuple[str, int, int]]:
        """Return (node, records, tokens) by number."""
        return zip(self.numbered, self.records, self.tokens, strict=True)

    def to_parquet(self) -> bytes:
        """Return the table as the bytes of ``nodes.parquet``."""
        sink = io.BytesIO()
        pq.write_table(self.columns(), sink, compression="zstd")
        return sink.getvalue()

    def columns(self) -> pa.Table:
        """Return the table as the columns of ``nodes.parquet``, which follow from its nodes.

        Edges are columns of lists, so that a reader gets arrays and parses nothing; an edge's end
        is the place of a node in the file.
        """
        rest = sorted(self.bodies.keys() - set(self.numbered))
        names = [*self.numbered, *rest]
        place = {name: at for at, name in enumerate(names)}
        bodies = [self.bodies[name] for name in names]
        out = [edges(body) for body in bodies]
        about = [
            canonical({k: v for k, v in body.items() if k not in _IN_COLUMNS}).decode()
            if body["type"] != "made"
            else None
            for body in bodies
        ]
        padding = [None] * len(rest)
        return pa.table(
            {
                "digest": pa.array(names, pa.string()),
                "type": pa.array([body["type"] for body in bodies], pa.string()),
                "about": pa.array(about, pa.string()),
                "via": pa.array([[e[0] for e in node] for node in out], pa.list_(pa.string())),
                "to": pa.array([[place[e[1]] for e in node] for node in out], pa.list_(pa.int32())),
                "records": pa.array([[e[2] for e in node] for node in out], pa.list_(pa.int64())),
                "tokens": pa.array([[e[3] for e in node] for node in out], pa.list_(pa.int64())),
                "number": pa.array([*range(len(self.numbered)), *padding], pa.int32()),
                "number_records": pa.array([*self.records, *padding], pa.int64()),
                "number_tokens": pa.array([*self.tokens, *padding], pa.int64()),
                "is_root": pa.array([name == self.root for name in names], pa.bool_()),
            }
        )

    @classmethod
    def of(cls, store: Store, manifest: Manifest) -> NodeTable:
        """Read the nodes of an artifact of a store.

        Raises:
            StoreError: if they are not those that were committed.
        """
        folder = store.folder(manifest.kind, manifest.ref)
        return cls.read(folder / NODES, committed_nodes(folder, manifest))

    @classmethod
    def read(cls, path: Path, data: bytes | None = None) -> NodeTable:
        """Read ``nodes.parquet``.

        Args:
            path: the file.
            data: its bytes, if they were read already.

        Raises:
            StoreError: if it is not one.
        """
        given = path if data is None else pa.py_buffer(data)
        return cls.of_columns(read_parquet(given, path, what="a node table"), path)

    @classmethod
    def of_columns(cls, columns: pa.Table, path: Path) -> NodeTable:
        """Return the nodes that the columns of ``nodes.parquet`` say.

        Args:
            columns: of the file.
            path: the file, for errors.

        Raises:
            StoreError: if they are not those of a node table.
        """
        rows = columns.to_pylist()
        with foreign(path, "a node table", error=StoreError, remedy="run `mashbill audit`"):
            names = [row["digest"] for row in rows]
            table = cls()
            for row in rows:
                table.bodies[row["digest"]] = _body(row, names, path)
                if row["number"] is not None:
                    counts = row["number_records"], row["number_tokens"]
                    if None in counts or not all(map(_is_count, counts)):
                        msg = f"a node that rows may point at counts {counts!r:.60}"
                        raise ValueError(msg)
                    table.numbered.append(row["digest"])
                    table.records.append(row["number_records"])
                    table.tokens.append(row["number_tokens"])
                if row["is_root"]:
                    table.root = row["digest"]
            for body in table.bodies.values():
                check_body(body)
            if not table.root:
                msg = "no node of it stands for the whole artifact"
                raise ValueError(msg)
        return table


def committed_nodes(folder: Path, manifest: Manifest) -> bytes:
    """Return the bytes of an artifact's ``nodes.parquet``.

    Args:
        folder: of the artifact.
        manifest: of the artifact, as it was committed.

    Raises:
        StoreError: if they are not those that were committed.
    """
    path = folder / NODES
    check_regular(path)
    data = path.read_bytes() if path.is_file() else b""
    if digest_bytes(data) != manifest.nodes.sha256:
        what = "is not as it was committed" if data else "is not there"
        msg = f"{path} {what}; run `mashbill audit`"
        raise StoreError(msg)
    return data


_IN_COLUMNS = frozenset({"type", "parts", "members"})


def _body(row: dict[str, Any], names: list[str], path: Path) -> Body:
    """Return the body of a node from its columns."""
    body: Body = {"type": row["type"], **json_value(row["about"] or "{}", path, error=StoreError)}
    ends = [names[at] if at >= 0 else names[len(names)] for at in row["to"]]
    columns = zip(row["via"], ends, row["records"], row["tokens"], strict=True)
    match row["type"]:
        case "made":
            body["parts"] = [[how, end] for how, end, _, _ in columns]
        case "dataset":
            body["members"] = [[end, records, tokens] for _, end, records, tokens in columns]
        case "model":
            body["members"] = [[how, end, tokens] for how, end, _, tokens in columns]
    return body


def reachable(table: NodeTable, roots: Iterable[str]) -> set[str]:
    """Return every node that these rest on, themselves included."""
    seen: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += parts_of(table.bodies[name])
    return seen


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
