"""A piece of personal data that was found in a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mashbill.files.rows.redacted import Kind


@dataclass(frozen=True, repr=False)
class Found:
    """One find. It has no ``repr`` that shows the value, so that none comes into a log."""

    kind: Kind
    start: int
    stop: int
    value: str
    """as it stands in the text"""
    same: str
    """what is the same of all ways to write it"""

    def __repr__(self) -> str:
        """Say kind and place, and nothing of the value."""
        return f"Found({self.kind}, {self.start} to {self.stop})"
