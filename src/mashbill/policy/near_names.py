"""Names of a catalogue that somebody may have meant: what holds the text, or a part of it.

A catalogue may have millions of names, so nothing is compared with all of them: what holds one of
the longest parts of the text is compared, and then what holds a piece of two or three letters, as
far as few enough do.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOLDING = 12
"""names told that hold the text as it is"""
LIKE = 6
"""names told that are like it"""
_MOST = 2_000  # names that hold a part; of more, the part says nothing
_ENOUGH = 3  # parts that some name holds, whose names are compared together
_SHORT = 8  # characters of a name of which any piece may tell
_ALIKE = 0.7  # of two names, as difflib counts it: a slip of the hand in a short name


def closest(name: str, holding: Callable[[str], Iterable[str]]) -> list[str]:
    """Return ids that a text may mean, those that hold all of it first.

    Args:
        name: what was asked for, in small letters.
        holding: gives the ids of names that hold a text.
    """
    found = sorted(set(holding(name)))
    if found:
        return found[:HOLDING]
    told = _compared(name, _parts(name), holding, _ENOUGH)
    if told and _likeness(name, told[0]) >= _ALIKE:
        return told
    # A slip in a short name leaves no word of it whole.
    pieces = _compared(name, _pieces(name), holding, 2 * _SHORT)
    alike = [one for one in pieces if _likeness(name, one) >= _ALIKE]
    return list(dict.fromkeys([*alike, *told]))[:LIKE]


def _compared(
    name: str, parts: list[str], holding: Callable[[str], Iterable[str]], enough: int
) -> list[str]:
    """Return what is most like a name, of all that holds one of the first parts that any holds."""
    like: set[str] = set()
    held = 0
    for part in parts:
        found = set(islice(holding(part), _MOST + 1))
        if found and len(found) <= _MOST:
            like |= found
            held += 1
        if held == enough:
            break
    return sorted(like, key=lambda one: (-_likeness(name, one), one))[:LIKE]


def _pieces(name: str) -> list[str]:
    """Return each three and two characters of a short name that stand side by side."""
    last = name.rsplit("/", 1)[-1]
    if len(last) > _SHORT:
        return []
    return [last[at : at + long] for long in (3, 2) for at in range(len(last) - long + 1)]


def _parts(name: str) -> list[str]:
    """Return words of a name, then its parts with digits, the longest first; then ends of words."""
    last = name.rsplit("/", 1)[-1]
    words = sorted(re.findall(r"[^\W\d_]{4,}", last), key=lambda word: -len(word))
    parts = sorted(re.findall(r"[^\W_]{3,}", last), key=lambda part: -len(part))
    numbered = re.findall(r"[^\W_]*\d[^\W_]+|[^\W_]+\d[^\W_]*", last)  # of gtp-4o, 4o
    letters = re.findall(r"[^\W\d_]{2,}", last)  # of glm4.5, glm
    ends = [end for word in words for end in (word[:4], word[-4:])]
    return list(dict.fromkeys([*words, *parts, *numbered, *ends, *letters]))


def _likeness(name: str, other: str) -> float:
    ours, theirs = (re.sub(r"[\W_]", "", text.rsplit("/", 1)[-1].lower()) for text in (name, other))
    return round(SequenceMatcher(None, ours, theirs).ratio(), 6)
