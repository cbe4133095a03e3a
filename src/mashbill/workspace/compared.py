"""What is compared: arms of a recipe, evaluations, or models with one evaluation each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mashbill.core.canonical import changed_keys
from mashbill.core.errors import InputError
from mashbill.core.evaluation import is_evaluation, systems_in
from mashbill.core.explaining import near
from mashbill.core.plain import listed
from mashbill.report.comparing import Compared, Run, Side, compared
from mashbill.workspace.recipes import recipe_path
from mashbill.workspace.sides import behind, sides_of
from mashbill.workspace.tables import html_table, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.arms import Cell
    from mashbill.core.artifact import Manifest
    from mashbill.core.recipe import Recipe
    from mashbill.core.store import Store
    from mashbill.workspace.billed import Difference
    from mashbill.workspace.questions import Questions
    from mashbill.workspace.recipes import PathLike

_COLUMNS = ("measure", "side", "mean", "low", "high", "seeds")
_MOST = 12


@dataclass(frozen=True)
class Apart:
    """What two sides were made from otherwise."""

    first: str
    second: str
    settings: tuple[str, ...]
    """keys that differ, a line each"""
    inputs: tuple[str, ...]
    """artifacts that one of them rests on alone"""
    bills: Difference | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "first": self.first,
            "second": self.second,
            "settings": list(self.settings),
            "lineage": list(self.inputs),
            "bills": self.bills and self.bills.as_json(),
        }


@dataclass(frozen=True)
class Comparison:
    """Sides, what they were made from otherwise, and what was measured of them."""

    found: Compared
    apart: tuple[Apart, ...] = field(repr=False, default=())

    def as_json(self) -> dict[str, Any]:
        """Return it for a program, as ``compare --json`` does."""
        return {**self.found.as_json(), "differ_in": [one.as_json() for one in self.apart]}

    def _table(self) -> tuple[str, tuple[str, ...], list[tuple[Any, ...]]]:
        rows = [
            (one.title, side, value.mean, value.low, value.high, len(value.seeds))
            for one in self.found.telling
            for side, value in one.sides.items()
        ]
        return " against ".join(self.found.sides), _COLUMNS, rows

    def __str__(self) -> str:
        return text_table(*self._table())

    def _repr_html_(self) -> str:
        return html_table(*self._table())


def arms_compared(
    recipe: Recipe, store: Store, arms: Sequence[str] = (), *, gathered: bool = True
) -> Compared:
    """Return the arms of a recipe side by side, as far as a store has them.

    Args:
        recipe: with ``[arms]``.
        store: where it was run.
        arms: those that are meant; all if none is named.
        gathered: whether evaluations count that hold all arms themselves.

    Raises:
        InputError: if there is no such arm, or nothing of them is made.
    """
    told = recipe.arms
    if told is None:
        msg = "this recipe has no [arms]; name two artifacts of the store"
        raise InputError(msg)
    names = [*(arms or told.names)]
    told.of(arms)  # raises where there is none of that name
    sides, lacking = [], []
    for name in names:
        runs: dict[str, dict[str, Run]] = {}
        cells = told.of([name])
        for cell in cells:
            for base, made in cell.stages.items():
                if not _is_of(recipe, made, cells):
                    continue
                manifest = _made(recipe, store, made)
                if manifest is not None and _measures(manifest):
                    seed = cell.seed if _is_seeded(recipe, base, name) else None
                    runs.setdefault(base, {}).setdefault(made, Run(manifest, seed))
                elif manifest is None:
                    lacking.append(made)
        by_place = {base: tuple(own.values()) for base, own in runs.items()}
        by_place |= _gathered(recipe, store, name) if gathered else {}
        sides.append(Side(name or "all seeds", by_place))
    if not any(side.runs for side in sides):
        msg = (
            f"nothing is measured of {listed(names) or 'its seeds'} in {store.root} yet: run the "
            "recipe first, and let it have a stage 'evaluate'"
        )
        raise InputError(msg)
    notes = []
    if lacking:
        few = listed(list(dict.fromkeys(lacking)), 6)
        notes.append(f"not made yet: {few}; what is told is of the rest")
    return compared(store, _evaluations_first(sides), notes)


def _is_of(recipe: Recipe, stage: str, cells: Sequence[Cell]) -> bool:
    """Return whether a stage is that of an arm alone: not all have it, and it gathers no others.

    Args:
        recipe: with arms.
        stage: as it is written out.
        cells: of the arm.
    """
    told = recipe.arms
    assert told is not None  # noqa: S101 - who asks has looked
    if told.shared(stage) or stage in told.stages:
        return not told.shared(stage)
    own = {made for cell in cells for made in cell.stages.values()}
    taken = (use.name for use in recipe.uses(stage) if not (use.is_teacher or use.is_verifier))
    return all(name in own or told.shared(name) for name in taken)


def apart_in(recipe: Recipe) -> frozenset[str]:
    """Return the stages that are those of an arm alone, with some seed."""
    told = recipe.arms
    if told is None:
        return frozenset()
    arms = [told.of([arm]) for arm in dict.fromkeys(cell.arm for cell in told.cells)]
    return frozenset(
        made
        for cells in arms
        for cell in cells
        for made in cell.stages.values()
        if _is_of(recipe, made, cells)
    )


def _gathered(recipe: Recipe, store: Store, arm: str) -> dict[str, tuple[Run, ...]]:
    """Return where one evaluation holds all arms: what of it is this arm's, by stage."""
    assert recipe.arms is not None  # noqa: S101 - who asks has looked
    cells = recipe.arms.of([arm])
    own = {made for cell in cells for made in cell.stages.values()}
    others = {
        made
        for cell in recipe.arms.cells
        if cell.arm != arm
        for made in cell.stages.values()
        if not recipe.arms.shared(made)
    }
    found: dict[str, tuple[Run, ...]] = {}
    for base, made in cells[0].stages.items():
        manifest = None if _is_of(recipe, made, cells) else _made(recipe, store, made)
        if manifest is None or not is_evaluation(manifest.measures):
            continue
        systems = {}
        for system, told in systems_in(manifest.stage).items():
            apart = [stage for stage in told if not recipe.arms.shared(stage)]
            is_named = bool(arm) and system.endswith(f".{arm}")  # as STAGE.* has it of this arm
            if apart and set(told) <= own and (is_named or not set(apart) & others):
                systems[system] = system.removesuffix(f".{arm}") if arm else system
        if systems:
            found[base] = (Run(manifest, None, systems),)
    return found


