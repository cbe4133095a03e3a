"""What an audit derives again of each artifact, once its files are those that were committed.

The manifest has to agree with itself (its fingerprint is that of its literals and inputs), with the
ledger (its inputs are artifacts as they were committed), with its literals (what they name is among
its inputs), and its nodes with all of that (:mod:`mashbill.lineage.evidence.recomposing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import FORMAT, TOKEN_UNIT, ArtifactRef, fingerprint, named_by
from mashbill.core.base_model import MODELS
from mashbill.core.canonical import canonical, digest_bytes
from mashbill.core.given import TAKEN_IN, called
from mashbill.core.parsing import json_value
from mashbill.lineage.evidence.asked import strange_students
from mashbill.lineage.evidence.bases import strange_bases
from mashbill.lineage.evidence.made import Made
from mashbill.lineage.evidence.recomposing import Composed, recompose_dataset, recompose_model
from mashbill.lineage.evidence.said import is_said
from mashbill.lineage.evidence.taken_in import strange_taking_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mashbill.core.artifact import InputRef, Manifest
    from mashbill.core.learning import Learned
    from mashbill.core.ledger import Entry
    from mashbill.lineage.circuit.nodes import NodeTable
    from mashbill.lineage.evidence.made import Rows

_REFERENCES = (
    "input", "inputs", "model", "models", "by", "base", "parents", "systems", "candidates"
)  # fmt: skip
"""keys of literals that name stages, in the stages that mashbill brings"""
_WORDS = {"by": {"rule"}}
"""what such a key may say that is no stage, though one may be called so"""
_SINCE = 2
"""the format of manifests that say all that lineage is composed from"""


@dataclass
class Derivations:
    """The artifacts that were checked so far, and what deriving them again came to."""

    committed: Mapping[str, str]
    """address -> digest of its content, as the last entry that counts commits it"""
    given_up: Mapping[str, str]
    """digest of what was given up -> why"""
    begun: Mapping[str, int] = field(default_factory=dict)
    """address -> the last entry that says that a run begins it: releases since 0.2 write one"""
    first: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(address, digest of its content) -> the first entry that commits it"""
    made: dict[str, Made] = field(default_factory=dict)
    waiting: dict[str, Pending] = field(default_factory=dict)
    """artifacts whose inputs were not all met when they were"""

    def take(self, pending: Pending) -> Iterator[tuple[Pending, Composed]]:
        """Yield what deriving came to, of an artifact and of those that waited for it."""
        name = str(pending.manifest.ref)
        self.made[name] = Made(pending.manifest, pending.table, pending.kept, pending.removed)
        self.waiting[name] = pending
        ready = [one for one in self.waiting.values() if not self._lacking(one)]
        for one in ready:
            yield one, self._derived(one)

    def rest(self) -> Iterator[tuple[Pending, Composed]]:
        """Yield the same of those that wait in vain: an input is not there, or was found wrong."""
        for one in list(self.waiting.values()):
            yield one, self._derived(one)

    def _lacking(self, pending: Pending) -> set[str]:
        if pending.word:
            return set()
        names = {item.name for item in pending.manifest.inputs if item.is_artifact}
        return (names & self.committed.keys()) - self.made.keys()

    def _derived(self, pending: Pending) -> Composed:
        manifest, table = pending.manifest, pending.table
        del self.waiting[str(manifest.ref)]
        if pending.word:
            return Composed(not_derived=[pending.word])
        if manifest.kind == "model":
            found = recompose_model(manifest, table, self.made, pending.learned)
        else:
            found = recompose_dataset(
                manifest, table, pending.kept, pending.rejected, self.made,
                is_removed=bool(pending.removed),
            )  # fmt: skip
            # Who is made of these rows wants their nodes and words alone.
            kept = [type(rows)(rows.bills, rows.words) for rows in pending.kept]
            self.made[str(manifest.ref)] = Made(manifest, table, kept, pending.removed)
        return found

    def disagreements(self, manifest: Manifest, entry: Entry) -> Iterator[str]:
        """Yield where a manifest does not agree with itself, its literals or the ledger.

        Args:
            manifest: of the artifact.
            entry: the one that commits it.
        """
        if not 1 <= manifest.format <= FORMAT:
            yield f"is of format {manifest.format}, which this release does not read"
        if manifest.format < FORMAT and str(manifest.ref) in self.begun:
            yield (
                f"is of format {manifest.format}, as older releases wrote it, and entry "
                f"{self.begun[str(manifest.ref)]} is by a later one: what its lineage was composed "
                "from was taken out"
            )
        # What a trainer counted is in learned.parquet, by which a model is weighed again.
        is_counted = manifest.learned is not None or is_said(manifest)
        if manifest.token_unit != TOKEN_UNIT and not is_counted:
            yield f"counts its size in {manifest.token_unit:.40}, where {TOKEN_UNIT} are counted"
        inputs = [item for item in manifest.inputs if item.is_artifact]
        asked = fingerprint(
            manifest.stage, {called(item.name, manifest.stage): item.digest for item in inputs}
        )
        told = entry.predicate.get("fingerprint")
        if asked != manifest.fingerprint or told not in {None, asked}:
            yield "its fingerprint is not that of its literals and inputs"
        if TAKEN_IN in entry.predicate:
            yield from strange_taking_in(entry, manifest)
        else:
            yield from self._strange_inputs(inputs, entry)
        teachers = [item for item in manifest.inputs if item.was_asked]
        stated = manifest.stage.get("teachers")
        if isinstance(stated, dict) and bool(stated) != bool(teachers):
            yield (
                f"its literals name {len(stated)} teachers ({', '.join(sorted(stated))[:200]}), "
                f"and its inputs {len(teachers)}"
            )
        verifiers = [item for item in manifest.inputs if item.is_verifier]
        named = manifest.stage.get("verifiers")
        if (isinstance(named, dict) and bool(named)) != bool(verifiers):
            yield (
                f"its literals name {len(named) if isinstance(named, dict) else 0} verifiers, and "
                f"its inputs {len(verifiers)}"
            )
        if manifest.format >= _SINCE:
            yield from _not_said(manifest)
        yield from strange_students(manifest)
        yield from strange_bases(manifest)
        names = {ArtifactRef.parse(item.name).name for item in inputs}
        known_names = {ArtifactRef.parse(name).name for name in self.committed}
        scorers = set(named) if isinstance(named, dict) else set()
        models = manifest.stage.get(MODELS)
        scorers |= set(models) if isinstance(models, dict) else set()
        for key in _REFERENCES:
            told = set(_texts(manifest.stage.get(key))) - _WORDS.get(key, set()) - scorers
            for text in sorted(told & known_names - names):
                yield f"its literals name {text!r} ({key}), which is not among its inputs"

    def _strange_inputs(self, inputs: Sequence[InputRef], entry: Entry) -> Iterator[str]:
        """Yield which artifacts something was made of that the ledger does not commit before it."""
        for item in inputs:
            known = self.committed.get(item.name)
            if item.digest in self.given_up:
                yield (
                    f"was made of {item.name} as it was before it was given up "
                    f"({self.given_up[item.digest]:.200}); run its recipe again"
                )
            elif known is None:
                yield f"was made of {item.name}, which no entry of this ledger commits"
            elif known != item.digest:
                yield (
                    f"was made of {item.name} with digest {item.digest[:16]}..., and the ledger "
                    f"commits {known[:16]}...: it is not the same"
                )
            elif not self.first[item.name, item.digest] < entry.index:
                yield (
                    f"was made of {item.name}, and that was not committed before it: entry "
                    f"{self.first[item.name, item.digest]} is the first that commits it"
                )

    def strange_calls(self, manifest: Manifest, teachers: Iterable[str]) -> Iterator[str]:
        """Yield which teachers answered that are none of an artifact's.

        Args:
            manifest: the artifact.
            teachers: canonical JSON of the identity of each teacher whose calls its rows rest on.
        """
        inputs = [item for item in manifest.inputs if item.was_asked]
        if any(item.asks is None for item in inputs):
            return  # of an older release, which did not record it
        asked = {canonical(item.asks) for item in inputs}
        for text in sorted(set(teachers)):
            named = named_by(_object(text))
            if canonical(named) not in asked:
                who = ", ".join(f"{key} {value}" for key, value in named.items())
                yield f"its rows rest on answers of another teacher ({who:.200}) than it names"


