"""Whether a dataset's manifest, its shards' entries, its rows and its node table say one thing.

What is read is what a digest covers: two readers of one file must not be told two things. A digest
of nodes is over bodies and bills are read by column, so the columns are written again from the
nodes and compared; a manifest, a line and a position have one spelling; a leaf that was kept of a
call is that of a run with an entry.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mashbill.core.canonical import digest
from mashbill.core.plain import counted as number_of
from mashbill.core.store import FOLDERS, LEARNED, MANIFEST, NODES
from mashbill.core.tables import read_parquet
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.comparing import compared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.lineage.evidence.made import Rows


@dataclass
class Records:
    """What the rows of one shard say, kept until their manifest is checked."""

    entry: int
    listed: tuple[str, str, int]
    """SHA-256, Merkle root and rows, as the shard's entry gives them"""
    bills: np.ndarray | None = None
    """rows that point at each node, shape (numbers,); None if the records could not be read"""
    came_from: tuple[int, int] | None = None
    """least and largest row that they say they came from; None if they say none"""
    rows: Rows | None = None
    """what lineage is composed from"""
    teachers: frozenset[str] = frozenset()
    """identities of the teachers whose calls they rest on"""


@dataclass
class Live:
    """What the entries say that were not given up later."""

    sha256: dict[str, str] = field(default_factory=dict)
    """file -> digest, as the last entry about it says"""
    shards: dict[str, dict[str, Records]] = field(default_factory=dict)
    """artifact -> file -> its records, for the shards that were met so far"""
    else_written: dict[str, str | None] = field(default_factory=dict)
    """folder -> what the columns of its node table say else than the nodes; None if nothing"""
    manifests: dict[str, Manifest] = field(default_factory=dict)
    """artifact -> manifest, of those whose bytes are those that were committed"""
    _tables: dict[str, NodeTable | None] = field(default_factory=dict)

    def table(self, store: Path, folder: str) -> NodeTable | None:
        """Return the node table of an artifact; None if it is not there or not as committed."""
        if folder not in self._tables:
            path = store / folder / NODES
            wrong, data = compared(path, self.sha256.get(f"{folder}/{NODES}"), keep=True)
            self._tables[folder] = None  # one that cannot be read is told once
            if wrong is None:
                rows = read_parquet(pa.py_buffer(data), path, what="a node table")
                table = self._tables[folder] = NodeTable.of_columns(rows, path)
                self.else_written[folder] = written_else(rows, table)
        return self._tables[folder]


def shards_listed(
    manifest: Manifest, folder: str, met: Mapping[str, Records], *, whole: bool
) -> Iterator[tuple[str, str]]:
    """Compare the shards that the manifest lists with those that have entries.

    Args:
        manifest: of the artifact.
        folder: where it lies in the store.
        met: the shards that entries speak of, by file.
        whole: whether nothing of the ledger is altered or gone.

    Yields:
        (file, what is wrong).
    """
    recorded = {
        (file, *records.listed) for file, records in met.items() if file.startswith(f"{folder}/")
    }
    listed = {
        (f"{folder}/{shard.file}", shard.sha256, shard.merkle_root, shard.rows)
        for shard in (*manifest.shards, *manifest.rejected)
    }
    for file in sorted({item[0] for item in recorded ^ listed}) if whole else ():
        yield file, "the manifest and the entry of this shard disagree about it"
    for shards, rows in (
        (manifest.shards, manifest.rows),
        (manifest.rejected, manifest.rejected_rows),
    ):
        if sum(shard.rows for shard in shards) != rows:
            what = f"its shards do not add up to what it states: {number_of(rows, 'row')}"
            yield f"{folder}/{MANIFEST}", what


def stray(file: str, artifact: str, is_committed: bool) -> Iterator[str]:
    """Yield why a shard that an entry about an artifact speaks of is none of its."""
    if is_committed:
        yield f"was added once {artifact} was committed: nobody reads it"
    elif file.rpartition("/")[0] != f"{FOLDERS['dataset']}/{artifact}":
        yield f"is no file of {artifact}, of which its entry speaks"


