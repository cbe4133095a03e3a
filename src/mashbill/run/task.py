"""A task: one artifact to be made here, with all that making it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mashbill.core.errors import StoreError
from mashbill.lineage.circuit.nodes import NodeTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mashbill.calls.journal import Journal
    from mashbill.core.artifact import ArtifactRef, Manifest
    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageContext, StageSpec
    from mashbill.core.store import Store
    from mashbill.run.opening import Opening
    from mashbill.run.slices import Doing
    from mashbill.run.stage_work import Nodes


@dataclass(frozen=True)
class Task:
    """One artifact to be made, in this store, by this process."""

    store: Store
    recipe: Recipe
    name: str
    ref: ArtifactRef
    spec: StageSpec
    fingerprint: str
    tables: dict[str, NodeTable]
    """node table of each stage made so far"""
    journal: Journal
    context: StageContext
    doing: Callable[[Nodes, Path], Doing]
    """who does its slices, given their nodes and the artifact's folder"""
    goes_ahead: bool = True
    """whether slices may be done before it is known what those before them gave, where the stage
    wants so many rows: not where a teacher in this process is asked, whose answers depend on how
    many are asked for at once"""
    interrupt: Callable[[], None] = lambda: None
    """lets nothing more be asked of services"""
    made: Mapping[str, Manifest] = field(default_factory=dict)
    """what was made so far, by stage, and what is taken by its address"""
    opening: Opening | None = None
    """looks at the first answers of a service before the rest is bought"""
    again: Manifest | None = None
    """what its rows or weights, which were removed, have to come out as; None if it is new"""

    def differs(self, what: str) -> StoreError:
        """Return the error that says that what was removed does not come out as it was."""
        return StoreError(
            f"{self.ref}: {what} differently from what was removed, and an address stands for one "
            "content. It stays removed, and what it was is on record: set version in "
            f"[stages.{self.name}] to another value to make a new one"
        )
