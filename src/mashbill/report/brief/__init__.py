"""A brief for whoever signs a release: one document, as a page and as Markdown that agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mashbill.core.store import write_atomically
from mashbill.report.brief.calls import calls_of
from mashbill.report.brief.composing import compose
from mashbill.report.brief.document import Document, to_markdown
from mashbill.report.brief.facts import Facts, Kept, Public
from mashbill.report.templating import templates

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Document", "Facts", "Kept", "Public", "calls_of", "compose", "to_html", "to_markdown",
           "write_brief"]  # fmt: skip


def to_html(document: Document) -> str:
    """Return the document as one page that opens offline and prints."""
    return templates().get_template("brief.html").render(document=document)


def write_brief(facts: Facts, folder: Path, stem: str) -> list[Path]:
    """Write the brief as ``STEM.html`` and ``STEM.md``; return both paths.

    Raises:
        OSError: if the folder cannot be written to.
    """
    document = compose(facts)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix, text in ((".html", to_html(document)), (".md", to_markdown(document))):
        path = folder / f"{stem}{suffix}"
        write_atomically(path, text.encode())
        written.append(path)
    return written
