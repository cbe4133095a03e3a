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

from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import ValidationError

from mashbill.core.artifact import Manifest
from mashbill.core.errors import MashbillError
from mashbill.core.faults import model_fault
from mashbill.core.given import TAKEN_IN
from mashbill.core.learning import read_learned
from mashbill.core.merkle import root
from mashbill.core.parsing import json_value
from mashbill.core.record import CALL, leaves
from mashbill.core.store import CALLS, FOLDERS, LEARNED, LEDGER, MANIFEST, NODES
from mashbill.core.tables import read_parquet
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.evidence.agreeing import (
    Live,
    Records,
    altered,
    counts,
    files_listed,
    origins,
    shards_listed,
    stray,
)
from mashbill.lineage.evidence.calls import Calls
from mashbill.lineage.evidence.comparing import came_from, check_own_columns, compared, pointed_at
from mashbill.lineage.evidence.counting import COMMITTING, count, set_back, told_apart
from mashbill.lineage.evidence.deriving import Pending, derivations
from mashbill.lineage.evidence.finding import AuditResult, Finding, Rederived
from mashbill.lineage.evidence.leftovers import find_leftovers
from mashbill.lineage.evidence.made import Rows
from mashbill.lineage.evidence.moment import Moment, Since, abandoned
from mashbill.lineage.evidence.removed import Removed
from mashbill.lineage.evidence.taken_in import word_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from mashbill.core.checkpoint import Checkpoint
    from mashbill.core.ledger import Entry
    from mashbill.lineage.evidence.recomposing import Composed

_LOOKS = 20  # at a store to which a run appends all the time


