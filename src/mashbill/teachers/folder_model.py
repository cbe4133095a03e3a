"""Weights in a folder as hubs keep them: safetensors, config.json, tokenizer.json, a chat template.

What the engines over such folders share. A recipe pins the list of the folder's files, and an
engine is shown those files and no others; code that a folder brings along is never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.base_model import BaseWeights
from mashbill.models.folder import pinned_folder, plain_tokenizer
from mashbill.models.folder_bounds import check_tokenizer
from mashbill.models.own_artifacts import AS_TEACHER
from mashbill.teachers.local import LocalTeacherSpec

if TYPE_CHECKING:
    from pathlib import Path


class FolderTeacherSpec(LocalTeacherSpec):
    """What the kinds over such folders have in common."""

    folder: str
    """the weights: a folder beside the recipe, hf:OWNER/NAME@REVISION, s3://BUCKET/PATH"""

    def addresses(self) -> tuple[str, ...]:
        """The weights."""
        return (self.folder,)

    def tokenizer_at_hand(self, folder: Path, cache: Path) -> Any:
        """Return the tokenizer if it is on this disk; None if not, or if it is not read."""
        for place in (folder / self.folder, cache / "weights" / self.sha256):
            if (place / "tokenizer.json").is_file():
                try:
                    check_tokenizer(place / "tokenizer.json")
                    return plain_tokenizer(place)[0]
                except Exception:  # noqa: BLE001 - tokenizers raises no other; loading says it
                    return None
        return None

    def weights_here(self, folder: Path, cache: Path) -> BaseWeights:
        """The pinned files."""
        return BaseWeights(self.weights(folder, cache), self.sha256, self.source.title)

    def weights(self, beside: Path, cache: Path) -> Path:
        """Return a folder of exactly the pinned files, fetching what lies elsewhere once.

        Raises:
            InputError: if they cannot be had, are not those that are pinned, or are a model that
                mashbill made.
        """
        return pinned_folder(self.folder, self.sha256, beside, cache, AS_TEACHER)