def told_of_arms(recipe: Recipe, store: Store) -> Compared | None:
    """Return a recipe's arms side by side for the end of a run; None where there is nothing yet."""
    if recipe.arms is None:
        return None
    try:
        return arms_compared(recipe, store, gathered=False)
    except InputError:  # nothing is measured of them: no stage does, or a run made other stages
        return None


def arms_of(recipe: PathLike, store: Store, allow: Sequence[PathLike]) -> Compared:
    """Return the arms of a recipe's file side by side.

    Raises:
        RecipeError: if it cannot be read.
        InputError: as :func:`arms_compared` does.
    """
    return arms_compared(_loaded(recipe, allow), store)


def _loaded(recipe: PathLike, allow: Sequence[PathLike]) -> Recipe:
    from mashbill.core.recipe import load_recipe

    return load_recipe(recipe_path(recipe), [*map(Path, allow)])


def _is_seeded(recipe: Recipe, base: str, arm: str) -> bool:
    """Return whether a stage differs between the seeds of an arm."""
    assert recipe.arms is not None  # noqa: S101 - who asks has looked
    return len({cell.stages.get(base) for cell in recipe.arms.of([arm])}) > 1 or (
        len(recipe.arms.seeds) == 1
    )


def _evaluations_first(sides: Sequence[Side]) -> list[Side]:
    """Return sides whose trainers' own numbers stand behind their evaluations."""
    return [
        Side(
            side.name,
            dict(sorted(side.runs.items(),
                        key=lambda item: not is_evaluation(item[1][0].manifest.measures))),
        )
        for side in sides
    ]  # fmt: skip


def _measures(manifest: Manifest) -> bool:
    return is_evaluation(manifest.measures) or manifest.kind == "model"


def _made(recipe: Recipe, store: Store, stage: str) -> Manifest | None:
    """Return what a store has of a stage.

    Raises:
        InputError: if it was made from something else than the recipe asks for.
    """
    manifest = store.get(recipe.ref(stage))
    if manifest is None:
        return None
    changes = changed_keys(manifest.stage, recipe.literals(stage))
    if changes:
        msg = (
            f"{manifest.ref} was made from something else than the recipe asks for now: "
            f"{listed(changes, 4)}; run the recipe, or compare with the one that it was made by"
        )
        raise InputError(msg)
    return manifest


