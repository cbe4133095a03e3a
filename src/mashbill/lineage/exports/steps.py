"""How an artifact came about: each committed step of its history, and what it took in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef
from mashbill.core.canonical import digest
from mashbill.core.errors import RecipeError, StoreError
from mashbill.core.file_origins import file_actors
from mashbill.core.marks import CONTRADICTED
from mashbill.core.source import Source
from mashbill.lineage.circuit.contradicted import table_of

if TYPE_CHECKING:
    from mashbill.core.artifact import InputRef, Manifest
    from mashbill.core.ledger import Entry
    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable


@dataclass(frozen=True)
class Taken:
    """One thing that a step took in."""

    role: str
    """as the manifest writes it; ``source`` for what a first step brought in"""
    channel: str
    id: str
    """identifier of the artifact or of the source"""
    name: str
    manifest: Manifest | None
    """the artifact, if it is one of this store"""


@dataclass(frozen=True)
class Step:
    """One committed step: what it made, what it took, and the ledger's entry of its commit."""

    manifest: Manifest
    entry: Entry
    taken: tuple[Taken, ...]

    @property
    def id(self) -> str:
        """Identifier of the artifact that it made."""
        return artifact_id(self.manifest)

    @property
    def run_id(self) -> str:
        """Identifier of the step itself: that of its commit's entry."""
        return f"urn:mashbill:run:{self.entry.digest}"

    @property
    def ended(self) -> str:
        """Time of the commit, ISO 8601 with its offset."""
        return self.entry.told("at")

    @property
    def seconds(self) -> float | None:
        """How long the run that committed it took; None if the ledger does not say."""
        value = self.entry.predicate.get("seconds")
        return None if value is None else float(value)

    @property
    def license(self) -> str | None:
        """Licence that was stated of what it made; None where its origin is contradicted."""
        stated = self.manifest.stage.get("license")
        is_known = isinstance(stated, str) and CONTRADICTED not in self.entry.predicate
        return str(stated) if is_known else None

    @property
    def maker(self) -> str:
        """Distribution and version that ran the step; empty if the ledger does not say."""
        plugin = self.entry.predicate.get("plugin") or {}
        return f"{plugin.get('distribution', '')} {plugin.get('version', '')}".strip()


def artifact_id(manifest: Manifest) -> str:
    """Return an artifact's identifier: a URN of its address and the digest of its content."""
    return f"urn:mashbill:artifact:{manifest.ref}:{manifest.digest}"


def artifact_facts(manifest: Manifest) -> dict[str, Any]:
    """Return an artifact's identities and size, for a program."""
    return {
        "digest": manifest.digest,
        "fingerprint": manifest.fingerprint,
        "bill": manifest.bill,
        "rows": manifest.rows or None,
        "tokens": manifest.tokens,
        "token_unit": manifest.token_unit,
    }


def files_of(manifest: Manifest) -> list[tuple[str, str]]:
    """Return (name, SHA-256) of an artifact's files, without its rejected rows."""
    shards = [(shard.file, shard.sha256) for shard in manifest.shards]
    return [*shards, *((item.file, item.sha256) for item in (*manifest.files, manifest.nodes))]


def steps_of(store: Store, manifest: Manifest) -> tuple[tuple[Step, ...], dict[str, Source]]:
    """Walk an artifact's inputs, and theirs; return the steps, inputs first, and all leaves."""
    commits = {
        entry.told("artifact"): entry for entry in store.ledger.accepted if entry.event == "commit"
    }
    made: dict[str, Step] = {}
    leaves: dict[str, dict[str, Source]] = {}
    waiting = [manifest]
    while waiting:
        current = waiting[-1]
        name = str(current.ref)
        inputs = {item.name: _find(store, item) for item in current.inputs}
        missing = [m for m in inputs.values() if m is not None and str(m.ref) not in made]
        if name in made:
            waiting.pop()
        elif missing:
            waiting += missing
        else:
            waiting.pop()
            if name not in commits:
                msg = f"{store.ledger.path} has no commit of {name}; run `mashbill audit`"
                raise StoreError(msg)
            before = {key for m in inputs.values() if m is not None for key in leaves[str(m.ref)]}
            leaves[name], by_digest = _leaves(table_of(store, current))
            new = [key for key in leaves[name] if key not in before]
            taken = _taken(current, inputs, leaves[name], by_digest, new)
            made[name] = Step(current, commits[name], taken)
    return tuple(made.values()), {k: v for found in leaves.values() for k, v in found.items()}


def _find(store: Store, item: InputRef) -> Manifest | None:
    """Return the artifact that an input names; None if it is a source, or not in this store."""
    if not item.is_artifact:
        return None
    try:
        return store.get(ArtifactRef.parse(item.name))
    except RecipeError:  # whoever wrote the manifest need not have been us
        return None


def _leaves(table: NodeTable) -> tuple[dict[str, Source], dict[str, str]]:
    """Return identifier -> source, and the digest that manifests use for it -> identifier."""
    sources, by_digest = {}, {}
    for node, body in sorted(table.bodies.items()):
        if body["type"] == "source":
            fields = {key: value for key, value in body.items() if key != "type"}
            sources[f"urn:mashbill:source:{node}"] = Source.model_validate(fields)
            by_digest[digest(fields)] = f"urn:mashbill:source:{node}"
    return sources, by_digest


def _taken(
    manifest: Manifest,
    inputs: dict[str, Manifest | None],
    leaves: dict[str, Source],
    by_digest: dict[str, str],
    new: list[str],
) -> tuple[Taken, ...]:
    """Return what a step took: its manifest's inputs, and the sources that came in with it."""
    found = []
    for item in manifest.inputs:
        artifact = inputs[item.name]
        key = artifact_id(artifact) if artifact else by_digest.get(item.digest)
        key = key or f"urn:mashbill:absent:{item.digest}"
        found.append(Taken(item.role, item.channel, key, item.name, artifact))
    named = {taken.id for taken in found}
    how = {source: via for via, source in file_actors(manifest.stage)}
    found += [
        Taken("source", how.get(leaves[key], "content"), key, leaves[key].title, None)
        for key in new
        if key not in named
    ]
    return tuple(found)
