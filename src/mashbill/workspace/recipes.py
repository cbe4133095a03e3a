"""Recipes by name: those that come with the package."""

from __future__ import annotations

import os
import shlex
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from mashbill.core.errors import RecipeError
from mashbill.core.explaining import near
from mashbill.policy.documents import load_registry
from mashbill.policy.house import load_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.recipe import Recipe
    from mashbill.policy.documents import Registry
    from mashbill.policy.house import HouseRule

PathLike = str | os.PathLike[str]


_OF_ROWS = (".csv", ".tsv", ".jsonl", ".json", ".parquet", ".txt", ".md")


def recipe_path(named: PathLike) -> Path:
    """Return the recipe file that is meant: a path, or a name shipped with the package.

    Raises:
        RecipeError: if it is neither; near names are told.
    """
    path, text = Path(named), str(named)
    if path.suffix.lower() in _OF_ROWS or path.is_dir():
        msg = f"{path} is no recipe, which is TOML; `mashbill init {shlex.quote(text)}` writes one"
        raise RecipeError(msg)
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    shipped = Path(str(resources.files("mashbill") / "recipes"))
    if not shipped.is_dir():
        shipped = Path(__file__).parents[3] / "recipes"  # an editable install
    found = shipped / f"{text}.toml"
    if not found.exists():
        names = ", ".join(sorted(item.stem for item in shipped.glob("*.toml")))
        hint = near(text, names.split(", "))
        msg = f"{text!r} is neither a recipe file nor a shipped recipe ({names}){hint}"
        raise RecipeError(msg)
    return found


def registry_of(recipe: Recipe, terms: Sequence[PathLike] = ()) -> Registry:
    """Return terms and licences: the shipped ones, the recipe's own, and those of these files."""
    own = [recipe.folder / name for name in recipe.policy.terms]
    return load_registry([*own, *map(Path, terms)])


def rules_of(recipe: Recipe, rules: Sequence[PathLike] = ()) -> tuple[HouseRule, ...]:
    """Return house rules: the recipe's own, and those of these files."""
    own = [recipe.folder / name for name in recipe.policy.rules]
    return tuple(load_rules([*own, *map(Path, rules)]))
