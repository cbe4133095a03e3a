"""Results side by side: each side's mean over its seeds with an interval, and paired differences.

A side is an arm of a recipe, with a run a seed, or one artifact. Where two sides were measured on
the same rows, a difference is paired by row and by seed (:mod:`mashbill.core.paired`); of numbers
that no row has, such as macro F1 or a loss, by seed alone. What cannot be paired is told, and gets
no interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.evaluation import evaluation_of
from mashbill.core.paired import Difference, difference_of, difference_of_seeds, holm, spread_of
from mashbill.evals.measured import Measured, mean_of
from mashbill.report.comparing_numbers import counts_among, metric_of, numbers_of
from mashbill.report.comparing_rows import (
    RowScores,
    RowUnits,
    row_scores,
    row_units,
    rows_from,
    texts_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store

_PAIRS_OF = 6  # sides of which all pairs are told; of more, each against the first
SEED = 0
"""of the resampling: the same comparison gives the same interval"""


@dataclass(frozen=True)
class Run:
    """What one side measured in one place, with one seed."""

    manifest: Manifest
    seed: int | None = None
    systems: Mapping[str, str] | None = None
    """of an evaluation, those that are meant -> what they are called here; None for all"""


@dataclass(frozen=True)
class Side:
    """One of what is compared."""

    name: str
    runs: Mapping[str, tuple[Run, ...]]
    """place (an evaluation, or a trainer, by its stage) -> what was measured there, a seed each"""


@dataclass(frozen=True)
class Value:
    """A number of one side: its mean over the seeds, with the 95% interval."""

    mean: float
    low: float
    """NaN where there is no interval"""
    high: float
    over: str
    """what the interval is over: seeds and rows, seeds, rows; empty where there is none"""
    seeds: Mapping[int | None, float]
    """seed -> the number; under None where the side has no seeds"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program; a number that there is not is null."""
        ends = {"mean": self.mean, "low": self.low, "high": self.high}
        return {
            **{key: None if math.isnan(value) else value for key, value in ends.items()},
            "over": self.over or None,
            "seeds": [{"seed": seed, "value": value} for seed, value in self.seeds.items()],
        }


@dataclass(frozen=True)
class Gap:
    """The difference of two sides, the first minus the second."""

    first: str
    second: str
    found: Difference
    by: str
    """what it is paired by: rows and seeds, rows, seeds; empty where it is not"""
    why: str = ""
    """why it is not paired, or not of all"""

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "first": self.first, "second": self.second, **self.found.as_json(),
            "paired_by": self.by or None, "why": self.why or None,
        }  # fmt: skip


@dataclass(frozen=True)
class Measure:
    """One number of one system, side by side."""

    place: str
    """the evaluation, or the trainer"""
    system: str
    """of an evaluation; empty for a trainer's own numbers"""
    name: str
    is_main: bool
    """whether it is what the evaluation measures by: its rows have scores"""
    sides: Mapping[str, Value]
    gaps: tuple[Gap, ...] = ()

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.system} {self.name.replace('_', ' ')}".strip()

    @property
    def is_same(self) -> bool:
        """Whether it is the same on all sides, seed by seed, as of a system that they share."""
        first, *others = self.sides.values()
        values = set(first.seeds.values())
        return len(values) == 1 and all(set(one.seeds.values()) == values for one in others)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "place": self.place, "system": self.system or None, "measure": self.name,
            "sides": {name: value.as_json() for name, value in self.sides.items()},
            "differences": [gap.as_json() for gap in self.gaps],
        }  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """Sides with what was measured of them."""

    sides: tuple[str, ...]
    measures: tuple[Measure, ...]
    notes: tuple[str, ...] = ()
    """what is to be known of it: what is not made yet, what cannot be paired"""
    shared: tuple[str, ...] = ()
    """what is the same on all sides"""

    @property
    def telling(self) -> tuple[Measure, ...]:
        """Those that are not the same on all sides."""
        return tuple(one for one in self.measures if one.title not in self.shared)

    def as_json(self) -> dict[str, Any]:
        """Return it for a program."""
        return {
            "sides": list(self.sides),
            "measures": [one.as_json() for one in self.measures],
            "same_on_all_sides": list(self.shared),
            "notes": list(self.notes),
        }


