"""What lies in a store and no entry of its ledger speaks of.

Each such thing is told once, with what to do: a file, or a folder of which nothing is spoken of.
What a run needs while it makes an artifact is known by its ``start`` entry: it is told as left
unfinished, and is no finding. Pages under ``reports/`` are no evidence and are not looked at.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.core.artifact import NAME_PATTERN
from mashbill.core.naming import file_name
from mashbill.core.store import CALLS, FOLDERS, LEDGER, MANIFEST, PENDING
from mashbill.lineage.evidence.comparing import compared

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from mashbill.core.ledger import Entry
    from mashbill.lineage.evidence.moment import Since

_BESIDE_CALLS = frozenset(f"{CALLS}{end}" for end in ("-wal", "-shm", "-journal"))
_DEEPEST = 16  # folders of pages in one another
_NO_EVIDENCE = frozenset({"reports"})
_LOGS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
"""how a write-ahead log begins (sqlite.org/fileformat2.html, 4.1)"""
_LOCK = re.compile(rf"{NAME_PATTERN}(@{NAME_PATTERN})?")
_REMOVE = "remove it if nobody knows what it is for"


@dataclass
class Leftovers:
    """What was found of what nobody speaks of: (name in the store, what about it)."""

    wrong: list[tuple[str, str]] = field(default_factory=list)
    newer: list[tuple[str, str]] = field(default_factory=list)
    """what a run makes, or left unfinished"""


def find_leftovers(
    folder: Path,
    covered: Collection[str],
    entries: Sequence[Entry],
    since: Since,
    runs: Collection[str],
) -> Leftovers:
    """Look through a whole store, links and hidden files too, following none.

    Args:
        folder: the store.
        covered: files that entries speak of.
        entries: those that count.
        since: what came about beside the audit.
        runs: ids of the runs that asked services.
    """
    return _Search(folder, covered, entries, since, runs).run()


class _Search:
    def __init__(
        self,
        folder: Path,
        covered: Collection[str],
        entries: Sequence[Entry],
        since: Since,
        runs: Collection[str],
    ) -> None:
        self._folder = folder
        # What was given up counts as spoken of as long as it is what its entry says.
        self._covered = set(covered) | {
            name
            for entry in entries
            for name, sha256 in entry.subjects.items()
            if name not in covered and compared(folder / name, sha256)[0] is None
        }
        covered = self._covered
        self._spoken_of = {name.rpartition("/")[0] for name in covered} | since.folders
        self._since = since
        about = [(str(e.predicate.get("artifact")), e) for e in (*entries, *since.later)]
        self._artifacts = {name for name, e in about if e.event in {"start", "shard", "commit"}}
        self._works = {_work_of(e) for _, e in about if e.event in {"start", "shard", "commit"}}
        made = [e for _, e in about if e.event in {"start", "shard", "commit"}]
        self._ended = _work_of(made[-1]) if made and made[-1].event == "commit" else ""
        self._locks = {file_name(name) for name in self._artifacts}
        self._locks |= {file_name(f"run-{run}") for run in runs}
        self._found = Leftovers()

    def run(self) -> Leftovers:
        """Look through the store."""
        for item in _entries_of(self._folder):
            name = item.name
            if item.is_symlink():
                self._link(name)
            elif name in FOLDERS.values() and item.is_dir():
                self._artifact_folders(name)
            elif name == ".work" and item.is_dir():
                self._works_of(name)
            elif name == ".locks" and item.is_dir():
                self._locks_of(name)
            elif name in {LEDGER, CALLS}:
                continue  # looked at by itself, whatever it is
            elif name in _BESIDE_CALLS and (self._folder / CALLS).exists():
                why = strange_beside(self._folder, name)
                if why:
                    self._wrong(name, why)
            elif name in _NO_EVIDENCE and item.is_dir():
                self._links_below(name)
            else:
                what = "folder" if item.is_dir() else "file"
                self._wrong(name, f"no entry of the ledger speaks of this {what}; {_REMOVE}")
        return self._found

    def _wrong(self, name: str, what: str) -> None:
        self._found.wrong.append((name, what))

    def _link(self, name: str) -> None:
        self._wrong(
            name,
            "is a link, and what it leads to can change without a trace; put the file itself there",
        )

    def _links_below(self, folder: str) -> None:
        """Find links among what is no evidence: they lead out of the store all the same."""
        waiting = [folder]
        while waiting:
            name = waiting.pop()
            if name.count("/") > _DEEPEST:
                self._wrong(
                    f"{name:.200}",
                    f"has folders in more than {_DEEPEST} others: they are not looked into; remove "
                    "them",
                )
                continue
            for item in _entries_of(self._folder / name):
                inner = f"{name}/{item.name}"
                if item.is_symlink():
                    self._link(inner)
                elif item.is_dir():
                    waiting.append(inner)

    def _artifact_folders(self, kind: str) -> None:
        for item in _entries_of(self._folder / kind):
            name = f"{kind}/{item.name}"
            if item.is_symlink():
                self._link(name)
            elif not item.is_dir():
                self._wrong(name, f"is no folder of an artifact; {_REMOVE}")
            elif name in self._spoken_of or self._since.why_there(item.name, name) is not None:
                self._files_of(name, item.name)
            else:
                self._wrong(
                    name,
                    "no entry of the ledger speaks of this artifact, or of anything in its folder; "
                    "what is in it is not read: remove the folder",
                )

    def _files_of(self, folder: str, artifact: str) -> None:
        empty = True
        for item in _entries_of(self._folder / folder):
            empty = False
            name = f"{folder}/{item.name}"
            if item.is_symlink():
                self._link(name)
                continue
            if name in self._covered or self._waits(name):
                continue
            why = self._since.why_there(artifact, name)
            if why is not None and _is_regular(item):
                self._found.newer.append((name, why))
            elif os.path.lexists(self._folder / name):  # or it was finished meanwhile
                what = "folder" if item.is_dir() else "file"
                self._wrong(name, f"no entry of the ledger speaks of this {what}; {_REMOVE}")
        if empty and folder not in self._spoken_of:
            why = self._since.why_there(artifact, folder)
            if why is not None:
                self._found.newer.append((folder, why))

    def _waits(self, name: str) -> bool:
        """Return whether it is the manifest of an artifact that has none: that is told of that."""
        folder, _, file = name.rpartition("/")
        manifest = f"{folder}/{MANIFEST}"
        spoken_of = manifest in self._covered or manifest in self._since.files
        return file == PENDING and spoken_of and not (self._folder / manifest).exists()

    def _works_of(self, folder: str) -> None:
        for item in _entries_of(self._folder / folder):
            name = f"{folder}/{item.name}"
            if item.is_symlink():
                self._link(name)
            elif item.is_dir() and item.name in self._works and self._is_made(item.name):
                self._found.newer.append((name, "holds what a run needs, or left, unfinished"))
            elif item.is_dir() and item.name == self._ended:
                self._found.newer.append(
                    (
                        name,
                        "is left of a run that was cut off at its end; the same command clears it",
                    )
                )
            elif os.path.lexists(self._folder / name):
                self._wrong(
                    name,
                    "no entry of the ledger speaks of a run that needs it; remove it: a run could "
                    "go on from what is in it",
                )

    def _is_made(self, work: str) -> bool:
        return self._since.why_there(work.rpartition("-")[0], "") is not None

    def _locks_of(self, folder: str) -> None:
        for item in _entries_of(self._folder / folder):
            path = self._folder / folder / item.name
            name = f"{folder}/{item.name}"
            if item.is_symlink():
                self._link(name)
                continue
            # A lock is an empty file that bears a name: it says nothing, whoever made it.
            is_lock = _is_regular(item) and not item.stat().st_size
            if is_lock and (item.name in self._locks or _LOCK.fullmatch(item.name)):
                continue
            if os.path.lexists(path):
                self._wrong(name, f"is no lock of an artifact or run that was made here; {_REMOVE}")


def _work_of(entry: Entry) -> str:
    """Return what a run calls the folder of what it needs to make an artifact."""
    fingerprint = str(entry.predicate.get("fingerprint"))
    return f"{entry.predicate.get('artifact')}-{fingerprint[:12]}"


def strange_beside(store: Path, name: str) -> str:
    """Say what is wrong with a file that SQLite may have left beside the journal; else empty.

    A journal that is closed leaves none. One that was killed leaves its write-ahead log and an
    index of it, and its header says that it writes one. Whoever reads beside a log makes an index.

    Args:
        store: the folder, with a journal in it.
        name: of the file.
    """
    path = store / name
    if not path.is_file() or name.endswith("-journal"):
        return ""  # the journal is not opened beside it, or rolled back by it: told of that
    with path.open("rb") as stream:
        begins = stream.read(4)
    header = b""
    if (store / CALLS).is_file():
        with (store / CALLS).open("rb") as stream:
            header = stream.read(20)
    keeps_log = header[18:20] == b"\2\2"
    if not begins or (keeps_log and (name.endswith("-shm") or begins in _LOGS)):
        return ""
    if name.endswith("-shm") and (store / f"{CALLS}-wal").exists():
        return ""
    return (
        "is no write-ahead log that belongs to this journal, which was closed in order; nothing "
        "reads it: remove it"
    )


def _entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        yield from sorted(os.scandir(folder), key=lambda item: item.name)
    except FileNotFoundError:
        return


def _is_regular(item: os.DirEntry[str]) -> bool:
    try:
        return stat.S_ISREG(item.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
