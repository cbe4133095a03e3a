"""What somebody asks about: an artifact of a store, or ``hf:OWNER/NAME`` of the catalogue."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mashbill.core import registry as plugins
from mashbill.core.errors import InputError, PluginError, RecipeError, StoreError
from mashbill.core.store import Store
from mashbill.core.use import Use
from mashbill.lineage.bills.prompted import PromptCoverage, prompt_coverage
from mashbill.lineage.catalogue.extended import extended
from mashbill.lineage.catalogue.public import PublicLineage, kind_of_public, lineage_of
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import contradictions
from mashbill.lineage.duties.decisions import Decided, decide_circuit, declared_use
from mashbill.policy.claims import Entity
from mashbill.policy.model_names import find_named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from mashbill.core.artifact import Manifest
    from mashbill.core.marks import Contradiction
    from mashbill.core.use import StudentKind
    from mashbill.policy.documents import Registry
    from mashbill.policy.house import HouseRule
    from mashbill.policy.index import Index
    from mashbill.policy.statuses import Status

PUBLIC = "hf:"


@dataclass(frozen=True)
class Subject:
    """One artifact with its circuit, whoever made it."""

    name: str
    circuit: Circuit
    use: Use
    """as its last run declared it; nothing for a public one"""
    store: Store | None = None
    manifest: Manifest | None = None
    entity: Entity | None = None
    lineage: PublicLineage | None = None
    resolved: str = ""
    """how the name that was asked about was led to this one, if it is another"""

    @cached_property
    def contradicted(self) -> dict[str, Contradiction]:
        """Artifact that it rests on -> what speaks against the origin declared of it."""
        if self.store is None or self.manifest is None:
            return {}
        return contradictions(self.store, self.manifest)

    @cached_property
    def prompted(self) -> PromptCoverage | None:
        """How much of it was asked for in words of recorded origin; None for a public one."""
        if self.store is None or self.manifest is None:
            return None
        return prompt_coverage(self.store, self.manifest)

    def kind_of(self, artifact: str) -> StudentKind:
        """Return what kind of model an artifact is, as its trainer says; "other" if not known."""
        if self.lineage is not None:
            return kind_of_public(self.lineage.catalogue, artifact)
        if self.store is None:
            return "other"
        try:
            kind = self.store.find(artifact).stage.get("kind", "")
            found: StudentKind = plugins.find(kind, plugins.TRAINERS).student_kind
        except (RecipeError, PluginError, StoreError):
            # A trainer's plugin need not be installed here, nor a model be in this store that the
            # marks of data tell of.
            return "other"
        return found

    @property
    def stated_license(self) -> str | None:
        """The licence that the artifact's own stage states, as that of an import does.

        None where its origin is contradicted: then nothing that the stage says counts as known.
        """
        stated = self.manifest.stage.get("license") if self.manifest else None
        if self.manifest is not None and str(self.manifest.ref) in self.contradicted:
            return None
        return stated if isinstance(stated, str) else None

    def decide(
        self,
        registry: Registry,
        as_of: date,
        use: Use,
        rules: Sequence[HouseRule] = (),
        *,
        is_release: bool = False,
    ) -> Decided:
        """Return what terms, licences and house rules say to it, and what its release lacks."""
        return decide_circuit(
            registry, [self.circuit], self.circuit, self.kind_of, use, as_of,
            is_public=self.entity is not None, rules=rules, stated=self.stated_license,
            is_release=is_release, prompted=self.prompted,
        )  # fmt: skip


def is_public(name: str) -> bool:
    """Return whether a name is one of the catalogue."""
    return name.startswith(PUBLIC)


def public_subject(name: str, statuses: Sequence[Status], index: Index) -> Subject:
    """Return a model or dataset of the catalogue.

    Args:
        name: as somebody writes it; with ``hf:`` before it or not.
        statuses: of the claims that count.
        index: the catalogue.

    Raises:
        InputError: if the catalogue has none of that name; near ones are listed.
    """
    entity, how = find_named(name, index)
    lineage = lineage_of(index.part([entity.id]), statuses)
    return Subject(
        entity.id, lineage.of(entity), Use(), entity=entity, lineage=lineage, resolved=how
    )


def through_catalogue(subject: Subject, statuses: Sequence[Status], index: Index) -> Subject:
    """Return an artifact of a store whose teachers rest on what the catalogue claims of them."""
    known = []
    for node in subject.circuit.sources().tolist():
        with suppress(InputError):
            known.append(find_named(subject.circuit.source(node).name, index)[0].id)
    circuit, _ = extended(subject.circuit, lineage_of(index.part(known), statuses))
    return replace(subject, circuit=circuit)


def own_subject(name: str, held: Store) -> Subject:
    """Return an artifact of a store.

    Raises:
        StoreError: if it has none of that name.
    """
    manifest = held.find(name)
    circuit = Circuit.of_artifact(held, manifest)
    return Subject(
        str(manifest.ref), circuit, declared_use(held, str(manifest.ref)), held, manifest
    )
