"""A proof of one record: what it says, where it lies and what it rests on, without the store.

A proof is one JSON object of some kilobytes. It carries the record's canonical text; the Merkle
path from it to the root of its shard; the ledger lines that committed the shard and the artifact,
each with its path to a signed checkpoint of the ledger; the manifest, whose digest the commit line
signs and which says the shard's place among the artifact's rows; and every node that the record's
node rests on. What it shows without the store, and what it cannot show, is told by
:mod:`mashbill.lineage.evidence.proven`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mashbill.core import checkpoint
from mashbill.core.artifact import Manifest
from mashbill.core.canonical import canonical_row
from mashbill.core.errors import AuditError, InputError
from mashbill.core.ledger import Signer
from mashbill.core.merkle import leaf, path
from mashbill.core.plain import counted as number_of
from mashbill.core.record import BILL, leaves
from mashbill.core.signers import SIGNERS
from mashbill.core.store import MANIFEST
from mashbill.core.tables import read_parquet
from mashbill.lineage.circuit.nodes import NodeTable, reachable
from mashbill.lineage.evidence.proven import FORMAT, check_proof, place_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.core.store import Store


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
    store.check_there(manifest.ref, "the proof of a row of it")
    shard, index = place_of(manifest, row)
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
