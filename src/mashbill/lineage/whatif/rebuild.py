"""A recipe that rebuilds what rests on some sources without them, and keeps everything else.

Stage by stage, in order: what does not rest on them is left as it is. Of a dataset of which some
rows do, and whose inputs all stay, the artifact is kept and a ``without`` stage behind it takes
those rows away. Anything else is made anew under a new version, from what is left of its inputs,
or is gone if a teacher or an input that it cannot do without is. Calls that were answered are in
the journal, so no answer that stays is bought again.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from mashbill.core import registry
from mashbill.core.artifact import ArtifactRef
from mashbill.core.errors import InputError, RecipeError
from mashbill.core.given import is_address
from mashbill.core.recipe import load_recipe
from mashbill.core.recipe_tables import tables_of
from mashbill.core.shown import shown
from mashbill.core.store import write_atomically
from mashbill.lineage.circuit.arrays import Circuit
from mashbill.lineage.whatif.removal import Selector, Touch, touch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mashbill.core.recipe import Recipe
    from mashbill.core.stage import StageSpec
    from mashbill.core.store import Store

_SUFFIX = "without"


@dataclass
class Rebuild:
    """The recipe of a rebuild, and what becomes of each stage."""

    data: dict[str, Any]
    """the recipe, as TOML tables"""
    kept: list[str] = field(default_factory=list)
    """stages left as they are"""
    thinned: dict[str, int] = field(default_factory=dict)
    """dataset -> rows that its ``without`` stage takes away"""
    rebuilt: list[str] = field(default_factory=list)
    """stages made anew, from what is left"""
    gone: dict[str, str] = field(default_factory=dict)
    """stage -> why it cannot be made"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "kept": self.kept,
            "thinned": self.thinned,
            "rebuilt": self.rebuilt,
            "gone": self.gone,
        }


def rebuild(
    path: Path,
    store: Store,
    selector: Selector,
    replace: dict[str, str] | None = None,
    allow: Sequence[str | Path] = (),
) -> Rebuild:
    """Return the recipe of a rebuild without some sources.

    Args:
        path: the recipe that the store was made by.
        store: where it was run.
        selector: the sources that go.
        replace: teacher of the recipe -> the one to ask in its place, also in the recipe.
        allow: what the recipe may read outside of its folder, as for ``load_recipe``.

    Raises:
        RecipeError: if a teacher to replace, or its replacement, is not in the recipe.
        InputError: if nothing that the recipe makes rests on them.
    """
    recipe = load_recipe(path, allow).as_written()
    data = tables_of(path)
    replace = replace or {}
    for name in (*replace, *replace.values()):
        if name not in recipe.teachers:
            msg = f"{path}: there is no [teachers.{name}]; it has {', '.join(recipe.teachers)}"
            raise RecipeError(msg)
    for name in replace.values():
        teacher = recipe.teachers[name]
        if not teacher.made_by and selector.holds(teacher.source):
            msg = f"{path}: teacher {name!r} has {selector} too, so it cannot stand in"
            raise RecipeError(msg)
    work = _Rebuilding(recipe, store, selector, replace, Rebuild({**data, "stages": {}}))
    for name in recipe.stages:
        work.stage(name, data["stages"][name])
    made = work.made
    if not (made.thinned or made.rebuilt or made.gone):
        msg = f"{path}: nothing that it makes in {store.root} rests on {selector}"
        raise InputError(msg)
    result = recipe.result
    made.data["recipe"] = {**data["recipe"], "result": work.names.get(result, result)}
    if work.names.get(result, result) is None:
        del made.data["recipe"]["result"]
    used = {
        use.name
        for name in made.data["stages"]
        if name in recipe.stages
        for use in recipe.stages[name].uses()
        if use.is_teacher
    }
    teachers = {
        name: table
        for name, table in data.get("teachers", {}).items()
        if name in {replace.get(item, item) for item in used}
    }
    made.data.pop("teachers", None)
    verifiers = _verifiers_left(recipe, made.data["stages"], data, replace)
    made.data.pop("verifiers", None)
    if teachers or verifiers:
        stages = made.data.pop("stages")
        made.data |= {"teachers": teachers} if teachers else {}
        made.data |= {"verifiers": verifiers} if verifiers else {}
        made.data["stages"] = stages
    return made


