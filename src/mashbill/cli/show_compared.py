"""Printing results side by side: a table a place, differences below it, and what they are over."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING

from mashbill.cli.printing import out, table
from mashbill.cli.show import print_difference
from mashbill.core.plain import listed
from mashbill.lineage.bills.telling import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mashbill.report.comparing import Compared, Gap, Measure, Value
    from mashbill.workspace.compared import Apart

_COLUMNS = 6  # measures that a terminal shows beside each other
_LINES = 12  # keys or artifacts that differ
_GAPS = 20
_BY_ITSELF = "beyond chance by itself, and not once all differences count"


def print_apart(apart: Sequence[Apart]) -> None:
    """Print what sides were made from otherwise."""
    for one in apart:
        told = [*one.settings[:_LINES], *one.inputs[:_LINES]]
        left = len(one.settings) + len(one.inputs) - len(told)
        out.say((f"{one.first} and {one.second} differ in", "bold"), "" if told else " nothing set")
        for line in told:
            out.say(f"  {line}")
        if left > 0:
            out.say(f"  and {left:,} more, told by --json")
        if len(apart) == 1 and one.bills is not None and (one.bills.lines or one.bills.verdicts):
            print_difference(one.bills)
    if len(apart) > 1:
        out.say("How their bills differ is told of two by themselves, and by --json.")


def print_compared(found: Compared) -> None:
    """Print measures side by side, and paired differences."""
    telling = found.telling
    for place, measures in groupby(telling, lambda one: one.place):
        _print_place(place, found, [*measures])
    if found.shared:
        out.say(f"The same on all sides: {listed(list(found.shared), _LINES)}.")
    for note in found.notes:
        out.say(("note:", "yellow"), f" {note}.")
    if not telling and not found.shared:
        out.say("Nothing is measured of them.")


def _print_place(place: str, found: Compared, measures: Sequence[Measure]) -> None:
    shown = measures[:_COLUMNS]
    listing = table("", *(one.title for one in shown), title=f"{place}: mean, 95% interval")
    for side in found.sides:
        cells = [_cell(one.sides.get(side)) for one in shown]
        if any(cells):
            listing.add_row(side, *cells)
    out.print(listing)
    if len(measures) > len(shown):
        out.say(f"and {counted(len(measures) - len(shown), 'measure')} more, told by --json")
    over: dict[str, dict[str, None]] = {}
    for one in shown:
        for value in one.sides.values():
            if value.over:
                over.setdefault(value.over, {})[one.title] = None
    if over:
        each = [f"over {how}: {listed(list(titles))}" for how, titles in over.items()]
        out.print(f"Intervals {'; '.join(each)}.", style="dim")
    gaps = [(one, gap) for one in measures if one.is_main or len(measures) == 1 for gap in one.gaps]
    for one, gap in gaps[:_GAPS]:
        out.say(*_gap(one, gap))
    if len(gaps) > _GAPS:
        out.say(f"and {counted(len(gaps) - _GAPS, 'difference')} more, told by --json")


def _cell(value: Value | None) -> str:
    if value is None:
        return ""
    if math.isnan(value.low):
        return f"{value.mean:.3f}"
    seeds = f", {len(value.seeds)} seeds" if len(value.seeds) > 1 else ""
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f}{seeds})"


def _gap(one: Measure, gap: Gap) -> list[str | tuple[str, str]]:
    """Say a difference, with what it is paired by."""
    found = gap.found
    head = f"{gap.first} - {gap.second}, {one.title}: {found.difference:+.3f}"
    why = f"; {gap.why}" if gap.why else ""
    if math.isnan(found.low):
        return [head, f", without an interval{why or f': {found.lacks}'}"]
    p = found.p if found.p_corrected is None else found.p_corrected
    said = "" if math.isnan(p) else f", p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}"
    if said and found.p_corrected is not None:
        said += " (Holm)"
    by = f"; paired by {gap.by}, {found.pairs:,} pairs" if gap.by else ""
    told = f"{head} ({found.low:+.3f} to {found.high:+.3f}{said}{by}{why})"
    if found.is_beyond_all:
        return [told, (", beyond chance", "green")]
    return [told, f", {_BY_ITSELF}" if found.is_beyond else ""]
