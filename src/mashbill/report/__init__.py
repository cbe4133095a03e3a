"""One HTML file that opens offline: chain, numbers, bill, verdicts and receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.store import write_atomically
from mashbill.lineage.bills.text import conclusion_text, share_text
from mashbill.lineage.evidence.trace import Hop
from mashbill.report.drawing import draw_accuracies, draw_chain
from mashbill.report.gather import gather
from mashbill.report.templating import templates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store


__all__ = ["write_report"]


_INDENTED = 20  # levels of a trace; what lies deeper stands below each other
_HOPS_SHOWN = 300  # of one trace: a page is to be read


def _hops(hop: Hop) -> Iterator[tuple[int, Hop]]:
    """Yield the hops of a trace as a page shows them, with their indentation."""
    for count, (depth, other) in enumerate(hop.walk()):
        if count == _HOPS_SHOWN:
            yield 0, Hop("further hops", "and so on", {"all of them": "mashbill trace"})
            return
        yield min(depth, _INDENTED), other


def write_report(store: Store, result: Manifest, path: Path, *, title: str = "") -> Path:
    """Write the report of an artifact.

    Args:
        store: where it lies.
        result: the artifact.
        path: the HTML file to write.
        title: one line for its head.
    """
    facts = gather(store, result)
    pages = templates()
    html = pages.get_template("report.html").render(
        title=title or f"What {result.ref} was distilled from",
        facts=facts,
        hops=_hops,
        share=share_text,
        conclusion=conclusion_text,
        chain=draw_chain(facts.chain),
        evaluations=[(one, draw_accuracies(one.found)) for one in facts.evaluations],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html.encode())
    return path
