"""One HTML file that opens offline: chain, numbers, bill, verdicts and receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.store import write_atomically
from mashbill.lineage.words import conclusion_text, share_text
from mashbill.report.confusion import by_accuracy
from mashbill.report.drawing import draw_accuracies, draw_chain
from mashbill.report.gather import gather
from mashbill.report.templating import templates

if TYPE_CHECKING:
    from pathlib import Path

    from mashbill.core.artifact import Manifest
    from mashbill.core.store import Store


__all__ = ["by_accuracy", "write_report"]


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
        share=share_text,
        conclusion=conclusion_text,
        chain=draw_chain(facts.chain),
        evaluations=[(one, draw_accuracies(one.measures)) for one in facts.evaluations],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, html.encode())
    return path
