"""One HTML page about scenarios: what breaks if some sources go, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mashbill.core.store import write_atomically
from mashbill.lineage.scenarios import GROUPED_BY
from mashbill.lineage.whatif import WEIGHTS
from mashbill.lineage.words import percent, share_text
from mashbill.report.sankey import draw_sankey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from pathlib import Path

    from mashbill.lineage.scenarios import Told

ARTIFACTS_SHOWN, GROUPS_SHOWN = 25, 10
"""rows of a table that are shown at once; the rest is folded"""

PARTS = {
    "channel": (
        "How what goes reaches it. 1 if as text, logits, weights or rewriting all the way; 0.5 if "
        "as judgement at best; 0.25 if only by selecting or asking."
    ),
    "share": (
        "The part of its tokens that lie in what was reached. An interval where it is not recorded."
    ),
    "nearness": "1 over the number of models from it to the nearest that goes.",
    "without substitute": (
        "Of the roles that others serve for it directly, the part that is lost and that nothing "
        "left can serve."
    ),
}
"""what each part of the impact score is"""


def write_whatif(told: Sequence[Told], path: Path, *, as_of: date, counted: str) -> Path:
    """Write the page.

    Args:
        told: scenarios with their outcomes.
        path: the HTML file to write.
        as_of: the day whose terms substitutes were held against.
        counted: a sentence on what the scenarios were put to.
    """
    pages = Environment(
        loader=PackageLoader("mashbill.report"), autoescape=True, undefined=StrictUndefined
    )
    definitions = {
        each.definition.name: each.definition for item in told for each in item.outcome.definitions
    }
    html = pages.get_template("whatif.html").render(
        scenarios=[_scenario(item) for item in told],
        definitions=list(definitions.values()),
        as_of=as_of.isoformat(),
        counted=counted,
        parts=[(name, weight, PARTS[name]) for name, weight in WEIGHTS.items()],
        grouped_by=GROUPED_BY,
        artifacts_shown=ARTIFACTS_SHOWN,
        groups_shown=GROUPS_SHOWN,
        share=share_text,
        interval=_interval,
        part_of=_part_of,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html.encode())
    return path


def _scenario(told: Told) -> dict[str, Any]:
    """Return what JSON tells of a scenario, with its drawing and what only a page needs."""
    facts, flows = told.as_json(), told.flows()
    return {
        **facts,
        "is_terms": told.scenario.is_terms,
        "stand_as_made": sum(item["stands_as_made"] for item in facts["artifacts"]),
        "sankey": draw_sankey(flows),
        "drawn": sum(count for *_, count in flows),
    }


def _part_of(count: int, whole: int) -> str:
    """Return a count as a part of a whole, in percent."""
    return percent(count / whole) if whole else "none"


def _interval(ends: Sequence[float], places: int = 1) -> str:
    """Return an interval for people; one number where both ends read the same."""
    low, high = (
        f"{end:.{places}f}".rstrip("0").rstrip(".") if places else f"{end:.0f}" for end in ends
    )
    return low if low == high else f"{low} to {high}"
