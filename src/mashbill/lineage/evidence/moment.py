"""A ledger as it stood at one moment, and what was appended to it since.

An audit beside a run judges what the ledger held when it began. What came later is read too and
checked as strictly, for one thing: to tell what is newer than the audit from what is wrong.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import MashbillError
from mashbill.core.ledger import GENESIS, Entry, check_line, open_line
from mashbill.core.removals import REMOVE
from mashbill.core.store import FOLDERS, MANIFEST, PENDING, is_held, is_locked

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_PATIENCE = 5.0  # seconds that a line may take to be written: a disk can be slow


@dataclass
class Moment:
    """The whole lines of a ledger, from its first on."""

    path: Path
    lines: list[bytes] = field(default_factory=list)
    """without newlines"""
    entries: list[Entry] = field(default_factory=list)
    """of the lines that hold"""
    broken: list[tuple[int, str]] = field(default_factory=list)
    """(line, what is wrong with it)"""
    keys: dict[str, bytes] = field(default_factory=dict)
    """keyid -> raw public key of the signers that were introduced"""
    torn: bool = False
    """whether it ends in the middle of a line that nobody is writing"""
    _size: int = 0

    @classmethod
    def of(cls, path: Path) -> Moment:
        """Read a ledger and check every line."""
        moment = cls(path)
        data, moment.torn = _settled(path) if path.is_file() else (b"", False)
        moment._take(data)
        return moment

    def _take(self, data: bytes) -> None:
        *lines, unfinished = data.split(b"\n")
        previous = digest_bytes(self.lines[-1]) if self.lines else GENESIS
        for line in lines:
            index = len(self.lines)
            wrong = check_line(line, index, previous, self.keys)
            previous = digest_bytes(line)
            self.lines.append(line)
            if wrong is None:
                try:
                    self.entries.append(open_line(line, index, self.path))
                except MashbillError as error:
                    wrong = f"does not say what such an entry says: {error!s:.300}"
            if wrong is not None:
                self.broken.append((index, wrong))
        self._size += len(data) - len(unfinished)

    def later(self, signer: str | None = None) -> list[Entry] | None:
        """Return the entries appended since, up to the first that does not hold.

        Args:
            signer: keyid; those of any other key do not count.

        Returns:
            The entries; None if what stood there is no longer how the ledger begins.
        """
        data = self.path.read_bytes() if self.path.is_file() else b""
        stood = b"".join(line + b"\n" for line in self.lines)
        if not data.startswith(stood):
            return None
        more = Moment(self.path, list(self.lines), keys=dict(self.keys))
        more._take(data[self._size :])
        end = more.broken[0][0] if more.broken else len(more.lines)
        return [e for e in more.entries if e.index < end and signer in {None, e.keyid}]


def _settled(path: Path) -> tuple[bytes, bool]:
    """Return a ledger's bytes, and whether its last line is torn: unfinished, and nobody writes it.

    If somebody does, that line's end is waited for, for a while.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        data = path.read_bytes()
        if data.endswith(b"\n") or not data:
            return data, False
        # Who wrote it may have ended it between the two looks at it.
        if not is_held(path) and path.read_bytes() == data:
            return data, True
        if time.monotonic() > until:
            return data, False
        time.sleep(0.01)


def abandoned(entries: list[Entry]) -> set[int]:
    """Return the places of entries about what was given up later, before it was finished."""
    gone: set[int] = set()
    about: dict[str, list[int]] = {}
    for entry in entries:
        artifact = str(entry.predicate.get("artifact"))
        if entry.event in {"shard", "commit"}:
            about.setdefault(artifact, []).append(entry.index)
        elif entry.event == "abandon":
            gone.update(about.pop(artifact, ()))
    return gone


class Since:
    """What came about beside an audit, going by what was appended since and by who holds locks."""

    def __init__(
        self, folder: Path, entries: list[Entry], later: list[Entry], rested_on: Collection[str]
    ) -> None:
        """Look at what a run beside says.

        Args:
            folder: the store.
            entries: those that are judged.
            later: those appended since.
            rested_on: artifacts that others were made of, so that they were finished.
        """
        self._folder = folder
        self._rested_on = rested_on
        self.later = later
        self._removed = {name for e in later if e.event == REMOVE for name in e.subjects}
        self.files = {name for e in later if e.event != REMOVE for name in e.subjects}
        """files that entries appended since speak of"""
        self.folders = {name.rpartition("/")[0] for name in self.files}
        """folders that entries appended since speak of"""
        self._given_up = {
            str(entry.predicate.get("artifact")) for entry in later if entry.event == "abandon"
        }
        self._unfinished: set[str] = set()
        made: dict[str, Entry] = {}
        for entry in (*entries, *later):
            artifact = str(entry.predicate.get("artifact"))
            if entry.event in {"start", "shard"}:
                self._unfinished.add(artifact)
            elif entry.event == "commit":
                self._unfinished.discard(artifact)
                made[artifact] = entry
            elif entry.event in {"abandon", REMOVE}:  # after which it may be begun again
                made.pop(artifact, None)
        # What was committed and is there is begun again by no run, whatever an entry says.
        self._unfinished -= {name for name, entry in made.items() if self._is_there(name, entry)}

    def _is_there(self, artifact: str, commit: Entry) -> bool:
        name = f"{FOLDERS.get(commit.predicate.get('kind', ''), '')}/{artifact}/{MANIFEST}"
        return _holds(self._folder / name, commit.subjects.get(name, ""))

    def why_not_judged(self, entry: Entry, file: str) -> str | None:
        """Say why a file that is not as its entry says is no fault; None if it is one."""
        artifact = str(entry.predicate.get("artifact"))
        if artifact in self._given_up:
            return "was given up since, to be made anew"
        if file in self._removed:
            return "was removed since, on record"
        if file in self.files:
            return "was made anew since"
        if entry.event != "commit":
            return None  # what a shard's entry speaks of is never touched again before that
        folder = self._folder / FOLDERS.get(entry.predicate.get("kind", ""), "") / artifact
        manifest, waiting = folder / MANIFEST, folder / PENDING
        if manifest.is_file():
            return None
        name = f"{folder.relative_to(self._folder).as_posix()}/{MANIFEST}"
        # A lock alone excuses nothing: anybody who can write may hold one.
        waits = file == name and _holds(waiting, entry.subjects[name])
        is_made = waits or artifact in self._unfinished
        if is_made and is_locked(self._folder, artifact):
            return "is being made by a run at this moment"
        if waits and artifact not in self._rested_on:
            return (
                "has still to be given its name: a run was cut off as it committed it; the same "
                "command ends that"
            )
        return None

    def why_there(self, artifact: str, file: str) -> str | None:
        """Say why a file that no entry judged speaks of is no fault; None if it is one.

        A manifest gets its name only once the entry that commits it is in the ledger.
        """
        if file in self.files:
            return "was committed since"
        if file.endswith(f"/{MANIFEST}"):
            return None
        if artifact in self._unfinished:
            if is_locked(self._folder, artifact):
                return "is of an artifact that a run makes at this moment"
            return (
                "is of an artifact that a run left unfinished; the same command goes on from there"
            )
        return None


def _holds(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and digest_bytes(path.read_bytes()) == sha256
    except OSError:
        return False