def compared(store: Store, sides: Sequence[Side], notes: Sequence[str] = ()) -> Compared:
    """Return sides with their numbers, intervals and differences.

    Args:
        store: where they were measured.
        sides: what is compared.
        notes: what is to be told with it.
    """
    told = list(notes)
    measures: list[Measure] = []
    for place in dict.fromkeys(place for side in sides for place in side.runs):
        measures += _Place(store, place, sides, told).measures()
    several = len(sides) > 1
    shared = [one.title for one in measures if several and one.is_same and len(one.sides) > 1]
    for one in measures:
        if one.title in shared or not one.is_main:
            continue
        for name, value in one.sides.items():
            if len(value.seeds) > 1 and len(set(value.seeds.values())) == 1:
                told.append(
                    f"{name}: all {len(value.seeds)} seeds have the same {one.title}; if it is "
                    "trained, look whether its seed is heeded"
                )
    return Compared(
        tuple(side.name for side in sides), tuple(measures), tuple(dict.fromkeys(told)),
        tuple(dict.fromkeys(shared)),
    )  # fmt: skip


class _Place:
    """What the sides measured at one place."""

    def __init__(self, store: Store, place: str, sides: Sequence[Side], notes: list[str]) -> None:
        self._store, self._place, self._notes = store, place, notes
        self._sides = {side.name: side.runs[place] for side in sides if place in side.runs}
        self._read: dict[tuple[str, str], RowScores | None] = {}
        self._keys: dict[str, Any] = {}
        self._units: dict[frozenset[str], RowUnits] = {}

    def measures(self) -> list[Measure]:
        """Return each number that some side has."""
        numbers = {
            name: [numbers_of(run.manifest, run.systems) for run in runs]
            for name, runs in self._sides.items()
        }
        aligned = _aligned(numbers)
        every = [run for runs in aligned.values() for run in runs]
        counts = counts_among(every)
        titles = dict.fromkeys(key for run in every for key in run if key[1] not in counts)
        return [self._measure(system, name, aligned) for system, name in titles]

    def _measure(
        self, system: str, name: str, numbers: Mapping[str, list[dict[tuple[str, str], float]]]
    ) -> Measure:
        is_main = False
        sides: dict[str, Value] = {}
        for side, runs in self._sides.items():
            found = {
                run.seed: own[system, name]
                for run, own in zip(runs, numbers[side], strict=True)
                if (system, name) in own
            }
            if not found:
                continue
            main = [metric_of(run.manifest) == name for run in runs]
            is_main = is_main or any(main)
            sides[side] = self._value(side, system, found, main=all(main))
        gaps = [
            self._gap(system, one, other, sides, main=is_main) for one, other in _pairs([*sides])
        ]
        corrected = holm([gap.found for gap in gaps])
        return Measure(
            self._place, system, name, is_main, sides,
            tuple(Gap(g.first, g.second, c, g.by, g.why)
                  for g, c in zip(gaps, corrected, strict=True)),
        )  # fmt: skip

    def _value(
        self, side: str, system: str, found: Mapping[int | None, float], *, main: bool
    ) -> Value:
        """Return a side's number; of one seed the interval is the evaluation's own."""
        runs = [run for run in self._sides[side] if run.seed in found]
        told = spread_of(list(found.values()))
        if len(found) == 1:
            own = evaluation_of(runs[0].manifest.measures)
            result = own.systems.get(_own_name(runs[0], system)) if own and main else None
            if result is None or result.low is None or result.high is None:
                return Value(told.mean, math.nan, math.nan, "", found)
            how = "seeds and rows" if "seeds" in result.facts else "rows"
            return Value(told.mean, result.low, result.high, how, found)
        scores = self._stacked(side, system, [*found]) if main else None
        units = RowUnits() if scores is None else self._units_of(runs)
        if scores is None or units.lacking:
            over = "" if math.isnan(told.low) else "seeds"
            return Value(told.mean, told.low, told.high, over, found)
        all_ = Measured(scores.values, weights=scores.weights, is_share=scores.is_share)
        mean = mean_of(all_, SEED, units.units)
        over = "" if math.isnan(mean.low) else "seeds and rows"
        # Where rows lack scores under some seeds, it is of those that have one under each.
        is_part = bool(mean.rows) and mean.rows < scores.values.shape[-1]
        value = mean.value if is_part else told.mean
        return Value(value, mean.low, mean.high, over, found)

    def _gap(
        self, system: str, one: str, other: str, sides: Mapping[str, Value], *, main: bool
    ) -> Gap:
        first, second = sides[one].seeds, sides[other].seeds
        seeds, why = _common(first, second)
        if not seeds:
            difference = sides[one].mean - sides[other].mean
            return Gap(one, other, _alone(difference), "", "they have no seed in common")
        if main:
            ones, others = ([s for s in seeds if s in own] or [None] for own in (first, second))
            scores = self._stacked(one, system, ones), self._stacked(other, system, others)
            lacking, units = self._unpaired(one, other, scores), RowUnits()
            if not lacking:
                units = self._units_of([*self._sides[one], *self._sides[other]])
                lacking = units.lacking
            if not lacking and scores[0] is not None and scores[1] is not None:
                ones_own, others_own = scores[0].values, scores[1].values
                found = difference_of(
                    ones_own, others_own, SEED, units=units.units, weights=scores[0].weights
                )
                by = "rows and seeds" if max(len(ones_own), len(others_own)) > 1 else "rows"
                return Gap(one, other, found, by, why)
            self._notes.append(lacking)
            why = "; ".join(part for part in (lacking, why) if part)
        found = difference_of_seeds(
            [first.get(s, first.get(None, math.nan)) for s in seeds],
            [second.get(s, second.get(None, math.nan)) for s in seeds],
        )
        return Gap(one, other, found, "seeds" if len(seeds) > 1 else "", why)

    def _unpaired(self, one: str, other: str, scores: Sequence[RowScores | None]) -> str:
        """Say why two sides cannot be paired by row; empty if they can."""
        known = [each for each in scores if each is not None]
        if len(known) < len(scores):
            return f"the rows of {self._place} hold no scores of {one} and {other} alike"
        runs = [run.manifest for name in (one, other) for run in self._sides[name]]
        are_others = len({each.values.shape[-1] for each in known}) > 1
        if len({rows_from(made) for made in runs}) > 1:
            are_others |= len(set(map(self._key, runs))) > 1
        if are_others:
            return f"{one} and {other} were measured on different rows in {self._place}"
        return ""

    def _units_of(self, runs: Sequence[Run]) -> RowUnits:
        """Return which rows belong together in what some runs measured."""
        made = {str(run.manifest.ref): run.manifest for run in runs if metric_of(run.manifest)}
        refs = frozenset(made)
        if refs not in self._units:
            self._units[refs] = row_units(self._store, [*made.values()])
        return self._units[refs]

    def _key(self, made: Manifest) -> Any:
        ref = str(made.ref)
        if ref not in self._keys:
            self._keys[ref] = texts_key(self._store, made)
        return self._keys[ref]

    def _stacked(self, side: str, system: str, seeds: Sequence[int | None]) -> RowScores | None:
        """Return the scores of a side's rows, seed by seed; None if not all have some."""
        found = []
        for seed in seeds:  # in this order, as both sides of a difference have it
            for run in (run for run in self._sides[side] if run.seed == seed):
                held = (str(run.manifest.ref), _own_name(run, system))
                if held not in self._read:
                    self._read[held] = row_scores(self._store, run.manifest, held[1])
                found.append(self._read[held])
        known = [one for one in found if one is not None]
        if not found or len(known) < len(found):
            return None
        if len({one.values.shape[-1] for one in known}) > 1:
            return None
        return replace(known[0], values=np.concatenate([one.values for one in known]))


