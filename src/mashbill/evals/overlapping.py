"""Which rows of an evaluation stand in what its systems have learned from, and what that changes.

Looked at are the datasets that models were trained on which a system rests on, over any number of
steps: a teacher's answers that a student learned from, what the student wrote for the next one. By
which rule a row counts as held there, :mod:`mashbill.files.rows.contamination` says. What models
from elsewhere were trained on is not recorded: they are named, and nothing is said of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.record import one_batch, user_columns
from mashbill.evals.measured import Measured, mean_of
from mashbill.evals.upstream import Upstream
from mashbill.files.rows.contamination import Looking
from mashbill.files.rows.items import Against, Items, Lengths, read_items
from mashbill.files.rows.said import holds_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import StageContext

_LENGTHS = Lengths(words=8, characters=12, common=20, near=0.7)
"""as ``decontaminate`` has them by default"""
_OVERLAP = 0.5
_AT_ONCE = 4096


@dataclass
class Learned:
    """What a system has learned from."""

    data: dict[str, Dataset] = field(default_factory=dict)
    """address -> rows that a model was trained on"""
    unrecorded: dict[str, None] = field(default_factory=dict)
    """models of which it is not recorded what they learned from"""


def learned_by(manifests: Sequence[Manifest], upstream: Upstream) -> Learned:
    """Return what all models learned from that some artifacts rest on.

    Args:
        manifests: of a system's answers, or of its models.
        upstream: the store that they lie in.

    Raises:
        StoreError: if something on the way is damaged.
    """
    found = Learned()
    for own in manifests:
        for manifest in upstream.behind(own):
            for item in manifest.inputs:
                if item.is_artifact and not upstream.is_here(item):
                    # Taken in from another store, where what it was made from stays.
                    found.unrecorded[str(manifest.ref)] = None
                elif item.role == "trained-on" and item.is_artifact:
                    found.data[item.name] = upstream.dataset(item)
                elif item.source is not None and item.source.what == "model":
                    found.unrecorded[item.source.name] = None
    return found


class Overlaps:
    """The rows of an evaluation, looked for in datasets."""

    def __init__(self, rows: str, columns: Sequence[str], answer: str, ctx: StageContext) -> None:
        """Read what is looked for.

        Args:
            rows: the stage with the rows of the evaluation.
            columns: of these that are looked for.
            answer: column with what is right; empty if there is none.
            ctx: the context.

        Raises:
            InputError: if a column is not there.
        """
        told = Against(question=tuple(columns), answer=(answer,) if answer else ())
        self._items: Items = read_items({rows: told}, ctx, _LENGTHS)
        self._looking = Looking(self._items, _OVERLAP, any_details=False)
        self._rows = ctx.input(rows).num_rows
        self._ctx = ctx
        self._found: dict[str, np.ndarray] = {}
        self._facts: dict[str, dict[str, int]] = {}

    def held_by(self, name: str, data: Dataset) -> np.ndarray:
        """Return which rows of the evaluation stand in a dataset, bool, shape (rows,).

        Args:
            name: of the dataset.
            data: its rows.
        """
        if name not in self._found:
            parts: set[int] = set()
            holding = 0
            names = [
                column
                for column in user_columns(data.columns)
                if holds_text(data.schema.field(column).type)
            ]
            for start, piece in data.chunks(_AT_ONCE, names) if names else ():
                found = self._looking.find(one_batch(piece), names)
                parts |= found.parts
                holding += sum(map(bool, found.reasons))
                self._ctx.progress(start + piece.num_rows, data.num_rows, f"looked through {name}")
            held = np.zeros(self._rows, bool)
            held[sorted(self._items.rows_of(parts))] = True
            self._found[name] = held
            self._facts[name] = {
                "held": int(held.sum()), "rows": data.num_rows, "rows_that_hold": holding
            }  # fmt: skip
        return self._found[name]

    def told(self, unrecorded: Sequence[str]) -> dict[str, Any]:
        """Return for a manifest what was looked for, and which datasets hold how many rows."""
        (looked,) = self._items.told().values()
        return {
            "looked_for": looked["looked_for"],
            "questions": looked["questions"],
            "held": sum(map(bool, self.said())),
            "datasets": dict(sorted(self._facts.items())),
            "unrecorded": sorted(unrecorded),
        }

    def said(self) -> list[str | None]:
        """Return of each row which datasets hold it; None for none."""
        names = sorted(self._found)
        return [
            ", ".join(name for name in names if self._found[name][row]) or None
            for row in range(self._rows)
        ]


def without(
    of: Measured, held: np.ndarray, seed: int, units: np.ndarray | None, name: str
) -> dict[str, Any]:
    """Return a system's mean among the rows that it may have learned from, and among the others.

    Args:
        of: the system.
        held: rows that stand in what it learned from, bool, shape (rows,).
        seed: of the resampling.
        units: which rows belong together.
        name: of the mean.
    """
    told: dict[str, Any] = {"rows": int(held.sum())}
    for what, among in (("within", held), ("without", ~held)):
        mean = mean_of(of, seed, units, among)
        told[what] = {**mean.as_json(name), "rows": mean.rows}
    return told


def all_held(overlaps: Overlaps, data: Mapping[str, Dataset], rows: int) -> np.ndarray:
    """Return which rows stand in any of some datasets, bool, shape (rows,)."""
    held = np.zeros(rows, bool)
    for name, own in data.items():
        held |= overlaps.held_by(name, own)
    return held
