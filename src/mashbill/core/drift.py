"""Whether an artifact that is made is the one asked for: a name@version never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.artifact import ArtifactRef
from mashbill.core.canonical import changed_keys
from mashbill.core.errors import DriftError

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.job import Job


def check_drift(manifest: Manifest, job: Job) -> None:
    """Refuse an artifact whose fingerprint is not the one asked for.

    Args:
        manifest: what is there.
        job: what is asked for, its inputs known.

    Raises:
        DriftError: listing the changed keys and the cure.
    """
    if manifest.fingerprint == job.fingerprint:
        return
    changes = changed_keys(manifest.stage, job.literals)
    names = {ArtifactRef.parse(i.name).name: i.digest for i in manifest.inputs if "@" in i.name}
    now = {item: value for item, value in job.digests.items() if item in names}
    changes += [f"input {line}" for line in changed_keys(names, now)]
    lines = "\n  ".join(changes)
    msg = (
        f"{manifest.ref} is already made, from something else:\n  {lines}\n"
        f"An artifact never changes; set version in [stages.{job.name}] (or in [recipe]) to "
        "another value to make a new one"
    )
    raise DriftError(msg)


def check_same(manifest: Manifest, job: Job) -> None:
    """Refuse to make anew, under its name and version, what the recipe now asks for otherwise.

    Raises:
        DriftError: as :func:`check_drift` does, if literals and not only inputs have changed.
    """
    if changed_keys(manifest.stage, job.literals):
        check_drift(manifest, job)
