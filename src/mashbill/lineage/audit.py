"""Audit: does everything in a store still agree with what the ledger says of it?

Checked are each entry's signature, place, predecessor and encoding; that the ledger still holds all
that checkpoints kept elsewhere counted; each file that an entry speaks of; each record's Merkle
leaf, the node that it points at and the rows that it says it came from; each node's digest and
record count; each teacher call that a shard rests on; and that no artifact is there without an
entry. Nothing in the store is trusted beforehand, and no file is parsed whose bytes are not those
that a signed entry names.

One moment is judged: that at which the ledger is read, first of all. A run may go on beside. What
it adds, gives up or makes anew meanwhile is told as newer, if an entry appended since, or the lock
of the artifact that is being made, says so; whatever else does not hold is a finding.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pydantic import ValidationError

from mashbill.conduct.journal import Journal
from mashbill.core.artifact import Manifest
from mashbill.core.canonical import digest
from mashbill.core.checkpoint import check
from mashbill.core.errors import MashbillError
from mashbill.core.faults import model_fault
from mashbill.core.merkle import root
from mashbill.core.parsing import json_value
from mashbill.core.record import CALL, leaves
from mashbill.core.store import CALLS, FOLDERS, LEDGER, MANIFEST, NODES
from mashbill.core.tables import read_parquet
from mashbill.lineage.comparing import artifact_files, came_from, compared, pointed_at
from mashbill.lineage.moment import Moment, Since, abandoned
from mashbill.lineage.nodes import NodeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.core.ledger import Entry


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold."""

    file: str
    entry: int | None
    """the entry that speaks of it; None if none does"""
    what: str

    def __str__(self) -> str:
        """Write the finding on one line."""
        where = "no entry" if self.entry is None else f"entry {self.entry}"
        return f"{self.file} ({where}): {self.what}"


@dataclass
class AuditResult:
    """What an audit found, and how much it looked at."""

    findings: list[Finding]
    entries: int = 0
    files: int = 0
    records: int = 0
    calls: int = 0
    signers: tuple[str, ...] = ()
    newer: list[Finding] = field(default_factory=list)
    """what the audit does not judge: it came about since, or is being made"""
    later: int = 0
    """entries appended since"""

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@dataclass
class _Records:
    """What the rows of one shard say, kept until their manifest is checked."""

    entry: int
    listed: tuple[str, int]
    """Merkle root and rows, as the shard's entry gives them"""
    bills: np.ndarray | None = None
    """rows that point at each node, shape (numbers,); None if the records could not be read"""
    came_from: tuple[int, int] | None = None
    """least and largest row that they say they came from; None if they say none"""


@dataclass
class _Live:
    """What the entries say that were not given up later."""

    sha256: dict[str, str] = field(default_factory=dict)
    """file -> digest, as the last entry about it says"""
    shards: dict[str, dict[str, _Records]] = field(default_factory=dict)
    """artifact -> file -> its records, for the shards that were met so far"""
    tables: dict[str, NodeTable | None] = field(default_factory=dict)
    """folder -> node table; None if it is not the one that was committed"""
    manifests: dict[str, Manifest] = field(default_factory=dict)
    """artifact -> manifest, of those whose bytes are those that were committed"""


