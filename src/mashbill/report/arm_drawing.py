"""Arms as inline SVG: each arm's mean with its interval, its seeds as dots, and differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from markupsafe import Markup

from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mashbill.report.comparing import Gap, Measure, Value

_ROW, _TOP, _ROOM, _PER_CHARACTER, _NAME = 30, 26, 460, 7.4, 34
_MOST = 60  # rows of one drawing
_TICKS = 5


def draw_arms(measure: Measure) -> Markup:
    """Draw a measure of every side: the mean, its 95% interval, and a dot for each seed."""
    rows = [*measure.sides.items()][:_MOST]
    spans = [v for _, one in rows for v in (one.low, one.high, *one.seeds.values())]
    parts, x, left = _opening("arms", [name for name, _ in rows], spans, measure.title)
    for place, (name, value) in enumerate(rows):
        parts.append(_row(name, value, x, _middle(place), left))
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def draw_gaps(measure: Measure) -> Markup:
    """Draw the differences of sides with their 95% intervals; the dashed line is no difference."""
    told = [gap for gap in measure.gaps if not math.isnan(gap.found.difference)][:_MOST]
    if not told:
        return Markup("")
    names = [f"{gap.first} − {gap.second}" for gap in told]  # noqa: RUF001 - a minus sign
    spans = [v for g in told for v in (g.found.low, g.found.high, g.found.difference)] + [0.0]
    parts, x, left = _opening("gaps", names, spans, f"differences of {measure.title}")
    bottom = _TOP + _ROW * len(told)
    parts.append(
        f'<line class="majority" x1="{x(0.0)}" x2="{x(0.0)}" y1="{_TOP - 8}" y2="{bottom}"/>'
    )
    for place, (name, gap) in enumerate(zip(names, told, strict=True)):
        parts.append(_gap(name, gap, x, _middle(place), left))
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _middle(place: int) -> float:
    return _TOP + _ROW * (place + 0.5)


class _Scale:
    """Places on a line for numbers."""

    def __init__(self, spans: Sequence[float], left: float) -> None:
        known = [value for value in spans if math.isfinite(value)] or [0.0]
        self.low, self.high = min(known), max(known)
        wide = (self.high - self.low) * 0.06 or abs(self.high) * 0.1 or 0.5
        self.low, self.high, self._left = self.low - wide, self.high + wide, left

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return round(self._left + part * _ROOM, 1)

    def ticks(self) -> list[float]:
        """Return round numbers within."""
        step = 10 ** math.floor(math.log10((self.high - self.low) / _TICKS))
        step *= next(
            (k for k in (1, 2, 5, 10) if (self.high - self.low) / (step * k) <= _TICKS), 10
        )
        first = math.ceil(self.low / step)
        return [n * step for n in range(first, math.floor(self.high / step) + 1)]


def _opening(
    kind: str, names: Sequence[str], spans: Sequence[float], label: str
) -> tuple[list[str], _Scale, float]:
    left = max(110, round(24 + _PER_CHARACTER * max(min(len(name), _NAME) for name in names)))
    scale = _Scale(spans, left)
    bottom = _TOP + _ROW * len(names)
    opening = (
        f'<svg class="plot {kind}" viewBox="0 0 {left + _ROOM + 70} {bottom + 30}" role="img" '
        f'aria-label="{drawn(label)}">'
    )
    parts = [opening]
    for tick in scale.ticks():
        x = scale(tick)
        parts.append(
            f'<line class="grid" x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}"/>'
            f'<text class="tick" x="{x}" y="{bottom + 16}">{tick:.4g}</text>'
        )
    return parts, scale, left


def _row(name: str, value: Value, x: _Scale, y: float, left: float) -> str:
    line = _interval(x, value.low, value.high, y)
    dots = ""
    if len(value.seeds) > 1:
        dots = "".join(
            f'<circle class="seed" cx="{x(one)}" cy="{y}" r="2.5"><title>seed {drawn(str(seed))}: '
            f"{one:.4g}</title></circle>"
            for seed, one in value.seeds.items()
        )
    right = x(value.mean if math.isnan(value.high) else value.high)
    return (
        f'<g><text class="system" x="{left - 12}" y="{y + 4}">{drawn(name, _NAME)}</text>{line}'
        f'{dots}<circle cx="{x(value.mean)}" cy="{y}" r="5"/>'
        f'<text class="value" x="{right + 10}" y="{y + 4}">{value.mean:.3f}</text></g>'
    )


def _gap(name: str, gap: Gap, x: _Scale, y: float, left: float) -> str:
    found = gap.found
    kind = "good" if found.is_beyond_all else "open"
    right = x(found.difference if math.isnan(found.high) else found.high)
    return (
        f'<g class="{kind}"><text class="system" x="{left - 12}" y="{y + 4}">'
        f"{drawn(name, _NAME)}</text>{_interval(x, found.low, found.high, y)}"
        f'<circle cx="{x(found.difference)}" cy="{y}" r="5"/>'
        f'<text class="value" x="{right + 10}" y="{y + 4}">{found.difference:+.3f}</text></g>'
    )


def _interval(x: _Scale, low: float, high: float, y: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return ""
    return f'<line class="interval" x1="{x(low)}" x2="{x(high)}" y1="{y}" y2="{y}"/>'


def drawings(measures: Sequence[Measure]) -> list[Mapping[str, object]]:
    """Return each measure that a page shows, with its drawings."""
    return [
        {"measure": one, "arms": draw_arms(one), "gaps": draw_gaps(one)}
        for one in measures
        if one.is_main
    ]
