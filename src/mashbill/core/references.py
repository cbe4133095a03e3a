"""Whether all that a recipe's tables name is there, fits, and may be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core import registry
from mashbill.core.artifact import ArtifactRef
from mashbill.core.canonical import canonical
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.explaining import near
from mashbill.core.folder import RecipeFolder, is_of_windows
from mashbill.core.given import is_address
from mashbill.core.source import Channel, Source
from mashbill.core.students import as_a_teacher, check_students, made_by

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.base_model import ModelSpec
    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageSpec, Uses
    from mashbill.core.teacher import TeacherSpec
    from mashbill.core.verifier import VerifierSpec

_OF_ROWS = frozenset({"rows", "beside", "trained-on"})
"""roles of what is read as a dataset"""


def check_all(path: Path, recipe: Recipe, folder: RecipeFolder) -> None:
    """Check a recipe as it was read.

    Args:
        path: its file, to be told.
        recipe: what it says.
        folder: what it may read.

    Raises:
        RecipeError: naming the file, the key, what was found and what to do.
    """
    _check_policy_files(path, recipe, folder)
    _check_references(path, recipe)
    _check_origins(path, recipe)


def _check_origins(path: Path, recipe: Recipe) -> None:
    """Check that origins are declared of files that some teacher is asked by."""
    files = {
        name: None
        for stage, spec in recipe.stages.items()
        if any(use.is_teacher for use in spec.uses())
        for name in recipe.files_of(stage)
    }
    for name, told in recipe.origins.items():
        if name not in files or not told:
            there = near(name, files) or f"; there are {', '.join(files) or 'none'}"
            what = "is no file that a teacher is asked by" if told else "has no origin"
            msg = f"{path}: origins: {name!r} {what}{there}"
            raise RecipeError(msg)


def _check_policy_files(path: Path, recipe: Recipe, folder: RecipeFolder) -> None:
    """Check that files of policy are there, and that the recipe may read them."""
    for key in ("terms", "rules"):
        for name in getattr(recipe.policy, key):
            found = folder.joinpath(name, key=f"policy.{key}")
            if not found.exists():
                msg = f"{path}: policy names {name!r}, which is not beside the recipe"
                raise RecipeError(msg)
            for inside in found.glob("*.toml") if found.is_dir() else ():
                folder.joinpath(inside, key=f"policy.{key}")


def _check_addresses(
    key: str, spec: TeacherSpec | VerifierSpec | ModelSpec | StageSpec, folder: Path
) -> None:
    """Check that the recipe may read what the keys of a table name."""
    allowed = folder.allowed if isinstance(folder, RecipeFolder) else None
    if allowed is None:
        return
    for address in spec.addresses():
        keys = (
            (type(spec).model_fields[name].alias or name, value)
            for name, value in spec
            if isinstance(value, str) and address in (value, value.partition(":")[0])
        )
        name, value = next(keys, ("files", address))
        where = f"{key}.{name}"
        if is_of_windows(value):  # C:/x, which is no FILE:NAME
            allowed.file(value, where)
        allowed.address(address, where)
        if address.endswith(".py"):
            allowed.code(address, where)


def _files(path: Path, stage: str, recipe: Recipe) -> tuple[str, ...]:
    try:
        return recipe.stages[stage].files_beside(recipe.folder)
    except InputError as error:
        msg = f"{path}: stages.{stage}: {error}"
        raise RecipeError(msg) from error


def _check_file(path: Path, key: str, file: Path, written: str) -> None:
    try:
        there = file.is_file()
    except OSError as error:  # a name that is too long, a folder that may not be read
        msg = f"{path}: {key} needs the file {written[:160]!r}: {error.strerror}"
        raise RecipeError(msg) from error
    if not there:
        what = "a file, and this is a folder" if file.is_dir() else "the file"
        msg = f"{path}: {key} needs {what} {written!r} beside the recipe"
        raise RecipeError(msg)


def _check_references(path: Path, recipe: Recipe) -> None:
    """Check that every use names a teacher, or a stage further up."""
    above: list[str] = []
    check_students(path, recipe)
    _check_models(path, recipe)
    for name, teacher in recipe.teachers.items():
        _check_addresses(f"teachers.{name}", teacher, recipe.folder)
    for name, verifier in recipe.verifiers.items():
        _check_addresses(f"verifiers.{name}", verifier, recipe.folder)
        with registry.telling(f"{path}: verifiers.{name}", verifier.kind, registry.VERIFIERS):
            _check_source(verifier)
            for file in verifier.files():
                _check_file(path, f"verifiers.{name}", recipe.folder / file, file)
            _check_asked(path, recipe, name, verifier)
    for name, spec in recipe.stages.items():
        with registry.telling(
            f"{path}: stages.{name}", spec.kind, registry.STAGES, registry.TRAINERS
        ):
            _check_stage(path, recipe, name, above)
        above.append(name)
    for name, teacher in recipe.teachers.items():
        if registry.is_plugin(teacher.kind, registry.TEACHERS):
            with registry.telling(f"{path}: teachers.{name}", teacher.kind, registry.TEACHERS):
                _check_teacher(teacher)
    if recipe.recipe.result and recipe.recipe.result not in recipe.stages:
        there = near(recipe.recipe.result, recipe.stages) or f"; it has {', '.join(recipe.stages)}"
        msg = f"{path}: recipe.result = {recipe.recipe.result!r} is not a stage{there}"
        raise RecipeError(msg)


def _check_models(path: Path, recipe: Recipe) -> None:
    """Check that bases may be read, and that no name of theirs stands for two things."""
    makes = {str(recipe.ref(name)): name for name in recipe.stages}
    for name, model in recipe.models.items():
        _check_addresses(f"models.{name}", model, recipe.folder)
        if name in recipe.stages:
            msg = (
                f"{path}: models.{name} and stages.{name} have one name, so that a base of that "
                "name could be either; rename one"
            )
            raise RecipeError(msg)
        if model.made_as in makes:
            msg = (
                f"{path}: models.{name}.artifact = {model.made_as!r} is what "
                f"stages.{makes[model.made_as]} of this recipe makes; name the stage as the base, "
                f"and take [models.{name}] out"
            )
            raise RecipeError(msg)


def _check_asked(path: Path, recipe: Recipe, name: str, verifier: VerifierSpec) -> None:
    """Check that whom a verifier asks is a teacher, and that its files can serve."""
    for teacher in dict.fromkeys(verifier.asks()):
        if teacher not in recipe.teachers:
            there = near(teacher, recipe.teachers) or (
                f"; there are: {', '.join(recipe.teachers) or 'none'}"
            )
            if teacher in recipe.stages:
                there = as_a_teacher(recipe, teacher)
            msg = (
                f"{path}: verifiers.{name} asks {teacher!r}, which is no [teachers.*] table{there}"
            )
            raise RecipeError(msg)
    try:
        verifier.check(recipe.folder)
    except RecipeError as error:
        msg = f"{path}: verifiers.{name}: {error}"
        raise RecipeError(msg) from error


def _check_teacher(teacher: Any) -> None:
    """Raise TypeError if what a plugin says of its teacher could not go onto a bill."""
    _check_source(teacher)
    canonical(teacher.identity)


def _check_source(spec: Any) -> None:
    if not isinstance(spec.source, Source):
        msg = f"its source is {spec.source!r:.60}, which is no Source"
        raise TypeError(msg)


def _check_output(path: Path, recipe: Recipe, name: str, use: Uses) -> None:
    """Check that a stage which is used makes what it is used as: a dataset, or a model."""
    if not use.is_artifact or use.name not in recipe.stages:
        return
    spec, used = recipe.stages[name], recipe.stages[use.name]
    labels = use.role == "actor" and use.channel is Channel.JUDGEMENT and not use.asked_as
    if labels and used.output == "model" and not used.can_label:
        able = [each for each, other in recipe.stages.items() if _labels(other)]
        msg = (
            f"{path}: {_key_naming(spec, name, use)} {use.name!r}, and a model that labels is "
            f"needed; stages.{use.name} (kind {used.kind!r}) makes {made_by(used)}; stages that "
            f"make one that labels: {', '.join(able) or 'none'}"
        )
        raise RecipeError(msg)
    wanted = "dataset" if use.role in _OF_ROWS else "model"
    if used.output == wanted or (use.role == "actor" and spec.kind != "apply"):
        return
    before = list(recipe.stages)[: list(recipe.stages).index(name)]
    above = [each for each in before if recipe.stages[each].output == wanted]
    msg = (
        f"{path}: {_key_naming(spec, name, use)} {use.name!r}, which is a {used.output} (kind "
        f"{used.kind!r}), and a {wanted} is needed; stages above it that make one: "
        f"{', '.join(above) or 'none'}"
    )
    raise RecipeError(msg)


def _labels(spec: StageSpec) -> bool:
    return spec.output == "model" and spec.can_label


def _key_naming(spec: StageSpec, name: str, use: Uses) -> str:
    """Say which key of a stage names what it uses, as the beginning of a sentence."""
    called = use.teacher or use.name
    named = (key for key in spec.references if _names(getattr(spec, key, None), called))
    key = next(named, "")
    return f"stages.{name}.{key} names" if key else f"stages.{name} uses"


def _names(value: Any, stage: str) -> bool:
    """Return whether a key's value names a stage: by itself, in a list, or in a table."""
    if isinstance(value, dict):
        return stage in value.values() or stage in value
    return value == stage or (isinstance(value, list | tuple) and stage in value)


