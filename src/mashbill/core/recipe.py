"""Reading a recipe: TOML into frozen models, with errors that name file, key, value and remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from mashbill.core import registry
from mashbill.core.arms import Arms
from mashbill.core.artifact import NAME_PATTERN, ArtifactRef
from mashbill.core.base_model import MODELS, ModelSpec, with_models
from mashbill.core.canonical import digest_file
from mashbill.core.errors import RecipeError
from mashbill.core.file_origins import ORIGINS, FileOrigin, undeclared_files
from mashbill.core.folder import RecipeFolder
from mashbill.core.given import TRAINED, Given, is_address
from mashbill.core.recipe_tables import base_table, read_table, spec_table, written
from mashbill.core.references import check_all
from mashbill.core.stage import StageSpec
from mashbill.core.students import with_students
from mashbill.core.teacher import TeacherSpec
from mashbill.core.use import PolicyFiles, Use
from mashbill.core.verifier import VerifierSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.stage import Uses

VERIFIERS = "verifiers"
"""key of a stage's literals: those that it asks, each with its keys and the release of its rules"""


class Head(BaseModel):
    """The ``[recipe]`` table."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    """name of the job"""
    version: str = Field(pattern=f"^{NAME_PATTERN}$")
    """version of every artifact that does not set its own"""
    seed: int = Field(default=0, ge=0)
    """from which every random choice follows"""
    title: str = ""
    """one line for the report"""
    result: str = ""
    """stage whose artifact the bill and the verdicts are about; the last model if empty"""


class Budget(BaseModel):
    """The ``[budget]`` table: hard caps over all runs of the recipe in a store. No identity."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    usd: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """US dollars"""
    tokens: int | None = Field(default=None, ge=0)
    """tokens read and written"""
    calls: int | None = Field(default=None, ge=0)
    """answered calls"""


class Recipe(BaseModel):
    """A whole recipe. ``stages`` keeps the order of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    recipe: Head
    teachers: dict[str, TeacherSpec]
    stages: dict[str, StageSpec]
    folder: Path
    use: Use = Use()
    verifiers: dict[str, VerifierSpec] = {}
    models: dict[str, ModelSpec] = {}
    """bases: what trainers start from"""
    policy: PolicyFiles = PolicyFiles()
    budget: Budget = Budget()
    origins: dict[str, tuple[FileOrigin, ...]] = {}
    """file beside the recipe -> whose words stand in it"""
    arms: Arms | None = None
    """which stage is what in which arm and with which seed, where it was written with ``[arms]``"""
    beside: dict[str, str] = {}
    """artifact that a stage makes beside its own -> that stage; each is among ``stages``, too"""

    @property
    def written(self) -> dict[str, str]:
        """Stage as it is made -> as the recipe calls it, where these are two names."""
        found = dict(self.arms.stages) if self.arms else {}
        return found | {part: found.get(name, name) for part, name in self.beside.items()}

    def as_written(self) -> Recipe:
        """Return it with the stages that stand in it, each whole."""
        stages = {
            name: spec.whole() for name, spec in self.stages.items() if name not in self.beside
        }
        return self.model_copy(update={"stages": stages, "beside": {}})

    def ref(self, stage: str) -> ArtifactRef:
        """Return the address of what a stage makes."""
        return ArtifactRef(stage, self.stages[stage].version or self.recipe.version)

    def seed_of(self, stage: str) -> int:
        """Return the seed that a stage draws by."""
        own = self.stages[stage].seed
        return self.recipe.seed if own is None else own

    def uses(self, stage: str) -> tuple[Uses, ...]:
        """Return what a stage uses; a teacher that is a model of this recipe as that model.

        ``spec.uses()`` says whom it asks, by the names of teachers, and what it starts from, by
        those of models; this says what it takes.
        """
        students = {name: one.made_by for name, one in self.teachers.items() if one.made_by}
        return with_models(with_students(self.stages[stage].uses(), students), self.models)

    @property
    def given(self) -> dict[str, Given]:
        """Artifacts that its stages take by their address, by address."""
        told = [
            Given(ArtifactRef.parse(one.made_as), f"models.{name}.artifact", *one.made_in)
            for name, one in self.models.items()
            if one.made_as
        ]
        told += [
            Given(
                ArtifactRef.parse(one.made_by),
                f"teachers.{name}.model",
                *one.made_in,
                must_write=True,
            )
            for name, one in self.teachers.items()
            if is_address(one.made_by)
        ]
        used = {use.name for stage in self.stages for use in self.uses(stage) if use.is_artifact}
        told += [
            Given(ArtifactRef.parse(use.name), f"stages.{stage}.inputs", kind="dataset")
            for stage, spec in self.stages.items()
            if spec.kind == TRAINED
            for use in self.uses(stage)
            if use.role == "trained-on" and is_address(use.name)
        ]
        found: dict[str, Given] = {}
        for one in told:
            if str(one.ref) in used:
                before = found.get(str(one.ref), one)
                found[str(one.ref)] = replace(
                    before,
                    store=before.store or one.store,
                    sha256=before.sha256 or one.sha256,
                    must_write=before.must_write or one.must_write,
                )
        return found

    def bases(self, stage: str) -> dict[str, ModelSpec]:
        """Return the ``[models.NAME]`` that a stage starts from, by name."""
        named = (use.name for use in self.stages[stage].uses() if use.role == "base")
        return {name: self.models[name] for name in named if name in self.models}

    def literals(self, stage: str) -> dict[str, Any]:
        """Return what identifies a stage, apart from its inputs: its keys, files and seed."""
        spec = self.stages[stage]
        literals = spec.model_dump(mode="json", exclude={"version", "seed"})
        literals["seed"] = self.seed_of(stage)
        files = self.files_of(stage)
        literals["files"] = {
            **{name: digest_file(self.folder / name) for name in files},
            **{f"mashbill:{name}": digest_file(path) for name, path in spec.own_files().items()},
        }
        teachers = [use.name for use in spec.uses() if use.is_teacher]
        if told := self.origins_of(stage):
            literals[ORIGINS] = told
        literals["teachers"] = {
            name: self.teachers[name].model_dump(
                mode="json", exclude=set(self.teachers[name].context)
            )
            for name in teachers
        }
        verifiers = {use.name: self.verifiers[use.name] for use in spec.uses() if use.is_verifier}
        if verifiers:  # a key that came later: without one, older literals stay what they were
            literals[VERIFIERS] = {
                name: {"release": one.rules.release, **one.model_dump(mode="json")}
                for name, one in verifiers.items()
            }
        if bases := self.bases(stage):
            literals[MODELS] = {name: one.identity() for name, one in bases.items()}
        return literals

    def files_of(self, stage: str) -> tuple[str, ...]:
        """Return the files beside the recipe that are part of a stage: its own, its verifiers'.

        Raises:
            InputError: if one of them stands for no file.
        """
        spec = self.stages[stage]
        own = spec.files_beside(self.folder)
        asked = (self.verifiers[use.name] for use in spec.uses() if use.is_verifier)
        return tuple(dict.fromkeys([*own, *(file for one in asked for file in one.files())]))

    def files_asked_by(self, stage: str) -> tuple[str, ...]:
        """Return the files by which the verifiers of a stage ask teachers."""
        asked = (self.verifiers[use.name] for use in self.stages[stage].uses() if use.is_verifier)
        return tuple(dict.fromkeys(file for one in asked if one.asks() for file in one.files()))

    def origins_of(self, stage: str) -> dict[str, list[dict[str, Any]]]:
        """Return the sources of files that a stage asks its teachers by, as far as declared."""
        spec = self.stages[stage]
        if not self.origins or not any(use.is_teacher for use in spec.uses()):
            return {}
        return {
            name: [one.source(name).model_dump(mode="json") for one in self.origins[name]]
            for name in self.files_of(stage)
            if name in self.origins
        }

    def undeclared_of(self, stage: str) -> tuple[str, ...]:
        """Return the files that a stage asks its teachers by whose origin is not declared."""
        spec = self.stages[stage]
        if not any(use.is_teacher for use in spec.uses()):
            return ()
        files = dict.fromkeys(self.files_of(stage), "")
        told = self.origins_of(stage)
        return tuple(undeclared_files({"files": files, "teachers": True, ORIGINS: told}))

    @property
    def result(self) -> str:
        """Name of the stage that the bill and verdicts are about."""
        if self.recipe.result:
            return self.recipe.result
        models = [name for name, spec in self.stages.items() if spec.output == "model"]
        return (models or list(self.stages))[-1]


