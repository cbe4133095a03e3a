"""Windows of a text: neighbouring sentences, since one of them may ask for what the others do not.

Of a long text its beginning and its end are read, so that there are at most :data:`MOST` windows.
"""

from __future__ import annotations

import re
from itertools import pairwise

from mashbill.models.letter_features import ends

MOST = 48
"""windows of a text: the first half of them and the last half"""
_FEWEST = 3  # sentences; two are the whole text
_LONGEST = 320  # letters of a sentence; a longer one is divided, so that it cannot hide another
_ENDS = re.compile(r"(?<=[.!?:;…])[ \t]+|(?<=[。！？；।])[ \t]*|[ \t]*\n\s*")  # noqa: RUF001
_SHORT, _SHORT_UNSPACED = 25, 10  # letters; a shorter sentence is taken together with the next


def sentences(text: str) -> list[str]:
    """Return the sentences of the beginning and the end of a text, none of them very short."""
    found: list[str] = []
    held = ""
    for piece in _ENDS.split(ends(text)):
        for part in _divided(piece):
            held = f"{held} {part}" if held else part
            if len(held) >= (_SHORT if held.isascii() else _SHORT_UNSPACED):
                found.append(held)
                held = ""
    if held:
        found = [*found[:-1], f"{found[-1]} {held}"] if found else [held]
    return found


def _divided(piece: str) -> list[str]:
    """Return a sentence, divided between words where it is too long; nothing of an empty one."""
    if len(piece) <= _LONGEST:
        return [piece] if piece else []
    found = []
    while len(piece) > _LONGEST:
        at = piece.rfind(" ", 1, _LONGEST + 1)
        at = at if at > 0 else _LONGEST
        found.append(piece[:at])
        piece = piece[at:].lstrip()
    return [*found, piece] if piece else found


def windows(text: str) -> list[str]:
    """Return each two neighbouring sentences of a text; none where they are the whole of it."""
    found = sentences(text)
    if len(found) < _FEWEST:
        return []
    both = [f"{one} {other}" for one, other in pairwise(found)]
    return both if len(both) <= MOST else both[: MOST // 2] + both[-MOST // 2 :]
