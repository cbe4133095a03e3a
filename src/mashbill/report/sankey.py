"""A Sankey diagram as inline SVG: who goes, the role in which they served, who loses.

Three columns of nodes; the width of a band is a number of artifacts, so what flows into a role
flows out of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

Flow = tuple[str, str, str, int]
"""(who goes, role, who loses, artifacts)"""

OTHERS = "others"
_WIDTH, _NODE, _GAP, _TOP, _LEFT = 1040, 14, 12, 34, 190
_LEAST = 16  # pixels of the smallest node: its label must fit beside it
_MOST = 40.0  # pixels of one artifact, where there are few
_TALL = 320.0  # pixels of all artifacts, however many there are
_HEADS = ("goes, by provider", "served in this role", "loses, by provider")


@dataclass(frozen=True)
class Node:
    """One box of the diagram."""

    column: int
    name: str
    count: int
    """artifacts"""
    x: float
    """pixels"""
    y: float
    height: float


@dataclass(frozen=True)
class Band:
    """One flow between neighbouring columns."""

    start: Node
    end: Node
    count: int
    y1: float
    """upper end at the start, pixels"""
    y2: float
    h1: float
    """height at the start, pixels"""
    h2: float


def grouped(flows: Sequence[Flow], most: int = 10) -> list[Flow]:
    """Return flows with all but the largest names of the outer columns as one."""
    counts = [Counter[str](), Counter[str]()]
    for who, _, loses, count in flows:
        counts[0][who] += count
        counts[1][loses] += count
    kept = [
        {name for name, _ in count.most_common(most if len(count) <= most else most - 1)}
        for count in counts
    ]
    merged: Counter[tuple[str, str, str]] = Counter()
    for who, role, loses, count in flows:
        merged[who if who in kept[0] else OTHERS, role, loses if loses in kept[1] else OTHERS] += (
            count
        )
    return [(*key, count) for key, count in merged.items()]


def layout(flows: Sequence[Flow]) -> tuple[list[Node], list[Band], float]:
    """Return the nodes, the bands, and the height of it all in pixels."""
    columns: list[Counter[str]] = [Counter(), Counter(), Counter()]
    between: list[Counter[tuple[str, str]]] = [Counter(), Counter()]
    for who, role, loses, count in flows:
        for column, name in zip(columns, (who, role, loses), strict=True):
            column[name] += count
        between[0][who, role] += count
        between[1][role, loses] += count
    total = sum(columns[0].values())
    unit = min(_MOST, _TALL / total) if total else 1.0
    heights = [
        sum(max(_LEAST, count * unit) + _GAP for count in column.values()) for column in columns
    ]
    height = max([*heights, 60.0])
    step = (_WIDTH - 2 * _LEFT - _NODE) / 2
    nodes: dict[tuple[int, str], Node] = {}
    for place, column in enumerate(columns):
        y = _TOP + (height - heights[place]) / 2
        for name, count in column.most_common():
            tall = max(_LEAST, count * unit)
            nodes[place, name] = Node(place, name, count, _LEFT + place * step, y, tall)
            y += tall + _GAP
    bands = []
    for place, pairs in enumerate(between):
        taken: dict[tuple[int, str], float] = {}
        ends = [
            (nodes[place, left].y, nodes[place + 1, right].y, left, right) for left, right in pairs
        ]
        for _, _, left, right in sorted(ends):
            count = pairs[left, right]
            start, end = nodes[place, left], nodes[place + 1, right]
            h1 = start.height * count / start.count
            h2 = end.height * count / end.count
            y1 = taken.get((place, left), start.y)
            y2 = taken.get((place + 1, right), end.y)
            bands.append(Band(start, end, count, y1, y2, h1, h2))
            taken[place, left], taken[place + 1, right] = y1 + h1, y2 + h2
    return list(nodes.values()), bands, height + 2 * _TOP


def draw_sankey(flows: Sequence[Flow]) -> Markup:
    """Draw flows; an empty list draws nothing."""
    if not flows:
        return Markup("")
    nodes, bands, height = layout(grouped(flows))
    opening = (
        f'<svg class="sankey" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'style="min-width:{_WIDTH * 0.8:.0f}px" '
        'aria-label="from who goes, by role, to who loses; width is a number of artifacts">'
    )
    parts = [opening]
    step = (_WIDTH - 2 * _LEFT - _NODE) / 2
    for place, head in enumerate(_HEADS):
        x = _LEFT + place * step + (0, _NODE / 2, _NODE)[place]
        anchor = ("start", "middle", "end")[place]
        parts.append(f'<text class="head" x="{x:.1f}" y="16" text-anchor="{anchor}">{head}</text>')
    parts += [_band(band) for band in bands]
    parts += [_node(node) for node in nodes]
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _band(band: Band) -> str:
    x1, x2 = band.start.x + _NODE, band.end.x
    middle = (x1 + x2) / 2
    told = f"{band.start.name} to {band.end.name}: {band.count:,}"
    kind = "out" if band.start.column == 0 else "in"
    return (
        f'<path class="{kind}" d="M{x1:.1f},{band.y1:.1f} C{middle:.1f},{band.y1:.1f} '
        f"{middle:.1f},{band.y2:.1f} {x2:.1f},{band.y2:.1f} L{x2:.1f},{band.y2 + band.h2:.1f} "
        f"C{middle:.1f},{band.y2 + band.h2:.1f} {middle:.1f},{band.y1 + band.h1:.1f} "
        f'{x1:.1f},{band.y1 + band.h1:.1f} Z"><title>{drawn(told)}</title></path>'
    )


def _node(node: Node) -> str:
    y = node.y + node.height / 2 + 4
    x, anchor = {
        0: (node.x - 8, "end"),
        1: (node.x + _NODE + 6, "start"),
        2: (node.x + _NODE + 8, "start"),
    }[node.column]
    return (
        f'<g><rect class="column{node.column}" x="{node.x:.1f}" y="{node.y:.1f}" width="{_NODE}" '
        f'height="{node.height:.1f}" rx="2"/><text class="label" x="{x:.1f}" y="{y:.1f}" '
        f'text-anchor="{anchor}">{drawn(node.name, 24)} '
        f'<tspan class="count">{node.count:,}</tspan></text>'
        f"<title>{drawn(node.name)}: {node.count:,}</title></g>"
    )
