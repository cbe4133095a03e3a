"""The templates of the pages, and how texts stand in them and in drawings.

HTML is escaped by Jinja. What a reader would not see, or what turns the order of reading about, is
written out, as on a terminal.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from mashbill.core.shown import shown
from mashbill.lineage.bills.telling import counted, declared_words
from mashbill.report.costs import money

_LABEL = 200
MOST = 20_000
"""characters of one text on a page; the store has all"""


def templates() -> Environment:
    """Return the environment in which pages are written."""
    environment = Environment(
        loader=PackageLoader("mashbill.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
    )
    environment.globals.update(
        counted=counted, declared=declared_words, money=money, scrolls=scrolls
    )
    return environment


def _seen(value: Any) -> Any:
    if isinstance(value, str) and not isinstance(value, Markup):
        return shown(value, MOST, layout=True)
    return value


def scrolls(label: str, kind: str = "over") -> Markup:
    """Return the attributes of a box that scrolls by itself, by keys too.

    Args:
        label: what is in it, for who does not see it.
        kind: its class.
    """
    attributes = 'class="{}" tabindex="0" role="group" aria-label="{}"'
    return Markup(attributes).format(kind, shown(label, _LABEL))  # noqa: S704 - a text of ours


def drawn(text: str, most: int | None = None) -> Markup:
    """Return a text for a drawing, cut after so many characters."""
    told = shown(text)
    return escape(told if most is None or len(told) <= most else told[: most - 1] + "…")
