"""A proof of one record: what it says, where it lies and what it rests on, without the store.

A proof is one JSON object of some kilobytes. It carries the record's canonical text; the Merkle
path from it to the root of its shard; the ledger lines that committed the shard and the artifact,
each with its path to a signed checkpoint of the ledger; the manifest, whose digest the commit line
signs and which says the shard's place among the artifact's rows; and every node that the record's
node rests on. So whoever holds it can compute the record's bill and verdicts, and be shown that
they are those of a ledger that this signer signed.

What it cannot show: that the signer is who they say (compare the keyid by another way, and demand
it), that what the signer recorded is true, and that nothing later in the ledger gave the artifact
up. Without a demanded signer a proof only agrees with itself: anybody can write one with a key of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mashbill.core import checkpoint
from mashbill.core.artifact import Manifest, Shard
from mashbill.core.canonical import canonical_row, digest_bytes
from mashbill.core.errors import AuditError, CanonicalError, InputError
from mashbill.core.ledger import Entry, Signer, check_line, open_line
from mashbill.core.merkle import leaf, path, root_from_path
from mashbill.core.parsing import json_value
from mashbill.core.plain import counted as number_of
from mashbill.core.record import BILL, leaves
from mashbill.core.signers import SIGNERS, counted
from mashbill.core.store import FOLDERS, MANIFEST
from mashbill.core.tables import read_parquet
from mashbill.lineage.circuit.nodes import NodeTable, check_body, parts_of, reachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.core.store import Store

FORMAT = "mashbill-proof-1"
"""Version of the format. A change that an older reader would misread raises it."""

_HERE = Path("this proof")
"""what errors name in place of a ledger's file"""

Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Place(_Part):
    """Where the record lies."""

    file: str
    """name of its Parquet file in the artifact's folder"""
    index: int
    """its place in that file"""
    rows: int
    """records in that file"""
    path: list[Hash]
    """from the record's leaf to the root that the shard's line signs"""


class _Line(_Part):
    """One line of the ledger."""

    index: int
    line: str
    path: list[Hash]
    """from the line to the checkpoint's root"""


class _Proof(_Part):
    format: Literal["mashbill-proof-1"]
    artifact: str
    row: int
    record: str
    """canonical text of the record, exactly what the leaf covers"""
    shard: _Place
    manifest: str
    lines: list[_Line] = Field(min_length=1)
    """the first line; those that introduce signers; the shard's; the commit's"""
    checkpoint: str
    nodes: list[dict[str, Any]]
    """bodies of the record's node and of all that it rests on"""


@dataclass(frozen=True)
class Proven:
    """What a proof shows."""

    artifact: str
    row: int
    record: dict[str, Any]
    """column -> value; floats as C99 hexadecimal text, binary as hexadecimal, ``_bill`` as the
    digest of the record's node"""
    signer: str
    """keyid of who signed the commit"""
    size: int
    """entries of the ledger that the checkpoint counts"""
    at: str
    """when the artifact was committed, as the signer's clock had it (ISO 8601, UTC)"""
    nodes: NodeTable
    """the record's node, which is the root, and all that it rests on"""

    def as_dataset(self) -> NodeTable:
        """Return the record as a dataset of one, for which a bill and verdicts can be computed."""
        table = NodeTable(bodies=dict(self.nodes.bodies))
        table.number(self.nodes.root)
        table.records, table.tokens = [1], [1]
        name = f"{self.artifact} row {self.row}"
        members = [[self.nodes.root, 1, 1]]
        table.root = table.add({"type": "dataset", "artifact": name, "members": members})
        return table


