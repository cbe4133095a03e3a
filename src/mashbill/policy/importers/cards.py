"""Model and dataset cards of the Hugging Face hub: README.md with YAML front matter.

Read are ``base_model`` with ``base_model_relation``, ``datasets``, ``source_datasets``, ``license``
with ``license_name`` (https://huggingface.co/docs/hub/model-cards and .../datasets-cards; the Hub's
own specifications are modelcard.md and datasetcard.md in huggingface/hub-docs), and the block
``x-mashbill`` that our own exporter writes. The hub's metadata has no word for a teacher, so what a
card tells in its text is not seen here.

Which repository a card is of follows from where it lies: OWNER/NAME/README.md, with ``datasets/``
in front for a data set, as :mod:`mashbill.conduct.hub` writes them; or huggingface_hub's cache,
models--OWNER--NAME/snapshots/COMMIT/README.md; or the caller says it.
"""

from __future__ import annotations

import re
from reprlib import repr as brief
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import InputError
from mashbill.core.parsing import yaml_value
from mashbill.policy.claims import RELATIONS
from mashbill.policy.importers.card_block import read_block
from mashbill.policy.importers.imported import (
    HUB_ID,
    Gathering,
    Imported,
    as_hub_id,
    files_of,
    read_text,
)
from mashbill.policy.importers.licences import from_hub

if TYPE_CHECKING:
    from pathlib import Path

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_IN_CACHE = re.compile(r"(models|datasets)--([^/]+?)--([^/]+)")
_RELATIONS = {
    "finetune": "base-weights",
    "adapter": "adapter",
    "merge": "merge",
    "quantized": "quantized",
}
"""base_model_relation -> relation of a claim"""
_OF_MODELS = frozenset(
    ["base_model", "base_model_relation", "datasets", "library_name", "model-index", "pipeline_tag"]
)
_OF_DATASETS = frozenset(
    ["annotations_creators", "configs", "dataset_info", "language_creators", "pretty_name",
     "size_categories", "source_datasets", "task_categories", "task_ids"]
)  # fmt: skip
"""keys that only cards of the one kind have"""


def read(path: Path, entity: str = "") -> Imported:
    """Read one card, or every README.md below a folder.

    Args:
        path: the card or folder.
        entity: id OWNER/NAME of a single card, ``datasets/OWNER/NAME`` for a data set; else it
            follows from the path.

    Raises:
        InputError: naming file, line or key, if front matter is no YAML mapping, or if a single
            card's id is not known.
    """
    gathered = Gathering("card")
    for file in files_of(path, "README.md"):
        matter = _front_matter(file)
        if matter is None:
            gathered.leave(str(file), "no front matter, which is what a program can read of a card")
            continue
        name, commit, dataset = _whose(file, entity)
        if name is None:
            reason = "its folders are not OWNER/NAME, so it does not say whose card it is"
            if file == path:
                msg = f"{file}: {reason}; give the id, or move it to OWNER/NAME/README.md"
                raise InputError(msg)
            gathered.leave(str(file), reason)
            continue
        if not dataset:
            dataset = not matter.keys() & _OF_MODELS and bool(matter.keys() & _OF_DATASETS)
        _Card(gathered, file, name, commit, "dataset" if dataset else "model", matter).gather()
    return gathered.finish()


def _front_matter(file: Path) -> dict[str, Any] | None:
    """Return the front matter of a card, or None if it has none."""
    match = _FRONT_MATTER.match(read_text(file))
    if match is None:
        return None
    matter = yaml_value(match[1], file, what="front matter", line=1)
    if matter is None:
        return {}
    if not isinstance(matter, dict):
        msg = f"{file}: line 2: front matter is {brief(matter)}, expected keys with values"
        raise InputError(msg)
    return {str(key): value for key, value in matter.items()}


def _whose(file: Path, entity: str) -> tuple[str | None, str, bool]:
    """Return a card's id if it is known, its commit if that is known, and whether it is of data.

    The last is False too where only the card's keys can tell.
    """
    parts = file.absolute().parts
    if entity:
        name = entity.removeprefix("hf:")
        bare = name.removeprefix("datasets/")
        return bare if HUB_ID.fullmatch(bare) else None, "", bare != name
    for index, part in enumerate(parts[:-1]):
        cached = _IN_CACHE.fullmatch(part)
        if cached:
            commit = parts[index + 2] if len(parts) > index + 3 else ""
            return f"{cached[2]}/{cached[3]}", commit, cached[1] == "datasets"
    if len(parts) < 4:
        return None, "", False
    name = "/".join(parts[-3:-1])
    return name if HUB_ID.fullmatch(name) else None, "", parts[-4] == "datasets"


