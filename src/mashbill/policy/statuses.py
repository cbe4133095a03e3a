"""Who stands behind a claim, and which claims count unless somebody says otherwise."""

from __future__ import annotations

from typing import Literal

Status = Literal["stated", "derived", "sworn", "alleged"]
"""who stands behind a claim: the maker's own text or code; somebody's reading of it; testimony
under oath; somebody else's word"""

STATUSES: tuple[Status, ...] = ("stated", "derived", "sworn", "alleged")

COUNTED: tuple[Status, ...] = ("stated", "derived", "sworn")
"""claims that count unless it is said otherwise: an allegation is shown, and decides nothing"""
