"""A job: one stage of a recipe to be done, as a value that any process can be handed.

It is planned once: its literals, what it uses and where it reads are fixed then, and the digests of
its inputs are filled in as these are made. Behaviour (teachers, journal, models, progress) is a
session beside it. Nothing in it is a secret, and nothing in it depends on where it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mashbill.core.artifact import ArtifactRef, fingerprint
from mashbill.core.canonical import digest_file
from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageSpec, Uses
    from mashbill.core.verifier import VerifierSpec


@dataclass(frozen=True)
class Job:
    """One stage to be done."""

    name: str
    """of the stage in its recipe"""
    ref: ArtifactRef
    """what it makes"""
    spec: StageSpec
    literals: Mapping[str, Any]
    """its identity, apart from its inputs"""
    uses: tuple[Uses, ...]
    folder: Path
    """that of the recipe: files beside it are read from there"""
    seed: int
    verifiers: Mapping[str, VerifierSpec] = field(default_factory=dict)
    """those that it asks, as the recipe calls them"""
    digests: Mapping[str, str] = field(default_factory=dict)
    """input -> digest of its artifact, of those that are made"""

    @classmethod
    def of(cls, recipe: Recipe, name: str) -> Job:
        """Return the job of a stage, its inputs not known yet.

        Raises:
            InputError: if a file beside the recipe cannot be read.
        """
        spec = recipe.stages[name]
        return cls(
            name=name,
            ref=recipe.ref(name),
            spec=spec,
            literals=recipe.literals(name),
            uses=recipe.uses(name),
            folder=recipe.folder,
            seed=recipe.seed_of(name),
            verifiers={
                use.name: recipe.verifiers[use.name] for use in spec.uses() if use.is_verifier
            },
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """The stages whose artifacts it takes, in the order it declares them."""
        return tuple(use.name for use in self.uses if use.is_artifact)

    @property
    def is_given(self) -> bool:
        """Whether all that it takes is made."""
        return all(name in self.digests for name in self.inputs)

    def given(self, digests: Mapping[str, str]) -> Job:
        """Return it with the digests of its inputs, as far as they are made.

        Args:
            digests: stage -> digest of its artifact; those that it does not take are passed over.
        """
        known = {name: digests[name] for name in self.inputs if name in digests}
        return replace(self, digests=known)

    @property
    def fingerprint(self) -> str:
        """The identity of what is asked for.

        Raises:
            ValueError: if not all of its inputs are known.
        """
        if not self.is_given:
            msg = f"{self.name} is asked for its fingerprint before its inputs are made"
            raise ValueError(msg)
        return fingerprint(dict(self.literals), dict(self.digests))

    def check_files(self) -> None:
        """See that the files beside the recipe are still those that it was planned with.

        Raises:
            InputError: naming the first that is not.
        """
        own = {f"mashbill:{name}": path for name, path in self.spec.own_files().items()}
        for name, planned in self.literals["files"].items():
            path = own.get(name, self.folder / name)
            if digest_file(path) != planned:
                msg = (
                    f"stages.{self.name}: {path} was changed after the plan was made, which was "
                    "decided with what it said then; run it again"
                )
                raise InputError(msg)