def made_otherwise(store: Store, one: Manifest, other: Manifest) -> Apart:
    """Return what two artifacts were made from otherwise, without their bills."""
    first, second = (
        {str(made.ref): made for made in behind(store, manifest)} for manifest in (one, other)
    )
    inputs = [
        *(f"{ref} is behind {one.ref} alone" for ref in first if ref not in second),
        *(f"{ref} is behind {other.ref} alone" for ref in second if ref not in first),
    ]
    settings = changed_keys(one.stage, other.stage)
    return Apart(str(one.ref), str(other.ref), tuple(settings), tuple(inputs))


def arms_apart(recipe: Recipe, arms: Sequence[str]) -> list[Apart]:
    """Return what any two arms set otherwise."""
    told = recipe.arms
    assert told is not None  # noqa: S101 - who asks has looked
    names = [name for name in arms or told.names if name]
    found = []
    for one, other in combinations(names[:_MOST], 2):
        first, second = dict(told.sets.get(one, {})), dict(told.sets.get(other, {}))
        lines = [
            f"{key}: {_said(first, key)} -> {_said(second, key)}"
            for key in dict.fromkeys([*first, *second])
            if first.get(key) != second.get(key)
        ]
        found.append(Apart(one, other, tuple(lines), ()))
    return found


def _said(sets: dict[str, Any], key: str) -> str:
    return f"{sets[key]!r:.80}" if key in sets else "as the recipe has it"


def compare(
    space: Questions, names: Sequence[str], recipe: PathLike | None, allow: Sequence[PathLike]
) -> Comparison:
    """Compare arms of a recipe, or artifacts; see :meth:`mashbill.Workspace.compare`."""
    store = space.store()
    loaded = None if recipe is None else _loaded(recipe, allow)
    if loaded is not None and check_arms(loaded, names):
        apart = []
        for one in arms_apart(loaded, names):
            results = [_result(loaded, store, arm) for arm in (one.first, one.second)]
            apart.append(replace(one, bills=_bills(space, results)))
        return Comparison(arms_compared(loaded, store, names), tuple(apart))
    if len(names) < 2:
        msg = "name two artifacts, such as evaluations or models; or --recipe with [arms]"
        raise InputError(msg)
    sides, notes = sides_of(store, names)
    made = [store.find(name) for name in names]
    apart = [
        replace(
            made_otherwise(store, one, other), bills=_bills(space, [str(one.ref), str(other.ref)])
        )
        for one, other in combinations(made[:_MOST], 2)
    ]
    return Comparison(compared(store, sides, notes), tuple(apart))


def _result(recipe: Recipe, store: Store, arm: str) -> str:
    """Return the artifact that the bill of an arm is about, if it is made: its first seed's."""
    assert recipe.arms is not None  # noqa: S101 - who asks has looked
    base = recipe.arms.stages.get(recipe.result, recipe.result)
    made = (cell.stages.get(base, "") for cell in recipe.arms.of([arm]))
    refs = (recipe.ref(stage) for stage in made if stage)
    return next((str(ref) for ref in refs if store.get(ref) is not None), "")


def _bills(space: Questions, names: Sequence[str]) -> Difference | None:
    if not all(names) or len(set(names)) < len(names):
        return None
    one, other = (space.bill(name) for name in names)
    return one.against(other)


def check_arms(recipe: Recipe, names: Sequence[str]) -> bool:
    """Return whether names are arms of a recipe; artifacts otherwise.

    Raises:
        InputError: if some are arms and some are not, or one is named twice.
    """
    known = recipe.arms.names if recipe.arms is not None else ()
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        msg = f"{twice[0]} is named twice, and does not differ from itself"
        raise InputError(msg)
    are = [name in known for name in names]
    if any(are) and not all(are):
        stray = names[are.index(False)]
        there = near(stray, known) or f"; arms: {', '.join(known)}"
        msg = f"{stray!r} is no arm of this recipe, and {names[are.index(True)]!r} is{there}"
        raise InputError(msg)
    return recipe.arms is not None and all(are)
