"""What the files of a model that was trained elsewhere claim that it was made of.

``config.json`` and ``adapter_config.json`` name the base, a GGUF file its base models and data
sets, a merge its parents, a card ``base_model``, ``datasets`` and a block of ours. A claim that
none of what the recipe says agrees with is a mark; that a file claims nothing is none. So are
weights that are others than the record of the training has.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import MashbillError
from mashbill.core.marks import Contradiction, Mark
from mashbill.core.parsing import json_object, read_text, yaml_value
from mashbill.core.said_learning import SAID
from mashbill.core.source import Channel, Source
from mashbill.core.training_record import RECORD
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.said_model import names_by_weights
from mashbill.models.gguf_header import texts_of
from mashbill.policy.model_names import resolve
from mashbill.policy.same_names import agree, is_path, last_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mashbill.core.artifact import Manifest

_CARDS = ("trainer-card.md", "README.md")
_MERGES = ("mergekit_config.yml", "mergekit_config.yaml")
_BLOCK = "x-mashbill"
_MOST = 8 << 20
"""bytes of a table or a card"""
_CLAIMS, _LONGEST = 100, 300


@dataclass(frozen=True)
class Claim:
    """One thing that a file of a model says that it was made of."""

    where: str
    """file and key"""
    name: str
    is_base: bool
    """else data"""
    is_artifact: bool = False
    """whether it is NAME@VERSION of mashbill"""


def claims_of(folder: Path) -> list[Claim]:
    """Return what the files of a model claim, each once."""
    found: dict[Claim, None] = {}
    readers = (_of_tables, _of_merges, _of_cards, _of_gguf)
    for read in readers:
        # What cannot be read claims nothing; loading it tells of it.
        with suppress(MashbillError, OSError, ValueError, TypeError, AttributeError):
            for claim in read(folder):
                if claim.name.strip() and len(claim.name) <= _LONGEST and len(found) < _CLAIMS:
                    found[claim] = None
    return list(found)


def _of_tables(folder: Path) -> Iterator[Claim]:
    for file, key in (
        ("adapter_config.json", "base_model_name_or_path"),
        ("config.json", "_name_or_path"),
    ):
        path = folder / file
        if path.is_file():
            for name in _texts(json_object(path, most=_MOST).get(key)):
                yield Claim(f"{file} ({key})", name, is_base=True)


def _of_merges(folder: Path) -> Iterator[Claim]:
    for file in _MERGES:
        if not (folder / file).is_file():
            continue
        waiting: list[Any] = [yaml_value(read_text(folder / file, most=_MOST), file)]
        while waiting:
            value = waiting.pop()
            if isinstance(value, list):
                waiting += value
            elif isinstance(value, dict):
                waiting += value.values()
                for key in ("model", "base_model"):
                    named = value.get(key)
                    inner = named.get("model") if isinstance(named, dict) else named
                    for name in _texts(inner.get("path") if isinstance(inner, dict) else inner):
                        yield Claim(f"{file} ({key})", name.partition("+")[0], is_base=True)


def _of_cards(folder: Path) -> Iterator[Claim]:
    for file in _CARDS:
        if not (folder / file).is_file():
            continue
        before, begin, rest = read_text(folder / file, most=_MOST).partition("---\n")
        front, end, _ = rest.partition("\n---")
        told = yaml_value(front, file) if begin and end and not before.strip() else None
        if not isinstance(told, dict):
            continue
        for name in _texts(told.get("base_model")):
            yield Claim("the card (base_model)", name, is_base=True)
        for name in _texts(told.get("datasets")):
            yield Claim("the card (datasets)", name, is_base=False)
        block = told.get(_BLOCK)
        if isinstance(block, dict):
            artifact = str(block.get("artifact") or "")
            name = artifact.removeprefix("urn:mashbill:artifact:").partition(":")[0]
            yield Claim(f"the card ({_BLOCK})", name, is_base=True, is_artifact=True)


def _of_gguf(folder: Path) -> Iterator[Claim]:
    for path in sorted(folder.glob("*.gguf")):
        told = texts_of(path, b"general.")
        for kind, is_base in (("base_model", True), ("dataset", False)):
            for number in range(_CLAIMS):
                name = told.get(f"general.{kind}.{number}.name", "")
                owner = told.get(f"general.{kind}.{number}.organization", "")
                if name:
                    full = f"{owner}/{name}" if owner and "/" not in name + owner else name
                    yield Claim(f"{path.name} (general.{kind}.{number})", full, is_base=is_base)
        artifact = texts_of(path, b"mashbill.").get("mashbill.artifact", "")
        if artifact:
            yield Claim(
                f"{path.name} (mashbill.artifact)", artifact, is_base=True, is_artifact=True
            )


def claims_contradicted(
    folder: Path, manifest: Manifest, table: NodeTable, names: Iterable[str]
) -> Contradiction | None:
    """Return what the files of a model claim that the recipe does not say; None if nothing.

    Args:
        folder: its files, as the store has them.
        manifest: of the artifact.
        table: its nodes.
        names: under which the recipe knows what it was made of.
    """
    bases = {*names_by_weights(table), *names} - {str(manifest.ref)}
    bases |= {name.partition("@")[0] for name in bases}
    data = _data_names(manifest, table)
    marks: list[Mark] = []
    nodes = NodeTable()
    parts: dict[tuple[str, str], bool] = {}
    for claim in claims_of(folder):
        if _is_said(claim, bases, data):
            continue
        marks.append(Mark("claim", claim.where, (claim.name,)))
        how = Channel.WEIGHTS if claim.is_base else Channel.CONTENT
        parts[how.value, nodes.add_source(_source(claim))] = True
    told = manifest.measures[SAID]
    marks += [
        Mark("weights", file, (RECORD,))
        for file, sha256 in told["at_the_end"].items()
        if told["weights"].get(file, sha256) != sha256
    ]
    if told["at_the_end"] and told["method"] not in ("merge", "quantise"):
        strange = sorted(told["weights"].keys() - told["at_the_end"].keys())
        marks += [Mark("weights", file, (RECORD,)) for file in strange]
    if not marks:
        return None
    declared = [item.name for item in manifest.inputs if item.role == "base"]
    return Contradiction(
        tuple(declared) or ("trained from weights drawn at random",),
        (manifest.bill,),
        tuple(marks),
        tuple((how, node, whole) for (how, node), whole in parts.items()),
        nodes.bodies,
    )


def _is_said(claim: Claim, bases: set[str], data: set[str]) -> bool:
    """Return whether the recipe says what a file claims, or the claim names nothing."""
    if claim.is_artifact:
        return claim.name in bases | data
    if is_path(claim.name):
        return True
    return agree(claim.name, bases if claim.is_base else data)


def _data_names(manifest: Manifest, table: NodeTable) -> set[str]:
    """Return what the data that a model learned from may be called."""
    told = [str(one["name"]) for one in manifest.measures[SAID]["datasets"]]
    named = [str(name) for name in manifest.stage.get("inputs", [])]
    found = {*told, *named, *(name.partition("@")[0] for name in told)}
    for body in table.bodies.values():
        if body["type"] == "source":
            found |= {str(body["name"]), str(body["route"]).removeprefix("dataset:")}
        elif body["type"] == "dataset":
            with suppress(MashbillError):
                found |= {str(body["artifact"]), ArtifactRef.parse(str(body["artifact"])).name}
    return found


def _source(claim: Claim) -> Source:
    """Return the source that a claim names, as far as the catalogue knows it."""
    if not claim.is_base:
        return Source(name=claim.name, what="dataset", kind="unknown", route="claimed")
    if claim.is_artifact:
        return Source(name=claim.name, what="model", kind="unknown", route="artifact")
    found = resolve(last_of(claim.name) if claim.name.count("/") > 1 else claim.name)
    return Source(
        name=claim.name, what="model", kind=found.kind, route="weights",
        provider=found.provider, country=found.country,
    )  # fmt: skip


def _texts(value: Any) -> list[str]:
    """Return a text, or the texts of a list."""
    each = value if isinstance(value, list) else [value]
    return [one.strip() for one in each if isinstance(one, str)]
