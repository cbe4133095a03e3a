"""Arms: settings and seeds that one recipe is run with, side by side.

    [arms]
    seeds = [1, 2, 3]
    [arms.verified]                       # a name; below it what this arm sets otherwise, by stage
    student.inputs = ["verified"]
    [arms.unverified]
    student.inputs = ["all"]

When such a recipe is read it is written out (:mod:`mashbill.core.arms_written`): what an arm sets
otherwise, and all that rests on it, becomes a stage of its own, ``student.verified.s1``, and the
rest is shared. The recipe that comes of it is one as anybody could have written by hand, so that
plans, runs, audits and bills know nothing of arms. :class:`Arms` says which stage is what.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from mashbill.core.errors import InputError, RecipeError
from mashbill.core.explaining import near
from mashbill.core.plain import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

ARMS = "arms"
SEEDS, SEEDED = "seeds", "seeded"
MOST_CELLS = 1000
"""arms times seeds"""
EVERY = ".*"
"""behind a stage's name: that stage in all arms and with all seeds"""
TABLES = ("teachers", "verifiers", "models")
"""tables of a recipe, beside its stages, whose keys an arm may set"""
One = TypeVar("One", bound=Hashable)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_LIKE_A_SEED = re.compile(r"s[0-9]+")


@dataclass(frozen=True)
class Cell:
    """One arm with one seed: which of the stages that were written out each stage is in it."""

    arm: str
    """empty where a recipe has seeds and no arms"""
    seed: int | None
    stages: Mapping[str, str] = field(default_factory=dict)
    """stage as the recipe calls it -> as it is written out; one that is not made is not there"""

    def __str__(self) -> str:
        """Say which it is."""
        seed = "" if self.seed is None else f"seed {self.seed}"
        return ", ".join(part for part in (self.arm, seed) if part)


