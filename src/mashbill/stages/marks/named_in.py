"""Names that a cell holds: of a text, a list, or an object that has one by a usual key."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from mashbill.files.rows.cells import as_text, texts_of
from mashbill.stages.marks.model_names import known_name

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = ("name", "id", "title", "display_name")
"""keys by which an object says its name, the surest first; ``model`` says more, and is looked for
by itself"""
_DEEPEST = 4
_MOST = 100
"""names of one cell"""
_BEGINS = ("[", "{", "(", "array(")
_APART = re.compile(r"\s*(?:[,;|&+]|\band\b)\s*")
_LONGEST = 500
"""characters of a text that lists names"""


def names_in(value: Any) -> list[str]:
    """Return the names that a cell's value tells; none if it holds anything else."""
    found: list[str] = []
    waiting = [(value, 0)]
    while waiting and len(found) < _MOST:
        item, depth = waiting.pop(0)
        if isinstance(item, str):
            found += map(as_text, texts_of(item) or ())
        elif depth < _DEEPEST and isinstance(item, list):
            waiting += [(each, depth + 1) for each in item[:_MOST]]
        elif depth < _DEEPEST and isinstance(item, dict):
            said = {str(key).lower(): each for key, each in item.items()}
            waiting += [(said[key], depth + 1) for key in _KEYS if said.get(key)][:1]
    return list(dict.fromkeys(found))


def names_of_text(text: str) -> list[str]:
    """Return the names that a text tells that may write a list or an object; else itself."""
    if len(text) > _LONGEST or not text.lstrip().startswith(_BEGINS):
        return [text]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return names_in(value) or [text]


def names_apart(counts: Mapping[str, int], *, partly: bool = False) -> dict[str, int]:
    """Return names with the rows of each, where a text that is all names of models is taken apart.

    ``gpt-4o, claude-3-opus`` is two names. Of a text with anything else in it nothing is taken.

    Args:
        counts: texts with the rows of each.
        partly: take a list apart that has one such name, too: ``gpt-4o, Ann Lee``.
    """
    found: Counter[str] = Counter()
    for text, rows in counts.items():
        pieces = [piece for piece in _APART.split(text.strip()) if piece]
        is_list = 1 < len(pieces) <= _MOST and len(text) <= _LONGEST
        is_of = (any if partly else all)(map(known_name, pieces)) and is_list
        for name in pieces if is_of else [text]:
            found[name] += rows
    return found
