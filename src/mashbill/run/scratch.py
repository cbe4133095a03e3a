"""The scratch of stages: what a run keeps while it makes an artifact, and who takes it over."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.core.artifact import ArtifactRef, Manifest
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store
    from mashbill.plan import PlannedStage


def scratch_of(store: Store, ref: ArtifactRef, fingerprint: str) -> Path:
    """Return where a run keeps what it needs while it makes an artifact."""
    return store.root / ".work" / f"{ref}-{fingerprint[:12]}"


def clear_others(own: Path, ref: ArtifactRef) -> None:
    """Remove what runs of other recipes left of an artifact: nobody goes on from there."""
    for path in own.parent.glob("*"):
        if path != own and path.name.rpartition("-")[0] == str(ref):
            shutil.rmtree(path)


def take_over(store: Store, spec: StageSpec, manifests: Mapping[str, Manifest], work: Path) -> None:
    """Make a stage's scratch; it is that of the stage which it goes on from, if that is left.

    Args:
        store: where it is made.
        spec: the stage.
        manifests: of what was made so far, by stage.
        work: its scratch.
    """
    left = _left(store, spec, manifests)
    if left is not None and left.is_dir() and not work.exists():
        left.rename(work)
    work.mkdir(parents=True, exist_ok=True)


def forget_scratch(
    store: Store, stage: PlannedStage, asked: str, manifests: Mapping[str, Manifest]
) -> None:
    """Remove the scratch of a stage that is made, but for what another goes on from.

    Args:
        store: where it was made.
        stage: as it was planned.
        asked: its fingerprint.
        manifests: of what was made so far, by stage.
    """
    gone = [] if stage.spec.hands_on else [scratch_of(store, stage.ref, asked)]
    for folder in filter(None, [*gone, _left(store, stage.spec, manifests)]):
        shutil.rmtree(folder, ignore_errors=True)


def _left(store: Store, spec: StageSpec, manifests: Mapping[str, Manifest]) -> Path | None:
    """Return the scratch that the stage which it goes on from left; None if it is from none."""
    before = manifests.get(spec.goes_on_from)
    return None if before is None else scratch_of(store, before.ref, before.fingerprint)
