"""A document as blocks, so that its page and its Markdown say the same: neither adds a word.

Every list is bounded where it is made (:func:`table`, :func:`items`), and says how much more there
is: a document for people who sign is read to its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mashbill.core.shown import shown
from mashbill.lineage.bills.telling import counted
from mashbill.lineage.bills.text import list_item, markdown, table_row, table_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ROWS = 150
"""rows of a table, and items of a list, at most"""
LONGEST = 600
"""characters of one cell or item at most"""


@dataclass(frozen=True)
class Paragraph:
    """A sentence or a few."""

    text: str
    role: Literal["plain", "lead", "note"] = "plain"
    """lead: what is read out first; note: how to read what stands above"""


@dataclass(frozen=True)
class Table:
    """Rows under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Items:
    """A list."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Commands:
    """Lines to be typed."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Blanks:
    """Lines to be filled in by hand: a table with empty rows."""

    head: tuple[str, ...]
    first: tuple[str, ...]
    """first cell of each row"""


Block = Paragraph | Table | Items | Commands | Blanks


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole document."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]


def clipped(text: object) -> str:
    """Return a text of at most :data:`LONGEST` characters, on one line."""
    told = " ".join(str(text).split())
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], noun: str) -> list[Block]:
    """Return a table, and a note if it was cut; nothing if there is no row."""
    all_rows = [tuple(clipped(cell) for cell in row) for row in rows]
    if not all_rows:
        return []
    found: list[Block] = [Table(tuple(head), tuple(all_rows[:ROWS]))]
    if (more := len(all_rows) - ROWS) > 0:
        found.append(Paragraph(f"{counted(more, f'further {noun}')} not shown here.", "note"))
    return found


def items(texts: Iterable[object], noun: str) -> list[Block]:
    """Return a list, and a note if it was cut; nothing if there is no item."""
    told = [clipped(text) for text in texts]
    if not told:
        return []
    found: list[Block] = [Items(tuple(told[:ROWS]))]
    if (more := len(told) - ROWS) > 0:
        found.append(Paragraph(f"{counted(more, f'further {noun}')} not shown here.", "note"))
    return found


def to_markdown(document: Document) -> str:
    """Return the document as Markdown."""
    lines = [f"# {markdown(document.title)}", "", markdown(document.subtitle)]
    for section in document.sections:
        lines += ["", f"## {markdown(section.title)}"]
        for block in section.blocks:
            lines += ["", *_block(block)]
    return "\n".join(lines) + "\n"


def _block(block: Block) -> list[str]:
    match block:
        case Paragraph(text, role):
            told = markdown(text)
            return [f"**{told}**" if role == "lead" else told]
        case Table(head, rows):
            return [table_row(head), table_rule(len(head)), *(table_row(row) for row in rows)]
        case Items(texts):
            return [list_item(text) for text in texts]
        case Commands(typed):
            return [f"    {shown(line)}" for line in typed]
        case Blanks(head, first):
            blank = ["\u00a0" * 12] * (len(head) - 1)
            lines = ["| " + " | ".join([markdown(name), *blank]) + " |" for name in first]
            return [table_row(head), table_rule(len(head)), *lines]