def _verifiers_left(
    recipe: Recipe, stages: Iterable[str], data: dict[str, Any], replace: dict[str, str]
) -> dict[str, Any]:
    """Return the tables of the verifiers that stages which are left ask, with teachers replaced."""
    asked = {
        use.name
        for name in stages
        if name in recipe.stages
        for use in recipe.stages[name].uses()
        if use.is_verifier
    }
    return {
        name: recipe.verifiers[name].renamed(table, dict(replace))
        for name, table in data.get("verifiers", {}).items()
        if name in asked
    }


class _Rebuilding:
    def __init__(
        self, recipe: Recipe, store: Store, selector: Selector, replace: dict[str, str],
        made: Rebuild,
    ) -> None:  # fmt: skip
        self.made = made
        self.names: dict[str, str | None] = {}
        """stage -> what stands in its place from here on; None if it is gone"""
        self._recipe = recipe
        self._store = store
        self._selector = selector
        self._replace = replace
        self._new: set[str] = set()
        """stages that come out other than in the store"""

    def stage(self, name: str, table: dict[str, Any]) -> None:
        """Decide about one stage; those above are decided."""
        spec = self._recipe.stages[name]
        inputs = [use.name for use in self._recipe.uses(name) if use.is_artifact]
        result = self._touched(name)
        rests = result.whole if result else any(item in self.names for item in inputs)
        stale = any(i in self._new or self.names.get(i, i) is None for i in inputs)
        if not rests and not stale:
            if self._brings(spec):
                self._leave_out(name, f"it is itself from {self._selector}")
                return
            self.made.data["stages"][name] = table
            self.made.kept.append(name)
            return
        if result and self._some_clean(result) and not stale and not self._teachers_gone(spec):
            self._thin(name, table, result)
            return
        self._again(name, spec, table)

    def _touched(self, name: str) -> Touch | None:
        manifest = self._store.get(self._recipe.ref(name))
        if manifest is None:
            return None
        return touch(Circuit.of_artifact(self._store, manifest), self._selector)

    def _some_clean(self, result: Touch) -> bool:
        return result.whole and bool((result.records[~result.numbers] > 0).any())

    def _brings(self, spec: StageSpec) -> bool:
        sources = spec.sources(self._recipe.folder)
        return bool(sources) and all(self._selector.holds(source) for source in sources)

    def _teachers_gone(self, spec: StageSpec) -> list[str]:
        return [use.name for use in spec.uses() if use.is_teacher and self._is_gone(use.name)]

    def _base_gone(self, name: str) -> str:
        """Return what a stage takes from outside of the recipe and that goes; empty if nothing."""
        for use in self._recipe.uses(name):
            if use.is_source and self._selector.holds(self._recipe.models[use.name].source):
                return use.name
            if is_address(use.name) and use.is_artifact:
                made = self._store.get(ArtifactRef.parse(use.name))
                if made is not None:
                    rests = touch(Circuit.of_artifact(self._store, made), self._selector)
                    if rests.whole:
                        return use.name
        return ""

    def _is_gone(self, teacher: str) -> bool:
        """Return whether a teacher can no longer be asked: it goes, or it cannot be made."""
        spec = self._recipe.teachers[teacher]
        if spec.made_by:
            return self.names.get(spec.made_by, spec.made_by) is None
        return self._selector.holds(spec.source)

    def _replacing(self, teacher: str) -> str | None:
        """Return who is asked in a teacher's place; None if nobody is, or that one is gone too."""
        other = self._replace.get(teacher)
        return None if other is None or self._is_gone(other) else other

    def _leave_out(self, name: str, why: str) -> None:
        self.made.gone[name] = why
        self.names[name] = None

    def _thin(self, name: str, table: dict[str, Any], result: Touch) -> None:
        """Keep the artifact, and take the rows that rest on them away behind it."""
        after = f"{name}-{_SUFFIX}"
        self.made.data["stages"][name] = table
        self.made.data["stages"][after] = {
            "kind": "without",
            "input": name,
            "without": self._selector.model_dump(exclude_none=True),
        }
        self.made.kept.append(name)
        self.made.thinned[name] = int(result.records[result.numbers].sum())
        self.names[name] = after

    def _again(self, name: str, spec: StageSpec, table: dict[str, Any]) -> None:
        """Make a stage anew from what is left of its inputs, if that can be."""
        teachers: dict[str, str | None] = {
            item: self._replacing(item) for item in self._teachers_gone(spec)
        }
        lost = [item for item, other in teachers.items() if other is None]
        if lost:
            self._leave_out(name, f"its teacher {lost[0]} goes; --teacher {lost[0]}=OTHER replaces")
            return
        gone = self._base_gone(name)
        if gone:
            self._leave_out(name, f"it takes {gone}, which rests on {self._selector}")
            return
        inputs = [use.name for use in self._recipe.uses(name) if use.is_artifact]
        names = {item: self.names[item] for item in inputs if item in self.names} | teachers
        new = type(spec).renamed(table, names)
        new["version"] = f"{self._recipe.ref(name).version}-{_SUFFIX}"
        try:
            checked = registry.find(spec.kind, registry.STAGES, registry.TRAINERS)
            checked.model_validate(new)
        except ValueError:
            missing = [item for item in inputs if self.names.get(item, item) is None]
            self._leave_out(name, f"it cannot be made without {', '.join(missing)}")
            return
        if not inputs:
            self._leave_out(name, f"all of it rests on {self._selector}")
            return
        self.made.data["stages"][name] = new
        self.made.rebuilt.append(name)
        self._new.add(name)


