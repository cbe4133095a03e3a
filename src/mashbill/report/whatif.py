"""One HTML page about scenarios: what breaks if some sources go, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.store import write_atomically
from mashbill.lineage.bills.text import share_text
from mashbill.lineage.whatif.beside import interval, side_by_side
from mashbill.lineage.whatif.impact import WEIGHTS
from mashbill.lineage.whatif.summary import GROUPED_BY, rebuilt_words
from mashbill.report.sankey import draw_sankey
from mashbill.report.templating import templates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

OPEN = 12
"""artifacts of a scenario that are shown at once"""
FOLDED = 60
"""artifacts that are folded below them; --json has more, and a page stays under 2 MB"""
GROUPS = 12
"""rows of a group that are shown"""
PLACES = 10
"""places that are lost and shown"""


def write_whatif(
    facts: Sequence[dict[str, Any]],
    flows: Sequence[Sequence[tuple[str, str, str, int]]],
    path: Path,
    *,
    as_of: date,
    counted: str,
) -> Path:
    """Write the page.

    Args:
        facts: scenarios, as ``Summary.as_json`` gives them.
        flows: of each, who goes, in which role, and who loses.
        path: the HTML file to write.
        as_of: the day whose terms substitutes were held against.
        counted: a sentence on what the scenarios were put to.
    """
    pages = templates()
    scenarios = [
        {**item, "sankey": draw_sankey(flow), "number": number}
        for number, (item, flow) in enumerate(zip(facts, flows, strict=True), 1)
    ]
    html = pages.get_template("whatif.html").render(
        scenarios=scenarios,
        rows=side_by_side(facts),
        as_of=as_of.isoformat(),
        counted=counted,
        share=share_text,
        interval=interval,
        rebuilt=rebuilt_words,
        weights=WEIGHTS,
        grouped_by=GROUPED_BY,
        open=OPEN,
        folded=FOLDED,
        groups=GROUPS,
        places=PLACES,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html.encode())
    return path
