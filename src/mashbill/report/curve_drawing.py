"""Drawings of curves as inline SVG, and of differences with their intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from mashbill.core.curves import last_of, told_as
from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mashbill.core.curves import Curve
    from mashbill.report.trainings import Panel

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 270, 62, 150, 16, 40
_POINTS = 240
"""of a line; where there are more, each is a mean, with the least and the largest around it"""
_LEAST, _MOST = 1e-100, 1e100
"""sizes of numbers that are drawn as such: beyond them, a range has none that a float holds"""
_FAR = 4.0  # how far, as a ratio, a curve falls where an axis of logarithms helps
_PER_CHARACTER = 7.4  # of a name on the left of a plot
_ROW = 34


_OF_OTHERS = frozenset({"held_out_loss", "watched"})
"""curves of what is not learned from, in a colour of their own"""


def draw_curves(panel: Panel) -> Markup:
    """Draw curves over steps; empty where none has two points that are numbers."""
    curves = {name: thinned(curve) for name, curve in panel.curves.items()}
    curves = {name: points for name, points in curves.items() if len(points) > 1}
    if not curves:
        return Markup("")
    low, high, is_log = _range([*curves.values()])
    steps = np.concatenate([points[:, 0] for points in curves.values()])
    x = _linear(steps.min(), steps.max(), _LEFT, _WIDTH - _RIGHT)
    floor = _HEIGHT - _BOTTOM
    y = (_logarithmic if is_log else _linear)(low, high, floor, _TOP)
    axis = ", axis of logarithms" if is_log else ""
    opening = (
        f'<svg class="curves" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{drawn(panel.title)} over steps{axis}">'
    )
    parts = [opening]
    parts += [
        (
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" '
            f'y2="{y(tick):.1f}"/><text class="tick" x="{_LEFT - 7}" y="{y(tick) + 4:.1f}" '
            f'text-anchor="end">{tick:.4g}</text>'
        )
        for tick in (_log_ticks(low, high) if is_log else _ticks(low, high, 5))
    ]
    parts += [
        (
            f'<text class="tick" x="{x(tick):.1f}" y="{floor + 17}" text-anchor="middle">'
            f"{tick:,.0f}</text>"
        )
        for tick in _ticks(steps.min(), steps.max(), 5, whole=True)
    ]
    # Fewer points stand above more.
    for name, points in sorted(curves.items(), key=lambda item: -len(item[1])):
        parts += _curve(name, points, x, y)
    parts += _labels(
        {name: (points, last_of(panel.curves[name])) for name, points in curves.items()}, y
    )
    parts.append(
        f'<text class="tick" x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 6}" '
        f'text-anchor="middle">step{axis}</text>'
    )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def thinned(curve: Curve, most: int = _POINTS) -> np.ndarray:
    """Return a curve's points for drawing: step, mean, least, largest; shape (points, 4).

    Points that are no numbers are left out. Where there are more than ``most``, neighbours are put
    together, and what they ranged over is kept, so that no spike is lost.
    """
    there = np.abs(curve.values) < _MOST  # not of NaN either
    steps, values = curve.steps[there].astype(float), curve.values[there]
    if len(steps) <= most:
        return np.stack([steps, values, values, values], axis=1)
    ends = np.linspace(0, len(steps), most + 1).astype(int)
    starts = ends[:-1]
    sizes = np.diff(ends)
    found = np.stack(
        [
            np.add.reduceat(steps, starts) / sizes,
            # Of the largest size divided first, so that a sum of large numbers is no infinity.
            np.add.reduceat(values / sizes.max(), starts) / sizes * sizes.max(),
            np.minimum.reduceat(values, starts),
            np.maximum.reduceat(values, starts),
        ],
        axis=1,
    )
    found[0, 0], found[-1, 0] = steps[0], steps[-1]
    return found


def draw_gains(pairs: Sequence[Mapping[str, Any]], unit: str) -> Markup:
    """Draw each difference of two systems as a point with its 95% interval, and where none is.

    Args:
        pairs: ``first``, ``second``, ``difference``, ``low``, ``high``; those without all of them
            are not drawn.
        unit: what the difference is of.
    """
    rows: list[tuple[str, float, float, float]] = []
    for pair in pairs:
        ends = [pair.get(key) for key in ("difference", "low", "high")]
        if all(map(_is_number, ends)):
            difference, least, most = (float(each or 0) for each in ends)
            name = f"{pair['first']} \N{MINUS SIGN} {pair['second']}"
            rows.append((name, difference, least, most))
    if not rows:
        return Markup("")
    left = max(120, round(24 + _PER_CHARACTER * min(max(len(row[0]) for row in rows), 44)))
    right, top = left + 420, 14
    bottom = top + _ROW * len(rows)
    every = [0.0, *(number for row in rows for number in row[1:])]
    room = (max(every) - min(every)) * 0.06 or 0.05
    low, high = min(every) - room, max(every) + room
    x = _linear(low, high, left, right)
    opening = (
        f'<svg class="plot" viewBox="0 0 {right + 90} {bottom + 44}" role="img" '
        'aria-label="differences with 95% intervals">'
    )
    parts = [opening]
    parts += [
        (
            f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 6}" '
            f'y2="{bottom}"/><text class="tick" x="{x(tick):.1f}" y="{bottom + 16}">'
            f"{_signed(tick)}</text>"
        )
        for tick in _ticks(low, high, 6)
    ]
    parts.append(
        f'<line class="majority" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{top - 6}" y2="{bottom}"/>'
        f'<text class="tick" x="{(left + right) / 2:.0f}" y="{bottom + 34}">{drawn(unit)}</text>'
    )
    for place, (name, difference, least, most) in enumerate(rows):
        y = top + _ROW * (place + 0.5)
        is_clear = least > 0 or most < 0
        parts.append(
            f'<g class="{"good" if is_clear else "open"}">'
            f'<text class="system" x="{left - 12}" y="{y + 4:.1f}">{drawn(name, 44)}</text>'
            f'<line class="interval" x1="{x(least):.1f}" x2="{x(most):.1f}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><circle cx="{x(difference):.1f}" cy="{y:.1f}" r="5"/>'
            f'<text class="value" x="{x(max(most, difference)) + 10:.1f}" y="{y + 4:.1f}">'
            f"{difference:+.3f}</text></g>"
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _signed(value: float) -> str:
    return f"{value:+.3g}" if value else "0"


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _curve(
    name: str, points: np.ndarray, x: Callable[[float], float], y: Callable[[float], float]
) -> Iterator[str]:
    """Yield one curve: a band of what neighbours ranged over, a line, and points where few."""
    kind = "held" if name in _OF_OTHERS else "own"
    if (points[:, 3] > points[:, 2]).any():
        over = [f"{x(step):.1f},{y(high):.1f}" for step, _, _, high in points]
        under = [f"{x(step):.1f},{y(low):.1f}" for step, _, low, _ in points[::-1]]
        yield f'<polygon class="{kind}" points="{" ".join(over + under)}"/>'
    line = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value, _, _ in points)
    yield f'<polyline class="{kind}" points="{line}"/>'
    if len(points) <= 30:
        for step, value, _, _ in points:
            yield (
                f'<circle class="{kind}" cx="{x(step):.1f}" cy="{y(value):.1f}" r="3">'
                f"<title>step {step:,.0f}: {value:.5g}</title></circle>"
            )


def _labels(
    curves: Mapping[str, tuple[np.ndarray, float]], y: Callable[[float], float]
) -> Iterator[str]:
    """Yield the name of each curve on the right, with what it ends with, none upon another."""
    wanted = sorted((y(points[-1, 1]), name) for name, (points, _) in curves.items())
    at = -math.inf
    for place, name in wanted:
        at = max(place, at + 30)
        kind = "held" if name in _OF_OTHERS else "own"
        yield (
            f'<text class="{kind}" x="{_WIDTH - _RIGHT + 8}" y="{min(at, _HEIGHT - 34):.1f}">'
            f'{drawn(told_as(name), 18)}<tspan x="{_WIDTH - _RIGHT + 8}" dy="14">'
            f"{curves[name][1]:.4g}</tspan></text>"
        )


def _range(curves: Sequence[np.ndarray]) -> tuple[float, float, bool]:
    """Return the ends of an axis, and whether it is one of logarithms: where a curve falls far."""
    every = np.concatenate([points[:, 1:].ravel() for points in curves])
    low, high = float(every.min()), float(every.max())
    if low > _LEAST and any(points[0, 1] >= _FAR * points[-1, 1] for points in curves):
        return low / 1.05, high * 1.05, True
    span = high - low
    if span <= max(abs(high), abs(low)) * 1e-9 or span < _LEAST:  # as good as one value
        span = abs(high) if abs(high) > _LEAST else 1.0
    return low - span * 0.05, high + span * 0.05, False


def _linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _logarithmic(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    inner = _linear(math.log(low), math.log(high), start, end)
    return lambda value: inner(math.log(value))


def _ticks(low: float, high: float, about: int, *, whole: bool = False) -> list[float]:
    """Return round numbers from low to high, about so many."""
    span = (high - low) or 1.0
    size = 10.0 ** math.floor(math.log10(span / about))
    step = next(size * by for by in (1, 2, 5, 10) if span / (size * by) <= about)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step - 1e-9)
    count = int(high / step + 1e-9 - first) + 1
    # Counted, and of twelve digits, so that none is 0.30000000000000004 or -0.
    return [float(f"{(first + n) * step:.12g}") + 0.0 for n in range(count)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 of each power of ten between two ends; powers alone where they are many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    few = len(powers) <= 4
    every = max(1, len(powers) // 6)
    found = [by * 10.0**power for power in powers[::every] for by in ((1, 2, 5) if few else (1,))]
    return [tick for tick in found if low <= tick <= high]
