"""Whether an artifact that is made is the one asked for: a name@version never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.artifact import ArtifactRef
from mashbill.core.canonical import changed_keys
from mashbill.core.errors import DriftError
from mashbill.core.given import called
from mashbill.core.plain import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    names = {called(i.name, manifest.stage): i.digest for i in manifest.inputs if i.is_artifact}
    now = {item: value for item, value in job.digests.items() if item in names}
    changes += [f"input {line}" for line in changed_keys(names, now)]
    raise _drift(manifest, job, changes)


def _drift(manifest: Manifest, job: Job, changes: Sequence[str]) -> DriftError:
    lines = "\n  ".join(changes)
    msg = (
        f"{manifest.ref} is already made, from something else:\n  {lines}\n"
        f"An artifact never changes; set version in [stages.{job.name}] (or in [recipe]) to "
        "another value to make a new one"
    )
    return DriftError(msg)


class Drifted:
    """The artifacts of a plan that are made from something else than is asked for now.

    A stage that gets another version takes with it those that are made from it: all are told at
    once, and before what they rest on is made anew.
    """

    def __init__(self, written: Mapping[str, str] | None = None) -> None:
        """Begin with none.

        Args:
            written: stage -> the one that the recipe writes, where it stands for it in an arm.
        """
        self._written = written or {}
        self._asked: dict[str, ArtifactRef] = {}
        self._found: dict[str, DriftError] = {}

    def ask(self, job: Job) -> None:
        """Note what a stage is asked for as; those that it takes come before it."""
        self._asked[job.name] = job.ref

    def note(self, job: Job, error: DriftError) -> None:
        """Note what is made from something else."""
        self._found[job.name] = error

    def check_inputs(self, manifest: Manifest, job: Job) -> None:
        """Refuse what is made from other versions than the recipe names, or from what is refused.

        Raises:
            DriftError: naming these inputs.
        """
        made = [
            ArtifactRef.parse(item.name)
            for item in manifest.inputs
            if item.is_artifact and called(item.name, manifest.stage) != item.name
        ]
        changes = [
            f"input {ref.name}: {ref} -> {self._asked[ref.name]}"
            for ref in made
            if ref.name in job.inputs
            and (ref.name in self._found or self._asked.get(ref.name, ref) != ref)
        ]
        named = {ref.name for ref in made}
        changes += [
            f"input {name}: none -> {self._asked[name]}"
            for name in job.inputs
            if name in self._asked and name not in named
        ]
        if changes:
            raise _drift(manifest, job, changes)

    def _table(self, stage: str) -> str:
        return f"[stages.{self._written.get(stage, stage)}]"

    def tell(self) -> None:
        """Raise what was found.

        Raises:
            DriftError: of the first, naming all others.
        """
        if not self._found:
            return
        first, *others = self._found
        text = str(self._found[first])
        text = text.replace(f"[stages.{first}]", self._table(first))
        if others:
            refs = listed([str(self._asked[name]) for name in others], len(others))
            keys = dict.fromkeys(self._table(name) for name in others)
            told = listed([key for key in keys if key != self._table(first)], len(keys))
            text += f".\nSo {'is' if len(others) == 1 else 'are'} {refs}"
            text += f": set it in {told}, too" if told else ""
        text += ". `--bump` sets the next one in all of them; or name another --store"
        error = DriftError(text)
        error.made = tuple(self._found)
        error.stages = tuple(dict.fromkeys(self._written.get(name, name) for name in self._found))
        raise error from self._found[first]


def check_same(manifest: Manifest, job: Job) -> None:
    """Refuse to make anew, under its name and version, what the recipe now asks for otherwise.

    Raises:
        DriftError: as :func:`check_drift` does, if literals and not only inputs have changed.
    """
    if changed_keys(manifest.stage, job.literals):
        check_drift(manifest, job)
