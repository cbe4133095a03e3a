"""The chain as inline SVG: boxes, and lines that run around them, with what came by each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from mashbill.core.shown import shown
from mashbill.report.folding import Place, folded
from mashbill.report.layout import LABEL_HEIGHT, Layout, LayoutError, Line, lay_out
from mashbill.report.templating import drawn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.report.gather import Box
    from mashbill.report.layout import Drawn, Point

_WIDTH, _HEIGHT = 172.0, 48.0  # of a box
_MARGIN = 6.0
_LETTER = 6.1  # of a label, in pixels: wide letters of a wide font
_NAME, _COUNTED = 24, 32  # letters that a box has room for
_ACROSS = 1120.0  # pixels that a page has: a wider chain runs from top to bottom
_FEW = 40  # boxes that may stand side by side at all
_GROUP = "chain-group-"
_FREE = 18  # letters of a name that surely fit


@dataclass(frozen=True)
class ChainPicture:
    """A chain, as a page shows it."""

    svg: Markup
    """for a wide window; empty if it could not be laid out"""
    narrow: Markup
    """for a narrow one, where it is another"""
    places: tuple[Place, ...]
    failed: str = ""
    """why there is no drawing, for people"""

    @property
    def groups(self) -> list[tuple[str, Place]]:
        """(anchor, place) of those that several boxes stand in."""
        return [(f"{_GROUP}{at}", p) for at, p in enumerate(self.places) if p.is_folded]

    @property
    def boxes(self) -> list[Box]:
        """All boxes, those in groups too."""
        return [box for place in self.places for box in place.members]


def draw_chain(boxes: Sequence[Box]) -> ChainPicture:
    """Draw what a result rests on, each thing after all that it rests on, from 20 on folded."""
    places = folded(boxes)
    lines, told = _lines(places)
    sizes = [(_WIDTH, _HEIGHT)] * len(places)
    try:
        down = lay_out(sizes, lines, "down")
        across = lay_out(sizes, lines, "across") if len(places) <= _FEW else None
    except LayoutError as error:
        return ChainPicture(Markup(), Markup(), tuple(places), str(error))
    if across is None or across.width > _ACROSS:
        return ChainPicture(_svg(places, down, lines, told), Markup(), tuple(places))
    wide, narrow = _svg(places, across, lines, told), _svg(places, down, lines, told)
    return ChainPicture(wide, narrow if len(places) > 1 else Markup(), tuple(places))


def _lines(places: Sequence[Place]) -> tuple[list[Line], list[tuple[str, ...]]]:
    """Return the lines of a drawing and the channels of each; content alone has no label."""
    lines, told = [], []
    for number, place in enumerate(places):
        for other, channels in place.inputs:
            words = "" if channels == ("content",) else " + ".join(channels)
            lines.append(Line(other, number, _LETTER * len(words) + 8 if words else 0.0))
            told.append(channels)
    return lines, told


def _svg(
    places: Sequence[Place], found: Layout, lines: Sequence[Line], told: Sequence[tuple[str, ...]]
) -> Markup:
    width, height = (math.ceil(end + 2 * _MARGIN) for end in (found.width, found.height))
    opening = (
        f'<svg class="chain" viewBox="{-_MARGIN:g} {-_MARGIN:g} {width} {height}" width="{width}" '
        f'height="{height}" role="group" aria-label="the chain: {len(places)} boxes; the table '
        'below says the same in words">'
    )
    parts = [opening]
    parts += [_path(drawn_, channels) for drawn_, channels in zip(found.lines, told, strict=True)]
    parts += [_box(at, place, *found.boxes[at]) for at, place in enumerate(places)]
    parts += [
        _label(one.label, channels)
        for one, line, channels in zip(found.lines, lines, told, strict=True)
        if line.label and one.label is not None
    ]
    return Markup("".join(parts) + "</svg>")  # noqa: S704 - every text in it is escaped


def _path(line: Drawn, channels: tuple[str, ...]) -> str:
    first, *others = line.curve
    way = f"M{_at(first)}C" + " ".join(map(_at, others))
    name = drawn(channels[-1])
    return f'<path class="{name}" d="{way}"/><path class="tip {name}" d="{_arrow(line)}"/>'


def _arrow(line: Drawn) -> str:
    """Return a small triangle from the end of the curve to the border of the box."""
    (x1, y1), (x2, y2) = line.curve[-1], line.tip
    long = math.hypot(x2 - x1, y2 - y1) or 1.0
    dx, dy = 3.2 * (y2 - y1) / long, -3.2 * (x2 - x1) / long
    return f"M{_at((x2, y2))}L{_at((x1 + dx, y1 + dy))}L{_at((x1 - dx, y1 - dy))}Z"


def _at(point: Point) -> str:
    return f"{point[0]:.1f},{point[1]:.1f}"


def _label(middle: Point, channels: tuple[str, ...]) -> str:
    x, y = middle
    told, name = drawn(" + ".join(channels)), drawn(channels[-1])
    room = _LETTER * len(" + ".join(channels))
    return (
        f'<text class="channel {name}" x="{x:.1f}" y="{y + LABEL_HEIGHT / 4:.1f}" '
        f'textLength="{room * 0.88:.0f}" lengthAdjust="spacingAndGlyphs">{told}</text>'
    )


def _box(number: int, place: Place, x: float, y: float) -> str:
    middle = x + _WIDTH / 2
    kind = f"{drawn(place.what)}{' folded' if place.is_folded else ''}"
    behind = (
        f'<rect x="{x + 4:.1f}" y="{y + 4:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        if place.is_folded
        else ""
    )
    inside = (
        f'<g class="{kind}"><title>{drawn(_whole(place), 300)}</title>{behind}'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{middle:.1f}" y="{y + 20:.1f}" class="name"{_fit(place.name, 7.4)}>'
        f"{drawn(place.name, _NAME)}</text>"
        f'<text x="{middle:.1f}" y="{y + 37:.1f}" class="count"{_fit(place.counted, 6.0)}>'
        f"{drawn(place.counted, _COUNTED)}</text></g>"
    )
    return f'<a href="#{_GROUP}{number}">{inside}</a>' if place.is_folded else inside


def _fit(text: str, letter: float) -> str:
    """Return what presses a text into its box: fonts differ in width."""
    room = _WIDTH - 14
    if len(shown(text)) * letter <= room:
        return ""
    return f' textLength="{room:g}" lengthAdjust="spacingAndGlyphs"'


def _whole(place: Place) -> str:
    return f"{place.name}: {place.counted}"
