"""What a page shows of how models were trained: curves, samples, and what they learned from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.curves import CURVES, Curve, last_of, read_curves, told_as
from mashbill.core.said_learning import word_of_training
from mashbill.core.samples import Sample, samples_of
from mashbill.lineage.bills.telling import counted
from mashbill.lineage.bills.text import share_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store
    from mashbill.lineage.circuit.nodes import NodeTable

_NOT_DRAWN = frozenset({"tokens"})
_PANELS = 6  # of a model, beside those of :data:`_TOGETHER`
_SHARES = "part of the attempts"
_TOGETHER = {
    "mean reward of attempts": ("reward", "watched"),
    "loss, nats a token": ("loss", "held_out_loss"),
    _SHARES: ("undecided", "failed", "truncated", "repeating"),
    "tokens of a completion": ("completion_tokens",),
    "entropy, nats a token": ("entropy",),
}
"""what is drawn in one picture, of one unit, what matters most first"""


@dataclass(frozen=True)
class Panel:
    """Curves that are drawn together, since they have one unit."""

    title: str
    curves: Mapping[str, Curve]


@dataclass(frozen=True)
class Training:
    """How one model was trained."""

    name: str
    panels: tuple[Panel, ...]
    facts: tuple[str, ...]
    """sentences: how long, how fast, where the loss began and ended"""
    samples: tuple[Sample, ...]
    hidden: bool
    """whether there are samples that are not shown, since their texts were redacted"""
    learned: tuple[tuple[str, ...], ...]
    """of each dataset: name, rows, tokens in a pass, epochs, loss weight, part"""
    unit: str

    @property
    def holds_out(self) -> bool:
        """Whether anything of it is of texts that were not learned from."""
        held = any("held_out_loss" in panel.curves for panel in self.panels)
        return held or any(sample.wanted for sample in self.samples)


def trainings_behind(
    store: Store, table: NodeTable, hidden: Mapping[str, str], own: str = ""
) -> tuple[Training, ...]:
    """Return how the models were trained that a result rests on, in the order they were made.

    Args:
        store: where they lie.
        table: the nodes of the result.
        hidden: artifacts whose texts no page shows.
        own: address of the result, which is told first.
    """
    speeds = {
        entry.predicate.get("artifact"): entry.predicate.get("training", {})
        for entry in store.ledger.accepted
        if entry.event == "commit"
    }
    found = []
    for manifest in store.manifests():
        if manifest.kind != "model" or manifest.bill not in table.bodies:
            continue
        is_there = store.removal(manifest.ref) is None
        has_curves = is_there and CURVES in {each.file for each in manifest.files}
        curves = read_curves(store.folder("model", manifest.ref)) if has_curves else {}
        samples = samples_of(manifest.measures)
        if curves or samples or manifest.learned_from:
            withheld = str(manifest.ref) in hidden
            found.append(
                Training(
                    name=str(manifest.ref),
                    panels=tuple(panels_of(curves)),
                    facts=(
                        *filter(None, [word_of_training(manifest)]),
                        *_facts(curves, speeds.get(str(manifest.ref), {}), manifest.measures),
                    ),
                    samples=() if withheld else samples,
                    hidden=withheld and bool(samples),
                    learned=tuple(_learned(manifest)),
                    unit=manifest.token_unit,
                )
            )
    # What the page is about stands first.
    return tuple(sorted(found, key=lambda one: own != one.name))


def panels_of(curves: Mapping[str, Curve]) -> list[Panel]:
    """Return which curves are drawn together, those first that say how good a training was."""
    drawn = {n: c for n, c in curves.items() if n not in _NOT_DRAWN and len(c.steps) > 1}
    panels = []
    for title, names in _TOGETHER.items():
        found = {name: drawn.pop(name) for name in names if name in drawn}
        if title == _SHARES:  # of what never occurred there is nothing to see
            found = {name: curve for name, curve in found.items() if np.any(curve.values)}
        panels += [Panel(title, found)] if found else []
    named = {"rate": "learning rate"}
    return panels + [
        Panel(named.get(name, told_as(name)), {name: curve})
        for name, curve in [*drawn.items()][:_PANELS]
    ]


def _facts(
    curves: Mapping[str, Curve], speed: Mapping[str, Any], measures: Mapping[str, Any]
) -> list[str]:
    told = []
    for name in ("loss", "held_out_loss"):
        if name in curves and len(curves[name].steps):
            curve = curves[name]
            first, last = curve.values[0], last_of(curve)
            before, when = measures.get(f"{name}_before"), "before the first step"
            if not isinstance(before, int | float):
                before, when = first, "at first"
            told.append(f"{told_as(name)} {before:.4g} {when}, {last:.4g} at the end")
            none = int((~np.isfinite(curve.values)).sum())
            if none:
                told.append(f"{counted(none, 'point')} of it with no number, not drawn")
    if "tokens" in curves:
        told.append(f"{int(np.nansum(curves['tokens'].values)):,} tokens read")
    rate = speed.get("tokens_per_second") if isinstance(speed, dict) else None
    if isinstance(rate, int | float):
        told.append(f"{rate:,.0f} tokens a second when it was made")
    return told


def _learned(manifest: Manifest) -> list[tuple[str, ...]]:
    whole = sum(each.weight for each in manifest.learned_from) or 1
    rows: list[tuple[str, ...]] = []
    for each in manifest.learned_from:
        least, largest = each.loss_weights
        part = each.weight / whole
        rows.append(
            (
                each.name,
                f"{each.rows:,}",
                f"{each.tokens:,}",
                f"{each.epochs:.4g}",
                f"{least:.4g}" if least == largest else f"{least:.4g} to {largest:.4g}",
                share_text((part, part)),
            )
        )
    return rows
