"""A store: the directory that holds the ledger, the datasets, the models and the calls.

It gives out only what an entry of a signer commits (:mod:`mashbill.core.signers`), as it commits
it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pydantic import ValidationError

from mashbill.core.artifact import ArtifactKind, ArtifactRef, Manifest
from mashbill.core.canonical import digest_bytes
from mashbill.core.dataset import Dataset
from mashbill.core.errors import RemovedError, StoreError
from mashbill.core.explaining import near
from mashbill.core.faults import model_fault
from mashbill.core.given import TAKEN_IN
from mashbill.core.ledger import Ledger, Signer
from mashbill.core.naming import file_name
from mashbill.core.parsing import check_regular, json_value
from mashbill.core.plain import listed
from mashbill.core.removals import Removal, Removals, removals_in
from mashbill.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mashbill.core.ledger import Entry

FOLDERS: dict[ArtifactKind, str] = {"dataset": "datasets", "model": "models"}
LEDGER = "ledger.jsonl"
CALLS = "calls.sqlite"
MANIFEST = "manifest.json"
PENDING = f".{MANIFEST}"
"""what a manifest is called until the entry that commits it is in the ledger"""
NODES = "nodes.parquet"
LEARNED = "learned.parquet"
"""beside a model: columns ``input`` (which dataset) and ``times`` (how often the row was learned
from), a row each of the datasets' rows, one dataset behind the other"""

WHOLE = "whole-store"
"""name of the lock that runs hold together, and who removes something alone"""

_NAMED = 12  # artifacts that an error names
_LOOKS = 20  # at a lock, 10 ms apart

_DISK = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
        errno.ENOTDIR,
    }
)  # fmt: skip