def load_recipe(path: Path, allow: Sequence[str | Path] = ()) -> Recipe:
    """Read a recipe file.

    Args:
        path: the file.
        allow: files and folders outside of its folder that it may read, and its Python files that
            may be executed: see :mod:`mashbill.core.folder`.

    Raises:
        RecipeError: naming the file, the key, what was found and what to do.
        InputError: if a path of ``allow`` is not there.
    """
    data, arms = written(path)
    head = read_table(path, "recipe", Head, data.get("recipe", {}))
    teachers = {
        name: spec_table(path, f"teachers.{name}", table, registry.TEACHERS)
        for name, table in data.get("teachers", {}).items()
    }
    verifiers = {
        name: spec_table(path, f"verifiers.{name}", table, registry.VERIFIERS)
        for name, table in data.get("verifiers", {}).items()
    }
    models = {
        name: base_table(path, f"models.{name}", table)
        for name, table in data.get("models", {}).items()
    }
    stages, beside = _in_parts(
        path,
        {
            name: spec_table(
                path, f"stages.{name}", table, registry.STAGES, registry.TRAINERS
            ).with_verifiers(verifiers)
            for name, table in data["stages"].items()
        },
    )
    folder = RecipeFolder.of(path, allow)
    recipe = Recipe.model_construct(
        recipe=head,
        teachers=teachers,
        verifiers=verifiers,
        models=models,
        stages=stages,
        folder=folder,
        use=read_table(path, "use", Use, data.get("use", {})),
        policy=read_table(path, "policy", PolicyFiles, data.get("policy", {})),
        budget=read_table(path, "budget", Budget, data.get("budget", {})),
        origins=_origins(path, data.get("origins", {})),
        arms=arms,
        beside=beside,
    )
    try:
        check_all(path, recipe, folder)
    except RecipeError as error:
        if arms is None or (told := arms.told(str(error))) == str(error):
            raise
        raise type(error)(told) from error
    return recipe


def _in_parts(
    path: Path, written: dict[str, StageSpec]
) -> tuple[dict[str, StageSpec], dict[str, str]]:
    """Return the stages as they are made, and which of them a stage makes beside its own artifact.

    Raises:
        RecipeError: if a stage that is written has the name of such an artifact.
    """
    found: dict[str, StageSpec] = {}
    beside: dict[str, str] = {}
    for name, spec in written.items():
        for part, each in spec.made_as(name).items():
            if part != name:
                beside[part] = name
            if part != name and part in written:
                msg = (
                    f"{path}: stages.{part} has the name of what stages.{name} (kind "
                    f"{spec.kind!r}) makes beside its model; rename one of them"
                )
                raise RecipeError(msg)
            found[part] = each
    return found, beside


def _origins(path: Path, table: dict[str, Any]) -> dict[str, tuple[FileOrigin, ...]]:
    """Return whose words stand in files: a table each, or a list of several."""
    return {
        name: tuple(
            read_table(path, f"origins.{name}", FileOrigin, one)
            for one in (told if isinstance(told, list) else [told])
        )
        for name, told in table.items()
    }