class _Card:
    """One card and what it is gathered into."""

    def __init__(
        self,
        gathered: Gathering,
        file: Path,
        name: str,
        commit: str,
        what: str,
        matter: dict[str, Any],
    ) -> None:
        self.gathered = gathered
        self.file = file
        self.name = name
        self.what = what
        self.matter = matter
        folder = "datasets/" if what == "dataset" else ""
        self.source = f"hf:{folder}{name}{'@' + commit if commit else ''}:README.md"
        self.told: set[tuple[str, str]] = set()
        """parent in small letters, and role, of what the block of our own told already"""

    def gather(self) -> None:
        """Add the card's entity and claims."""
        self.gathered.add_entity(
            self._at("license"),
            id=self.name,
            what=self.what,
            kind="open-weights" if self.what == "model" else "public-dataset",
            license=self._licence(),
            source=self.source,
        )
        block = self.matter.get("x-mashbill")
        if block is not None:
            self.told = read_block(
                self.gathered, self._at("x-mashbill"), block, (self.name, self.what), self.source
            )
        self._bases()
        if self.what == "model":
            for name in self._ids("datasets"):
                self._claim("datasets", name, "trained-on", "")
        else:
            self._sources()

    def _at(self, key: str) -> str:
        return f"{self.file}: {key}"

    def _listed(self, key: str) -> list[Any]:
        value = self.matter.get(key)
        if value is None:
            return []
        return value if isinstance(value, list) else [value]

    def _ids(self, key: str) -> list[str]:
        """Return the ids that a key lists, and leave out what is none."""
        found = []
        for value in self._listed(key):
            name = as_hub_id(value)
            if name is None:
                self.gathered.leave(self._at(key), f"{brief(value)} is no id on the hub")
            else:
                found.append(name)
        return found

    def _claim(self, key: str, parent: str, relation: str, note: str) -> None:
        """Add a claim, and no entity for the parent.

        The card has its name only, and a row with no more would stand in the way of its own card's.
        """
        if (parent.lower(), RELATIONS[relation][2]) in self.told:
            return
        self.gathered.add_claim(
            self._at(key),
            child=self.name,
            parent=parent,
            relation=relation,
            route="weights" if key == "base_model" else "unknown",
            source=self.source,
            note=note,
        )

    def _licence(self) -> str | None:
        stated = [value for value in self._listed("license") if isinstance(value, str)]
        if len(stated) != len(self._listed("license")) or len(stated) > 1:
            reason = f"{brief(self.matter['license'])} is not one licence, so none is taken"
            self.gathered.leave(self._at("license"), reason)
            return None
        name = self.matter.get("license_name")
        return from_hub(stated[0], name if isinstance(name, str) else "") if stated else None

    def _bases(self) -> None:
        names = self._ids("base_model")
        if not names:
            return
        if self.what == "dataset":
            reason = "a data set has no base model, and the card does not say what it did"
            self.gathered.leave(self._at("base_model"), reason)
            return
        stated = self.matter.get("base_model_relation")
        relation = _RELATIONS.get(stated) if isinstance(stated, str) else None
        note = ""
        if stated is None:
            note = "the card gives no relation to its base model"
        elif relation is None:
            note = f"the card's relation to its base model is {brief(stated)}, which the hub lacks"
        for name in names:
            self._claim("base_model", name, relation or "base-weights", note)

    def _sources(self) -> None:
        """Read source_datasets; ``original`` says that there is none."""
        for value in self._listed("source_datasets"):
            text = str(value) if isinstance(value, str) else ""
            name = as_hub_id(text.removeprefix("extended|"))
            if text == "original":
                continue
            if name is None or "/" not in name:
                reason = f"{brief(value)} names no data set with its owner"
                self.gathered.leave(self._at("source_datasets"), reason)
            else:
                self._claim("source_datasets", name, "composed-from", "")