class Store:
    """A store on a local disk. Without a signer it is opened to be read."""

    def __init__(self, root: Path, signer: Signer | None = None) -> None:
        """Open the store at ``root``; with a signer, make it if it is not there.

        Raises:
            StoreError: if it is to be read and is not a store.
        """
        self.root = root
        if signer is None and not (root / LEDGER).exists():
            msg = f"{root} is not a store (no {LEDGER} in it); name one with --store"
            raise StoreError(msg)
        if root.exists() and not root.is_dir():
            msg = f"{root} is a file, and a store is a folder; name another with --store"
            raise StoreError(msg)
        check_regular(root / LEDGER)
        with told_of_the_disk(root):
            if signer is not None:
                for folder in FOLDERS.values():
                    (root / folder).mkdir(parents=True, exist_ok=True)
            self.ledger = Ledger(root / LEDGER, signer)
            self._committed: tuple[int, dict[str, Entry]] | None = None
            self._removals: tuple[int, Removals] | None = None
            if signer is not None and not self.ledger.entries:
                self.ledger.append("open", layout=1)

    def folder(self, kind: ArtifactKind, ref: ArtifactRef) -> Path:
        """Return where an artifact lies, or will."""
        return self.root / FOLDERS[kind] / str(ref)

    def relative(self, path: Path) -> str:
        """Return a file's name as the ledger writes it."""
        return path.relative_to(self.root).as_posix()

    def committed(self) -> dict[str, Entry]:
        """Return the entry that commits each artifact, in the order of their last commits.

        Only entries that count are read, and what was given up later is not among them.
        """
        accepted = self.ledger.accepted
        if self._committed is None or self._committed[0] != len(accepted):
            found: dict[str, Entry] = {}
            for entry in accepted:
                if entry.event in {"commit", "abandon"}:
                    found.pop(entry.told("artifact"), None)
                if entry.event == "commit":
                    found[entry.told("artifact")] = entry
            self._committed = len(accepted), found
        return self._committed[1]

    def removals(self) -> Removals:
        """Return what was removed on purpose, of entries that count."""
        accepted = self.ledger.accepted
        if self._removals is None or self._removals[0] != len(accepted):
            found = removals_in(accepted, self.ledger.signers.names)
            self._removals = len(accepted), found
        return self._removals[1]

    def removal(self, ref: ArtifactRef) -> Removal | None:
        """Return the removal of an artifact; None if its rows or weights are there to be read."""
        return self.removals().in_force.get(str(ref))

    def check_there(self, ref: ArtifactRef, what: str = "its rows") -> None:
        """Refuse what needs rows or weights that were removed.

        Args:
            ref: the artifact.
            what: of it that is needed.

        Raises:
            RemovedError: saying when, by whom, and what can still be asked.
        """
        removal = self.removal(ref)
        if removal is not None:
            msg = (
                f"{ref} was {removal}, so {what} cannot be had. Its manifest and nodes are there: "
                "bills and what was made of it can be asked for as before, and a run whose stages "
                "need it makes it again"
            )
            raise RemovedError(msg)

    def get(self, ref: ArtifactRef) -> Manifest | None:
        """Return an artifact's manifest, or None if it was never committed, or was given up.

        Raises:
            StoreError: if it is not the one that its entry commits.
        """
        entry = self.committed().get(str(ref))
        for kind in FOLDERS if entry is not None else ():
            path = self.folder(kind, ref) / MANIFEST
            if path.exists():
                check_regular(path)
                data = path.read_bytes()
                if entry is None or entry.subjects.get(self.relative(path)) != digest_bytes(data):
                    msg = f"{path} is not the one that the ledger commits; run `mashbill audit`"
                    raise StoreError(msg)
                try:
                    found = Manifest.model_validate(json_value(data, path, error=StoreError))
                except ValidationError as error:
                    msg = f"{path} is damaged: {error.errors()[0]['msg']}; run `mashbill audit`"
                    raise StoreError(msg) from error
                # What another store's artifact was made of is not in this one.
                elsewhere = TAKEN_IN in entry.predicate
                return found.model_copy(update={"inputs": ()}) if elsewhere else found
        return None

    def manifests(self) -> list[Manifest]:
        """Return every committed artifact's manifest once, in the order of their last commits."""
        found = (self.get(ArtifactRef.parse(name)) for name in self.committed())
        return [manifest for manifest in found if manifest is not None]

    def made_wrong(self, manifest: Manifest) -> str:
        """Return why an artifact is to be made anew; empty if nothing is known against it.

        An earlier release wrote it wrong, or what it was made from is given up for that.
        """
        fault = model_fault(
            str(manifest.stage.get("kind")), self.folder(manifest.kind, manifest.ref)
        )
        if fault:
            return fault
        gone = self._given_up()
        for item in manifest.inputs:
            if item.digest in gone:
                return f"was made from {item.name}, which {gone[item.digest]}"
        return ""

    def _given_up(self) -> dict[str, str]:
        """Return the digest of each artifact that was committed and given up later: the reason."""
        return {
            entry.told("digest"): entry.told("reason")
            for entry in self.ledger.accepted
            if entry.event == "abandon" and "digest" in entry.predicate
        }

    def give_up(self, manifest: Manifest, reason: str) -> None:
        """Put on record that a committed artifact is not to be used, and take its manifest away.

        Killed between the two, it is found wrong again, and given up again.

        Args:
            manifest: the artifact.
            reason: goes on from its name: "was made from ...".
        """
        self.ledger.append(
            "abandon", artifact=str(manifest.ref), reason=reason, digest=manifest.digest
        )
        (self.folder(manifest.kind, manifest.ref) / MANIFEST).unlink(missing_ok=True)

    def find(self, text: str) -> Manifest:
        """Return the artifact that ``NAME@VERSION`` or ``NAME`` (its last commit) names.

        Raises:
            StoreError: if nothing is named so: the name that is near, and what was made last.
        """
        manifests = self.manifests()
        for manifest in reversed(manifests):
            if text in (str(manifest.ref), manifest.name):
                return manifest
        refs = list(dict.fromkeys(str(one.ref) for one in reversed(manifests)))
        names = dict.fromkeys(one.name for one in manifests)
        have = listed(refs, _NAMED) or "nothing yet"
        meant = near(shown(text), refs if "@" in text else names)
        msg = (
            f"{self.root} has no artifact {text!r:.200}{meant}{'' if meant else ';'} it has "
            f"{have}{self._unread(text)}"
        )
        raise StoreError(msg)

    def _unread(self, text: str) -> str:
        """Say where a name comes up in entries that do not count."""
        for keyid, entries in self.ledger.strangers.items():
            for entry in entries:
                artifact = str(entry.predicate.get("artifact"))
                if text in (artifact, artifact.partition("@")[0]):
                    return (
                        f". Entry {entry.index} speaks of it, and is not read: its key "
                        f"{keyid[:16]} is none of this store's signers (`mashbill audit`)"
                    )
        if self.ledger.broken is not None:
            return ". Its ledger does not hold: run `mashbill audit`"
        return ""

    def dataset(self, ref: ArtifactRef) -> Dataset:
        """Open a committed dataset.

        Raises:
            StoreError: if there is none of that name; RemovedError if its rows were removed.
        """
        manifest = self.get(ref)
        if manifest is None or manifest.kind != "dataset":
            msg = f"{self.root} has no dataset {ref}"
            raise StoreError(msg)
        self.check_there(ref)
        return Dataset(self.folder("dataset", ref), manifest)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold an exclusive lock of this name; the system frees it however the holder ends.

        Raises:
            StoreError: if another process holds it.
        """
        path = self._lock_file(name)
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as stream:
            if not _taken(stream):
                msg = f"another run holds {name} in {self.root}; wait for it, or use another store"
                raise StoreError(msg)
            yield

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold off removals, while rows are read and made; any number may do so at once.

        Raises:
            StoreError: if something is removed at this moment.
        """
        with self._whole(fcntl.LOCK_SH, "something is removed from it at this moment"):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off runs, while something is removed.

        Raises:
            StoreError: if a run goes on, or something is removed by another process.
        """
        with self._whole(fcntl.LOCK_EX, "a run or a removal goes on in it"):
            for path in (self.root / ".locks").glob("run-*"):  # earlier releases hold these alone
                if is_held(path):
                    msg = f"{self.root}: a run goes on in it; wait until it ends"
                    raise StoreError(msg)
            yield

    @contextmanager
    def _whole(self, how: int, why: str) -> Iterator[None]:
        path = self._lock_file(WHOLE)
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as stream:
            if not _taken(stream, how):
                msg = f"{self.root}: {why}; wait until that ends"
                raise StoreError(msg)
            yield

    def is_locked(self, name: str) -> bool:
        """Return whether somebody holds the lock of this name."""
        return is_locked(self.root, name)

    def forget_lock(self, name: str) -> None:
        """Remove the file of a lock that nobody will ask for again."""
        self._lock_file(name).unlink(missing_ok=True)

    def _lock_file(self, name: str) -> Path:
        return _lock_file(self.root, name)


def is_locked(root: Path, name: str) -> bool:
    """Return whether somebody holds the lock of this name in the store at ``root``."""
    return is_held(_lock_file(root, name))


def is_held(path: Path) -> bool:
    """Return whether somebody holds a file's lock at this moment, as who appends to it does."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or its file system knows no locks
        return False
    return False


