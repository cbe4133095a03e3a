"""A model of a folder that ``mashbill publish`` wrote: no store; files held to its manifest.

The folder may have come over any way, so each file is digested before it is read. That says that
it is the one that the manifest beside it names, and not who wrote the manifest.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mashbill.core import registry
from mashbill.core.artifact import Manifest
from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError, StoreError
from mashbill.core.parsing import check_regular, json_object
from mashbill.core.store import LEDGER, MANIFEST

if TYPE_CHECKING:
    from mashbill.core.model import Predictor, Writer
    from mashbill.workspace.recipes import PathLike


def is_a_folder(name: PathLike) -> bool:
    """Return whether a name is the path of a folder, and no artifact's: one with a separator."""
    if isinstance(name, os.PathLike):
        return True
    separators = {"/", os.sep, os.altsep or "/"}
    return any(mark in name for mark in separators) or name in (".", "..")


@dataclass(frozen=True)
class PublishedModel:
    """A model of a published folder."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its address, NAME@VERSION."""
        return str(self.manifest.ref)

    @classmethod
    def of(cls, folder: Path) -> PublishedModel:
        """Read the manifest of a folder, and hold the model's files to it.

        Raises:
            InputError: if it is no folder of a published model, and what to name.
            StoreError: if a file is missing, or not the one that was published.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError(_what_else(folder))
        check_regular(path)
        try:
            manifest = Manifest.model_validate(json_object(path))
        except ValidationError as error:
            msg = f"{path} is no manifest of mashbill: {error.errors()[0]['msg']}"
            raise InputError(msg) from error
        if manifest.kind != "model":
            msg = f"{folder} holds the dataset {manifest.ref}, and no model; name a model's folder"
            raise InputError(msg)
        for item in manifest.files:
            _check(folder / item.file, item.sha256)
        return cls(folder, manifest)

    def model(self, threads: int = 1) -> Predictor | Writer:
        """Return the model: it has ``probabilities``, or ``answer``.

        Raises:
            InputError: if its kind of trainer is not installed.
            MissingExtraError: if what it needs is not installed.
        """
        kind = str(self.manifest.stage.get("kind"))
        with registry.telling("loading a model of", kind, registry.TRAINERS):
            trainer: Any = registry.find(kind, registry.TRAINERS)
            found: Predictor | Writer = trainer.load(self.folder, threads)
        return found


def _what_else(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} is no folder; name one that `mashbill publish` wrote, or NAME of a store"
    if (folder / LEDGER).exists():
        return f"{folder} is a store; name a model of it: load(NAME, store={str(folder)!r})"
    return (
        f"{folder} has no {MANIFEST}, which `mashbill publish` writes beside a model; name such a "
        "folder, or NAME of a store"
    )


def _check(path: Path, sha256: str) -> None:
    check_regular(path)
    try:
        found = digest_file(path)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror or error}; fetch the folder again"
        raise StoreError(msg) from error
    if found != sha256:
        msg = f"{path} is not the file that was published: its SHA-256 is {found}; fetch it again"
        raise StoreError(msg)