def prove(store: Store, name: str, row: int, signer: Signer | None) -> dict[str, Any]:
    """Return the proof of one record, checked.

    Args:
        store: where it lies.
        name: the dataset, NAME or NAME@VERSION.
        row: counted over all shards, from 0.
        signer: signs a checkpoint of the ledger as it is now; None takes the one that was kept.

    Raises:
        StoreError: if there is no such artifact.
        InputError: if it is no dataset, or has no such row.
        AuditError: if the store does not hold what it would prove, or no checkpoint covers it.
    """
    manifest = store.find(name)
    if manifest.kind != "dataset" or not 0 <= row < manifest.rows:
        what = f"has rows 0 to {manifest.rows - 1}" if manifest.kind == "dataset" else "is a model"
        msg = f"{manifest.ref} {what}; row {row} of it cannot be proven"
        raise InputError(msg)
    shard, index = _place(manifest, row)
    folder = store.folder("dataset", manifest.ref)
    nodes = NodeTable.of(store, manifest)
    record, steps = _record_of(folder / shard.file, index, nodes)
    lines, note, keyid = _covering(store, signer)
    wanted = _entries(store, manifest, store.relative(folder / shard.file))
    wanted |= {e.index for e in store.ledger.accepted if e.event == SIGNERS and e.index < note.size}
    wanted |= _introducing(store, [*(store.ledger.entries[i].keyid for i in wanted), keyid])
    if max(wanted) >= note.size:
        msg = (
            f"the checkpoint kept of {store.ledger.path} counts "
            f"{number_of(note.size, 'entry', 'entries')}, and "
            f"{manifest.ref} was committed later; run `mashbill checkpoint`, or give a signer"
        )
        raise AuditError(msg)
    hashes = [leaf(line) for line in lines[: note.size]]
    proof = {
        "format": FORMAT,
        "artifact": str(manifest.ref),
        "row": row,
        "record": canonical_row(record).decode(),
        "shard": {"file": shard.file, "index": index, "rows": shard.rows, "path": _hex(steps)},
        "manifest": (folder / MANIFEST).read_text(encoding="utf-8"),
        "lines": [
            {"index": at, "line": lines[at].decode(), "path": _hex(path(hashes, at))}
            for at in sorted(wanted)
        ],
        "checkpoint": str(note),
        "nodes": [nodes.bodies[node] for node in sorted(reachable(nodes, [record[BILL]]))],
    }
    check_proof(proof)
    return proof


def _hex(steps: Sequence[bytes]) -> list[str]:
    return [step.hex() for step in steps]


def _record_of(file: Path, index: int, nodes: NodeTable) -> tuple[dict[str, Any], list[bytes]]:
    """Return a record with its node's digest, and its leaf's path to the root of its shard."""
    try:
        table = read_parquet(file, file, error=AuditError, what="records as they were committed")
        (record,) = table.slice(index, 1).to_pylist()
        record[BILL] = nodes.numbered[record[BILL]]
        return record, path(leaves(table, nodes.numbered), index)
    except (pa.ArrowException, OSError, LookupError, ValueError, TypeError) as error:
        msg = f"{file} is not as it was committed ({error}); run `mashbill audit`"
        raise AuditError(msg) from error


def _place(manifest: Manifest, row: int) -> tuple[Shard, int]:
    """Return the shard that holds a row, and the row's place in it."""
    before = 0
    for shard in manifest.shards:
        if 0 <= row - before < shard.rows:
            return shard, row - before
        before += shard.rows
    rows = number_of(before, "row")
    msg = f"proof: {manifest.ref} has {rows} in its manifest; row {row} is not one of them"
    raise AuditError(msg)


def _covering(store: Store, signer: Signer | None) -> tuple[list[bytes], Checkpoint, str]:
    """Return the ledger's lines, a checkpoint of them, and the keyid of its signer."""
    lines = checkpoint.lines_of(store.ledger.path)
    keys = checkpoint.keys_in(lines, store.ledger.path)
    note = checkpoint.sign(lines, signer) if signer else checkpoint.kept(store.root)
    if note is None:
        msg = (
            f"no checkpoint of {store.ledger.path} is kept here; run `mashbill checkpoint`, or "
            "give a signer that has entries in it"
        )
        raise AuditError(msg)
    broken = checkpoint.check(note, lines, keys)
    keyid = note.signer(keys)
    if broken is not None or keyid is None:
        what = broken.what if broken is not None else "the checkpoint is not signed"
        msg = f"{store.ledger.path}: {what}; only who has entries in a ledger can sign for it"
        raise AuditError(msg)
    return lines, note, keyid


def _entries(store: Store, manifest: Manifest, file: str) -> set[int]:
    """Return the places of the entries of a shard and of its artifact's commit."""
    shard = commit = None
    for entry in store.ledger.accepted:
        about = entry.predicate
        if about.get("artifact") != str(manifest.ref):
            continue
        if entry.event == "shard" and file in about["shards"]:
            shard = entry.index
        elif entry.event == "commit" and about["digest"] == manifest.digest:
            commit = entry.index
    if shard is None or commit is None:
        msg = f"{store.ledger.path} has no entries of {file} and its commit; run `mashbill audit`"
        raise AuditError(msg)
    return {shard, commit}