class Auditor:
    """Audits one store directory."""

    def __init__(
        self,
        folder: Path,
        signer: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        checkpoints: Sequence[Checkpoint] = (),
        rederive: Callable[[Manifest], Rederived] | None = None,
    ) -> None:
        """Audit ``folder``.

        Args:
            folder: the store.
            signer: keyid that the ledger must begin with; entries and checkpoints by keys that
                it, or a signer that goes back to it, did not declare are findings.
            progress: told (entries done, entries in all).
            checkpoints: of this store's ledger, kept elsewhere. Only they can show that the
                ledger's end is gone.
            rederive: makes the rows of an artifact again and says what differs; it comes from
                above, since lineage knows no stage.
        """
        self._folder = folder
        self._signer = signer
        self._progress = progress or (lambda _done, _total: None)
        self._checkpoints = checkpoints
        self._rederive = rederive
        self.result = AuditResult([])
        self._covered: set[str] = {LEDGER, CALLS}
        self._live = Live()
        self._ledger_holds = True
        self._known_bodies: set[tuple[str, str]] = set()
        self._unsettled: list[tuple[Finding, Entry]] = []
        """files that are not as their entry says, until what came since was looked at"""

    def run(self) -> AuditResult:
        """Check everything and return what was found."""
        self._moment = Moment.of(self._folder / LEDGER)
        counted = count(self._moment, self._signer, self._checkpoints)
        self.result.findings += counted.findings
        self.result.entries, self.result.signers = len(self._moment.lines), counted.signers
        self._ledger_holds, entries = counted.is_whole, counted.entries
        self.result.given_up, unread = told_apart(entries)
        self.result.not_derived += [*unread, *set_back(entries)]
        given_up = abandoned(entries)
        for entry in entries:
            if entry.event not in COMMITTING:
                self._covered |= entry.subjects.keys()  # what it says is a finding already
            elif entry.index not in given_up:
                self._live.sha256.update(entry.subjects)
        self._removed = Removed.of(entries, counted.names)
        self.result.removed = self._removed.told()
        for at, what in self._removed.strange:
            self._find(LEDGER, at, what)
        self._derivations = derivations(entries, given_up)
        self._calls = Calls(self._folder / CALLS)
        for number, entry in enumerate(entries):
            self._progress(number, len(entries))
            if entry.index not in given_up and entry.event in COMMITTING:
                self._entry(entry)
        for pending, found in self._derivations.rest():
            self._tell_composed(pending, found)
        self._runs(entries)
        self._settle(entries)
        self._make_again()
        if self._ledger_holds:
            # With a broken ledger everything behind the break would be told again, file by file.
            self._uncovered(entries)
        return self.result

    def _runs(self, entries: list[Entry]) -> None:
        """Check the journal's runs against their entries, and close it."""
        if self._calls.is_missed:
            self._find(CALLS, None, self._calls.flaw)
        if self._ledger_holds:  # else what it no longer speaks of would be told again
            strange = self._calls.strange_runs(
                entries,
                self._folder,
                later=lambda: self._moment.later() or (),
                calls_known=any(finding.file == CALLS for finding in self.result.findings),
            )
            self._find_each(CALLS, None, strange)
        self._calls.close()

    def _find(self, file: str, entry: int | None, what: str) -> None:
        self.result.findings.append(Finding(file, entry, what))

    def _find_each(self, file: str, entry: int | None, found: Iterable[str]) -> None:
        for what in found:
            self._find(file, entry, what)

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
            if name in self._removed.files:
                put_back, newer = self._removed.look(self._folder, name)
                if put_back:
                    self._find(name, entry.index, put_back)
                elif newer:
                    self.result.newer.append(Finding(name, entry.index, newer))
                continue
            looked_into = entry.event == "shard" or name.endswith((f"/{MANIFEST}", f"/{LEARNED}"))
            wrong, data = compared(self._folder / name, sha256, keep=looked_into)
            if wrong is None:
                intact[name] = data
            else:
                self._find(name, entry.index, wrong)
                self._unsettled.append((self.result.findings[-1], entry))
        return intact

    def _table(self, folder: str) -> NodeTable | None:
        """Return the node table of an artifact; None if it is not there or not as committed."""
        return self._live.table(self._folder, folder)

    def _shard(
        self, entry: Entry, name: str, facts: dict[str, Any], intact: dict[str, bytes]
    ) -> None:
        """Check records against the Merkle root, and the calls that they rest on."""
        listed = (str(entry.subjects.get(name)), facts["merkle_root"], facts["rows"])
        records, artifact = Records(entry.index, listed), str(entry.predicate["artifact"])
        self._live.shards.setdefault(artifact, {})[name] = records
        self._find_each(name, entry.index, stray(name, artifact, artifact in self._live.manifests))
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
            check_own_columns(table)
            records.bills = pointed_at(table, len(nodes.numbered))
            records.came_from = came_from(table)
            records.rows = Rows.of(table)
            found = root(leaves(table, nodes.numbered))
        except Exception as error:  # noqa: BLE001 - whatever a wrong file raises is the finding
            self._find(name, entry.index, f"cannot be read as records: {error!s:.200}")
            return
        self.result.records += table.num_rows
        if found != facts["merkle_root"] or table.num_rows != facts["rows"]:
            self._find(name, entry.index, "holds records that are not those of the entry")
        if "calls_root" in facts:
            calls = self._calls.of_shard(name, table.column(CALL).to_pylist())
            if calls is not None:
                self.result.calls += calls.size
                records.teachers = calls.teachers
                if facts["calls_root"] not in calls.roots:
                    what = f"calls that {name} rests on are missing or altered"
                    self._find(CALLS, entry.index, what)
        elif CALL in table.column_names:
            self._find(name, entry.index, "rests on calls, and its entry gives no root over them")

    def _commit(self, entry: Entry, intact: dict[str, bytes]) -> None:
        """Check a manifest against its parts and against the entry."""
        name = str(entry.predicate["artifact"])
        folder = f"{FOLDERS[entry.predicate['kind']]}/{name}"
        file, nodes = f"{folder}/{MANIFEST}", f"{folder}/{NODES}"
        for wanted in sorted({file, nodes} - entry.subjects.keys()):
            self._find(wanted, entry.index, "is not among the files that its entry commits")
        if file not in intact:
            return  # found already, with the other files of the entry
        manifest = self._manifest(entry, folder, intact[file])
        if manifest is None:
            return
        before = len(self.result.findings)
        self._find_each(file, entry.index, self._derivations.disagreements(manifest, entry))
        met = self._live.shards.get(str(manifest.ref), {})
        shards = shards_listed(manifest, folder, met, whole=self._ledger_holds)
        for place, what in chain(files_listed(manifest, folder, entry.subjects), shards):
            self._find(place, entry.index, what)
        table = self._table(folder)
        if table is None:
            return
        self._nodes(entry, manifest, table, folder)
        if len(self.result.findings) == before:
            self._compose(entry, manifest, table, folder, intact)

    def _manifest(self, entry: Entry, folder: str, data: bytes) -> Manifest | None:
        """Return the manifest that an entry commits; None if it is none, or another one's."""
        file = f"{folder}/{MANIFEST}"
        try:
            manifest = Manifest.model_validate(json_value(data, file))
        except (ValidationError, MashbillError) as error:
            self._find(file, entry.index, f"cannot be read: {error!s:.200}")
            return None
        name = str(entry.predicate["artifact"])
        told = (entry.predicate["digest"], name, entry.predicate["kind"])
        if (manifest.digest, str(manifest.ref), manifest.kind) != told:
            self._find(file, entry.index, "describes other content than the entry")
            return None
        if manifest.to_bytes() != data:
            self._find(file, entry.index, "is not written as manifests are: another reader of JSON "
                       "could read something else in it")  # fmt: skip
        self._live.manifests[name] = manifest
        fault = model_fault(str(manifest.stage.get("kind")), self._folder / folder)
        if fault:
            self._find(folder, entry.index, f"{fault}; run its recipe again, which makes it anew")
        return manifest

    def _nodes(self, entry: Entry, manifest: Manifest, table: NodeTable, folder: str) -> None:
        """Check that a node table is the one committed, and counts the rows that are there."""
        nodes, met = f"{folder}/{NODES}", self._live.shards.get(str(manifest.ref), {})
        self._find_each(nodes, entry.index, altered(table, self._known_bodies))
        if (table.digest, table.root) != (manifest.nodes_digest, manifest.bill):
            self._find(nodes, entry.index, "is not the lineage that was committed")
        else_written = self._live.else_written[folder]
        if else_written is not None:
            self._find(nodes, entry.index, else_written)
        if manifest.kind == "dataset":
            self._find_each(nodes, entry.index, counts(manifest, folder, met, table))
            rows = {name: one.rows for name, one in self._live.manifests.items()}
            for place, at, what in origins(manifest, folder, met, rows):
                self._find(place, at, what)

    def _compose(
        self,
        entry: Entry,
        manifest: Manifest,
        table: NodeTable,
        folder: str,
        intact: dict[str, bytes],
    ) -> None:
        """Compose an artifact's lineage again, and that of those that waited for it."""
        met = self._live.shards.get(str(manifest.ref), {})
        removed = self._removed.of_artifact(str(manifest.ref))
        shards = () if removed else (*manifest.shards, *manifest.rejected)
        records = [met.get(f"{folder}/{shard.file}") for shard in shards]
        rows = [one.rows for one in records if one is not None and one.rows is not None]
        if len(rows) != len(shards):
            return  # one that cannot be read was found already
        teachers = {text for one in records if one is not None for text in one.teachers}
        self._find_each(
            f"{folder}/{MANIFEST}", entry.index, self._derivations.strange_calls(manifest, teachers)
        )
        learned = f"{folder}/{manifest.learned.file}" if manifest.learned is not None else None
        if learned is not None and learned not in intact:
            if learned not in self._live.sha256:
                self._find(learned, entry.index, "is not among the files that its entry commits")
            return
        try:
            times = read_learned(intact[learned]) if learned is not None else None
        except (ValueError, pa.ArrowException, OSError) as error:
            what = f"cannot be read as times that rows were learned from: {error!s:.200}"
            self._find(f"{folder}/{LEARNED}", entry.index, what)
            return
        kept, rejected = rows[: len(manifest.shards)], rows[len(manifest.shards) :]
        for record in met.values():
            record.rows = None  # of which there may be very many: who needs them has them
        word = word_of(entry, self.result.signers) if TAKEN_IN in entry.predicate else ""
        pending = Pending(entry.index, manifest, table, kept, rejected, times, word, removed)
        for ready, found in self._derivations.take(pending):
            self._tell_composed(ready, found)

    def _tell_composed(self, pending: Pending, found: Composed) -> None:
        manifest = pending.manifest
        folder = f"{FOLDERS[manifest.kind]}/{manifest.ref}"
        self._find_each(f"{folder}/{NODES}", pending.entry, dict.fromkeys(found.wrong))
        for what in found.not_derived:
            self.result.not_derived.append(Finding(folder, pending.entry, what))
        self.result.composed += not found.wrong and not found.not_derived

    def _make_again(self) -> None:
        """Make the rows of artifacts again, of those of which nothing was found."""
        if self._rederive is None:
            return
        wrong = {finding.file.rpartition("/")[0] for finding in self.result.findings}
        no_answers = any(finding.file == CALLS for finding in self.result.findings)
        made = list(self._derivations.made.values())
        for number, one in enumerate(made):
            self._progress(number, len(made))
            folder = f"{FOLDERS[one.manifest.kind]}/{one.manifest.ref}"
            inputs = {item.name for item in one.manifest.inputs}
            if (
                one.removed
                or folder in wrong
                or any(name.rpartition("/")[2] in inputs for name in wrong)
            ):
                continue
            if no_answers and any(item.was_asked for item in one.manifest.inputs):
                continue  # its rows would be held to answers that were altered
            again = self._rederive(one.manifest)
            self.result.derived_rows += again.rows
            for file, what in again.wrong:
                self._find(f"{folder}/{file}" if file else folder, None, what)
            for what in again.not_derived:
                self.result.not_derived.append(Finding(folder, None, what))

    def _since(self, entries: list[Entry]) -> Since:
        """Return what was appended since the audit began."""
        later = self._moment.later()
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
        """Find what lies in the store and no entry speaks of."""
        runs = {str(entry.predicate["run"]) for entry in entries if "run" in entry.predicate}
        for _ in range(_LOOKS):
            since = self._since(entries)
            left = find_leftovers(self._folder, self._covered, entries, since, runs)
            # A run beside says that it begins before it makes a folder: who saw the folder and
            # had read the ledger before that looks again.
            if not left.wrong or len(self._moment.later() or ()) == len(since.later):
                break
        self.result.newer += [Finding(name, None, why) for name, why in left.newer]
        for name, what in left.wrong:
            self._find(name, None, what)
