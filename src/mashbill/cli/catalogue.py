"""The catalogue as commands open it: by its index, told if that cannot be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mashbill.cli.options import err, out
from mashbill.core.shown import json_text
from mashbill.policy.keeping import open_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from mashbill.policy.index import Index


def opened(catalogue: Sequence[Path] | None) -> Index:
    """Return the index of the shipped catalogue and of what --catalogue names."""
    index = open_index(catalogue or ())
    if index.kept:
        err.say(("note:", "yellow"), " ", index.kept)
    return index


def stream_json(rows: Iterable[Any]) -> None:
    """Print a list for a program, a row at a time: it may be longer than memory is."""
    begun = False
    for row in rows:
        out.emit((",\n" if begun else "[\n") + json_text(row))
        begun = True
    out.emit("\n]\n" if begun else "[]\n")
