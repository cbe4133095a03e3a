"""What breaks if these sources go: the records, datasets, models and evaluations that rest on them.

Every channel counts here: a text that a source wrote, judged, selected or was asked by could not
have come about in the same way without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from mashbill.core.errors import InputError
from mashbill.core.evaluation import is_evaluation, systems_in
from mashbill.core.record import BILL
from mashbill.core.source import Source, SourceKind
from mashbill.core.store import Store
from mashbill.lineage.circuit.arrays import LABELS, Circuit
from mashbill.lineage.circuit.semirings import REACHABLE, evaluate, touched
from mashbill.policy.documents import load_registry
from mashbill.policy.restrictions import reached_by

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mashbill.core.artifact import Manifest

_EVERY = np.ones(len(LABELS), bool)


class Selector(BaseModel):
    """Which sources: those for which everything that is given holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    source: str | None = None
    """name, or name and version; case does not matter"""
    provider: str | None = None
    """who makes or serves it"""
    country: str | None = None
    """where the provider sits, ISO 3166 alpha-2"""
    kind: SourceKind | None = None
    """who can have it, and how"""
    license: str | None = None
    """licence, as recorded"""
    terms: str | None = None
    """document of the terms registry that governs it by the route it was reached by, on any day"""

    def holds(self, source: Source) -> bool:
        """Return whether a source is one of those."""
        wanted = self.model_dump(exclude_none=True)
        name = wanted.pop("source", None)
        if name is not None and name.lower() not in (source.name.lower(), source.title.lower()):
            return False
        document = wanted.pop("terms", None)
        if document is not None and document not in _governing(source):
            return False
        return all(
            str(getattr(source, key) or "").lower() == str(value).lower()
            for key, value in wanted.items()
        )

    def __str__(self) -> str:
        """Say which, for people."""
        wanted = self.model_dump(exclude_none=True)
        return ", ".join(f"{key} {value}" for key, value in wanted.items())


@cache
def _governing(source: Source) -> frozenset[str]:
    registry = load_registry()
    return frozenset(
        document.id
        for provider, route in reached_by(source)
        for document in registry.governing(provider, source.name, route)
    )


@dataclass(frozen=True)
class Touch:
    """Which of an artifact's node numbers rest on the sources, and which on unknown origins."""

    numbers: np.ndarray
    """bool, shape (numbers,): rows with these numbers rest on them"""
    maybe: np.ndarray
    """bool, shape (numbers,): rows of unknown origin, which may"""
    records: np.ndarray
    """int64, shape (numbers,): rows of each number"""
    share: tuple[float, float]
    """of tokens; the upper end takes in what is of unknown origin"""
    whole: bool
    """whether the artifact rests on them at all"""


def touch(circuit: Circuit, selector: Selector) -> Touch:
    """Return what in an artifact rests on the sources that a selector names."""
    own = circuit.matching(selector.holds)
    unknown = circuit.matching(lambda source: source.what == "unknown") & ~own
    passes = np.ones(circuit.size, bool)
    reached = evaluate(circuit, REACHABLE, own, passes)
    perhaps = evaluate(circuit, REACHABLE, own | unknown, passes)
    root = circuit.root
    return Touch(
        numbers=reached[circuit.numbered],
        maybe=perhaps[circuit.numbered] & ~reached[circuit.numbered],
        records=circuit.number_records,
        share=(
            float(touched(circuit, reached, _EVERY).low[root]),
            float(touched(circuit, perhaps, _EVERY).high[root]),
        ),
        whole=bool(reached[root]),
    )


@dataclass(frozen=True)
class Affected:
    """One artifact that rests on the sources."""

    manifest: Manifest
    what: str
    """dataset, model or evaluation"""
    records: int | None
    """rows that rest on them; None for a model"""
    maybe: int | None
    """rows of unknown origin, which may rest on them; None for a model"""
    share: tuple[float, float]
    """of tokens"""
    systems: tuple[str, ...] = ()
    """of an evaluation: the systems whose result rests on them"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "artifact": str(self.manifest.ref),
            "what": self.what,
            "records": self.records,
            "of": self.manifest.rows if self.records is not None else None,
            "records_of_unknown_origin": self.maybe,
            "share": list(self.share),
            "systems": list(self.systems),
        }


def affected(store: Store, selector: Selector) -> list[Affected]:
    """Return every artifact of a store that rests on the sources, in the order of commits.

    Raises:
        InputError: if no source recorded in the store is one of them; those there are are listed.
    """
    found: list[Affected] = []
    seen: set[Source] = set()
    any_match = False
    whole: dict[str, bool] = {}
    for manifest in _latest(store):
        circuit = Circuit.of_artifact(store, manifest)
        sources = [circuit.source(node) for node in circuit.sources().tolist()]
        seen.update(sources)
        any_match |= any(selector.holds(source) for source in sources)
        result = touch(circuit, selector)
        whole[str(manifest.ref)] = result.whole
        if not result.whole:
            continue
        found.append(_affected(manifest, result, whole))
    if not any_match:
        have = "; ".join(sorted({_described(source) for source in seen})) or "none"
        msg = f"{store.root}: no source has {selector}; recorded are: {have}"
        raise InputError(msg)
    return found


def _described(source: Source) -> str:
    return f"{source.title} ({source.kind}, {source.provider}, {source.country})"


def _latest(store: Store) -> Iterable[Manifest]:
    return {manifest.ref: manifest for manifest in store.manifests()}.values()


def _affected(manifest: Manifest, result: Touch, whole: dict[str, bool]) -> Affected:
    if manifest.kind == "model":
        return Affected(manifest, "model", None, None, result.share)
    systems = systems_in(manifest.stage) if is_evaluation(manifest.measures) else {}
    by_stage = {item.name.split("@")[0]: item.name for item in manifest.inputs}
    return Affected(
        manifest,
        "evaluation" if is_evaluation(manifest.measures) else "dataset",
        int(result.records[result.numbers].sum()),
        int(result.records[result.maybe].sum()),
        result.share,
        tuple(
            name
            for name, stages in systems.items()
            if any(whole.get(by_stage.get(stage, "")) for stage in stages)
        ),
    )


def affected_rows(store: Store, manifest: Manifest, selector: Selector) -> list[tuple[int, int]]:
    """Return which rows of a dataset rest on the sources, as (first, one behind the last)."""
    result = touch(Circuit.of_artifact(store, manifest), selector)
    bills = np.asarray(store.dataset(manifest.ref).column(BILL))
    marked = np.concatenate([[False], result.numbers[bills], [False]])
    changes = np.flatnonzero(marked[1:] != marked[:-1])
    return [(int(a), int(b)) for a, b in zip(changes[::2], changes[1::2], strict=True)]
