"""Names of a catalogue that somebody may have meant: what holds the text, or a part of it.

A catalogue may have millions of names, so nothing is compared with all of them: what holds the
longest part of the text is compared, and nothing else.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOLDING = 12
"""names told that hold the text as it is"""
LIKE = 6
"""names told that are like it"""
_MOST = 2_000  # names that hold a part; of more, the part says nothing


def closest(name: str, holding: Callable[[str], Iterable[str]]) -> list[str]:
    """Return ids that a text may mean, those that hold all of it first.

    Args:
        name: what was asked for, in small letters.
        holding: gives the ids of names that hold a text.
    """
    found = sorted(set(holding(name)))
    if found:
        return found[:HOLDING]
    for part in _parts(name):
        like = set(holding(part))
        if like and len(like) <= _MOST:
            return sorted(like, key=lambda one: (-_likeness(name, one), one))[:LIKE]
    return []


def _parts(name: str) -> list[str]:
    """Return words of a name, then its parts with digits, the longest first; then beginnings."""
    last = name.rsplit("/", 1)[-1]
    words = sorted(re.findall(r"[^\W\d_]{4,}", last), key=lambda word: -len(word))
    parts = sorted(re.findall(r"[^\W_]{3,}", last), key=lambda part: -len(part))
    numbered = re.findall(r"[^\W_]*\d[^\W_]+|[^\W_]+\d[^\W_]*", last)  # of gtp-4o, 4o
    return list(dict.fromkeys([*words, *parts, *numbered, *(word[:4] for word in words)]))


def _likeness(name: str, other: str) -> float:
    ours, theirs = (re.sub(r"[\W_]", "", text.rsplit("/", 1)[-1].lower()) for text in (name, other))
    return round(SequenceMatcher(None, ours, theirs).ratio(), 6)
