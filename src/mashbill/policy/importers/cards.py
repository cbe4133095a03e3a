"""Model and dataset cards of the Hugging Face hub: README.md with YAML front matter.

Read are ``base_model`` with ``base_model_relation``, ``datasets``, ``source_datasets``, ``license``
with ``license_name`` (https://huggingface.co/docs/hub/model-cards and .../datasets-cards; the Hub's
own specifications are modelcard.md and datasetcard.md in huggingface/hub-docs), and the block
``x-mashbill`` that our own exporter writes. The hub's metadata has no word for a teacher, so what a
card tells in its text is not seen here.

Which repository a card is of follows from where it lies: OWNER/NAME/README.md, with ``datasets/``
in front for a dataset, as :mod:`mashbill.files.hub_cards` writes them; or huggingface_hub's cache,
models--OWNER--NAME/snapshots/COMMIT/README.md; or the caller says it. Where none of that does, a
card of ours goes by the name that its artifact has.
"""

from __future__ import annotations

import re
from reprlib import repr as brief
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.errors import InputError
from mashbill.core.parsing import yaml_value
from mashbill.policy.importers.card_block import read_block
from mashbill.policy.importers.card_names import CHECKPOINT, Named, listed, read_name
from mashbill.policy.importers.imported import (
    HUB_ID,
    NO_OWNERS,
    Gathering,
    Imported,
    read_each,
    read_text,
)
from mashbill.policy.importers.licences import from_hub
from mashbill.policy.licence_cells import licence_of
from mashbill.policy.relations import RELATIONS

if TYPE_CHECKING:
    from pathlib import Path

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
_ARTIFACT = re.compile(r"urn:mashbill:artifact:([^@:/\s]{1,200})@")
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
        entity: id OWNER/NAME of a single card, ``datasets/OWNER/NAME`` for a dataset; else it
            follows from the path.

    Raises:
        InputError: naming file, line or key, if front matter is no YAML mapping, or if a single
            card's id is not known; in a folder such a card is left out, unless there is no other.
    """
    gathered = Gathering("card")

    def read_one(file: Path) -> None:
        matter = _front_matter(gathered, file)
        if matter is None:
            return
        name, commit, dataset = _whose(file, entity)
        if name is None and not entity:
            name = _own_name(matter)
        if name is None:
            reason = "its folders are not OWNER/NAME, so it does not say whose card it is"
            if file == path:
                msg = f"{file}: {reason}; give the id, or move it to OWNER/NAME/README.md"
                raise InputError(msg)
            gathered.leave(str(file), reason)
            return
        if not dataset:
            dataset = not matter.keys() & _OF_MODELS and bool(matter.keys() & _OF_DATASETS)
        _Card(gathered, file, name, commit, "dataset" if dataset else "model", matter).gather()

    read_each(path, "README.md", gathered.reject, read_one)
    return gathered.finish()


def _front_matter(gathered: Gathering, file: Path) -> dict[str, Any] | None:
    """Return the front matter of a card; None if it has none, which is noted."""
    text = read_text(file)
    match = _FRONT_MATTER.match(text)
    if match is None:
        if begins := re.match(r"\s*---[ \t]*\r?\n", text):
            line = text.count("\n", 0, begins.end())
            flaw = "no front matter: no other line --- ends what may begin here"
            gathered.reject(file, f"{file}: line {line}: {flaw}")
        else:
            reason = "no front matter, which is what a program can read of a card"
            gathered.leave(str(file), reason)
        return None
    line = text.count("\n", 0, match.start(1))
    matter = yaml_value(match[1], file, what="front matter", line=line)
    if matter is None:
        return {}
    if not isinstance(matter, dict):
        msg = f"{file}: line {line + 1}: front matter is {brief(matter)}, expected keys with values"
        raise InputError(msg)
    return {str(key): value for key, value in matter.items()}


def _own_name(matter: dict[str, Any]) -> str | None:
    """Return the name that a card of ours gives its artifact, without a version; None if none."""
    block = matter.get("x-mashbill")
    told = block.get("artifact") if isinstance(block, dict) else None
    found = _ARTIFACT.match(told) if isinstance(told, str) else None
    return found[1] if found and HUB_ID.fullmatch(found[1]) else None


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
    # A run writes a card into the folder of each checkpoint, too: OWNER/NAME/checkpoint-500.
    known = HUB_ID.fullmatch(name) and not CHECKPOINT.fullmatch(parts[-2])
    return name if known and parts[-3] not in NO_OWNERS else None, "", parts[-4] == "datasets"


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
                self.gathered, self._at("x-mashbill"), block, (self.name, self.what), self.source,
                self.file.parent,
            )  # fmt: skip
        self._bases()
        if self.what == "model":
            for one in self._named("datasets", "dataset"):
                self._claim("datasets", one.name, "trained-on", one.note)
        else:
            self._sources()

    def _at(self, key: str) -> str:
        return f"{self.file}: {key}"

    def _named(self, key: str, what: Literal["model", "dataset"]) -> list[Named]:
        """Return what a key names, and leave out what names nothing."""
        found = []
        for value in listed(self.matter.get(key)):
            one = read_name(value, what)
            if one.reason:
                self.gathered.leave(self._at(key), one.reason)
            else:
                found.append(one)
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
        """Return the licence, if the card states one; what is written in two ways is one."""
        name = self.matter.get("license_name")
        own = name if isinstance(name, str) else ""
        told = [value for value in listed(self.matter.get("license")) if value is not None]
        texts = [licence_of(value) if isinstance(value, dict) else value for value in told]
        stated = [from_hub(text, own) for text in texts if isinstance(text, str)]
        found = {licence for licence in stated if licence is not None}
        if len(stated) == len(told) and len(found) < 2:
            return next(iter(found), None)
        reason = f"{brief(self.matter['license'])} is not one licence, so none is taken"
        if any(isinstance(text, bool) for text in texts):
            reason += "; YAML reads yes and no as true and false: put it in quotes"
        self.gathered.leave(self._at("license"), reason)
        return None

    def _bases(self) -> None:
        named = self._named("base_model", "model")
        if not named:
            return
        if self.what == "dataset":
            reason = "a dataset has no base model, and the card does not say what it did"
            self.gathered.leave(self._at("base_model"), reason)
            return
        stated = self.matter.get("base_model_relation")
        relation = _RELATIONS.get(stated) if isinstance(stated, str) else None
        note = ""
        if stated is None:
            note = "the card gives no relation to its base model"
        elif relation is None:
            note = f"the card's relation to its base model is {brief(stated)}, which the hub lacks"
        for one in named:
            notes = "; ".join(part for part in (note, one.note) if part)
            self._claim("base_model", one.name, relation or "base-weights", notes)

    def _sources(self) -> None:
        """Read source_datasets; ``original`` says that there is none."""
        for value in listed(self.matter.get("source_datasets")):
            if value == "original":
                continue
            extended = isinstance(value, str) and value.strip().startswith("extended|")
            one = read_name(value.strip()[len("extended|") :] if extended else value, "dataset")
            if "/" in one.name:
                self._claim("source_datasets", one.name, "composed-from", one.note)
            else:
                reason = one.reason or f"{brief(value)} names no dataset with its owner"
                self.gathered.leave(self._at("source_datasets"), reason)
