"""The value that describes an artifact, and how it is gathered from a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import MashbillError, RecipeError
from mashbill.core.evaluation import is_number
from mashbill.core.plain import counted
from mashbill.core.record import user_columns
from mashbill.core.shown import shown
from mashbill.lineage.bills.telling import amount
from mashbill.lineage.described.evaluated import Evaluated, evaluated
from mashbill.lineage.described.limits import limits
from mashbill.lineage.described.metrics import metrics
from mashbill.lineage.described.model_files import Built, built
from mashbill.lineage.described.usage import Usage, usages

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

LABEL = "label"
_COUNTED = 5_000_000
"""rows whose labels are counted; of more that is not said"""
_SCALARS = 12
_LETTERS = 80  # of the name of a column


@dataclass(frozen=True)
class Label:
    """One label that a model tells apart, or that rows have."""

    name: str
    rows: int | None
    """rows that have it: of the datasets that a model learned from; None if that is not known"""


@dataclass(frozen=True)
class Described:
    """What an artifact is, how it is used, what it learned from, how good it is, where it ends."""

    manifest: Manifest
    built: Built | None
    """of a model, how it is built"""
    labels: tuple[Label, ...]
    """of a model that labels, in its order; of a dataset with a column of labels, the commonest
    first"""
    usages: tuple[Usage, ...]
    evaluations: tuple[Evaluated, ...]
    """those of the store whose systems rest on it"""
    limits: tuple[str, ...]
    """sentences, from recorded facts alone"""

    @property
    def name(self) -> str:
        """Its address, NAME@VERSION."""
        return str(self.manifest.ref)

    @property
    def task(self) -> str:
        """What a model does, by the Hub's name; empty of a dataset, and where it is not known."""
        return self.built.task if self.built is not None else ""

    @property
    def own(self) -> tuple[Evaluated, ...]:
        """The evaluations that measure it itself."""
        return tuple(each for each in self.evaluations if each.own)

    @property
    def is_evaluated(self) -> bool:
        """Whether an evaluation measures it itself."""
        return bool(self.own)

    def what(self) -> str:
        """Return what it is, as a noun with its article and its labels or size, in words."""
        if self.built is None:
            rows = counted(self.manifest.rows, "row")
            return f"a dataset of {rows} ({amount(self.manifest.tokens, self.manifest.token_unit)})"
        size = self.built.parameters
        of = f" of {counted(size, 'parameter')}" if size is not None else ""
        if self.built.is_adapter and self.built.adapter_parameters is not None:
            beside = counted(self.built.adapter_parameters, "parameter")
            return f"an adapter of {beside} beside a language model{of}"
        if self.labels:
            kind = "classifier" if self.task == "text-classification" else "language model"
            return f"a {kind}{of}, with {counted(len(self.labels), 'label')}"
        is_writer = self.task == "text-generation"
        return f"a language model{of}" if is_writer else f"a model{of}"

    def facts(self) -> list[tuple[str, str]]:
        """Return (name, value in words) of what is known: how it is built, what training measured.

        What is not known is not in it.
        """
        manifest = self.manifest
        found = [("made by", f"a stage of kind {manifest.stage.get('kind', 'unknown')}")]
        found += [] if self.built is None else self.built.facts()
        if self.labels:
            told = [
                one.name if one.rows is None else f"{one.name} ({counted(one.rows, 'row')})"
                for one in self.labels[:_SCALARS]
            ]
            more = len(self.labels) - _SCALARS
            found.append(("labels", ", ".join(told) + (f" and {more:,} more" if more > 0 else "")))
        measured = [
            (_measure(name, manifest), _number(value))
            for name, value in sorted(manifest.measures.items())
            if is_number(value) and name != "parameters"
        ]
        if self.built is not None:
            found += [(f"measured while training: {name}", value) for name, value in measured]
        return found[: 4 * _SCALARS]

    def as_json(self) -> dict[str, Any]:
        """Return it for a program; a number that is not known is null, or not in it."""
        return {
            "what": self.what(),
            "task": self.task or None,
            "facts": dict(self.facts()),
            "labels": [{"label": one.name, "rows": one.rows} for one in self.labels],
            "metrics": [vars(one) for one in metrics(self)],
            "evaluations": [
                {"name": each.name, "held_out": each.held_out or None, "own": list(each.own)}
                for each in self.evaluations
            ],
            "limits": list(self.limits),
            "use": [
                {"title": one.title, "language": one.language, "code": "\n".join(one.code),
                 "needs": one.needs or None}
                for one in self.usages
            ],
        }  # fmt: skip


def describe(store: Store, manifest: Manifest) -> Described:
    """Return the description of an artifact of a store.

    Raises:
        StoreError: if its lineage, or that of an evaluation, cannot be read.
    """
    of = None
    if manifest.kind == "model":
        of = built(manifest, store.folder(manifest.kind, manifest.ref))
        labels = _of_model(store, manifest, of)
    else:
        counts = _counts(store, manifest, LABEL)
        labels = tuple(Label(name, rows) for name, rows in _commonest(counts or {}))
    evaluations = tuple(evaluated(store, manifest))
    told = list(limits(manifest, labels, evaluations))
    removal = store.removal(manifest.ref)
    if removal is not None:
        what = "rows" if manifest.kind == "dataset" else "weights"
        told.insert(0, f"Its {what} were {removal}; the store cannot hand them on.")
    return Described(
        manifest=manifest,
        built=of,
        labels=labels,
        usages=() if removal is not None else usages(manifest, of),
        evaluations=evaluations,
        limits=tuple(told),
    )


def _number(value: float) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def _measure(name: str, manifest: Manifest) -> str:
    """Return the name of a measure in words; who learned from a column of people says which."""
    target = str(manifest.stage.get("target") or LABEL)
    if name in ("agreement_with_labeller", "agreement_with_column") and target != LABEL:
        return f"agreement with column {shown(target, _LETTERS)}"
    return name.replace("_", " ")


def _of_model(store: Store, manifest: Manifest, of: Built) -> tuple[Label, ...]:
    """Return a model's labels with the rows that it learned each from."""
    if not of.labels:
        return ()
    column = str(manifest.stage.get("target") or LABEL)
    together: dict[str, int] | None = {}
    for each in manifest.learned_from:
        try:
            data = store.get(ArtifactRef.parse(each.name))
        except (RecipeError, MashbillError):
            data = None
        counts = None if data is None else _counts(store, data, column)
        if counts is None or together is None:
            together = None
            continue
        for name, rows in counts.items():
            together[name] = together.get(name, 0) + rows
    known = together if together and set(together) & set(of.labels) else None
    return tuple(Label(name, None if known is None else known.get(name, 0)) for name in of.labels)


def _counts(store: Store, manifest: Manifest, column: str) -> dict[str, int] | None:
    """Return how many rows of a dataset have each value; None if they cannot be counted."""
    if manifest.kind != "dataset" or not manifest.shards or manifest.rows > _COUNTED:
        return None
    try:
        data = store.dataset(manifest.ref)
        if column not in user_columns(data.columns):
            return None
        found = pc.value_counts(data.column(column))
    except (MashbillError, OSError):  # rows that are gone, or damaged: an audit says which
        return None
    return {
        str(one["values"]): int(one["counts"])
        for one in found.to_pylist()
        if one["values"] not in (None, "")
    }


def _commonest(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))
