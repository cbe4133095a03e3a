"""What a proof of one record shows, checked with nothing else at hand.

Whoever holds a proof can compute the record's bill and verdicts, and be shown that they are those
of a ledger that this signer signed.

What it cannot show: that the signer is who they say (compare the keyid by another way, and demand
it), that what the signer recorded is true, and that nothing later in the ledger gave the artifact
up. Without a demanded signer a proof only agrees with itself: anybody can write one with a key of
their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from mashbill.core import checkpoint
from mashbill.core.artifact import Manifest, Shard
from mashbill.core.canonical import canonical_row, digest_bytes
from mashbill.core.errors import AuditError, CanonicalError
from mashbill.core.ledger import Entry, check_line, open_line
from mashbill.core.merkle import leaf, root_from_path
from mashbill.core.parsing import json_value
from mashbill.core.plain import counted as number_of
from mashbill.core.record import BILL
from mashbill.core.signers import SIGNERS, counted
from mashbill.core.store import FOLDERS, MANIFEST
from mashbill.lineage.circuit.nodes import NodeTable, check_body, parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.checkpoint import Checkpoint

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


def place_of(manifest: Manifest, row: int) -> tuple[Shard, int]:
    """Return the shard that holds a row, and the row's place in it."""
    before = 0
    for shard in manifest.shards:
        if 0 <= row - before < shard.rows:
            return shard, row - before
        before += shard.rows
    rows = number_of(before, "row")
    msg = f"proof: {manifest.ref} has {rows} in its manifest; row {row} is not one of them"
    raise AuditError(msg)


def check_proof(proof: dict[str, Any], signer: str | None = None) -> Proven:
    """Check a proof, with nothing else at hand.

    Args:
        proof: what :func:`prove` returned.
        signer: keyid that must have signed the shard, the commit and the checkpoint. Without it
            the proof may be anybody's: see above.

    Raises:
        AuditError: naming what does not hold.
    """
    read, manifest = _read(proof)
    shard, index = place_of(manifest, read.row)
    if (shard.file, index, shard.rows) != (read.shard.file, read.shard.index, read.shard.rows):
        rows = number_of(shard.rows, "row")
        what = f"row {read.row} of the manifest is row {index} of {shard.file} ({rows})"
        raise _failed("shard", what)
    steps = [bytes.fromhex(part) for part in read.shard.path]
    if _led(leaf(read.record.encode()), index, shard.rows, steps, "shard") != shard.merkle_root:
        raise _failed("record", "the record is not in the shard that the manifest lists")
    entries, note, keys = _signed_lines(read)
    try:
        two = _the_two(entries, read, manifest, shard)
    except AuditError:
        raise
    except Exception as error:
        raise _failed("lines", f"an entry lacks what such an entry says ({error!r})") from error
    by = note.signer(keys if signer is None else {k: v for k, v in keys.items() if k == signer})
    if by is None:
        raise _failed("checkpoint", f"is not signed by {signer or 'a key that a line introduces'}")
    _check_signers(entries, two, by, signer)
    _check_no_others(entries, two, by)
    record = _record(read.record)
    nodes = _closure(read.nodes, record)
    commit = two[1]
    at = str(commit.predicate.get("at"))
    return Proven(read.artifact, read.row, record, commit.keyid, note.size, at, nodes)


def _read(proof: dict[str, Any]) -> tuple[_Proof, Manifest]:
    """Return a proof as it is written, and the manifest in it."""
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
    return read, manifest


def _check_signers(
    entries: list[Entry], two: tuple[Entry, Entry], by: str, signer: str | None
) -> None:
    """Check that checkpoint, shard and commit are signed by whose entries count.

    Args:
        entries: those that the proof holds.
        two: of these, the shard's and the commit's.
        by: who signed the checkpoint.
        signer: who must have signed, if it is demanded.
    """
    _, strangers, signers = counted(entries)
    if not signers.knows(by):
        raise _failed("checkpoint", f"is signed by {by}, which is no signer of this ledger")
    for entry in two:
        if entry.keyid in strangers and entry in strangers[entry.keyid]:
            what = f"is signed by {entry.keyid}, which is no signer of this ledger"
            raise _failed(f"line {entry.index}", what)
        if signer is not None and entry.keyid != signer:
            raise _failed(f"line {entry.index}", f"is signed by {entry.keyid}, not by {signer}")


def _check_no_others(entries: list[Entry], two: tuple[Entry, Entry], by: str) -> None:
    """Check that the proof has no lines but those that it rests on."""
    declaring = [entry for entry in entries if entry.event == SIGNERS]
    needed = {0, *(entry.index for entry in (*two, *declaring))}
    needed |= _introducers(entries, [by, *(entry.keyid for entry in (*two, *declaring))])
    if {entry.index for entry in entries} != needed:
        raise _failed("lines", "has lines that this proof does not rest on")


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
