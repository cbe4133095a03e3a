"""Drawings of a case over time, as inline SVG: who asked when, and how the statistics grew."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup

from mashbill.core.plain import counted
from mashbill.report.conduct_words import moment, odds, power_of_ten, told
from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.conduct.evidence.case import Case, Mark

LINES = 50
"""of the heat map; more accounts stand several in a line"""
COLUMNS = 180
_LEVELS = 5
_LEFT, _WIDTH, _RIGHT = 128, 900, 20
_TOTAL, _ABOVE, _BELOW = 52, 44, 26
_HOUR = 3600 * 1_000_000
_STEPS = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720, 1440, 2880, 8766, 17532, 87660)
"""hours between ticks of time"""
_WORDS = {
    "429": ("refusal for a limit", "refusals for a limit"),
    "ban": ("ban", "bans"),
    "signup": ("sign-up", "sign-ups"),
    "release": ("release of a model", "releases of models"),
    "found": ("found", "found"),
}
_LOWEST = -2.0
"""of the axis of statistics: what speaks for honest use is not told apart below"""


class Span(NamedTuple):
    """A stretch of time, and where it is drawn."""

    start: int
    end: int
    left: float
    right: float

    def x(self, time: float) -> float:
        """Return where a moment stands, at the nearer end if it is outside."""
        part = (time - self.start) / max(self.end - self.start, 1)
        return self.left + min(max(part, 0.0), 1.0) * (self.right - self.left)


def binned(case: Case) -> tuple[list[tuple[str, int]], np.ndarray, int]:
    """Return the lines of the heat map (name, accounts), counts, and microseconds of a column.

    Counts have the shape (lines, columns): accounts and bins are put together until there are at
    most :data:`LINES` and :data:`COLUMNS`.
    """
    rows = case.timeline.rows
    table = np.array([row.counts for row in rows], np.int64)
    table = table.reshape(len(rows), len(rows[0].counts) if rows else 0)
    size = case.timeline.bin_seconds * 1_000_000
    per_column = max(1, math.ceil(table.shape[1] / COLUMNS))
    per_line = max(1, math.ceil(len(table) / LINES))
    if table.size:
        table = np.add.reduceat(table, np.arange(0, table.shape[1], per_column), axis=1)
        table = np.add.reduceat(table, np.arange(0, len(table), per_line), axis=0)
    names = []
    for at in range(0, len(rows), per_line):
        more = len(rows[at : at + per_line]) - 1
        names.append((case.name_of(rows[at].account) + (f" +{more}" if more else ""), more + 1))
    return names, table, size * per_column


def levels(table: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """Return the level of each count, 0 for none, and the largest count of each level."""
    most = int(table.max(initial=0))
    ends = sorted({math.ceil(most * (level / _LEVELS) ** 2) for level in range(1, _LEVELS + 1)})
    ends = [end for end in ends if end]
    return np.where(table > 0, np.searchsorted(ends, table) + 1, 0), ends


def draw_timeline(case: Case) -> Markup:
    """Draw exchanges by line and time, their sum above, and what happened; empty without rows."""
    names, table, size = binned(case)
    if not table.size:
        return Markup("")
    start = case.timeline.start
    span = Span(start, start + size * table.shape[1], _LEFT, _LEFT + _WIDTH)
    step = 22 if len(names) <= 4 else 16 if len(names) <= 24 else 11
    top = _ABOVE + _TOTAL + 12
    bottom = top + step * len(names)
    parts = [
        (
            f'<svg class="heat" viewBox="0 0 {_LEFT + _WIDTH + _RIGHT} {bottom + _BELOW}" '
            'role="img" '
            'aria-label="exchanges of each account over time, with what happened to it">'
        )
    ]
    parts += _time_axis(span, _ABOVE, bottom)
    parts += _totals(table.sum(axis=0), span)
    parts += _cells(names, table, span, top, step)
    parts += _marks(case, span, top, step, bottom)
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def legend(case: Case) -> tuple[list[str], str]:
    """Return what each level of the heat map stands for, and how long a column is."""
    _, table, size = binned(case)
    _, ends = levels(table)
    lows = [1, *(end + 1 for end in ends[:-1])]
    words = [
        f"{low:,}" if low == end else f"{low:,} to {end:,}"
        for low, end in zip(lows, ends, strict=True)
    ]
    hours = size / _HOUR
    if hours >= 48 and hours % 24 == 0:
        return words, counted(round(hours / 24), "day")
    if hours == int(hours):
        return words, counted(int(hours), "hour")
    return words, counted(round(size / 60_000_000), "minute")


def _totals(sums: np.ndarray, span: Span) -> Iterator[str]:
    most = int(sums.max(initial=0))
    floor = _ABOVE + _TOTAL
    wide = (span.right - span.left) / len(sums)
    path = "".join(
        f"M{span.left + at * wide:.1f},{floor}v{-value / most * _TOTAL:.1f}h{wide:.1f}V{floor}z"
        for at, value in enumerate(sums.tolist())
        if value
    )
    yield (
        f'<text class="tick" x="{_LEFT - 8}" y="{_ABOVE + 9}" text-anchor="end">{most:,}</text>'
        f'<text class="tick" x="{_LEFT - 8}" y="{floor}" text-anchor="end">all together</text>'
        f'<path class="total" d="{path}"><title>all together; at most {most:,} in a column'
        f"</title></path>"
        f'<line class="axis" x1="{_LEFT}" x2="{span.right}" y1="{floor}" y2="{floor}"/>'
    )


def _cells(
    names: Sequence[tuple[str, int]], table: np.ndarray, span: Span, top: int, step: int
) -> Iterator[str]:
    """Yield each line: its name, and a path a level, in which neighbours are one."""
    grade, _ = levels(table)
    wide = (span.right - span.left) / table.shape[1]
    gap = 2 if step > 11 else 1
    for place, (name, accounts) in enumerate(names):
        y = top + place * step
        sums = counted(int(table[place].sum()), "exchange")
        of = "" if accounts == 1 else f", {counted(accounts, 'account')}"
        yield (
            f'<g class="row"><title>{drawn(name, 60)}{of}: {sums}</title>'
            f'<rect class="bed" x="{_LEFT}" y="{y}" width="{_WIDTH}" height="{step - gap}"/>'
        )
        if step > 11 or place % 2 == 0:
            yield (
                f'<text class="tick" x="{_LEFT - 8}" y="{y + step / 2 + 3:.1f}" '
                f'text-anchor="end">{drawn(name, 20)}</text>'
            )
        line = grade[place]
        edges = np.flatnonzero(np.diff(line, prepend=-1, append=-1))
        paths: dict[int, list[str]] = {}
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            level = int(line[first])
            if level:
                paths.setdefault(level, []).append(
                    f"M{span.left + first * wide:.1f},{y}h{(last - first) * wide:.1f}"
                    f"v{step - gap}H{span.left + first * wide:.1f}z"
                )
        for level, pieces in sorted(paths.items()):
            yield f'<path class="l{level}" d="{"".join(pieces)}"/>'
        yield "</g>"


def _marks(case: Case, span: Span, top: int, step: int, bottom: int) -> Iterator[str]:
    """Yield what happened: to all as lines, to an account where its line is."""
    rows = {row.account: at for at, row in enumerate(case.timeline.rows)}
    per_line = max(1, math.ceil(len(rows) / LINES))
    found: dict[tuple[str, int, int], list[Mark]] = {}
    common: dict[tuple[str, int], int] = {("found", round(span.x(case.found))): case.found}
    for mark in case.timeline.marks:
        x = round(span.x(mark.time))
        if mark.account is None or mark.what in ("release", "found"):
            if mark.what != "found":
                common.setdefault((mark.what, x), mark.time)
        elif mark.account in rows:
            found.setdefault((mark.what, rows[mark.account] // per_line, x // 4), []).append(mark)
    for (what, line, _), marks in sorted(found.items()):
        at, y = span.x(marks[0].time), top + line * step + (step - 2) / 2
        words = _WORDS[what]
        number = f"1 {words[0]}" if len(marks) == 1 else f"{len(marks):,} {words[1]}"
        whose = {mark.account or "" for mark in marks}
        name = case.name_of(min(whose)) if len(whose) == 1 else counted(len(whose), "account")
        yield (
            f'<g class="m{what}"><title>{drawn(name, 60)}: {number}, '
            f"{told(marks[0].time)} UTC</title>{_glyph(what, at, y)}</g>"
        )
    ends = [-math.inf] * 2
    for (what, x), time in sorted(common.items(), key=lambda item: item[1]):
        said = f"{_WORDS[what][0]}, {told(time)[5:]}"
        room = 6.3 * len(said)
        left = x if x + room < span.right else x - room
        lane = next((i for i, end in enumerate(ends) if end < left), None)
        label = ""
        if lane is not None:
            ends[lane] = left + room + 10
            label = f'<text class="c{what}" x="{left:.1f}" y="{12 + 15 * lane}">{said}</text>'
        yield (
            f'<g class="c{what}"><title>{_WORDS[what][0]}: {told(time)} UTC</title>'
            f'<line x1="{x}" x2="{x}" y1="{16 + 15 * (lane or 0)}" y2="{bottom}"/>{label}</g>'
        )


def _glyph(what: str, x: float, y: float) -> str:
    if what == "ban":
        return f'<path d="M{x - 4:.1f},{y - 4:.1f}l8,8m0,-8l-8,8"/>'
    if what == "signup":
        return f'<path d="M{x:.1f},{y - 4:.1f}l4.5,8h-9z"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'


def _time_axis(span: Span, top: float, bottom: float) -> Iterator[str]:
    hours = (span.end - span.start) / _HOUR
    step = next((one for one in _STEPS if hours / one <= 9), _STEPS[-1])
    first = math.ceil(span.start / (step * _HOUR))
    for number in range(first, span.end // (step * _HOUR) + 1):
        time = number * step * _HOUR
        x = span.x(time)
        when = moment(time)
        said = f"{when:%H:%M}" if step < 24 and when.hour else f"{when:%b} {when.day}"
        yield (
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{said}</text>'
        )


_GROWTH_LEFT, _GROWTH_RIGHT, _GROWTH_TOP, _GROWTH_HEIGHT = 74, 816, 20, 250
_GROWN = 400
_KINDS = ("J", "X", "I", "L")


def draw_growth(case: Case) -> Markup:
    """Draw the four statistics over time, with the thresholds; empty without two moments."""
    points = case.growth
    if len(points) < 2:
        return Markup("")
    if len(points) > _GROWN:
        points = tuple(points[at] for at in np.linspace(0, len(points) - 1, _GROWN).astype(int))
    span = Span(points[0].time, points[-1].time, _GROWTH_LEFT, _GROWTH_RIGHT)
    series = {kind: [float(getattr(one, kind)) for one in points] for kind in _KINDS}
    tiers = _tiers(case)
    top = max(1.0, *tiers.values(), *(max(values) for values in series.values())) * 1.06
    low = max(_LOWEST, min(0.0, *(min(values) for values in series.values())))
    floor = _GROWTH_TOP + _GROWTH_HEIGHT

    def y(value: float) -> float:
        return floor - (min(max(value, low), top) - low) / (top - low) * _GROWTH_HEIGHT

    parts = [
        (
            f'<svg class="growth" viewBox="0 0 {_GROWTH_RIGHT + 170} {floor + 30}" role="img" '
            'aria-label="the four statistics over time, axis of logarithms">'
        )
    ]
    every = max(1, math.ceil((top - low) / 7))
    parts += [
        f'<line class="grid" x1="{_GROWTH_LEFT}" x2="{_GROWTH_RIGHT}" y1="{y(power):.1f}" '
        f'y2="{y(power):.1f}"/><text class="tick" x="{_GROWTH_LEFT - 8}" y="{y(power) + 4:.1f}" '
        f'text-anchor="end">{power_of_ten(power) if power else 1}</text>'
        for power in range(math.ceil(low / every) * every, math.floor(top) + 1, every)
    ]
    parts += _time_axis(span, _GROWTH_TOP, floor)
    parts += [
        f'<g class="tier"><title>{name}: {odds(value)}</title><line x1="{_GROWTH_LEFT}" '
        f'x2="{_GROWTH_RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text x="{_GROWTH_LEFT + 6}" y="{y(value) - 4:.1f}">{name}</text></g>'
        for name, value in tiers.items()
    ]
    if span.start <= case.found <= span.end:
        x = span.x(case.found)
        parts.append(
            f'<g class="cfound"><title>found: {told(case.found)} UTC</title><line x1="{x:.1f}" '
            f'x2="{x:.1f}" y1="{_GROWTH_TOP - 4}" y2="{floor}"/><text class="cfound" '
            f'text-anchor="middle" x="{x:.1f}" y="{_GROWTH_TOP - 8}">found</text></g>'
        )
    labels = _clear({kind: y(values[-1]) + 4 for kind, values in series.items()}, floor + 6)
    for kind in sorted(_KINDS, key=lambda kind: kind == case.finding):  # its own is on top
        values = series[kind]
        steps = "".join(
            f"H{span.x(one.time):.1f}V{y(value):.1f}"
            for one, value in zip(points, values, strict=True)
        )
        is_it = " it" if kind == case.finding else ""
        parts.append(
            f'<g class="k{kind}{is_it}"><title>{kind}: {odds(values[-1])} at the end</title>'
            f'<path d="M{_GROWTH_LEFT},{y(values[0]):.1f}{steps}"/>'
            f'<text x="{_GROWTH_RIGHT + 8}" y="{labels[kind]:.1f}">{kind}: {odds(values[-1])}'
            "</text></g>"
        )
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _clear(wanted: dict[str, float], lowest: float) -> dict[str, float]:
    """Return where labels stand: near what they want, none upon another, none too low."""
    order = sorted(wanted, key=lambda name: (wanted[name], name))
    found: dict[str, float] = {}
    for number, name in enumerate(reversed(order)):
        found[name] = min(wanted[name], lowest - 16 * number)
    at = -math.inf
    for name in order:
        at = found[name] = max(found[name], at + 16)
    return found


def _tiers(case: Case) -> dict[str, float]:
    """Return the thresholds that are known, by the name of their tier."""
    if case.thresholds is None:
        return {case.tier: case.threshold}
    return {
        "note": case.thresholds.note,
        "review": case.thresholds.review,
        "act": case.thresholds.act,
    }
