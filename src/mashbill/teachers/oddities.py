"""What stands beside the texts of a service's answers in no form that it has: counted and told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_KINDS = 100  # of oddities that are counted


@dataclass
class Oddities:
    """What was odd beside the texts of a session's answers: counted, and told as it mounts."""

    counts: Counter[str] = field(default_factory=Counter)
    _told: dict[str, int] = field(default_factory=dict)
    """how many there were of each when it was told"""

    def take(self, odd: Sequence[str]) -> None:
        """Take note of an answer's."""
        self.counts.update(odd if len(self.counts) < _KINDS else ())

    def told(self) -> list[str]:
        """Return what to tell: of each that is new, or ten times as many as when it was told."""
        new = {
            found: count
            for found, count in self.counts.items()
            if count >= 10 * self._told.get(found, 0) and count
        }
        self._told |= new
        return [
            f"{found} in {count:,} answer{'s' if count > 1 else ''}; it is read as absent, and "
            f"{'these answers are' if count > 1 else 'the answer is'} kept"
            for found, count in new.items()
        ]