def _introducing(store: Store, keyids: Sequence[str]) -> set[int]:
    """Return the places of the lines that introduce these signers, and of the first line."""
    first: dict[str, int] = {}
    for entry in store.ledger.entries:
        if "public_key" in entry.predicate:
            first.setdefault(entry.keyid, entry.index)
    return {0, *(first[keyid] for keyid in keyids if keyid in first)}


def check_proof(proof: dict[str, Any], signer: str | None = None) -> Proven:
    """Check a proof, with nothing else at hand.

    Args:
        proof: what :func:`prove` returned.
        signer: keyid that must have signed the shard, the commit and the checkpoint. Without it
            the proof may be anybody's: see above.

    Raises:
        AuditError: naming what does not hold.
    """
    try:
        read = _Proof.model_validate(proof)
        told = json_value(read.manifest, "proof: manifest", error=AuditError)
        manifest = Manifest.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or error.title
        raise _failed(where, first["msg"]) from error
    if (manifest.kind, str(manifest.ref)) != ("dataset", read.artifact):
        raise _failed("manifest", f"is that of {manifest.ref}")
    shard, index = _place(manifest, read.row)
    if (shard.file, index, shard.rows) != (read.shard.file, read.shard.index, read.shard.rows):
        rows = number_of(shard.rows, "row")
        what = f"row {read.row} of the manifest is row {index} of {shard.file} ({rows})"
        raise _failed("shard", what)
    steps = [bytes.fromhex(part) for part in read.shard.path]
    if _led(leaf(read.record.encode()), index, shard.rows, steps, "shard") != shard.merkle_root:
        raise _failed("record", "the record is not in the shard that the manifest lists")
    entries, note, keys = _signed_lines(read)
    try:
        shard_entry, commit = _the_two(entries, read, manifest, shard)
    except AuditError:
        raise
    except Exception as error:
        raise _failed("lines", f"an entry lacks what such an entry says ({error!r})") from error
    by = note.signer(keys if signer is None else {k: v for k, v in keys.items() if k == signer})
    if by is None:
        raise _failed("checkpoint", f"is not signed by {signer or 'a key that a line introduces'}")
    _, strangers, signers = counted(entries)
    if not signers.knows(by):
        raise _failed("checkpoint", f"is signed by {by}, which is no signer of this ledger")
    for entry in (shard_entry, commit):
        if entry.keyid in strangers and entry in strangers[entry.keyid]:
            what = f"is signed by {entry.keyid}, which is no signer of this ledger"
            raise _failed(f"line {entry.index}", what)
        if signer is not None and entry.keyid != signer:
            raise _failed(f"line {entry.index}", f"is signed by {entry.keyid}, not by {signer}")
    declaring = [entry for entry in entries if entry.event == SIGNERS]
    if {entry.index for entry in entries} != {
        0,
        shard_entry.index,
        commit.index,
        *(entry.index for entry in declaring),
        *_introducers(entries, [by, *(e.keyid for e in (shard_entry, commit, *declaring))]),
    }:
        raise _failed("lines", "has lines that this proof does not rest on")
    record = _record(read.record)
    nodes = _closure(read.nodes, record)
    at = str(commit.predicate.get("at"))
    return Proven(read.artifact, read.row, record, commit.keyid, note.size, at, nodes)


def _failed(where: str, what: str) -> AuditError:
    return AuditError(f"proof: {where}: {what}")


def _led(hashed: bytes, index: int, size: int, steps: Sequence[bytes], where: str) -> str:
    try:
        return root_from_path(hashed, index, size, steps)
    except AuditError as error:
        raise _failed(f"{where} path", str(error)) from error


