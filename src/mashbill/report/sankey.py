"""A Sankey diagram as inline SVG: who goes, the role in which they served, who loses.

Three columns of nodes. The width of a band is its number of artifacts at one scale for the whole
drawing, so what flows into a role flows out of it, and widths may be compared by eye.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Sequence

Flow = tuple[str, str, str, int]
"""(who goes, role, who loses, artifacts)"""

OTHERS = "others"
_WIDTH, _LEFT, _TOP, _NODE = 1100, 200, 34, 14  # pixels, as all sizes here
_COLUMN_X = (_LEFT, (_WIDTH - _NODE) / 2, _WIDTH - _LEFT - _NODE)
_TALL = 330  # height of a column's bars, gaps left out
_MOST = 14  # of one artifact, so that a few do not fill the page
_ROW, _GAP = 20, 8  # the least that a label takes; room below it
_THINNEST = 1.5  # of a bar as it is drawn
_LABEL = 150  # room for a name
_HEADS = ("what goes, by provider", "role in which it served", "what loses, by provider")


@dataclass(frozen=True)
class Node:
    """One bar of the diagram."""

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
    """artifacts"""
    y1: float
    """upper edge at the start, pixels"""
    y2: float
    """upper edge at the end"""
    width: float


def grouped(flows: Sequence[Flow], most: int = 10) -> list[Flow]:
    """Return flows with all but the largest names of the outer columns as one.

    Args:
        flows: as ``Told.flows()`` gives them.
        most: names that a column may have, that of the rest included.
    """
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
        ends = (who if who in kept[0] else OTHERS, loses if loses in kept[1] else OTHERS)
        merged[ends[0], role, ends[1]] += count
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
    unit = min(_MOST, _TALL / max(sum(columns[0].values()), 1))
    nodes, height = _nodes(columns, unit)
    bands = []
    for place, pairs in enumerate(between):
        filled: Counter[tuple[int, str]] = Counter()  # artifacts whose bands are placed, by node
        ends = [(nodes[place, a], nodes[place + 1, b], count) for (a, b), count in pairs.items()]
        for start, end, count in sorted(ends, key=lambda each: (each[0].y, each[1].y)):
            y1 = start.y + filled[start.column, start.name] * unit
            y2 = end.y + filled[end.column, end.name] * unit
            bands.append(Band(start, end, count, y1, y2, count * unit))
            filled[start.column, start.name] += count
            filled[end.column, end.name] += count
    return list(nodes.values()), bands, height


def _nodes(
    columns: Sequence[Counter[str]], unit: float
) -> tuple[dict[tuple[int, str], Node], float]:
    """Return nodes by (column, name), the largest first and the others last, and the height.

    Args:
        columns: artifacts by name, a counter for each column.
        unit: pixels of one artifact.
    """
    rooms = [sum(max(_ROW, count * unit) + _GAP for count in column.values()) for column in columns]
    tallest = max(rooms)
    nodes = {}
    for place, column in enumerate(columns):
        y = _TOP + (tallest - rooms[place]) / 2
        for name in sorted(column, key=lambda each: (each == OTHERS, -column[each], each)):
            tall = column[name] * unit
            room = max(_ROW, tall)
            top = y + (room - tall) / 2
            nodes[place, name] = Node(place, name, column[name], _COLUMN_X[place], top, tall)
            y += room + _GAP
    return nodes, _TOP + tallest


def draw_sankey(flows: Sequence[Flow]) -> Markup:
    """Draw flows; an empty list draws nothing."""
    if not flows:
        return Markup("")
    nodes, bands, height = layout(grouped(flows))
    opening = (
        f'<svg class="sankey" viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'style="min-width:{_WIDTH * 0.8:.0f}px" '
        'aria-label="from what goes, by role, to what loses; width is a number of artifacts">'
    )
    parts = [opening]
    for x, anchor, head in zip(_COLUMN_X, ("start", "middle", "end"), _HEADS, strict=True):
        at = x + {"start": 0, "middle": _NODE / 2, "end": _NODE}[anchor]
        parts.append(f'<text class="head" x="{at:.1f}" y="16" text-anchor="{anchor}">{head}</text>')
    parts += [_band(band) for band in bands]
    parts += [_node(node) for node in nodes]
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _band(band: Band) -> str:
    x1, x2 = band.start.x + _NODE, band.end.x
    middle = (x1 + x2) / 2
    low1, low2 = band.y1 + band.width, band.y2 + band.width
    told = f"{band.start.name} → {band.end.name}: {_artifacts(band.count)}"
    return (
        f'<path class="{"out" if band.start.column == 0 else "in"}" '
        f'd="M{x1:.1f},{band.y1:.2f} C{middle:.1f},{band.y1:.2f} {middle:.1f},{band.y2:.2f} '
        f"{x2:.1f},{band.y2:.2f} L{x2:.1f},{low2:.2f} "
        f'C{middle:.1f},{low2:.2f} {middle:.1f},{low1:.2f} {x1:.1f},{low1:.2f} Z">'
        f"<title>{escape(told)}</title></path>"
    )


def _node(node: Node) -> str:
    left = node.column == 0
    x, anchor = (node.x - 8, "end") if left else (node.x + _NODE + 8, "start")
    return (
        f"<g><title>{escape(node.name)}: {_artifacts(node.count)}</title>"
        f'<rect class="column{node.column}" x="{node.x:.1f}" y="{node.y:.2f}" width="{_NODE}" '
        f'height="{max(node.height, _THINNEST):.2f}"/>'
        f'<text class="label" x="{x:.1f}" y="{node.y + node.height / 2 + 4.5:.1f}" '
        f'text-anchor="{anchor}">{escape(_short(node.name))} '
        f'<tspan class="count">{node.count:,}</tspan></text></g>'
    )


def _artifacts(count: int) -> str:
    return f"{count:,} artifact" + ("s" if count != 1 else "")


def _short(name: str) -> str:
    """Return a name, or as much of it as its column has room for."""
    room = float(_LABEL)
    for place, sign in enumerate(name):
        wide = unicodedata.east_asian_width(sign) in "WF"
        room -= 13 if wide else 10 if sign.isupper() or sign in "mw@%—…" else 7
        if room < 0:
            return name[:place].rstrip() + "…"
    return name
