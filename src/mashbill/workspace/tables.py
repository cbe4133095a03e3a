"""How values look in a notebook: small tables, in which nothing that others wrote is markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.core.shown import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_ROWS = 50  # of a table in a notebook; the value itself has all
_CELL = 300  # characters


def html_table(title: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as HTML.

    Args:
        title: stands above it.
        names: of the columns.
        rows: a cell a column; beyond the first fifty they are counted and not shown.
    """
    listed = list(rows)
    head = "".join(f"<th>{_cell(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in listed[:_ROWS]
    )
    left = len(listed) - _ROWS
    more = f"<p>and {left:,} more</p>" if left > 0 else ""
    return (
        f"<div><p><b>{_cell(title)}</b></p><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>{more}</div>"
    )


def _cell(value: Any) -> str:
    from html import escape  # what a command prints is no HTML

    return "" if value is None else escape(shown(str(value))[:_CELL])


def text_table(title: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the same as lines of plain text."""
    table = [list(names), *([_plain(value) for value in row] for row in list(rows)[:_ROWS])]
    widths = [max(len(row[at]) for row in table) for at in range(len(names))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table
    ]
    return "\n".join([title, *lines])


def _plain(value: Any) -> str:
    return "" if value is None else shown(str(value))[:_CELL]
