"""Audit: does everything in a store still agree with what the ledger says of it?

Checked are each entry's signature, place, predecessor and encoding; each file that an entry
speaks of; each record's Merkle leaf; each node's digest; each teacher call that a shard rests on;
and that no artifact is there without an entry. Nothing in the store is trusted beforehand.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pydantic import ValidationError

from mashbill.conduct.journal import Journal
from mashbill.core.artifact import Manifest
from mashbill.core.canonical import digest, digest_bytes, digest_file
from mashbill.core.errors import MashbillError
from mashbill.core.ledger import GENESIS, Entry, check_line, open_line
from mashbill.core.merkle import root
from mashbill.core.record import CALL, leaves
from mashbill.core.store import CALLS, FOLDERS, LEDGER, MANIFEST, NODES
from mashbill.lineage.nodes import NodeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


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

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


class Auditor:
    """Audits one store directory."""

    def __init__(
        self,
        folder: Path,
        signer: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Audit ``folder``; with ``signer``, entries of any other key are findings."""
        self._folder = folder
        self._signer = signer
        self._progress = progress or (lambda _done, _total: None)
        self.result = AuditResult([])
        self._covered: set[str] = {LEDGER, CALLS}
        self._journal: Journal | None = None
        self._journal_error = "is not there"

    def run(self) -> AuditResult:
        """Check everything and return what was found."""
        entries = self._ledger()
        abandoned = _abandoned(entries)
        try:
            self._journal = Journal(self._folder / CALLS)
        except (MashbillError, sqlite3.Error) as error:
            self._journal_error = str(error)
        for number, entry in enumerate(entries):
            self._progress(number, len(entries))
            if entry.index in abandoned:
                self._covered |= entry.subjects.keys()
                continue
            self._files(entry)
            try:
                if entry.event == "shard":
                    self._shard(entry)
                elif entry.event == "commit":
                    self._commit(entry, entries, abandoned)
            except Exception as error:  # noqa: BLE001 - whatever tampering raises is the finding
                name = str(entry.predicate.get("artifact"))
                self._find(name, entry.index, f"cannot be checked: {error!s:.200}")
        if all(finding.file != LEDGER for finding in self.result.findings):
            # With a broken ledger everything behind the break would be told again, file by file.
            self._uncovered(entries)
        return self.result

    def _find(self, file: str, entry: int | None, what: str) -> None:
        self.result.findings.append(Finding(file, entry, what))

    def _ledger(self) -> list[Entry]:
        path = self._folder / LEDGER
        if not path.exists():
            self._find(LEDGER, None, "is not there, so nothing in this folder is evidence")
            return []
        *lines, torn = path.read_bytes().split(b"\n")
        if torn:
            self._find(LEDGER, len(lines), "the last line does not end: it was torn or altered")
        entries: list[Entry] = []
        keys_by_id: dict[str, bytes] = {}
        previous = GENESIS
        broken: list[tuple[int, str]] = []
        for index, line in enumerate(lines):
            wrong = check_line(line, index, previous, keys_by_id)
            if wrong is not None:
                broken.append((index, wrong))
            previous = digest_bytes(line)
            if wrong is not None:
                continue  # nothing that an altered entry says is followed up
            entry = open_line(line, index, path)
            if self._signer is not None and entry.keyid != self._signer:
                self._find(LEDGER, index, f"is signed by {entry.keyid}, not by {self._signer}")
            entries.append(entry)
        if broken:
            index, wrong = broken[0]
            after = len(broken) - 1
            more = f"; {after} more entries do not hold either, of those behind it" if after else ""
            self._find(LEDGER, index, wrong + more)
        self.result.entries = len(lines)
        self.result.signers = tuple(keys_by_id)
        return entries

    def _files(self, entry: Entry) -> None:
        for name, sha256 in entry.subjects.items():
            self._covered.add(name)
            self.result.files += 1
            path = self._folder / name
            if not path.is_file():
                self._find(name, entry.index, "is not there")
            elif (found := digest_file(path)) != sha256:
                self._find(
                    name,
                    entry.index,
                    f"has SHA-256 {found[:16]}..., the entry says {sha256[:16]}...",
                )

    def _shard(self, entry: Entry) -> None:
        """Check records against the Merkle root, and the calls that they rest on."""
        for name, facts in entry.predicate["shards"].items():
            path = self._folder / name
            nodes = path.parent / NODES
            if not path.is_file():
                continue  # found already, with the other files of the entry
            if not nodes.exists() and not (path.parent / MANIFEST).exists():
                self.result.records += facts["rows"]  # the run was stopped before it committed
                continue
            try:
                table = pq.read_table(path)
                found = root(leaves(table, NodeTable.read(nodes).numbered))
            except Exception as error:  # noqa: BLE001 - whatever tampering raises is the finding
                self._find(name, entry.index, f"cannot be read as records: {error!s:.200}")
                continue
            self.result.records += table.num_rows
            if found != facts["merkle_root"]:
                self._find(name, entry.index, "holds records that are not those of the entry")
            if "calls_root" in facts:
                self._calls(name, entry, table.column(CALL).to_pylist(), facts["calls_root"])

    def _calls(self, name: str, entry: Entry, calls: list[bytes], expected: str) -> None:
        if self._journal is None:
            self._find(CALLS, entry.index, f"{self._journal_error}; {name} rests on calls in it")
            return
        try:
            found = self._journal.merkle_root(call.hex() for call in calls)
        except Exception as error:  # noqa: BLE001 - whatever tampering raises is the finding
            self._find(CALLS, entry.index, f"cannot be read: {error}; {name} rests on calls in it")
            return
        self.result.calls += len(set(calls))
        if found != expected:
            self._find(CALLS, entry.index, f"calls that {name} rests on are missing or altered")

    def _commit(self, entry: Entry, entries: list[Entry], abandoned: set[int]) -> None:
        """Check a manifest against its parts and against the entry."""
        name = str(entry.predicate["artifact"])
        folder = f"{FOLDERS[entry.predicate['kind']]}/{name}"
        path = self._folder / folder
        try:
            manifest = Manifest.model_validate_json((path / MANIFEST).read_bytes())
            table = NodeTable.read(path / NODES)
        except (OSError, ValidationError, MashbillError) as error:
            what = f"cannot be read: {error!s:.200}; if a run was stopped here, run it again"
            self._find(f"{folder}/{MANIFEST}", entry.index, what)
            return
        if manifest.digest != entry.predicate["digest"]:
            self._find(
                f"{folder}/{MANIFEST}", entry.index, "describes other content than the entry"
            )
        for node, body in table.bodies.items():
            if digest(body) != node:
                self._find(f"{folder}/{NODES}", entry.index, f"node {node[:16]}... is altered")
        if (table.digest, table.root) != (manifest.nodes_digest, manifest.bill):
            self._find(f"{folder}/{NODES}", entry.index, "is not the lineage that was committed")
        recorded = {
            (file, facts["merkle_root"], facts["rows"])
            for other in entries
            if other.event == "shard" and other.index not in abandoned
            for file, facts in other.predicate["shards"].items()
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

    def _uncovered(self, entries: list[Entry]) -> None:
        """Find files of artifacts that no entry speaks of, unless a run is still to commit them."""
        committed = {e.predicate["artifact"] for e in entries if e.event == "commit"}
        for path in _artifact_files(self._folder):
            name = path.relative_to(self._folder).as_posix()
            if name in self._covered or path.name.startswith("."):
                continue
            if path.parent.name in committed or path.name == MANIFEST:
                self._find(name, None, "no entry of the ledger speaks of this file")


def _abandoned(entries: list[Entry]) -> set[int]:
    """Return the places of entries about what was given up later, before it was finished."""
    gone: set[int] = set()
    for entry in entries:
        if entry.event == "abandon":
            gone |= {
                other.index
                for other in entries[: entry.index]
                if other.event in {"shard", "commit"}
                and other.predicate["artifact"] == entry.predicate["artifact"]
            }
    return gone


def _artifact_files(folder: Path) -> Iterator[Path]:
    for name in FOLDERS.values():
        yield from sorted(path for path in (folder / name).glob("*/*") if path.is_file())
