"""Drawings of rewards as inline SVG: scores, scores by length, pass@k with intervals and bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from mashbill.report.rewards import BINS
from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.core.attempts import PassAt
    from mashbill.report.rewards import Rewards

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 430, 210, 46, 16, 40
_Z = 1.96
_ROW, _NAMES = 26, 190


def draw_scores(told: Rewards) -> Markup:
    """Draw how many outputs have which score; those that pass have the accent's colour."""
    most = max(told.histogram, default=0)
    if not most:
        return Markup("")
    room, floor = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM
    step = room / BINS
    parts = [_opening("scores", _WIDTH, _HEIGHT, "how many outputs have which score")]
    for place, count in enumerate(told.histogram):
        tall = (floor - _TOP) * count / most
        tall = max(tall, 1.5) if count else 0
        begin, end = place / BINS, (place + 1) / BINS
        kind = "passes" if begin + 1e-9 >= told.passes else "low"
        last = "]" if place == BINS - 1 else ")"
        parts.append(
            f'<rect class="{kind}" x="{_LEFT + place * step + 1:.1f}" y="{floor - tall:.1f}" '
            f'width="{step - 2:.1f}" height="{tall:.1f}"><title>[{begin:.2f}, {end:.2f}{last}: '
            f"{count:,}</title></rect>"
        )
    x = _LEFT + room * told.passes
    parts += [
        f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{floor}" y2="{floor}"/>',
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 6}" y2="{floor}"/>',
        f'<text class="tick" x="{_LEFT - 6}" y="{_TOP + 6}" text-anchor="end">{most:,}</text>',
        *_ticks(floor, room),
        _named("score; outputs pass from the dashed line on"),
    ]
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def draw_lengths(told: Rewards) -> Markup:
    """Draw the mean score of the shortest outputs to the longest, by tenths, with 95% intervals."""
    shares = told.lengths
    if len(shares) < 2:
        return Markup("")
    room, floor = _WIDTH - _LEFT - 20, _HEIGHT - _BOTTOM

    def y(value: float) -> float:
        return floor - (floor - _TOP) * min(max(value, 0.0), 1.0)

    parts = [_opening("lengths", _WIDTH, _HEIGHT, "mean score by length of the output")]
    parts += [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y(tenth):.1f}" '
        f'y2="{y(tenth):.1f}"/><text class="tick" x="{_LEFT - 6}" y="{y(tenth) + 4:.1f}" '
        f'text-anchor="end">{tenth:.1f}</text>'
        for tenth in (0.0, 0.5, 1.0)
    ]
    step = room / (len(shares) - 1)
    points = [(_LEFT + 8 + place * step, share) for place, share in enumerate(shares)]
    line = " ".join(f"{x:.1f},{y(share.mean):.1f}" for x, share in points)
    parts.append(f'<polyline class="line" points="{line}"/>')
    every = max(len(points) // 5, 1)
    for place, (x, share) in enumerate(points):
        low, high = share.mean - _Z * share.error, share.mean + _Z * share.error
        parts.append(
            f'<g><line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{y(low):.1f}" '
            f'y2="{y(high):.1f}"/><circle cx="{x:.1f}" cy="{y(share.mean):.1f}" r="4"/>'
            f"<title>{share.shortest:,} to {share.longest:,} characters, {share.rows:,} rows: "
            f"{share.mean:.3f}</title></g>"
        )
        if place % every == 0:
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{floor + 16}" text-anchor="middle">'
                f"{_short(share.longest)}</text>"
            )
    parts.append(_named("characters, up to; each point a tenth of the rows"))
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def draw_pass(rows: Sequence[tuple[str, PassAt]]) -> Markup:
    """Draw pass@k: the estimate, its interval, and behind it what unscored attempts leave open.

    Args:
        rows: (what it is of, pass@k).
    """
    if not rows:
        return Markup("")
    right, top = _NAMES + 420, 22
    height = top + _ROW * len(rows) + 28
    floor = top + _ROW * len(rows)

    def x(value: float) -> float:
        return _NAMES + (right - _NAMES) * value

    parts = [_opening("passes", right + 110, height, "pass@k with 95% intervals and bounds")]
    parts += [
        f'<line class="grid" x1="{x(tenth):.1f}" x2="{x(tenth):.1f}" y1="{top - 6}" '
        f'y2="{floor}"/><text class="tick" x="{x(tenth):.1f}" y="{floor + 16}" '
        f'text-anchor="middle">{tenth:.1f}</text>'
        for tenth in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    for place, (name, one) in enumerate(rows):
        middle = top + _ROW * (place + 0.5)
        parts.append(
            f'<text class="system" x="{_NAMES - 12}" y="{middle + 4:.1f}">{drawn(name, 26)}</text>'
        )
        if one.groups + one.unscored:
            parts.append(
                f'<rect class="bounds" x="{x(one.at_least):.1f}" y="{middle - 7:.1f}" '
                f'width="{max(x(one.at_most) - x(one.at_least), 1):.1f}" height="14"/>'
            )
        if one.estimate is None:
            parts.append(
                f'<text class="tick" x="{right + 8}" y="{middle + 4:.1f}">{one.lacking}</text>'
            )
            continue
        parts.append(
            f'<line class="interval" x1="{x(one.low):.1f}" x2="{x(one.high):.1f}" '
            f'y1="{middle:.1f}" y2="{middle:.1f}"/><circle cx="{x(one.estimate):.1f}" '
            f'cy="{middle:.1f}" r="5"/><text class="value" x="{right + 8}" y="{middle + 4:.1f}">'
            f"{one.estimate:.3f}</text>"
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _opening(kind: str, width: float, height: float, label: str) -> str:
    return (
        f'<svg class="reward {kind}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{label}">'
    )


def _ticks(floor: float, room: float) -> list[str]:
    return [
        f'<text class="tick" x="{_LEFT + room * tenth / 10:.1f}" y="{floor + 16}" '
        f'text-anchor="middle">{tenth / 10:.1f}</text>'
        for tenth in range(0, 11, 2)
    ]


def _named(text: str) -> str:
    middle = (_LEFT + _WIDTH) / 2
    return f'<text class="tick" x="{middle}" y="{_HEIGHT - 6}" text-anchor="middle">{text}</text>'


def _short(number: int) -> str:
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:,.0f}k" if number < 10_000_000 else f"{number / 1e6:,.0f}M"