def _aligned(
    numbers: Mapping[str, list[dict[tuple[str, str], float]]],
) -> dict[str, list[dict[tuple[str, str], float]]]:
    """Return the numbers of sides, where a side's only system is that of another side's, too.

    Two models that were evaluated under different names are one system here.
    """
    systems = {
        side: {system for run in runs for system, _ in run} for side, runs in numbers.items()
    }
    alone = all(len(own) == 1 for own in systems.values())
    if not alone or len({next(iter(own)) for own in systems.values()}) < 2:
        return dict(numbers)
    return {
        side: [{(SYSTEM, name): value for (_, name), value in run.items()} for run in runs]
        for side, runs in numbers.items()
    }


SYSTEM = "system"
"""what the only system of each side is called where they have different names"""


def _own_name(run: Run, system: str) -> str:
    """Return what a run itself calls a system."""
    there = run.manifest.measures.get("systems", {})
    called = {name: name for name in there} if run.systems is None else run.systems
    own = [name for name, title in called.items() if title == system and name in there]
    if not own and len(called) == 1:  # the only one, which has another name elsewhere
        own = list(called)
    return own[0] if own else system


def _pairs(sides: list[str]) -> list[tuple[str, str]]:
    if len(sides) <= _PAIRS_OF:
        return [*combinations(sides, 2)]
    return [(other, sides[0]) for other in sides[1:]]


def _common(
    first: Mapping[int | None, float], second: Mapping[int | None, float]
) -> tuple[list[int | None], str]:
    """Return the seeds that a difference is over, and which are left out.

    A side without seeds stands beside every seed of the other.
    """
    if None in first or None in second:
        return [*(second if None in first else first)], ""
    common = [seed for seed in first if seed in second]
    left = sorted(str(seed) for seed in {*first, *second} - {*common})
    return common, f"seeds of one side alone are left out: {', '.join(left)}" if left else ""


def _alone(difference: float) -> Difference:
    nothing = math.nan
    return Difference(difference, nothing, nothing, nothing, "no pairs", 0, 0, 0, 0)
