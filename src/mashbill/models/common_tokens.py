"""Which tokens of two vocabularies are the same bytes: outcomes that both models are told over.

Each id of either side is of one outcome: of the bytes that both have a token for, of the end of an
answer, or of the rest. The probability of an outcome is the sum over its ids, so that nothing is
left out and nothing is made larger: what one model gives to tokens that the other has not stands in
the rest.

With ``prefixes`` a token that the other side has not is of the longest outcome that its bytes begin
with: ``201`` of ``20`` or ``2``, since a model with these tokens would write one of them first.
    Then the rest holds special tokens, and hardly anything else. Numbers that one side writes digit
    by digit and the other as one token are what a rest bucket does harm to: the student is taught
    to give its own none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mashbill.models.token_alignment import Reader

END = 0
"""the outcome of ending the answer"""


@dataclass(frozen=True)
class CommonTokens:
    """The outcome of each id of both sides."""

    outcomes: int
    """how many there are; the last one is the rest"""
    student_v: np.ndarray
    """of each row of the student's head, int64"""
    teacher_v: np.ndarray
    """of each row of the teacher's head, int64"""
    shared: int
    """outcomes that are tokens of both sides"""


def common_tokens(
    student: Reader, teacher: Reader, rows: tuple[int, int], *, prefixes: bool = False
) -> CommonTokens:
    """Return the outcomes that two vocabularies have in common.

    Args:
        student: how the student reads.
        teacher: how the teacher reads.
        rows: of the student's head and of the teacher's; those that are no token's are of the rest.
        prefixes: whether a token without a partner is of the longest outcome that it begins with.
    """
    own, theirs = (_texts(side) for side in (student, teacher))
    both = sorted(set(own.values()) & set(theirs.values()))
    numbers = {text: END + 1 + place for place, text in enumerate(both)}
    rest = len(both) + 1
    longest = max(map(len, both), default=0)

    def outcome(text: bytes) -> int:
        found = numbers.get(text)
        if found is not None or not prefixes:
            return rest if found is None else found
        sizes = range(min(len(text) - 1, longest), 0, -1)
        return next((numbers[text[:n]] for n in sizes if text[:n] in numbers), rest)

    maps = []
    for side, texts, count in zip((student, teacher), (own, theirs), rows, strict=True):
        found = np.full(count, rest, np.int64)
        for i, text in texts.items():
            if i < count:
                found[i] = outcome(text)
        found[[i for i in side.ends if i < count]] = END
        maps.append(found)
    return CommonTokens(rest + 1, maps[0], maps[1], len(both))


def _texts(side: Reader) -> dict[int, bytes]:
    """Return the bytes of each id that is a token of texts."""
    apart = side.bytes.marks | side.ends
    return {i: text for i, text in enumerate(side.bytes.all) if text and i not in apart}
