"""What an artifact was made from, read beside it: as its manifest names it, and no other bytes.

A stage declares what it takes; what that was made from in turn is bound by digests, manifest by
manifest, so that reading it adds nothing that the stage's identity did not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from mashbill.core.artifact import ArtifactRef, Manifest
from mashbill.core.dataset import Dataset
from mashbill.core.errors import RecipeError, StoreError
from mashbill.core.parsing import json_object
from mashbill.core.store import FOLDERS, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.artifact import InputRef


class _ElsewhereError(StoreError):
    """What something was made from is not in this store."""


class Upstream:
    """The artifacts of the store that a dataset lies in."""

    def __init__(self, data: Dataset) -> None:
        """Look from here.

        Args:
            data: a dataset of the store.
        """
        self._root = data.path.parent.parent
        self._known: dict[tuple[str, str], tuple[Path, Manifest]] = {}

    def manifest(self, of: InputRef) -> Manifest:
        """Return the manifest of what something was made from.

        Raises:
            StoreError: if it is not there any more, or is another one.
        """
        return self._found(of)[1]

    def dataset(self, of: InputRef) -> Dataset:
        """Return the rows that something was made from.

        Raises:
            StoreError: if they are not there any more, or are others, or none.
        """
        path, manifest = self._found(of)
        if manifest.kind != "dataset":
            msg = f"{of.name} is a model, and rows are looked for; run `mashbill audit`"
            raise StoreError(msg)
        return Dataset(path, manifest)

    def is_here(self, of: InputRef) -> bool:
        """Return whether the very artifact is in the store.

        What an artifact was made from that was taken in from another store stays there, and what
        has its address here is another artifact.

        Raises:
            StoreError: if what lies at its address is damaged.
        """
        try:
            self._found(of)
        except _ElsewhereError:
            return False
        return True

    def behind(self, manifest: Manifest) -> Iterator[Manifest]:
        """Yield an artifact and what it rests on, each once: what it was made from, and so on.

        It ends where something is not in the store: see :meth:`is_here`.

        Raises:
            StoreError: if something on the way is damaged.
        """
        waiting = [manifest]
        seen: set[tuple[str, str]] = set()
        while waiting:
            found = waiting.pop(0)
            yield found
            for item in found.inputs:
                key = item.name, item.digest
                if item.is_artifact and key not in seen and self.is_here(item):
                    seen.add(key)
                    waiting.append(self._found(item)[1])

    def _found(self, of: InputRef) -> tuple[Path, Manifest]:
        key = of.name, of.digest
        if key not in self._known:
            self._known[key] = self._read(of)
        return self._known[key]

    def _read(self, of: InputRef) -> tuple[Path, Manifest]:
        remedy = "run `mashbill audit`, or make it again"
        try:
            name = str(ArtifactRef.parse(of.name))
        except RecipeError as error:
            raise StoreError(f"{error}; {remedy}") from error
        places = (self._root / folder / name for folder in FOLDERS.values())
        path = next((place for place in places if (place / MANIFEST).is_file()), None)
        if path is None:
            raise _ElsewhereError(f"{name} is not in the store any more; {remedy}")
        try:
            manifest = Manifest.model_validate(json_object(path / MANIFEST, error=StoreError))
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise StoreError(f"{path / MANIFEST} is damaged: {said}; {remedy}") from error
        if manifest.digest != of.digest:
            msg = f"{name} is another one than what was made from it says; {remedy}"
            raise _ElsewhereError(msg)
        return path, manifest
