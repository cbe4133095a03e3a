"""Whether the numbers that a text lacks of a question are those that a redaction took out of it.

A stage ``pii`` puts ``<PHONE_1>`` in the place of a telephone number. Such a place is any number of
the question that stands between the same two words: other numbers of the question are not excused,
so that the next task of a series is still another one.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Literal, get_args

from mashbill.core.letters import UNSPACED, folded

Kind = Literal["email", "iban", "card", "national-id", "phone", "ip"]
"""kinds of personal data that a stage ``pii`` redacts"""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""in the order in which they are looked for: of two that overlap the first counts"""


def written(kind: str) -> str:
    """Return a kind as it stands in the place of a find."""
    return kind.upper().replace("-", "_")


_NAMES = "|".join(map(written, KINDS))
_PLACE = re.compile(rf"<(?:{_NAMES})_[0-9]+>")
REDACTED = _PLACE.pattern
"""what a stage ``pii`` puts in the place of a find, if its ``put`` is not set"""
_WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
_MOST = 64  # places of a text that are looked at
_LONGEST = 12  # words of what was redacted: of an IBAN, an address


def are_hidden(question: str, text: str) -> bool:
    """Return whether all numbers of a question that a text lacks may have been redacted in it.

    Args:
        question: whose numbers are looked for.
        text: that holds what stands in the place of finds.
    """
    pieces = [_WORD.findall(folded(piece)) for piece in _PLACE.split(text)]
    there = {word for piece in pieces for word in piece}
    words = _WORD.findall(folded(question))
    lacking = {
        at for at, word in enumerate(words)
        if word not in there and any(map(str.isdigit, word))
    }  # fmt: skip
    for before, after in itertools.pairwise(pieces[: _MOST + 1]):
        if before or after:
            for first, last in _spans(words, before, after, there):
                lacking -= set(range(first, last))
    return not lacking


def _spans(
    words: list[str], before: list[str], after: list[str], there: set[str]
) -> Iterator[tuple[int, int]]:
    """Yield where in a question may stand what was redacted between some words: (first, last).

    At an edge of the question or the text, where one of the two words is not known, it has no word
    that the text has.
    """
    for first in range(len(words)):
        is_behind = first > 0 and bool(before) and words[first - 1] == before[-1]
        for last in range(first + 1, min(first + _LONGEST, len(words)) + 1):
            is_before = last < len(words) and bool(after) and words[last] == after[0]
            is_edge = (first == 0 or not before) and is_before
            is_edge |= (last == len(words) or not after) and is_behind
            if (is_behind and is_before) or (is_edge and there.isdisjoint(words[first:last])):
                yield first, last
                if is_before:
                    break
