"""Printing how trainings went, at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.options import out
from mashbill.cli.printing import table
from mashbill.core.curves import told_as

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mashbill.workspace.planned import Ran

_NAMES = 4  # curves of a model that a terminal shows
_FIRST = ("loss", "held_out_loss")
_NOT_SHOWN = frozenset({"tokens", "rate"})


def print_training(ran: Ran) -> None:
    """Print, of each model that was trained now, how its curves began and ended, and how fast."""
    found = [(item, ran.curves(item)) for item in ran.done if not item.was_cached]
    rows = [(item, curves) for item, curves in found if curves]
    if not rows:
        return
    listing = table("model", "measured", "first", "last", "least", "steps", "tokens/s")
    for column in listing.columns[2:]:
        column.justify = "right"
    for item, curves in rows:
        for place, name in enumerate(shown_first(curves)[:_NAMES]):
            curve, rate = curves[name], item.training.get("tokens_per_second")
            listing.add_row(
                str(item.manifest.ref) if not place else "",
                told_as(name),
                *(_number(curve[key]) for key in ("first", "last", "least")),
                f"{curve['last_step'] + 1:,}",
                f"{rate:,.0f}" if rate and not place else "",
            )
    out.print(listing)


def shown_first(curves: Mapping[str, Any]) -> list[str]:
    """Return the names of curves in the order in which people look at them."""
    known = [name for name in _FIRST if name in curves]
    return known + [name for name in curves if name not in _NOT_SHOWN and name not in known]


def _number(value: float | None) -> str:
    return "no number" if value is None else f"{value:.4g}"
