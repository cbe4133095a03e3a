"""Printing lists of the catalogue for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.options import out
from mashbill.core.shown import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable


def stream_json(rows: Iterable[Any]) -> None:
    """Print a list for a program, a row at a time: it may be longer than memory is."""
    begun = False
    for row in rows:
        out.emit((",\n" if begun else "[\n") + json_text(row))
        begun = True
    out.emit("\n]\n" if begun else "[]\n")
