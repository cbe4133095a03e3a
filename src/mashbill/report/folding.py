"""A long chain, folded: what is alike stands in one box that says how many it is.

Two things are alike if they are of one kind and lead, through the same channels, to what is alike:
arms and seeds of one stage, or corpora that are read into one. Things that are alike stand equally
far from the result, so that what is folded makes no circle. After that, steps in a row, each made
of the one before alone, are one box from its first to its last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mashbill.core.plain import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mashbill.report.gather import Box

FOLDED_FROM = 20
"""boxes from which on a chain is folded"""
_ROW = 4  # steps in a row from which on they are one box


@dataclass(frozen=True)
class Place:
    """One place of a drawing: a box of the chain, or several in one."""

    name: str
    what: str
    """dataset, model or teacher"""
    counted: str
    """rows or size, for people"""
    inputs: tuple[tuple[int, tuple[str, ...]], ...]
    """(number of a place that it rests on, channels)"""
    members: tuple[Box, ...]
    """boxes that stand here: steps in a row in their order, others by name"""

    @property
    def is_folded(self) -> bool:
        """Whether several boxes stand here."""
        return len(self.members) > 1


def folded(boxes: Sequence[Box]) -> list[Place]:
    """Return the places of a chain, each once; those of many boxes with several in one."""
    groups = [[box] for box in boxes]
    if len(boxes) >= FOLDED_FROM:
        groups = _alike(boxes)
        if len(groups) >= FOLDED_FROM:
            groups = _in_a_row(boxes, groups)
    return _places(groups)


def _alike(boxes: Sequence[Box]) -> list[list[Box]]:
    """Return boxes by what they are and what they lead to, in the order of the chain."""
    leads_to: dict[str, list[tuple[str, str]]] = {box.name: [] for box in boxes}
    for box in boxes:
        for other, how in box.inputs:
            leads_to[other].append((_channel(how), box.name))
    by_name = {box.name: box for box in boxes}
    numbers: dict[tuple[object, ...], int] = {}
    colour: dict[str, int] = {}
    for name in _last_first(boxes):
        box = by_name[name]
        ahead = frozenset((how, colour[other]) for how, other in leads_to[name])
        key = (box.what, box.kind, ahead)
        colour[name] = numbers.setdefault(key, len(numbers))
    found: dict[int, list[Box]] = {}
    for box in boxes:
        found.setdefault(colour[box.name], []).append(box)
    return list(found.values())


def _last_first(boxes: Sequence[Box]) -> list[str]:
    """Return names so that each stands after all that rest on it."""
    left = dict.fromkeys((box.name for box in boxes), 0)
    for box in boxes:
        for other in {name for name, _ in box.inputs}:
            left[other] += 1
    by_name = {box.name: box for box in boxes}
    ready = [name for name, count in left.items() if not count]
    found = []
    while ready:
        name = ready.pop()
        found.append(name)
        for other in {other for other, _ in by_name[name].inputs}:
            left[other] -= 1
            if not left[other]:
                ready.append(other)
    return found


def _in_a_row(boxes: Sequence[Box], groups: list[list[Box]]) -> list[list[Box]]:
    """Return groups with steps in a row as one: each of one input, which leads to it alone."""
    at = {box.name: number for number, group in enumerate(groups) for box in group}
    before: list[set[int]] = [
        {at[other] for box in group for other, _ in box.inputs} for group in groups
    ]
    after: list[set[int]] = [set() for _ in groups]
    for number, ones in enumerate(before):
        for one in ones:
            after[one].add(number)

    def joins(number: int) -> bool:
        return (
            len(groups[number]) == 1
            and groups[number][0].what == "dataset"
            and len(before[number]) == 1
            and len(after[number]) == 1
        )

    taken: set[int] = set()
    runs: dict[int, list[int]] = {}
    for number in range(len(groups)):
        if number in taken or not joins(number):
            continue
        run = _run(number, joins, before, after)
        taken |= set(run)
        if len(run) >= _ROW:
            runs[run[0]] = run
    inside = {number for run in runs.values() for number in run}
    found = [
        [box for one in runs.get(number, [number]) for box in groups[one]]
        for number in range(len(groups))
        if number in runs or number not in inside
    ]
    order = {box.name: number for number, box in enumerate(boxes)}
    return sorted(found, key=lambda group: order[group[0].name])


def _run(
    number: int, joins: Callable[[int], bool], before: list[set[int]], after: list[set[int]]
) -> list[int]:
    """Return the steps in a row that a step stands in, the first first."""
    run = [number]
    while joins(first := next(iter(before[run[0]]))):
        run.insert(0, first)
    while joins(last := next(iter(after[run[-1]]))):
        run.append(last)
    return run


def _places(groups: list[list[Box]]) -> list[Place]:
    at = {box.name: number for number, group in enumerate(groups) for box in group}
    return [
        Place(
            _named(group),
            group[-1].what,
            group[0].counted if len(group) == 1 else _sum(group),
            _inputs(number, group, at),
            tuple(group if _follow(group) else sorted(group, key=lambda box: box.name)),
        )
        for number, group in enumerate(groups)
    ]


def _inputs(
    number: int, group: list[Box], at: Mapping[str, int]
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """Return what a group rests on, with channels without their purposes, each once."""
    found: dict[int, dict[str, None]] = {}
    for box in group:
        for other, how in box.inputs:
            if at[other] != number:
                found.setdefault(at[other], {})[_channel(how)] = None
    return tuple((other, tuple(channels)) for other, channels in found.items())


def _channel(how: str) -> str:
    return how.partition("/")[0]


def _named(group: list[Box]) -> str:
    """Return what a group is called: what its names have in common, or its kind."""
    if len(group) == 1:
        return group[0].name
    if _follow(group):
        return f"{len(group)} steps in a row"
    stems = {box.name.partition("@")[0].partition(".")[0] for box in group}
    kind = group[0].kind or group[0].what
    stem = stems.pop() if len(stems) == 1 else kind
    return f"{stem} ({len(group):,})"


def _follow(group: list[Box]) -> bool:
    names = {box.name for box in group}
    return any(other in names for box in group for other, _ in box.inputs)


def _sum(group: list[Box]) -> str:
    if _follow(group):
        return f"{group[0].name} to {group[-1].name}"
    return listed(sorted(box.name for box in group), 2)