def _signed_lines(read: _Proof) -> tuple[list[Entry], Checkpoint, dict[str, bytes]]:
    """Check that each line holds by itself and is in the checkpoint's tree, at its place."""
    try:
        note = checkpoint.parse(read.checkpoint)
    except AuditError as error:
        raise _failed("checkpoint", str(error)) from error
    if len(note.signatures) != 1:
        raise _failed("checkpoint", "has more signatures than that of its signer")
    keys: dict[str, bytes] = {}
    entries: list[Entry] = []
    for item in read.lines:
        where, line = f"line {item.index}", item.line.encode()
        if entries and item.index <= entries[-1].index:
            raise _failed(where, "does not stand behind the line before it")
        steps = [bytes.fromhex(part) for part in item.path]
        if _led(leaf(line), item.index, note.size, steps, where) != note.root:
            raise _failed(where, "is not in the ledger that the checkpoint was made of")
        try:
            entry = open_line(line, item.index, _HERE)
        except AuditError as error:
            raise _failed(where, "is not an entry") from error
        # The line before is not at hand; that it is the one named follows from the checkpoint.
        wrong = check_line(line, item.index, entry.predicate.get("previous", ""), keys)
        if wrong is not None:
            raise _failed(where, wrong)
        entries.append(entry)
    if entries[0].index != 0 or note.origin != checkpoint.origin_of(read.lines[0].line.encode()):
        raise _failed("checkpoint", "its origin is not the first line of this ledger")
    return entries, note, keys


def _the_two(
    entries: list[Entry], read: _Proof, manifest: Manifest, shard: Shard
) -> tuple[Entry, Entry]:
    """Return the entries that commit the shard and then the artifact."""
    folder = f"{FOLDERS['dataset']}/{read.artifact}"
    file = f"{folder}/{shard.file}"
    known = manifest.fingerprint
    facts = {"rows": shard.rows, "sha256": shard.sha256, "merkle_root": shard.merkle_root}
    own = [
        entry
        for entry in entries
        if (entry.predicate.get("artifact"), entry.predicate.get("fingerprint"))
        == (read.artifact, known)
    ]
    shards = [
        entry
        for entry in own
        if entry.event == "shard"
        and entry.subjects.get(file) == shard.sha256
        and facts.items() <= entry.predicate["shards"].get(file, {}).items()
    ]
    commits = [
        entry
        for entry in own
        if entry.event == "commit"
        and entry.predicate["digest"] == manifest.digest
        and entry.subjects.get(f"{folder}/{MANIFEST}") == digest_bytes(read.manifest.encode())
    ]
    if len(shards) != 1:
        raise _failed("lines", f"none, or more than one, commits {file} as the manifest lists it")
    if len(commits) != 1 or commits[0].index < shards[0].index:
        raise _failed("lines", f"none behind the shard's commits {read.artifact} as it is here")
    return shards[0], commits[0]


def _introducers(entries: list[Entry], keyids: Sequence[str]) -> set[int]:
    """Return the places of the lines that introduce these signers."""
    first: dict[str, int] = {}
    for entry in entries:
        if "public_key" in entry.predicate:
            first.setdefault(entry.keyid, entry.index)
    return {first[keyid] for keyid in keyids}


def _record(text: str) -> dict[str, Any]:
    """Read a record's canonical text."""
    record = json_value(text, "proof: record", error=AuditError)
    try:
        holds = isinstance(record, dict) and canonical_row(record) == text.encode()
    except (ValueError, CanonicalError, RecursionError) as error:
        raise _failed("record", f"is not canonical: {error}") from error
    if not holds or not isinstance(record.get(BILL), str):
        raise _failed("record", "is not the canonical text of a record with its node")
    return dict(record)


def _closure(bodies: list[dict[str, Any]], record: dict[str, Any]) -> NodeTable:
    """Return the record's node and all that it rests on; neither more nor less may be there."""
    table = NodeTable()
    try:
        for body in bodies:
            check_body(body)
            table.add(body)
        table.root = record[BILL]
        waiting, met = [table.root], set()
        while waiting:
            node = waiting.pop()
            if node not in table.bodies:
                raise _failed("nodes", f"{node[:16]}... is altered or missing")  # noqa: TRY301
            if node not in met:
                met.add(node)
                waiting += parts_of(table.bodies[node])
    except AuditError:
        raise
    except Exception as error:
        raise _failed("nodes", f"a node cannot be read ({error!r:.100})") from error
    if len(met) != len(bodies):
        raise _failed("nodes", "has nodes that the record does not rest on, or one twice")
    return table
