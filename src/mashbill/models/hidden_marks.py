"""Marks that a row's text spells out, hidden while a chat template writes it, and put back as text.

A mark may also come about where two texts meet, or a text and what the template writes: ``<`` of
the one and ``|im_end|>`` of the other. So of each mark in a text, of an end that begins one, and of
a beginning that ends one which the template begins, one character is hidden: the first. The rest
stands as it is, so that where a template writes JSON of it, it is escaped as ever.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HELD = "\ue000"  # begins what stands in for a character
_STOPS = "\ue001"
_BEHIND = ("'", '"', "{", "\\")  # may stand in a template behind what it writes before a text


class HiddenMarks:
    """See the module."""

    def __init__(self, marks: Sequence[str], template: str) -> None:
        """Take marks that are tokens of their own, and the template's source."""
        rests: dict[str, list[str]] = {_HELD: [""]}
        for mark in marks:
            rests.setdefault(mark[0], []).append(mark[1:])
        self._whole = re.compile(
            "|".join(
                f"{re.escape(first)}(?=" + "|".join(map(re.escape, own)) + ")"
                for first, own in rests.items()
            )
        )
        self._begun = {mark[:size] for mark in marks for size in range(1, len(mark))}
        self._longest = max(map(len, marks), default=1)
        written = {
            begun for begun in self._begun if any(begun + mark in template for mark in _BEHIND)
        }
        self._left = tuple(
            mark[size:] for mark in marks for size in range(1, len(mark)) if mark[:size] in written
        )

    def hide(self, text: str, kept: list[str]) -> str:
        """Return a text with something else in place of what could become a mark.

        Args:
            text: of a row.
            kept: gets what stood there.
        """
        places = {match.start() for match in self._whole.finditer(text)}
        end = len(text.rstrip())
        places.update(
            at for at in range(max(0, end - self._longest + 1), end) if text[at:end] in self._begun
        )
        if self._left:
            bare = text.strip()
            if bare and any(bare.startswith(left) or left.startswith(bare) for left in self._left):
                places.add(text.index(bare))
        pieces, at = [], 0
        for place in sorted(places):
            pieces.append(f"{text[at:place]}{_HELD}{len(kept)}{_STOPS}")
            kept.append(text[place])
            at = place + 1
        return "".join([*pieces, text[at:]])


def shown(piece: str, kept: Sequence[str]) -> str:
    """Return a text as it was before it was hidden."""
    return re.sub(f"{_HELD}(\\d+){_STOPS}", lambda match: kept[int(match[1])], piece)
