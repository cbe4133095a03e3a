"""Whose words stand in files beside a recipe: prompts, examples, rubrics, schemas.

A teacher's text that is pasted into a prompt reaches everything that is written by it. A recipe may
say so in its ``[origins]`` table, and then it is a source through channel ``prompt``. What it does
not say is not recorded: no node has it, so that older recipes are what they were, and lineage tells
of it where it is read (:mod:`mashbill.lineage.bills.prompted`).

What is declared is among the literals, and an audit composes it again from the manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from mashbill.core.errors import StoreError
from mashbill.core.parsing import foreign
from mashbill.core.source import CalledBy, Channel, Source, SourceKind

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGINS = "origins"
"""key of a stage's literals: file -> sources, where a recipe declares any"""
_KINDS = ("open-weights", "closed-api", "unknown")
_OF_MODELS = frozenset({"name", "kind", "version", "called_by"})
"""keys that say nothing of people"""
SHIPPED = "mashbill:"
"""what the names of files begin with that come with the package"""


class FileOrigin(BaseModel):
    """One origin of a file: ``{ by = "people" }``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    by: Literal["people", "model", "dataset"]
    """who wrote it: people, a model, or it was taken from a dataset"""
    name: str = ""
    """of the model or dataset, as its maker writes it"""
    kind: SourceKind = "unknown"
    """who can have the model, and how"""
    provider: str = "unknown"
    """who makes or serves it"""
    country: str = "unknown"
    """where the provider sits, ISO 3166 alpha-2"""
    version: str = ""
    """release, date or revision"""
    license: str | None = None
    """SPDX identifier of the licence of the dataset, or of what people wrote, which needs none"""
    called_by: CalledBy = ""
    """who called the model: us or others; see ``import``"""

    @model_validator(mode="after")
    def _has_a_name(self) -> FileOrigin:
        if self.by != "people" and not self.name.strip():
            msg = f"a {self.by} needs a name: write name = ..."
            raise ValueError(msg)
        if self.by == "people" and (told := self.model_fields_set & _OF_MODELS):
            msg = (
                f'by = "people" goes without {", ".join(sorted(told))}: leave that out, or write '
                'by = "model" or "dataset" if people did not write the file'
            )
            raise ValueError(msg)
        if self.by == "model" and self.kind not in _KINDS:
            msg = f"{self.kind} is no kind of model: write kind = one of {', '.join(_KINDS)}"
            raise ValueError(msg)
        return self

    def source(self, file: str) -> Source:
        """Return the source of lineage that it is.

        A model that we called ourselves was reached as a teacher is; of one that others called, its
        outputs came to us in this file.
        """
        if self.by == "people":
            return Source(name=f"{file}: people", what="dataset", kind="human", route="file",
                          provider=self.provider, country=self.country,
                          license=self.license)  # fmt: skip
        if self.by == "dataset":
            return Source(name=self.name, what="dataset", kind="public-dataset", route="file",
                          provider=self.provider, country=self.country, version=self.version,
                          license=self.license, called_by=self.called_by)  # fmt: skip
        route = f"dataset:{file}"
        if self.called_by == "us":
            route = "weights" if self.kind == "open-weights" else f"api:{self.provider}"
        return Source(name=self.name, what="model", kind=self.kind, route=route,
                      provider=self.provider, country=self.country, version=self.version,
                      license=self.license, called_by=self.called_by)  # fmt: skip


def file_actors(literals: Mapping[str, Any]) -> list[tuple[str, Source]]:
    """Return (via, source) of what a stage's literals declare of its files.

    Raises:
        StoreError: if they are none: whoever signed a manifest need not have been us.
    """
    told = literals.get(ORIGINS, {})
    with foreign("the literals of a stage", "origins of files", error=StoreError,
                 remedy="run `mashbill audit`"):  # fmt: skip
        found = [Source.model_validate(one) for name in sorted(told) for one in told[name]]
    return [(Channel.PROMPT.value, source) for source in dict.fromkeys(found)]


def undeclared_files(literals: Mapping[str, Any]) -> list[str]:
    """Return the files of a stage that asks teachers of which nobody says whose words they hold."""
    files, teachers = literals.get("files"), literals.get("teachers")
    if not isinstance(files, dict) or not teachers:
        return []
    told = literals.get(ORIGINS) or {}
    return sorted(
        name
        for name in files
        if not name.startswith(SHIPPED) and not name.endswith(".py") and name not in told
    )