@dataclass(frozen=True)
class Arms:
    """What became of ``[arms]`` when a recipe was written out."""

    names: tuple[str, ...]
    """arms in the order of the file; one empty name where there are seeds alone"""
    seeds: tuple[int, ...]
    """none where there are arms alone"""
    cells: tuple[Cell, ...]
    """each arm with each seed, arm by arm"""
    stages: Mapping[str, str]
    """stage as it is written out -> as the recipe calls it; of all that have another name"""
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """arm -> what it sets otherwise, such as ``student.epochs``"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "arms": {name: dict(self.sets.get(name, {})) for name in self.names if name},
            "seeds": list(self.seeds),
            "cells": [
                {"arm": cell.arm or None, "seed": cell.seed, "stages": dict(cell.stages)}
                for cell in self.cells
            ],
        }

    def of(self, arms: Sequence[str] = (), seeds: Sequence[int] = ()) -> tuple[Cell, ...]:
        """Return the cells of some arms with some seeds; of all where none is named.

        Raises:
            InputError: if there is no such arm or seed.
        """
        for arm in arms:
            if arm not in self.names:
                there = ", ".join(name for name in self.names if name)
                has = f"; there are {there}" if there else "; there are seeds alone"
                msg = f"{arm!r} is no arm of this recipe{near(arm, self.names) or has}"
                raise InputError(msg)
        for seed in seeds:
            if seed not in self.seeds:
                has = listed([str(one) for one in self.seeds], 12) if self.seeds else "none"
                msg = f"{seed} is no seed of this recipe's arms; seeds: {has}"
                raise InputError(msg)
        return tuple(
            cell
            for cell in self.cells
            if (not arms or cell.arm in arms) and (not seeds or cell.seed in seeds)
        )

    def part(self, cells: Sequence[Cell], inputs: Mapping[str, Sequence[str]]) -> set[str]:
        """Return the stages of some cells, as they are written out, with all that they rest on.

        What takes the results of other arms or seeds, too, is none of them.

        Args:
            cells: some of :attr:`cells`.
            inputs: stage, as it is written out -> those that it takes.
        """
        own = {name for cell in cells for name in cell.stages.values()}
        return {
            name
            for name in own
            if all(one in own or self.shared(one) for one in resting([name], inputs))
        }

    def shared(self, stage: str) -> bool:
        """Return whether a stage that is written out is made once, for all arms and seeds.

        An arm that is the recipe as it is written has stages of its own under the recipe's names.
        """
        return stage not in self.apart

    @cached_property
    def apart(self) -> frozenset[str]:
        """Stages that have a name of their own, or that some cell has otherwise or goes without."""
        made: dict[str, set[str | None]] = {}
        for cell in self.cells:
            for name in cell.stages:
                made.setdefault(name, set())
        for name, own in made.items():
            own |= {cell.stages.get(name) for cell in self.cells}
        several = (own for own in made.values() if len(own) > 1)
        return frozenset(self.stages) | {name for own in several for name in own if name}

    def cells_with(self, stage: str) -> tuple[Cell, ...]:
        """Return the cells that a stage, as it is written out, belongs to."""
        return tuple(cell for cell in self.cells if stage in cell.stages.values())

    def told(self, error: str) -> str:
        """Return an error, with what the first stage in it is that the recipe does not write so."""
        found = [
            name
            for name in self.stages
            if re.search(rf"stages\.{re.escape(name)}(?![\w-]|\.\w*\d)", error)
        ]
        if not found:
            return error
        name = max(found, key=len)
        cells = self.cells_with(name)
        whole = {cell.arm for cell in cells if all(c in cells for c in self.of([cell.arm]))}
        which = dict.fromkeys(c.arm if c.arm and c.arm in whole else str(c) for c in cells)
        said = listed(list(which), 3)
        return f"{error} ({name} is stages.{self.stages[name]} for {said})"


@dataclass(frozen=True)
class Declared:
    """The ``[arms]`` table as it was read."""

    seeds: tuple[int, ...]
    seeded: tuple[str, ...]
    """stages that get each seed; empty where the recipe does not say"""
    settings: Mapping[str, Mapping[tuple[str, str], Any]]
    """arm -> (table, name) -> the keys that it sets there, or False for a stage it goes without"""

    @property
    def sets(self) -> dict[str, dict[str, Any]]:
        """Arm -> what it sets otherwise, as one writes it."""
        found: dict[str, dict[str, Any]] = {}
        for arm, settings in self.settings.items():
            own = found[arm] = dict[str, Any]()
            for (table, name), keys in settings.items():
                where = name if table == "stages" else f"{table}.{name}"
                own |= {where: False} if keys is False else {
                    f"{where}.{key}": value for key, value in keys.items()
                }  # fmt: skip
        return found

    @property
    def cells(self) -> list[tuple[str, int | None]]:
        """Each arm with each seed."""
        return [
            (arm, seed) for arm in (self.settings or {"": {}}) for seed in (self.seeds or (None,))
        ]


def declared(path: Path, data: Mapping[str, Any]) -> Declared:
    """Read the ``[arms]`` table of a recipe.

    Args:
        path: the recipe, to be told.
        data: its tables.

    Raises:
        RecipeError: naming the key, what was found and what to do.
    """
    table = data[ARMS]
    seeds = _seeds(path, table)
    arms = {name: value for name, value in table.items() if name not in (SEEDS, SEEDED)}
    for name, value in arms.items():
        _check_name(path, name, value)
    if not arms and not seeds and SEEDED not in table:
        msg = (
            f"{path}: [arms] has neither arms nor seeds: add seeds = [1, 2, 3], or tables "
            "[arms.NAME] with what each sets otherwise, such as student.epochs = 2"
        )
        raise RecipeError(msg)
    if len(arms or [""]) * len(seeds or [0]) > MOST_CELLS:
        msg = (
            f"{path}: [arms]: {max(len(arms), 1):,} times {max(len(seeds), 1):,} seeds are more "
            f"than {MOST_CELLS:,} runs of the recipe; take fewer"
        )
        raise RecipeError(msg)
    settings = {name: _settings(path, name, value, data) for name, value in arms.items()}
    return Declared(seeds, _seeded(path, table, data, seeds), settings)


def _seeds(path: Path, table: Mapping[str, Any]) -> tuple[int, ...]:
    if SEEDS not in table:
        return ()
    found = table[SEEDS]
    if not isinstance(found, list) or not found:
        called = "; an arm cannot be called so" if isinstance(found, dict) else ""
        msg = f"{path}: arms.seeds = {found!r:.60} must be a list such as [1, 2, 3]{called}"
        raise RecipeError(msg)
    for place, seed in enumerate(found):
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            msg = f"{path}: arms.seeds[{place}] = {seed!r:.60} must be a whole number from 0 on"
            raise RecipeError(msg)
        if seed in found[:place]:
            msg = f"{path}: arms.seeds names {seed} twice: the same seed gives the same; remove one"
            raise RecipeError(msg)
    return tuple(found)


def _seeded(
    path: Path, table: Mapping[str, Any], data: Mapping[str, Any], seeds: tuple[int, ...]
) -> tuple[str, ...]:
    if SEEDED not in table:
        return ()
    found = table[SEEDED]
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        called = "; an arm cannot be called so" if isinstance(found, dict) else ""
        msg = f"{path}: arms.seeded = {found!r:.60} must be a list of stages{called}"
        raise RecipeError(msg)
    if not seeds:
        msg = f"{path}: arms.seeded names {', '.join(found)}, and there are no seeds: add seeds"
        raise RecipeError(msg)
    for name in found:
        if name not in data["stages"]:
            msg = f"{path}: arms.seeded names {name!r}, which is no stage{_meant(name, data)}"
            raise RecipeError(msg)
    return tuple(dict.fromkeys(found))


def _meant(name: str, data: Mapping[str, Any], table: str = "stages") -> str:
    known = data.get(table, {})
    return near(name, known) or f"; there are: {', '.join(known) or 'none'}"


def _check_name(path: Path, name: str, value: Any) -> None:
    if not isinstance(value, dict):
        hint = near(name, (SEEDS, SEEDED))
        msg = (
            f"{path}: arms.{name} = {value!r:.60} must be a table: what this arm sets otherwise"
            f"{hint or ', such as student.epochs = 2'}"
        )
        raise RecipeError(msg)
    if not _NAME.fullmatch(name):
        msg = (
            f"{path}: arms.{name:.60}: an arm's name has lower-case letters, digits, '_' and '-', "
            "since artifacts bear it"
        )
        raise RecipeError(msg)
    if _LIKE_A_SEED.fullmatch(name):
        msg = f"{path}: arms.{name}: an arm of that name would look like a seed; use another"
        raise RecipeError(msg)


def _settings(
    path: Path, arm: str, table: Mapping[str, Any], data: Mapping[str, Any]
) -> dict[tuple[str, str], Any]:
    """Return what an arm sets, by table and name."""
    found: dict[tuple[str, str], Any] = {}
    for name, value in table.items():
        where = f"{path}: arms.{arm}.{name}"
        if name in data["stages"]:
            if name in TABLES and name in data:
                msg = f"{where} may be stages.{name} or [{name}]; call the stage otherwise"
                raise RecipeError(msg)
            found["stages", name] = _set(where, value, may_go=True)
        elif name in TABLES and isinstance(value, dict):
            for inner, keys in value.items():
                if inner not in data.get(name, {}):
                    msg = f"{where}.{inner}: there is no [{name}.{inner}]"
                    raise RecipeError(msg + _meant(inner, data, name))
                found[name, inner] = _set(f"{where}.{inner}", keys)
        elif name in data:
            msg = f"{where}: [{name}] holds for all arms; an arm sets keys of stages, as STAGE.KEY"
            raise RecipeError(msg)
        else:
            msg = f"{where} is no stage of this recipe{_meant(name, data)}"
            raise RecipeError(msg)
    return found


def _set(where: str, value: Any, *, may_go: bool = False) -> Any:
    if value is False and may_go:
        return False
    if isinstance(value, dict) and value:
        return value
    alone = ", or false to go without the stage" if may_go else ""
    msg = f"{where} = {value!r:.60} must be a table of keys to set{alone}"
    raise RecipeError(msg)


def as_set(table: Mapping[str, Any], keys: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a table as an arm sets it.

    A key stands whole in place of the recipe's. One that sets ``kind`` writes the table anew, since
    the keys of another kind mean nothing to it.
    """
    if not keys:
        return dict(table)
    return dict(keys) if "kind" in keys else {**table, **keys}


def spelt(name: str, arm: str, seed: int | None) -> str:
    """Return the name of what is made apart for an arm, a seed, or both."""
    return name + (f".{arm}" if arm else "") + (f".s{seed}" if seed is not None else "")


def resting(names: Iterable[One], inputs: Mapping[One, Iterable[One]]) -> set[One]:
    """Return stages, or other things, with all that they rest on.

    Args:
        names: the stages.
        inputs: stage -> those that it takes.
    """
    left, found = list(names), set[One]()
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [item for item in inputs.get(name, ()) if item not in found]
    return found
