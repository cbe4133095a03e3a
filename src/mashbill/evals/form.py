"""The form of answers beside their scores: how long they are, and whether they say a thing again.

Judges tend to prefer what is longer, and a student that plays its judge often repeats a phrase, so
that no score is told without both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_END = 60
"""characters at the end of a text that are looked at"""
_PHRASE = 30
"""characters of a phrase that is said over and over, at most"""


@dataclass
class Form:
    """What answers look like, in sums; one to which nothing was added says nothing."""

    answers: int = 0
    characters: int = 0
    repeating: int = 0

    def add(self, texts: Iterable[str]) -> None:
        """Take answers in; one that is blank is none."""
        for text in texts:
            if text.strip():
                self.answers += 1
                self.characters += len(text)
                self.repeating += says_again(text)

    def as_json(self) -> dict[str, Any]:
        """Return the mean of their characters, and the share that repeats; nothing of none."""
        if not self.answers:
            return {}
        return {
            "characters": self.characters / self.answers,
            "repeating": self.repeating / self.answers,
        }


def says_again(text: str) -> bool:
    """Return whether a text ends in a phrase of up to 30 characters that is said over and over.

    That is, whether its last 60 are nothing but such a phrase; a shorter text never is. Characters
    are looked at and not words, so that scripts without spaces are held to the same.

    Args:
        text: the answer.
    """
    end = text.rstrip()[-_END:]
    if len(end) < _END:
        return False
    return any(end[size:] == end[:-size] for size in range(1, _PHRASE + 1))
