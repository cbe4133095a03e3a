"""Accuracies with their intervals, as inline SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from mashbill.core.evaluation import WORDS
from mashbill.evals.remarks import against_majority
from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from mashbill.core.evaluation import Evaluation


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
