"""What every export says: gathered once from the store, then written in each standard's terms.

Nothing here reads a clock or draws a number. Identifiers derive from digests and times from the
ledger, so the same store gives the same bytes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING

from mashbill.core.said_learning import word_of_training
from mashbill.lineage.bills.bill import Coverage, Line, bill, coverage
from mashbill.lineage.bills.definitions import Verdict, judge_all
from mashbill.lineage.bills.prompted import PromptCoverage, covered_with, prompt_coverage
from mashbill.lineage.bills.telling import amount, counted
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.circuit.contradicted import contradictions, table_of
from mashbill.lineage.circuit.nodes import NodeTable
from mashbill.lineage.circuit.unrecorded import is_unknown, is_unsaid, no_kind, no_origin
from mashbill.lineage.described import describe
from mashbill.lineage.duties.decisions import declared_use
from mashbill.lineage.duties.rule_facts import has_no_licence
from mashbill.lineage.exports.steps import Step, steps_of
from mashbill.policy.licence_words import is_no_licence

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.marks import Contradiction
    from mashbill.core.source import Source
    from mashbill.core.store import Store
    from mashbill.lineage.described import Described

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:mashbill:")
"""UUIDs of exports are version 5 in this namespace."""

OURS = "_"
"""Columns whose names begin so are mashbill's, not the user's."""


@dataclass(frozen=True)
class Account:
    """Everything that is exported about one artifact."""

    manifest: Manifest
    table: NodeTable
    lines: tuple[Line, ...]
    verdicts: tuple[tuple[Verdict, Verdict], ...]
    """each definition's, about closed models and about any model"""
    steps: tuple[Step, ...]
    """all that it rests on, each after what it took in; its own step last"""
    sources: dict[str, Source]
    """identifier -> leaf of lineage, over all steps"""
    covered: Coverage
    """how much of its tokens has a recorded origin, the words of prompts counted in"""
    named: tuple[float, float]
    """part of the tokens with a named origin, whoever wrote the words of prompts"""
    columns: tuple[tuple[str, str], ...]
    """(name, Arrow type) of a dataset's columns; empty for a model"""
    contradicted: dict[str, Contradiction]
    """artifact -> what speaks against the origin that was declared of it"""
    prompted: PromptCoverage
    """how much of it was asked for in words of recorded origin"""
    version: str
    """version of mashbill that writes the export"""
    described: Described
    """what it is, how it is used, how good it is"""
    binary_columns: tuple[str, ...] = ()
    """columns of bytes in the records that it was made from; all others are texts and numbers"""
    declared_license: str | None = None
    """licence under which others get it, as the run that made it declared"""

    @property
    def step(self) -> Step:
        """The step that made the artifact itself."""
        return self.steps[-1]

    @property
    def id(self) -> str:
        """Identifier of the artifact."""
        return self.step.id

    @property
    def is_model(self) -> bool:
        """Whether it is a model; otherwise it is a dataset."""
        return self.manifest.kind == "model"

    @cached_property
    def _ids(self) -> dict[Source, str]:
        return {source: name for name, source in self.sources.items()}

    def source_id(self, line: Line) -> str:
        """Return the identifier of a line's source."""
        return self._ids[line.source]

    def lines_of(self, source: str) -> list[Line]:
        """Return the lines about the source with this identifier."""
        return [line for line in self.lines if self.source_id(line) == source]

    def uuid(self, what: str) -> str:
        """Return the UUID of something in this export."""
        return str(uuid.uuid5(NAMESPACE, f"{self.id} {self.step.entry.digest} {what}"))

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """What is not recorded and could change an answer, each once.

        Facts that a definition asks for and no lineage holds are told with its verdict alone.
        """
        found = {
            text
            for pair in self.verdicts
            for verdict in pair
            for text in verdict.unknown
            if not text.startswith(verdict.definition.needs)
        }
        for line in self.lines:
            is_told = bool(line.source.contradicted)  # with the artifact that it was declared of
            if is_unknown(line.source) and not is_unsaid(line.source) and not is_told:
                found.add(no_origin(line.source))
                is_told = True
            if (
                is_no_licence(line.source.license)
                and not has_no_licence(line.source)
                and not is_told
            ):
                found.add(f"{line.source.title}: licence not recorded")
            if (line.source.what == "unknown" or line.source.kind == "unknown") and not is_told:
                found.add(no_kind(line.source))
            if line.share[0] != line.share[1]:
                found.add(f"{line.source.title}: share not known exactly")
        if self.prompted.undeclared:
            found.add(str(self.prompted))
        found |= {f"{name}: {told.says}" for name, told in self.contradicted.items()}
        for step in self.steps:
            if word := word_of_training(step.manifest):
                found.add(f"{step.manifest.ref}: {word}")
            for taken in step.taken:
                if taken.manifest is None and taken.id not in self.sources:
                    found.add(f"{taken.name}: taken in by {step.manifest.ref}, not in this store")
        return tuple(sorted(found))

    @property
    def stated_license(self) -> str | None:
        """The licence that it is under: as the run that made it declared, or its own stage says.

        None where the text names none that somebody could take it under, as in ``other``.
        """
        stated = self.declared_license or self.step.license
        return None if is_no_licence(stated) else stated

    @property
    def coverage(self) -> str:
        """One sentence on how much the bill accounts for."""
        of = f"of {amount(self.manifest.tokens, self.manifest.token_unit)}"
        told = str(self.covered).replace("of tokens", of, 1)
        if self.manifest.tokens == 1:
            told = told.replace(" have a", " has a", 1)
        many = counted(len(self.unknown), "fact")
        return f"{told}; {many} {'is' if len(self.unknown) == 1 else 'are'} listed as unknown."


def gather(store: Store, manifest: Manifest) -> Account:
    """Return the account of an artifact of a store.

    Raises:
        StoreError: if its lineage cannot be read, or the ledger never committed it.
    """
    table = table_of(store, manifest)
    steps, sources = steps_of(store, manifest)
    columns: tuple[tuple[str, str], ...] = ()
    if manifest.kind == "dataset" and manifest.shards and store.removal(manifest.ref) is None:
        schema = store.dataset(manifest.ref).read(0, 0).schema
        columns = tuple((field.name, str(field.type)) for field in schema)
    circuit, prompted = Circuit.of(table), prompt_coverage(store, manifest)
    return Account(
        manifest=manifest,
        table=table,
        lines=tuple(bill(circuit)),
        verdicts=tuple(judge_all(circuit)),
        steps=steps,
        sources=sources,
        covered=covered_with(circuit, prompted),
        named=coverage(circuit).named,
        columns=columns,
        contradicted=contradictions(store, manifest),
        prompted=prompted,
        version=own_version(),
        described=describe(store, manifest),
        binary_columns=_binary_columns(store, steps),
        declared_license=declared_use(store, str(manifest.ref)).license,
    )


_SCHEMAS = 200  # datasets whose columns are looked at


def _binary_columns(store: Store, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return the user's columns of bytes in the datasets of these steps, each once."""
    found = set()
    for step in steps[-_SCHEMAS:]:
        is_there = store.removal(step.manifest.ref) is None
        if step.manifest.kind == "dataset" and step.manifest.shards and is_there:
            schema = store.dataset(step.manifest.ref).read(0, 0).schema
            found |= {
                field.name
                for field in schema
                if "binary" in str(field.type) and not field.name.startswith(OURS)
            }
    return tuple(sorted(found))


def own_version() -> str:
    """Return the version of mashbill that is installed."""
    try:
        return metadata.version("mashbill")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "unreleased"