def files_listed(
    manifest: Manifest, folder: str, subjects: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Compare the files that the manifest lists with those that its entry commits.

    Args:
        manifest: of the artifact.
        folder: where it lies in the store.
        subjects: file -> SHA-256, as the entry that commits it gives them.

    Yields:
        (file, what is wrong).
    """
    more = [] if manifest.learned is None else [manifest.learned]
    listed = {f"{folder}/{f.file}": f.sha256 for f in (*manifest.files, manifest.nodes, *more)}
    given = {name: sha256 for name, sha256 in subjects.items() if name != f"{folder}/{MANIFEST}"}
    for name in sorted(listed.keys() | given.keys()):
        if name not in listed:
            yield name, "its entry commits this file, and the manifest does not list it"
        elif name not in given and name != f"{folder}/{NODES}":
            yield name, "the manifest lists this file, and its entry does not commit it"
        elif listed[name] != given.get(name, listed[name]):
            yield name, "the manifest gives another digest of this file than its entry"
    for item, name in ((manifest.nodes, NODES), *((one, LEARNED) for one in more)):
        if item.file != name:
            yield f"{folder}/{MANIFEST}", f"names {item.file!r:.80} where {name} is meant"


def counts(
    manifest: Manifest, folder: str, met: Mapping[str, Records], table: NodeTable
) -> Iterator[str]:
    """Compare what the node table counts with what rows point at; rejected rows do not."""
    bills = [
        met[file].bills if file in met else None
        for file in (f"{folder}/{shard.file}" for shard in manifest.shards)
    ]
    counted = np.zeros(len(table.numbered), np.int64)
    for part in bills:
        if part is None:
            return  # a shard that cannot be read was found already
        counted += part
    for number in np.flatnonzero(counted != np.asarray(table.records, np.int64)).tolist():
        yield (
            f"counts {number_of(table.records[number], 'record')} of node {number}; "
            f"{number_of(int(counted[number]), 'row')} "
            f"{'points' if counted[number] == 1 else 'point'} at it"
        )


def origins(
    manifest: Manifest, folder: str, met: Mapping[str, Records], rows: Mapping[str, int]
) -> Iterator[tuple[str, int, str]]:
    """Check that rows come from rows which the inputs have, where the store has the inputs.

    Args:
        manifest: of the artifact.
        folder: where it lies in the store.
        met: the shards that entries speak of, by file.
        rows: how many each artifact has, by address.

    Yields:
        (file, entry, what is wrong).
    """
    inputs = [item.name for item in manifest.inputs if item.role == "rows"]
    known = [rows[name] for name in inputs if name in rows]
    if not inputs or len(known) < len(inputs):
        return
    for shard in (*manifest.shards, *manifest.rejected):
        file = f"{folder}/{shard.file}"
        records = met.get(file)
        if records is None or records.came_from is None:
            continue
        least, largest = records.came_from
        if least < 0 or largest >= sum(known):
            what = (
                f"says that a row came from row {least if least < 0 else largest} of "
                f"{', '.join(inputs)}, which has rows 0 to {sum(known) - 1}"
            )
            yield file, records.entry, what


def written_else(rows: pa.Table, table: NodeTable) -> str | None:
    """Return where the columns of a node table say more, or else, than its nodes do.

    Whoever reads the columns (:meth:`mashbill.lineage.circuit.arrays.Circuit.read`) must be told
    what the digests cover: not another channel of a member, a second root, weights where a node has
    none.

    Args:
        rows: ``nodes.parquet`` as it is.
        table: the nodes in it.
    """
    told = "; bills are read from its columns, so go on from a copy in which they follow from nodes"
    wanted = table.columns()
    if rows.schema.names != wanted.schema.names:
        more = ", ".join(sorted(set(rows.schema.names) ^ set(wanted.schema.names)))
        return f"has other columns than a node table ({more:.200}){told}"
    for name in wanted.schema.names:
        have, want = rows.column(name), wanted.column(name)
        if have.type != want.type:
            return f"has {have.type} in column {name!r}, where {want.type} is meant{told}"
        if not have.equals(want):
            return f"says else in column {name!r} than its nodes do{told}"
    return None


def altered(table: NodeTable, known: set[tuple[str, str]]) -> Iterator[str]:
    """Find nodes whose digest is not that of their body.

    Args:
        table: of an artifact.
        known: (digest, body) of those that were looked at: artifacts share most of their history.
    """
    for node, body in table.bodies.items():
        one = (node, json.dumps(body, sort_keys=True))
        if one not in known:
            if digest(body) != node:
                yield f"node {node[:16]}... is altered"
            known.add(one)