def _files_of(recipe: Recipe, stages: Iterable[str]) -> list[str]:
    """Return the files beside a recipe that these of its stages, and its policy, need."""
    files = [file for name in recipe.stages if name in stages for file in recipe.files_of(name)]
    for name in recipe.policy.files():
        path = recipe.folder / name
        inside = [f"{name}/{item.name}" for item in sorted(path.glob("*.toml"))]
        files += inside if path.is_dir() else [name]
    return files


def write_rebuild(
    made: Rebuild, recipe: Path, to: Path, selector: Selector, allow: Sequence[str | Path] = ()
) -> None:
    """Write the recipe of a rebuild, with the files beside the old one that it needs.

    A file outside of the old recipe's folder stays where it is.

    Raises:
        InputError: if another file is there already under one of these names, or the new recipe
            would find another file than the old one under a path that leads out of its folder.
    """
    text = (
        f"# {shown(recipe.name)} without {shown(selector)}, written by `mashbill rebuild`.\n"
        + "".join(f"# Gone: {name}: {shown(why)}.\n" for name, why in made.gone.items())
        + "\n"
        + tomli_w.dumps(made.data)
    )
    old = load_recipe(recipe, allow).as_written()
    beside = to.resolve().parent
    for file in _files_of(old, made.data["stages"]):
        source, target = old.folder / file, beside / file
        if not Path(os.path.normpath(target)).is_relative_to(beside):
            if target.resolve() != source.resolve():
                msg = (
                    f"{recipe}: {file} leads out of its folder, and from {beside} to another "
                    f"place; write the new recipe beside the old one, --to {recipe.parent}/NAME"
                )
                raise InputError(msg)
            continue
        if target.exists():
            if target.read_bytes() != source.read_bytes():
                msg = f"{target} is there and is another file than {source}; use another --to"
                raise InputError(msg)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    to.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(to, text.encode())
