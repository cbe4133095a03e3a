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

    def behind(self, manifest: Manifest) -> Iterator[tuple[InputRef, Manifest]]:
        """Yield what an artifact rests on, each once: what it was made from, and so on.

        Raises:
            StoreError: as :meth:`manifest` does.
        """
        waiting = list(manifest.inputs)
        seen: set[tuple[str, str]] = set()
        while waiting:
            item = waiting.pop(0)
            key = item.name, item.digest
            if not item.is_artifact or key in seen:
                continue
            seen.add(key)
            found = self.manifest(item)
            yield item, found
            waiting += found.inputs

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
            raise StoreError(f"{name} is not in the store any more; {remedy}")
        try:
            manifest = Manifest.model_validate(json_object(path / MANIFEST, error=StoreError))
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise StoreError(f"{path / MANIFEST} is damaged: {said}; {remedy}") from error
        if manifest.digest != of.digest:
            raise StoreError(f"{name} is another one than what was made from it says; {remedy}")
        return path, manifest
