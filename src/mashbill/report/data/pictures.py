"""Pictures of data as inline SVG: lengths of texts, counts of values, what each stage kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH, _HEIGHT, _TOP, _FOOT = 720, 150, 16, 34
_LEFT, _STEP, _NAME = 210, 22, 30
_TICKS = 6  # that are written below a histogram
_ROWS = 20  # bars that are drawn of one column


def short_number(value: float) -> str:
    """Return a number as a picture has room for it."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scaled = value / (1e3 if letter == "k" else size)
            return f"{scaled:.3g}{letter}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def draw_histogram(bins: Sequence[Sequence[float]], what: str) -> Markup:
    """Draw bars side by side, the first number of each below some of them.

    Args:
        bins: (from, to, rows or share), in order.
        what: is counted, for who does not see the picture.
    """
    if not bins:
        return Markup("")
    most = max(each[2] for each in bins) or 1
    wide = (_WIDTH - 20) / len(bins)
    bottom = _TOP + _HEIGHT
    parts = [
        _opening(bottom + _FOOT, what),
        f'<line class="grid" x1="10" x2="{_WIDTH - 10}" y1="{bottom}" y2="{bottom}"/>',
    ]
    every = max(1, -(-len(bins) // _TICKS))
    for at, (low, high, count) in enumerate(bins):
        x, tall = 10 + at * wide, _HEIGHT * count / most
        told = f"{short_number(low)} to {short_number(high)}: {short_number(count)}"
        parts.append(
            f'<rect x="{x + 0.5:.1f}" y="{bottom - tall:.1f}" width="{max(wide - 1, 0.5):.1f}" '
            f'height="{tall:.1f}"><title>{drawn(told)}</title></rect>'
        )
        if at % every == 0 and (at < len(bins) - every / 2 or not at):
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{bottom + 16}">{short_number(low)}</text>'
            )
    end = f'x="{_WIDTH - 10}" text-anchor="end"'
    parts += [
        f'<text class="tick" {end} y="{bottom + 16}">{short_number(bins[-1][1])}</text>',
        f'<text class="tick" {end} y="{bottom + 30}">{drawn(what)}</text>',
    ]
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def draw_counts(counts: Sequence[tuple[str, float]], what: str, *, shares: bool = False) -> Markup:
    """Draw a bar a value, one below the other, with its count or its share.

    Args:
        counts: (value, rows or share), in order.
        what: is counted, for who does not see the picture.
        shares: whether they are shares, 0 to 1.
    """
    shown = list(counts[:_ROWS])
    rest = sum(count for _, count in counts[_ROWS:])
    if rest:
        shown.append((f"{len(counts) - _ROWS} others", rest))
    most = max((count for _, count in shown), default=0) or 1
    rows = [(name, [(count, "")], f"{count:.1%}" if shares else f"{count:,}")
            for name, count in shown]  # fmt: skip
    return _rows(rows, most, what)


def draw_yields(stages: Sequence[tuple[str, int, int]], what: str) -> Markup:
    """Draw a bar a stage: rows kept, and behind them rows rejected.

    Args:
        stages: (name, kept, rejected), in order.
        what: is counted, for who does not see the picture.
    """
    most = max((kept + gone for _, kept, gone in stages), default=0) or 1
    rows = [
        (name, [(kept, ""), (gone, "gone")],
         f"{kept:,}" + (f", {gone:,} rejected" if gone else ""))
        for name, kept, gone in stages
    ]  # fmt: skip
    return _rows(rows, most, what)


def _opening(height: float, what: str) -> str:
    box = f'viewBox="0 0 {_WIDTH} {height}"'
    return f'<svg class="bars" {box} role="img" aria-label="{drawn(what)}">'


def _rows(
    rows: Sequence[tuple[str, Sequence[tuple[float, str]], str]], most: float, what: str
) -> Markup:
    if not rows:
        return Markup("")
    room = _WIDTH - _LEFT - 170
    parts = [_opening(len(rows) * _STEP + 8, what)]
    for at, (name, pieces, told) in enumerate(rows):
        y, x = 4 + at * _STEP, float(_LEFT)
        parts.append(f'<text class="name" x="{_LEFT - 8}" y="{y + 14}">{drawn(name, _NAME)}</text>')
        for size, style in pieces:
            wide = room * size / most
            parts.append(
                f'<rect class="{style or "kept"}" x="{x:.1f}" y="{y + 2}" width="{wide:.1f}" '
                f'height="{_STEP - 6}"/>'
            )
            x += wide
        parts.append(f'<text class="count" x="{x + 6:.1f}" y="{y + 14}">{drawn(told)}</text>')
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped
