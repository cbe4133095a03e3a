"""A store: the directory that holds the ledger, the datasets, the models and the calls."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mashbill.core.artifact import ArtifactKind, ArtifactRef, Manifest
from mashbill.core.dataset import Dataset
from mashbill.core.errors import StoreError
from mashbill.core.ledger import Ledger, Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDERS: dict[ArtifactKind, str] = {"dataset": "datasets", "model": "models"}
LEDGER = "ledger.jsonl"
CALLS = "calls.sqlite"
MANIFEST = "manifest.json"
NODES = "nodes.parquet"


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
        with told_of_the_disk(root):
            if signer is not None:
                for folder in FOLDERS.values():
                    (root / folder).mkdir(parents=True, exist_ok=True)
            self.ledger = Ledger(root / LEDGER, signer)
            if signer is not None and not self.ledger.entries:
                self.ledger.append("open", layout=1)

    def folder(self, kind: ArtifactKind, ref: ArtifactRef) -> Path:
        """Return where an artifact lies, or will."""
        return self.root / FOLDERS[kind] / str(ref)

    def relative(self, path: Path) -> str:
        """Return a file's name as the ledger writes it."""
        return path.relative_to(self.root).as_posix()

    def get(self, ref: ArtifactRef) -> Manifest | None:
        """Return an artifact's manifest, or None if it was never committed."""
        for kind in FOLDERS:
            path = self.folder(kind, ref) / MANIFEST
            if path.exists():
                try:
                    return Manifest.model_validate_json(path.read_bytes())
                except ValidationError as error:
                    msg = f"{path} is damaged: {error.errors()[0]['msg']}; run `mashbill audit`"
                    raise StoreError(msg) from error
        return None

    def manifests(self) -> list[Manifest]:
        """Return every committed artifact's manifest, in the order of their commits."""
        found = []
        for entry in self.ledger.entries:
            if entry.event == "commit":
                manifest = self.get(ArtifactRef.parse(entry.predicate["artifact"]))
                if manifest is not None:
                    found.append(manifest)
        return found

    def find(self, text: str) -> Manifest:
        """Return the artifact that ``NAME@VERSION`` or ``NAME`` (its last commit) names.

        Raises:
            StoreError: listing what there is, if nothing is named so.
        """
        manifests = self.manifests()
        for manifest in reversed(manifests):
            if text in (str(manifest.ref), manifest.name):
                return manifest
        have = ", ".join(str(manifest.ref) for manifest in manifests) or "nothing yet"
        msg = f"{self.root} has no artifact {text!r}; it has {have}"
        raise StoreError(msg)

    def dataset(self, ref: ArtifactRef) -> Dataset:
        """Open a committed dataset.

        Raises:
            StoreError: if there is none of that name.
        """
        manifest = self.get(ref)
        if manifest is None or manifest.kind != "dataset":
            msg = f"{self.root} has no dataset {ref}"
            raise StoreError(msg)
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
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                msg = f"another run holds {name} in {self.root}; wait for it, or use another store"
                raise StoreError(msg) from error
            yield

    def is_locked(self, name: str) -> bool:
        """Return whether somebody holds the lock of this name."""
        try:
            with self._lock_file(name).open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def forget_lock(self, name: str) -> None:
        """Remove the file of a lock that nobody will ask for again."""
        self._lock_file(name).unlink(missing_ok=True)

    def _lock_file(self, name: str) -> Path:
        return self.root / ".locks" / re.sub(r"[^a-z0-9@._-]", "_", name)


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
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