def _lock_file(root: Path, name: str) -> Path:
    return root / ".locks" / file_name(name)


def _taken(stream: IO[str], how: int = fcntl.LOCK_EX) -> bool:
    """Lock a file for oneself, if nobody else has it; or together with others.

    Who only looks whether it is locked has it for an instant: that is waited for.
    """
    for _ in range(_LOOKS):
        try:
            fcntl.flock(stream, how | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


@contextmanager
def told_of_the_disk(root: Path) -> Iterator[None]:
    """Say in plain words that a disk is full, or does not let itself be written.

    Raises:
        StoreError: naming the store, the file, and what to do.
    """
    try:
        yield
    except OSError as error:
        elsewhere = error.filename and not Path(str(error.filename)).is_relative_to(root)
        if error.errno not in _DISK or elsewhere:
            raise
        where = f" ({error.filename})" if error.filename else ""
        reason = error.strerror or error
        remedy = "make room, or make it writable, and run the same command again"
        if error.errno == errno.ENOTDIR:
            remedy = "a part of that path is a file, so name another with --store"
        msg = (
            f"{root} cannot be written: {reason}{where}. What was committed and what was bought is "
            f"kept: {remedy}"
        )
        raise StoreError(msg) from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, even if the machine stops."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
    except OSError as error:
        error.filename = str(path)  # nobody knows the other one
        raise
    publish(temporary, path)


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name, once its bytes are on disk, and make the renaming last."""
    with temporary.open("rb+") as stream:
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were given, or taken away, in a folder outlast a crash of the machine."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