def _check_named(path: Path, recipe: Recipe, name: str, use: Uses, above: list[str]) -> None:
    """Check that what a stage uses is there: a teacher, a verifier, a base, or a stage above it."""
    if use.is_source or (is_address(use.name) and use.name in recipe.given):
        return
    known, what = above, "stage above it"
    if use.is_teacher:
        known, what = list(recipe.teachers), "[teachers.*] table"
    elif use.is_verifier:
        known, what = list(recipe.verifiers), "[verifiers.*] table"
    elif use.role == "base":
        known, what = [*recipe.models, *above], "[models.*] table, and no stage above it"
    if use.name in known:
        return
    remedy = near(use.name, known) or f"; there are: {', '.join(known) or 'none'}"
    spec = recipe.stages[name]
    who = f"stages.{name} uses"
    if use.role == "base":
        who = _key_naming(spec, name, use)
    if use.is_teacher and use.name in recipe.stages:
        who, remedy = _key_naming(spec, name, use), as_a_teacher(recipe, use.name)
    elif use.name in recipe.models:
        who = _key_naming(spec, name, use)
        remedy = f"; [models.{use.name}] is what a trainer starts from: a key such as base names it"
        if use.is_teacher:
            remedy += ", and a teacher has a table [teachers.NAME] of its own"
    if use.is_artifact and use.name in recipe.stages and use.name != name:
        remedy = f"; it stands below: move [stages.{use.name}] up"
    msg = f"{path}: {who} {use.name!r}, which is no {what}{remedy}"
    raise RecipeError(msg)


def _check_stage(path: Path, recipe: Recipe, name: str, above: list[str]) -> None:
    spec = recipe.stages[name]
    try:
        ArtifactRef.parse(str(recipe.ref(name)))
    except RecipeError as error:
        msg = f"{path}: stages.{name}: {error}"
        raise RecipeError(msg) from error
    for use in recipe.uses(name):
        _check_named(path, recipe, name, use, above)
        _check_output(path, recipe, name, use)
    _check_addresses(f"stages.{name}", spec, recipe.folder)
    for file in _files(path, name, recipe):
        _check_file(path, f"stages.{name}", recipe.folder / file, file)
    try:
        spec.check(recipe.folder)
        spec.check_verifiers(recipe.verifiers)
    except RecipeError as error:
        msg = f"{path}: stages.{name}: {error}"
        raise RecipeError(msg) from error