class Auditor:
    """Audits one store directory."""

    def __init__(
        self,
        folder: Path,
        signer: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        """Audit ``folder``.

        Args:
            folder: the store.
            signer: keyid; entries and checkpoints of any other key are findings.
            progress: told (entries done, entries in all).
            checkpoints: of this store's ledger, kept elsewhere. Only they can show that the
                ledger's end is gone.
        """
        self._folder = folder
        self._signer = signer
        self._progress = progress or (lambda _done, _total: None)
        self._checkpoints = checkpoints
        self.result = AuditResult([])
        self._covered: set[str] = {LEDGER, CALLS}
        self._live = _Live()
        self._known_bodies: set[tuple[str, str]] = set()
        self._journal: Journal | None = None
        self._journal_error = "is not there"
        self._unsettled: list[tuple[Finding, Entry]] = []
        """files that are not as their entry says, until what came since was looked at"""

    def run(self) -> AuditResult:
        """Check everything and return what was found."""
        self._moment = Moment.of(self._folder / LEDGER)
        entries = self._ledger()
        given_up = abandoned(entries)
        for entry in entries:
            if entry.index in given_up:
                self._covered |= entry.subjects.keys()
            else:
                self._live.sha256.update(entry.subjects)
        try:
            self._journal = Journal(self._folder / CALLS)
        except (MashbillError, sqlite3.Error) as error:
            self._journal_error = str(error)
        for number, entry in enumerate(entries):
            self._progress(number, len(entries))
            if entry.index not in given_up:
                self._entry(entry)
        if self._journal is not None:
            self._journal.close()
        self._settle(entries)
        if all(finding.file != LEDGER for finding in self.result.findings):
            # With a broken ledger everything behind the break would be told again, file by file.
            self._uncovered(entries)
        return self.result

    def _find(self, file: str, entry: int | None, what: str) -> None:
        self.result.findings.append(Finding(file, entry, what))

    def _ledger(self) -> list[Entry]:
        moment = self._moment
        if not moment.path.is_file():
            self._find(LEDGER, None, "is not there, so nothing in this folder is evidence")
        if moment.torn:
            what = "the last line does not end: it was torn or altered"
            self._find(LEDGER, len(moment.lines), what)
        for entry in moment.entries:
            if self._signer is not None and entry.keyid != self._signer:
                what = f"is signed by {entry.keyid}, not by {self._signer}"
                self._find(LEDGER, entry.index, what)
        if moment.broken:  # nothing that an altered entry says is followed up
            index, wrong = moment.broken[0]
            after = len(moment.broken) - 1
            more = f"; {after} more entries do not hold either, of those behind it" if after else ""
            self._find(LEDGER, index, wrong + more)
        for checkpoint in self._checkpoints:
            missing = check(checkpoint, moment.lines, moment.keys, self._signer)
            if missing is not None:
                self._find(LEDGER, missing.entry, missing.what)
        self.result.entries = len(moment.lines)
        self.result.signers = tuple(moment.keys)
        return list(moment.entries)

    def _entry(self, entry: Entry) -> None:
        """Check what one entry speaks of."""
        try:
            intact = self._files(entry)
            if entry.event == "shard":
                for name, facts in entry.predicate["shards"].items():
                    self._shard(entry, name, facts, intact)
            elif entry.event == "commit":
                self._commit(entry, intact)
        except Exception as error:  # noqa: BLE001 - whatever a wrong entry raises is the finding
            name = str(entry.predicate.get("artifact"))
            self._find(name, entry.index, f"cannot be checked: {error!s:.200}")

    def _files(self, entry: Entry) -> dict[str, bytes]:
        """Check the files of an entry; return the bytes of those to be looked into that hold."""
        intact = {}
        for name, sha256 in entry.subjects.items():
            self._covered.add(name)
            self.result.files += 1
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                self._find(name, entry.index, "is no file of this store: it leads out of it")
                continue
            looked_into = entry.event == "shard" or name.endswith(f"/{MANIFEST}")
            wrong, data = compared(self._folder / name, sha256, keep=looked_into)
            if wrong is None:
                intact[name] = data
            else:
                self._find(name, entry.index, wrong)
                self._unsettled.append((self.result.findings[-1], entry))
        return intact

    def _table(self, folder: str) -> NodeTable | None:
        """Return the node table of an artifact; None if it is not there or not as committed."""
        if folder not in self._live.tables:
            path = self._folder / folder / NODES
            wrong, data = compared(path, self._live.sha256.get(f"{folder}/{NODES}"), keep=True)
            self._live.tables[folder] = NodeTable.read(path, data) if wrong is None else None
        return self._live.tables[folder]

    def _shard(
        self, entry: Entry, name: str, facts: dict[str, Any], intact: dict[str, bytes]
    ) -> None:
        """Check records against the Merkle root, and the calls that they rest on."""
        records = _Records(entry.index, (facts["merkle_root"], facts["rows"]))
        self._live.shards.setdefault(str(entry.predicate["artifact"]), {})[name] = records
        if entry.subjects.get(name) != facts["sha256"]:
            self._find(name, entry.index, "has two digests in its entry")
        nodes = self._table(name.rpartition("/")[0])
        if name not in intact:
            return  # found already, with the other files of the entry
        if nodes is None:
            self.result.records += facts["rows"]  # the run was stopped before it committed
            return
        try:
            table = read_parquet(pa.py_buffer(intact[name]), name, use_threads=False)
            records.bills = pointed_at(table, len(nodes.numbered))
            records.came_from = came_from(table)
            found = root(leaves(table, nodes.numbered))
        except Exception as error:  # noqa: BLE001 - whatever a wrong file raises is the finding
            self._find(name, entry.index, f"cannot be read as records: {error!s:.200}")
            return
        self.result.records += table.num_rows
        if found != facts["merkle_root"] or table.num_rows != facts["rows"]:
            self._find(name, entry.index, "holds records that are not those of the entry")
        if "calls_root" in facts:
            self._calls(name, entry, table.column(CALL).to_pylist(), facts["calls_root"])

    def _calls(self, name: str, entry: Entry, calls: list[bytes], expected: str) -> None:
        if self._journal is None:
            self._find(CALLS, entry.index, f"{self._journal_error}; {name} rests on calls in it")
            return
        try:
            found = self._journal.merkle_roots(call.hex() for call in calls if call)
        except Exception as error:  # noqa: BLE001 - whatever tampering raises is the finding
            self._find(CALLS, entry.index, f"cannot be read: {error}; {name} rests on calls in it")
            return
        self.result.calls += len(set(calls))
        if expected not in found:
            self._find(CALLS, entry.index, f"calls that {name} rests on are missing or altered")

    def _commit(self, entry: Entry, intact: dict[str, bytes]) -> None:
        """Check a manifest against its parts and against the entry."""
        name = str(entry.predicate["artifact"])
        folder = f"{FOLDERS[entry.predicate['kind']]}/{name}"
        file, nodes = f"{folder}/{MANIFEST}", f"{folder}/{NODES}"
        for wanted in {file, nodes} - entry.subjects.keys():
            self._find(wanted, entry.index, "is not among the files that its entry commits")
        if file not in intact:
            return  # found already, with the other files of the entry
        try:
            manifest = Manifest.model_validate(json_value(intact[file], file))
        except (ValidationError, MashbillError) as error:
            self._find(file, entry.index, f"cannot be read: {error!s:.200}")
            return
        if (manifest.digest, str(manifest.ref)) != (entry.predicate["digest"], name):
            self._find(file, entry.index, "describes other content than the entry")
        self._live.manifests[name] = manifest
        fault = model_fault(str(manifest.stage.get("kind")), self._folder / folder)
        if fault:
            self._find(folder, entry.index, f"{fault}; run its recipe again, which makes it anew")
        self._shards_listed(entry, manifest, folder)
        table = self._table(folder)
        if table is None:
            return
        for node, body in table.bodies.items():
            # Artifacts share most of their history, so most bodies were seen before.
            known = (node, json.dumps(body, sort_keys=True))
            if known not in self._known_bodies:
                if digest(body) != node:
                    self._find(nodes, entry.index, f"node {node[:16]}... is altered")
                self._known_bodies.add(known)
        if (table.digest, table.root) != (manifest.nodes_digest, manifest.bill):
            self._find(nodes, entry.index, "is not the lineage that was committed")
        if manifest.kind == "dataset":
            self._counts(entry, manifest, folder, table)
            self._origins(manifest, folder)

    def _shards_listed(self, entry: Entry, manifest: Manifest, folder: str) -> None:
        """Compare the shards that the manifest lists with those that have entries."""
        recorded = {
            (file, *records.listed)
            for file, records in self._live.shards.get(str(manifest.ref), {}).items()
            if file.startswith(f"{folder}/")
        }
        listed = {
            (f"{folder}/{shard.file}", shard.merkle_root, shard.rows)
            for shard in (*manifest.shards, *manifest.rejected)
        }
        ledger_holds = all(finding.file != LEDGER for finding in self.result.findings)
        for file, _, _ in sorted(recorded ^ listed) if ledger_holds else ():
            what = "the manifest and the entry of this shard disagree about it"
            self._find(file, entry.index, what)
        for shards, rows in (
            (manifest.shards, manifest.rows),
            (manifest.rejected, manifest.rejected_rows),
        ):
            if sum(shard.rows for shard in shards) != rows:
                what = f"its shards do not add up to the {rows} rows that it states"
                self._find(f"{folder}/{MANIFEST}", entry.index, what)

    def _counts(self, entry: Entry, manifest: Manifest, folder: str, table: NodeTable) -> None:
        """Compare what the node table counts with what rows point at; rejected rows do not."""
        met = self._live.shards.get(str(manifest.ref), {})
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
            what = (
                f"counts {table.records[number]} records of node {number}; "
                f"{counted[number]} rows point at it"
            )
            self._find(f"{folder}/{NODES}", entry.index, what)

    def _origins(self, manifest: Manifest, folder: str) -> None:
        """Check that rows come from rows which the inputs have, where the store has the inputs."""
        inputs = [item.name for item in manifest.inputs if item.role == "rows"]
        known = [self._live.manifests[name].rows for name in inputs if name in self._live.manifests]
        if not inputs or len(known) < len(inputs):
            return
        for shard in (*manifest.shards, *manifest.rejected):
            file = f"{folder}/{shard.file}"
            records = self._live.shards.get(str(manifest.ref), {}).get(file)
            if records is None or records.came_from is None:
                continue
            least, largest = records.came_from
            if least < 0 or largest >= sum(known):
                what = (
                    f"says that a row came from row {least if least < 0 else largest} of "
                    f"{', '.join(inputs)}, which has rows 0 to {sum(known) - 1}"
                )
                self._find(file, records.entry, what)

    def _since(self, entries: list[Entry]) -> Since:
        """Return what was appended since the audit began."""
        later = self._moment.later(self._signer)
        if later is None:
            what = "is not as it was when this audit began: entries were altered or removed since"
            if all(finding.what != what for finding in self.result.findings):
                self._find(LEDGER, 0, what)
            later = []
        self.result.later = max(self.result.later, len(later))
        rested_on = {
            item.name for manifest in self._live.manifests.values() for item in manifest.inputs
        }
        return Since(self._folder, entries, later, rested_on)

    def _settle(self, entries: list[Entry]) -> None:
        """Let go of what was found because a run went on beside: it is told as newer."""
        if not self._unsettled:
            return
        since = self._since(entries)
        for finding, entry in self._unsettled:
            why = since.why_not_judged(entry, finding.file)
            if why is None:
                # It may have been finished between the first look and this one.
                path, sha256 = self._folder / finding.file, entry.subjects[finding.file]
                if compared(path, sha256)[0] is None:
                    why = "was being written as this audit looked at it"
                else:
                    since = self._since(entries)
                    why = since.why_not_judged(entry, finding.file)
            if why is not None:
                self.result.findings = [it for it in self.result.findings if it is not finding]
                self.result.newer.append(Finding(finding.file, entry.index, why))

    def _uncovered(self, entries: list[Entry]) -> None:
        """Find files of artifacts that no entry speaks of, unless a run is still to commit them."""
        there = list(artifact_files(self._folder))  # before the ledger is read again
        since = self._since(entries)
        for path in there:
            name = path.relative_to(self._folder).as_posix()
            if name in self._covered or path.name.startswith("."):
                continue
            why = since.why_there(path.parent.name, name)
            if why is not None:
                self.result.newer.append(Finding(name, None, why))
            elif path.is_file():
                self._find(name, None, "no entry of the ledger speaks of this file")
