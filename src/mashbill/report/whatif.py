"""One HTML page about scenarios: what breaks if some sources go, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.store import write_atomically
from mashbill.lineage.scenarios import GROUPED_BY
from mashbill.lineage.whatif import WEIGHTS
from mashbill.lineage.words import share_text
from mashbill.report.sankey import draw_sankey
from mashbill.report.templating import templates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from mashbill.lineage.scenarios import Told

SHOWN = 25
"""artifacts of a scenario that are shown at once; the rest is folded"""


def write_whatif(told: Sequence[Told], path: Path, *, as_of: date, counted: str) -> Path:
    """Write the page.

    Args:
        told: scenarios with their outcomes.
        path: the HTML file to write.
        as_of: the day whose terms substitutes were held against.
        counted: a sentence on what the scenarios were put to.
    """
    pages = templates()
    scenarios: list[dict[str, Any]] = [
        {**item.as_json(), "sankey": draw_sankey(item.flows())} for item in told
    ]
    html = pages.get_template("whatif.html").render(
        scenarios=scenarios,
        as_of=as_of.isoformat(),
        counted=counted,
        share=share_text,
        interval=_interval,
        weights=WEIGHTS,
        grouped_by=GROUPED_BY,
        shown=SHOWN,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html.encode())
    return path


def _interval(ends: Sequence[float]) -> str:
    """Return an interval for people; one number where both ends read the same."""
    low, high = (f"{end:.1f}".removesuffix(".0") for end in ends)
    return low if low == high else f"{low} to {high}"
