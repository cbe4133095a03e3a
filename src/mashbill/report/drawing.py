"""Drawings as inline SVG: the chain, and accuracies with their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mashbill.core.evaluation import WORDS
from mashbill.evals.remarks import against_majority
from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.evaluation import Evaluation
    from mashbill.report.gather import Box

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 154, 50, 62, 26, 10


def draw_chain(boxes: Sequence[Box]) -> Markup:
    """Draw boxes in columns, each right of all that it rests on, channels on the lines."""
    by_name = {box.name: box for box in boxes}
    column = _columns(by_name)
    # A teacher stands right before the first step that asks it.
    first: dict[str, int] = {}
    for box in boxes:
        for other, _ in box.inputs:
            first[other] = min(first.get(other, column[box.name]), column[box.name])
    for box in boxes:
        if box.what == "teacher":
            column[box.name] = max(first[box.name] - 1, 0)
    rows: dict[int, list[str]] = {}
    for name in sorted(by_name, key=lambda n: (column[n], by_name[n].what == "dataset", n)):
        rows.setdefault(column[name], []).append(name)
    tallest = max(len(names) for names in rows.values())
    height = tallest * (_HEIGHT + _GAP_Y) + 2 * _MARGIN
    at = {}
    for number, names in rows.items():
        top = (height - len(names) * (_HEIGHT + _GAP_Y) + _GAP_Y) / 2
        for i, name in enumerate(names):
            at[name] = (_MARGIN + number * (_WIDTH + _GAP_X), top + i * (_HEIGHT + _GAP_Y))
    width = _MARGIN * 2 + len(rows) * (_WIDTH + _GAP_X) - _GAP_X
    opening = (
        f'<svg class="chain" viewBox="0 0 {width} {height}" role="img" '
        f'style="min-width:{round(width * 0.68)}px" aria-label="the chain, left to right">'
    )
    parts = [opening]
    parts += [
        _line(at[other], at[box.name], channels)
        for box in boxes
        for other, channels in _joined(box.inputs).items()
    ]
    parts += [_box(box, *at[box.name]) for box in boxes]
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _columns(by_name: dict[str, Box]) -> dict[str, int]:
    """Return how many boxes stand in the longest line before each."""
    column: dict[str, int] = {}
    waiting = list(by_name)[::-1]
    while waiting:
        name = waiting[-1]
        missing = [other for other, _ in by_name[name].inputs if other not in column]
        if name in column or not missing:
            waiting.pop()
            before = (column[other] for other, _ in by_name[name].inputs)
            column.setdefault(name, 1 + max(before, default=-1))
        else:
            waiting += missing
    return column


def _joined(inputs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the channels by which each input came, without their purposes: one line an input."""
    found: dict[str, list[str]] = {}
    for other, how in inputs:
        channel = how.partition("/")[0]
        if channel not in found.setdefault(other, []):
            found[other].append(channel)
    return found


def _line(start: tuple[float, float], end: tuple[float, float], channels: Sequence[str]) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT / 2
    x2, y2 = end[0], end[1] + _HEIGHT / 2
    middle = x2 - _GAP_X / 2
    name, told = drawn(channels[-1]), drawn(" + ".join(channels))
    label = (
        ""
        if list(channels) == ["content"]
        else f'<text class="channel {name}" x="{x2 - 4}" y="{y2 - 6 if y1 <= y2 else y2 + 14}" '
        f'text-anchor="end">{told}</text>'
    )
    return f'<path class="{name}" d="M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}"/>{label}'


def _box(box: Box, x: float, y: float) -> str:
    # Fonts differ in width: a name that might not fit is pressed into its box.
    room = _WIDTH - 12
    fit = f' textLength="{room}" lengthAdjust="spacingAndGlyphs"' if len(box.name) > 18 else ""
    return (
        f'<g class="{box.what}"><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{x + _WIDTH / 2}" y="{y + 21}" class="name"{fit}>{drawn(box.name, 22)}'
        "</text>"
        f'<text x="{x + _WIDTH / 2}" y="{y + 38}" class="count">{drawn(box.counted, 28)}'
        "</text></g>"
    )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


_PER_CHARACTER = 7.4  # of a name on the left of the plot