def derivations(entries: Sequence[Entry], given_up: Collection[int]) -> Derivations:
    """Prepare to derive what these entries commit.

    Args:
        entries: those that count.
        given_up: places of those about what was given up later.
    """
    commits = [entry for entry in entries if entry.event == "commit"]
    live = {
        str(entry.predicate.get("artifact")): str(entry.predicate.get("digest"))
        for entry in commits
        if entry.index not in given_up
    }
    gone = {
        str(entry.predicate["digest"]): str(entry.predicate.get("reason", "no reason is told"))
        for entry in entries
        if entry.event == "abandon" and "digest" in entry.predicate
    }
    gone = {name: why for name, why in gone.items() if name not in live.values()}
    begun = {str(e.predicate.get("artifact")): e.index for e in entries if e.event == "start"}
    first: dict[tuple[str, str], int] = {}
    for entry in commits:
        name = str(entry.predicate.get("artifact")), str(entry.predicate.get("digest"))
        first.setdefault(name, entry.index)
    return Derivations(live, gone, begun, first)


def _not_said(manifest: Manifest) -> Iterator[str]:
    """Yield what lineage is composed from and a manifest does not say, or says twice otherwise."""
    for item in manifest.inputs:
        if item.is_artifact:
            continue
        if item.is_verifier and item.source is None:
            yield f"does not say which source its verifier {item.name} is: it was taken out"
        elif item.is_teacher and (item.source is None or item.asks is None):
            yield (
                f"does not say which source its teacher {item.name} is, or what its calls name it "
                "by, as every release since 0.2 does: it was taken out"
            )
        elif item.source is None:
            continue
        elif digest_bytes(canonical(item.source.model_dump(mode="json"))) != item.digest:
            yield f"gives another digest of its {item.role} {item.name} than that of its source"
        elif item.source.title != item.name:
            yield f"names its {item.role} {item.name}, and its source {item.source.title}"
    learned = any(item.role == "trained-on" for item in manifest.inputs)
    if manifest.learned is None and learned and not is_said(manifest):
        yield (
            "does not say how often each row was learned from, as every release since 0.2 does: it "
            "was taken out"
        )


@dataclass
class Pending:
    """One artifact whose files are as committed, to be derived."""

    entry: int
    manifest: Manifest
    table: NodeTable
    kept: Sequence[Rows] = ()
    rejected: Sequence[Rows] = ()
    learned: Mapping[str, Learned] | None = None
    word: str = ""
    """on whose word its lineage rests, where another store made it"""
    removed: str = ""
    """how its rows or weights were removed; empty if they are there"""


def _texts(value: Any) -> list[str]:
    """Return the texts of a literal that names stages: itself, a list's, a table's values."""
    match value:
        case str():
            return [value]
        case list():
            return [item for item in value if isinstance(item, str)]
        case dict():
            return [item for item in value.values() if isinstance(item, str)]
        case _:
            return []


def _object(text: str) -> dict[str, Any]:
    value = json_value(text, "a teacher's identity")
    return value if isinstance(value, dict) else {}
