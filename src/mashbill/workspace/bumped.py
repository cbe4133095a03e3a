"""New versions for what a changed recipe makes otherwise than a store has it.

An artifact never changes. Where a recipe asks for another one of the same name, it gets the next
version, and so does all that is made from it. The recipe's file is edited at these lines alone.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from mashbill.core.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from mashbill.core.recipe import Recipe
    from mashbill.core.store import Store

_TABLE = re.compile(r"\[")
_VERSION = re.compile(r"version\s*=")


def next_versions(store: Store, recipe: Recipe, stages: Iterable[str]) -> dict[str, str]:
    """Return the version that each stage is to have: the next number that the store has not.

    Args:
        store: where earlier ones are.
        recipe: what is asked for.
        stages: as the recipe calls them. Where arms, seeds or a trainer that samples make several
            artifacts of one, all of them get one version, which none of them has.
    """
    made: dict[str, list[str]] = {stage: [] for stage in stages}
    for name in recipe.stages:
        if (stage := recipe.written.get(name, name)) in made:
            made[stage].append(name)
    there: dict[str, set[str]] = {}
    for manifest in store.manifests():
        there.setdefault(manifest.name, set()).add(manifest.version)
    found = {}
    for stage, names in made.items():
        taken = {recipe.ref(name).version for name in names}
        taken = taken.union(*(there.get(name, set()) for name in names))
        numbers = [int(one) for one in taken if one.isdecimal() and len(one) < 10]
        number = max(numbers, default=1) + 1
        while str(number) in taken:
            number += 1
        found[stage] = str(number)
    return found


def arms_of(recipe: Recipe, made: Iterable[str]) -> dict[str, set[str]]:
    """Return stage, as the recipe calls it -> the arms that some artifacts are of.

    Args:
        recipe: what is asked for.
        made: names of stages, as arms and seeds give a stage several.
    """
    wanted = {recipe.beside.get(name, name) for name in made}
    found: dict[str, set[str]] = {}
    for cell in recipe.arms.cells if recipe.arms else ():
        for stage, name in cell.stages.items():
            if name in wanted:
                found.setdefault(stage, set()).add(cell.arm)
    return found


def with_versions(
    text: str,
    versions: Mapping[str, str],
    path: Path,
    arms: Mapping[str, Collection[str]] | None = None,
) -> str:
    """Return a recipe's text with these versions in these stages, and nothing else changed.

    Where an arm writes a stage anew, or sets its version, that is where its version is set.

    Args:
        text: of the recipe.
        versions: stage -> version.
        path: how errors name it.
        arms: stage -> the arms that need it; what other arms have stays as it is, as far as they
            do not share a table.

    Raises:
        RecipeError: if a stage does not stand in a table of its own.
    """
    lines = text.splitlines(keepends=True)
    wanted = tomllib.loads(text)
    tables = [(keys, version) for stage, version in versions.items()
              for keys in _tables(wanted, stage, (arms or {}).get(stage, ()))]  # fmt: skip
    for keys, version in tables:
        _set(lines, keys, f'version = "{version}"', path)
        table = wanted
        for key in keys:
            table = table[key]
        table["version"] = version
    made = "".join(lines)
    if wanted != tomllib.loads(made):
        raise _by_hand([".".join(keys) for keys, _ in tables], path)
    return made


def _tables(data: Mapping[str, Any], stage: str, arms: Collection[str]) -> list[tuple[str, ...]]:
    """Return the tables of a recipe that say the version of a stage in some arms."""
    own = []
    for arm in arms:
        sets = data.get("arms", {}).get(arm, {})
        table = sets.get(stage) if isinstance(sets, dict) else None
        if isinstance(table, dict) and not table.keys().isdisjoint({"kind", "version"}):
            own.append(("arms", arm, stage))
    shared = [("stages", stage)] if not arms or len(own) < len(arms) else []
    return [*shared, *sorted(own)]


def _set(lines: list[str], keys: Sequence[str], line: str, path: Path) -> None:
    dotted = r"\s*\.\s*".join(rf"[\"']?{re.escape(key)}[\"']?" for key in keys)
    head = re.compile(rf"\s*\[\s*{dotted}\s*\]")
    at = next((place for place, one in enumerate(lines) if head.match(one)), None)
    if at is None:
        raise _by_hand([".".join(keys)], path)
    end = "\r\n" if lines[at].endswith("\r\n") else "\n"
    for place in range(at + 1, len(lines)):
        bare = lines[place].lstrip()
        if _TABLE.match(bare):
            break
        if _VERSION.match(bare):
            lines[place] = line + end
            return
    if not lines[at].endswith(("\n", "\r")):
        lines[at] += end
    lines.insert(at + 1, line + end)


def _by_hand(names: Iterable[str], path: Path) -> RecipeError:
    tables = ", ".join(f"[{name}]" for name in names)
    return RecipeError(
        f"{path}: version cannot be set in {tables} by a program, since they are written in "
        "another way than as tables of their own; set it by hand, or name another --store"
    )
