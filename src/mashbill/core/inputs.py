"""What is known of a stage's inputs before it runs: rows, how long their texts are, columns.

Of what is made the dataset is at hand; of the rest there is what the recipe lets expect and what a
look at the files told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.core.record import user_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.dataset import Dataset
    from mashbill.core.stage import Glance, StageSpec

_READ = ("rows", "beside", "trained-on")


@dataclass
class Inputs:
    """What is known of the stages of a recipe that were planned so far, by name."""

    rows: dict[str, int] = field(default_factory=dict)
    """counted, or expected"""
    made: dict[str, Dataset] = field(default_factory=dict)
    """those that are made"""
    sizes: dict[str, Mapping[str, float]] = field(default_factory=dict)
    """of those that are not: mean bytes of a text, by column"""
    _seen: dict[str, Sequence[str]] = field(default_factory=dict)
    """columns that the rows of those that are not made may have, where that is known"""

    def see(self, name: str, spec: StageSpec, seen: Glance | None) -> None:
        """Learn of a stage that is not made what its files told, or else what its inputs do."""
        # A column that comes late in a file that is not read whole is not seen; a run sees it.
        whole = seen.columns if seen is not None and seen.is_exact else None
        if (columns := spec.may_have(self.columns_of(spec), whole)) is not None:
            self._seen[name] = columns
        if seen is not None:
            self.sizes[name] = seen.sizes
            return
        inputs = _goes_through(spec)
        keeps = bool(inputs) and spec.keeps_texts
        self.sizes[name] = self.sizes.get(inputs[0], {}) if keeps else {}

    def rows_of(self, spec: StageSpec) -> dict[str, int] | None:
        """Return the rows of a stage's inputs; None if one that it goes through is not known."""
        uses = spec.uses()
        known = {use.name: self.rows[use.name] for use in uses if use.name in self.rows}
        complete = all(use.name in known for use in uses if use.role in {"rows", "trained-on"})
        return known if complete else None

    def columns_of(self, spec: StageSpec) -> dict[str, Sequence[str]]:
        """Return the columns of the inputs that a stage reads, where they are known."""
        known: dict[str, Sequence[str]] = {}
        for name in (use.name for use in spec.uses() if use.role in _READ):
            if name in self.made:
                known[name] = user_columns(self.made[name].columns)
            elif name in self._seen:
                known[name] = self._seen[name]
        return known


def _goes_through(spec: StageSpec) -> list[str]:
    return [use.name for use in spec.uses() if use.role == "rows"]
