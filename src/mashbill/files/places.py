"""Places to publish a folder of files to: a folder here, an object store, a hub's repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError
from mashbill.core.store import publish
from mashbill.files.hub_repository import HubAddress, HubRepository
from mashbill.files.remote import Remote, protocol_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import ArtifactKind


class Place(Protocol):
    """Somewhere a folder of files can be, with folders of files in it."""

    @property
    def address(self) -> str:
        """The address, as people write it."""
        ...

    def names(self, within: Sequence[str] = ()) -> set[str]:
        """Return the names of the files that are there, and in folders of some names.

        Args:
            within: names of folders; a file in one is ``FOLDER/NAME``.
        """
        ...

    def is_same(self, name: str, file: Path) -> bool:
        """Return whether the file of this name there has the bytes of a file here."""
        ...

    def write(self, files: Mapping[str, Path], remove: Sequence[str]) -> None:
        """Write files in this order, and then remove others."""
        ...


class LocalFolder:
    """A folder of this disk; each file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made at the first writing.

        Raises:
            InputError: if it is a file.
        """
        self.address = str(folder)
        self._folder = folder
        if folder.exists() and not folder.is_dir():
            msg = f"{folder} is a file; name a folder to publish to"
            raise InputError(msg)

    def names(self, within: Sequence[str] = ()) -> set[str]:
        """Return the names of what lies there and in some folders, folders too."""
        found = set()
        for folder in ("", *within):
            inside = self._folder / folder
            if inside.is_dir():
                found |= {f"{folder}/{item.name}".lstrip("/") for item in inside.iterdir()}
        return found

    def is_same(self, name: str, file: Path) -> bool:
        """Return whether the file of this name there has the bytes of a file here."""
        there = self._folder / name
        if not there.is_file() or there.stat().st_size != file.stat().st_size:
            return False
        return digest_file(there) == digest_file(file)

    def write(self, files: Mapping[str, Path], remove: Sequence[str]) -> None:
        """Write files in order, each by a temporary name, and then remove others.

        Raises:
            InputError: naming the file that could not be written.
        """
        for name, file in files.items():
            path = self._folder / name
            temporary = path.with_name(f".{path.name}.{os.getpid()}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, temporary)
                publish(temporary, path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                msg = f"{path} cannot be written: {error}; publish again elsewhere"
                raise InputError(msg) from error
        for name in remove:
            (self._folder / name).unlink(missing_ok=True)


def place(address: str, kind: ArtifactKind, *, public: bool, title: str) -> Place:
    """Return the place of an address.

    Args:
        address: a path, an address of fsspec, or ``hf:[datasets/]OWNER/NAME``.
        kind: what is published; a dataset goes to the hub's datasets, a model to its models.
        public: whether everyone may see a repository of the hub.
        title: one line that says what is published.

    Raises:
        InputError: if the address is none, or its service says no.
        MissingExtraError: if the package that knows the service is not installed.
    """
    if address.startswith("hf:"):
        asked = HubAddress.parse(address)
        if asked.kind == "dataset" and kind == "model":
            msg = f"{address} is a dataset, and what is published a model; name hf:OWNER/NAME"
            raise InputError(msg)
        asked = HubAddress(kind, asked.repository, asked.revision, asked.inside)
        return HubRepository(asked, public=public, title=title)
    if protocol_of(address):
        return Remote(address)
    return LocalFolder(Path(address))
