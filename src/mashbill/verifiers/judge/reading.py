"""Reading a word or a number off what a judge wrote: strictly, or not at all.

A judge may think aloud before it says its score, in a line that begins with the recipe's mark. A
text without such a line has to be the word or number and nothing else. Lines that say different
things, words that are on no scale, numbers beyond it and texts of endless length say nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST = 1 << 18  # characters of an answer that are looked at
_SHOWN = 60
_EDGES = " \t*_`\"'"
"""marks of emphasis and quotation, which models put around what they say"""
_NUMBER = re.compile(r"([+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?)(?:\s*/\s*([0-9]{1,9}))?")


class UnreadError(ValueError):
    """What a judge wrote says no score; the message says why."""


def said(text: str, mark: str) -> str:
    """Return the part of an answer that says the score, without emphasis.

    Raises:
        UnreadError: if there is none, or several say different things.
    """
    if len(text) > _MOST:
        msg = f"it wrote {len(text):,} characters, and no more than {_MOST:,} are read"
        raise UnreadError(msg)
    begin = mark.strip().casefold()
    lines = [line.strip(_EDGES) for line in text.splitlines()]
    marked = [
        line[len(begin) :].strip(_EDGES) for line in lines if line.casefold().startswith(begin)
    ]
    if not marked:
        whole = text.strip().strip(_EDGES)
        if not whole:
            msg = "it wrote nothing"
            raise UnreadError(msg)
        return whole
    if len({one.casefold() for one in marked}) > 1:
        msg = f"it says {marked[0]!r:.{_SHOWN}} and {marked[-1]!r:.{_SHOWN}}"
        raise UnreadError(msg)
    return marked[0]


def word_value(text: str, mark: str, scale: Mapping[str, float]) -> float:
    """Return what the word of a scale is worth that a judge wrote.

    Raises:
        UnreadError: if it wrote none of them.
    """
    word = said(text, mark).rstrip(".!").casefold()
    known = {each.strip().casefold(): value for each, value in scale.items()}
    if word not in known:
        there = ", ".join(each.strip() for each in scale)
        msg = f"it wrote {_shown(text)}, which is none of {there}"
        raise UnreadError(msg)
    return known[word]


def number_value(text: str, mark: str, low: float, high: float) -> float:
    """Return where the number that a judge wrote lies between two others, from 0 to 1.

    Args:
        text: what it wrote.
        mark: begins the line with the number.
        low: what is worth 0.
        high: what is worth 1; the number may be written as a part of it, as 7/10.

    Raises:
        UnreadError: if it wrote no number, or one that is not between them.
    """
    found = _NUMBER.fullmatch(said(text, mark).rstrip("."))
    if found is None or (found[2] is not None and float(found[2]) != high):
        msg = f"it wrote {_shown(text)}, which is no number from {low:g} to {high:g}"
        raise UnreadError(msg)
    number = float(found[1])
    if not low <= number <= high:
        msg = f"it wrote {found[1]}, which is not from {low:g} to {high:g}"
        raise UnreadError(msg)
    return (number - low) / (high - low)


def _shown(text: str) -> str:
    line = " ".join(text[: 4 * _SHOWN].split())
    return repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")