def draw_systems(evaluation: Evaluation) -> Markup:
    """Draw each system's value as a point with its 95% interval, and what knowing nothing gives.

    A system that is not above the majority label has the colour of a warning; one of which nothing
    was scored has no point.
    """
    systems = {name: one for name, one in evaluation.systems.items() if one.is_known}
    if not systems:
        return Markup()
    names = {name: _short(name, 32) for name in systems}
    left = max(120, round(24 + _PER_CHARACTER * max(map(len, names.values()))))
    right, step, top = left + 500, 34, 26
    line = _of_nothing(evaluation)
    low, high, tick = _range(evaluation, [one.interval for one in systems.values()], line)

    def x(value: float) -> float:
        return float(round(left + (value - low) / (high - low) * (right - left), 1))

    height = top + step * len(systems) + 34
    opening = (
        f'<svg class="plot" viewBox="0 0 {right + 80} {height}" role="img" '
        f'aria-label="{WORDS[evaluation.metric]} of each system with 95% intervals">'
    )
    parts = [opening]
    bottom = top + step * len(systems)
    places = (place * tick for place in range(math.floor(high / tick + 1e-9) + 1))
    parts += [
        (
            f'<line class="grid" x1="{x(at)}" x2="{x(at)}" y1="{top - 8}" y2="{bottom}"/>'
            f'<text class="tick" x="{x(at)}" y="{bottom + 16}">{at:.{1 if tick >= _TENTH else 2}f}'
            "</text>"
        )
        for at in places
        if at >= low
    ]
    if line is not None:
        said, share, band = line
        at = x(share)
        parts.append(
            f'<path class="band" d="M{x(band[0])},{top - 8}H{x(band[1])}V{bottom}H{x(band[0])}Z"/>'
            f'<line class="majority" x1="{at}" x2="{at}" y1="{top - 8}" y2="{bottom}"/>'
            f'<text class="tick" x="{at}" y="{top - 12}">{said} {share:.3f}</text>'
        )
    for i, (system, result) in enumerate((n, r) for n, r in evaluation.by_value() if r.is_known):
        y = top + step * i + step / 2
        ends = result.interval
        poor = line is not None and against_majority(result, line[1]) in ("below", "not better")
        parts.append(
            f'<g class="{"poor" if poor else "good"}">'
            f'<text class="system" x="{left - 12}" y="{y + 4}">{drawn(names[system], 40)}</text>'
            f'<line class="interval" x1="{x(ends[0])}" x2="{x(ends[1])}" y1="{y}" '
            f'y2="{y}"/><circle cx="{x(result.value)}" cy="{y}" r="5"/>'
            f'<text class="value" x="{x(ends[1]) + 10}" y="{y + 4}">'
            f"{result.value:.3f}</text></g>"
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _of_nothing(evaluation: Evaluation) -> tuple[str, float, tuple[float, float]] | None:
    """Return what knowing nothing gives: what it is called, its value, and its interval."""
    if evaluation.metric == "accuracy":
        share = evaluation.majority or 0.0
        return "majority label", share, evaluation.majority_interval or (share, share)
    chance = evaluation.measures.get("chance")
    if isinstance(chance, int | float) and 0 < chance < 1:
        return "chance", chance, (chance, chance)
    return None


def _range(
    evaluation: Evaluation, intervals: list[tuple[float, float]], line: Any
) -> tuple[float, float, float]:
    """Return the ends of the axis, and how far its ticks lie apart."""
    if evaluation.is_share:
        ends = [low - 0.02 for low, _ in intervals] + ([] if line is None else [line[2][0] - 0.02])
        return min(max(min(0.45, *ends), 0.0), 0.98), 1.0, 0.1
    lows, highs = [low for low, _ in intervals], [high for _, high in intervals]
    low, high = min(lows), max(highs)
    room = max((high - low) * 0.1, abs(high) * 0.01, 1e-6)
    low, high = max(low - room, 0.0), high + room
    tick = 10.0 ** math.floor(math.log10(high - low))
    return low, high, tick if (high - low) / tick > _FEW_TICKS else tick / 5


_TENTH = 0.1
_FEW_TICKS = 3
