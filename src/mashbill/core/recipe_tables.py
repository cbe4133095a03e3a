"""Reading the tables of a recipe's file: which there may be, and each as its kind has it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from mashbill.core import registry
from mashbill.core.arms import ARMS, Arms, declared
from mashbill.core.arms_written import written_out
from mashbill.core.base_model import KINDS, ModelSpec
from mashbill.core.errors import PluginError, RecipeError
from mashbill.core.explaining import explain, near
from mashbill.core.plain_toml import read_toml
from mashbill.core.stage import StageSpec
from mashbill.core.teacher import TeacherSpec
from mashbill.core.verifier import VerifierSpec

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = (
    "recipe", "teachers", "verifiers", "models", "stages", "use", "policy", "budget", "origins",
    ARMS,
)  # fmt: skip
_NOBODY: Mapping[str, str] = MappingProxyType({})
_BASES = {registry.TEACHERS: TeacherSpec, registry.VERIFIERS: VerifierSpec}


def tables_of(path: Path) -> dict[str, Any]:
    """Return the tables of a recipe; its arms, if it has some, as stages written out.

    Raises:
        RecipeError: as :func:`load_recipe` does.
    """
    return written(path)[0]


def written(path: Path) -> tuple[dict[str, Any], Arms | None]:
    """Return those tables, and which stage is what in which arm; None without ``[arms]``.

    Raises:
        RecipeError: as :func:`mashbill.core.recipe.load_recipe` does.
    """
    _check_there(path)
    data = _tables(path)
    if ARMS not in data:
        return data, None
    groups = {
        "teachers": (registry.TEACHERS,),
        "verifiers": (registry.VERIFIERS,),
        "stages": (registry.STAGES, registry.TRAINERS),
    }

    def read(node: tuple[str, str], table: Mapping[str, Any], set_by: Mapping[str, str]) -> Any:
        key = ".".join(node)
        if node[0] == "models":
            return base_table(path, key, table, set_by)
        return spec_table(path, key, table, *groups[node[0]], set_by=set_by)

    return written_out(path, data, declared(path, data), read)


def _check_there(path: Path) -> None:
    """Check that a recipe is there.

    Raises:
        RecipeError: if it is a folder, or nothing.
    """
    if path.is_dir():
        inside = sorted(str(item) for item in path.glob("*.toml"))
        remedy = f"name the recipe in it: {', '.join(inside[:8])}" if inside else "name a recipe"
        msg = f"{path}: is a folder; {remedy}"
        raise RecipeError(msg)
    if not path.exists():
        beside = sorted(item.name for item in path.parent.glob("*.toml"))
        there = f"; {path.parent} has {', '.join(beside[:8])}" if beside else ""
        if not path.parent.is_dir():
            there = f"; there is no folder {path.parent}"
        msg = f"{path}: there is no such recipe{near(path.name, beside) or there}"
        raise RecipeError(msg)


def _tables(path: Path) -> dict[str, Any]:
    """Return the tables of a recipe, of which none is unknown.

    Raises:
        RecipeError: naming the key.
    """
    _, data = read_toml(path, error=RecipeError)
    for key in data.keys() - set(_TABLES):
        msg = (
            f"{path}: key {key!r} is unknown; a recipe has [recipe], [teachers.*], [verifiers.*], "
            "[models.*], [stages.*], [use], [policy], [budget], [origins] and [arms]"
        )
        raise RecipeError(msg)
    for key in _TABLES:
        if not isinstance(data.get(key, {}), dict):
            msg = f"{path}: {key} = {data[key]!r:.60} must be a table"
            raise RecipeError(msg)
    if not data.get("stages"):
        msg = f"{path}: there is no [stages.NAME] table, so there is nothing to do"
        raise RecipeError(msg)
    return data


def spec_table(
    path: Path, key: str, table: Any, *groups: str, set_by: Mapping[str, str] = _NOBODY
) -> Any:
    """Return a teacher, a verifier or a stage as its kind reads its table.

    Args:
        path: the recipe, to be told.
        key: the table, such as ``stages.NAME``.
        table: its keys.
        groups: of entry points that have its kind.
        set_by: key -> the table that sets it, where that is another one.

    Raises:
        RecipeError: naming the key, what was found and what to do.
        PluginError: if its kind is a plugin's, and that is broken.
    """
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        msg = f"{path}: [{key}] needs kind = one of {', '.join(registry.kinds(*groups))}"
        raise RecipeError(msg)
    kind = table["kind"]
    base = _BASES.get(groups[0], StageSpec)
    try:
        model = registry.find(kind, *groups)
    except PluginError as error:
        msg = f"{path}: [{key}]: {error}"
        raise PluginError(msg) from error
    except RecipeError as error:
        hint = ""
        if base is TeacherSpec and not near(kind, registry.kinds(*groups)):
            hint = "; a provider's model is kind = 'api' with provider = ..., and model = ..."
        msg = f"{path}: {key}.{error}{hint}"
        raise RecipeError(msg) from error
    with registry.telling(f"{path}: [{key}]", kind, *groups):
        if registry.is_plugin(kind, *groups) and not issubclass(model, base):
            msg = f"it registers {model!r:.60}, which is no {base.__name__}"
            raise TypeError(msg)
        return read_table(path, key, model, table, set_by)


def base_table(path: Path, key: str, table: Any, set_by: Mapping[str, str] = _NOBODY) -> ModelSpec:
    """Return what a trainer starts from.

    Raises:
        RecipeError: naming the key.
    """
    if not isinstance(table, dict) or not isinstance(table.get("kind"), str):
        msg = f"{path}: [{key}] needs kind = one of {', '.join(KINDS)}"
        raise RecipeError(msg)
    kind = table["kind"]
    if kind not in KINDS:
        there = near(kind, KINDS) or f"; there are {', '.join(KINDS)}"
        msg = f"{path}: {key}.kind = {kind!r:.60} is no kind of a base{there}"
        raise RecipeError(msg)
    found: ModelSpec = read_table(path, key, KINDS[kind], table, set_by)
    return found


def read_table(
    path: Path, key: str, model: type[BaseModel], table: Any, set_by: Mapping[str, str] = _NOBODY
) -> Any:
    """Return a table as a model; see :func:`spec_table`.

    Raises:
        RecipeError: naming the key, what was found and what to do.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise RecipeError("\n".join(explain(path, key, model, error, set_by))) from error
