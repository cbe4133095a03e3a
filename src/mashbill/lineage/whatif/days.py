"""Days of release as they are recorded: a day, a month or a year, each from its first to its last.

All are numbers of :meth:`date.toordinal`, worked out once for each text that occurs.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mashbill.lineage.whatif.things import Column

NEVER, EVER = np.int32(0), np.int32(date.max.toordinal())
"""earliest and latest of what has no day"""


def first_day(column: Column) -> np.ndarray:
    """Return the first day on which each may have come out, int32, shape (n,); NEVER if unknown."""
    ends = np.array([ends_of_day(text)[0] for text in column.values], np.int32)
    found: np.ndarray = ends[column.code]
    return found


def last_day(column: Column) -> np.ndarray:
    """Return the last day on which each may have come out, int32, shape (n,); EVER if unknown."""
    ends = np.array([ends_of_day(text)[1] for text in column.values], np.int32)
    found: np.ndarray = ends[column.code]
    return found


def ends_of_day(text: str) -> tuple[int, int]:
    """Return the first and the last day of a day, month or year; NEVER and EVER if it is none."""
    try:
        match len(text):
            case 4:
                year = int(text)
                return date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
            case 7:
                first = date.fromisoformat(f"{text}-01")
                after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
                return first.toordinal(), after.toordinal() - 1
            case _:
                day = date.fromisoformat(text).toordinal()
                return day, day
    except ValueError:
        return int(NEVER), int(EVER)


def quarter(text: str) -> str:
    """Return the quarter of a day, ``2025 Q3``; the year where only that is known; else nothing."""
    first, last = ends_of_day(text)
    if first == NEVER:
        return ""
    start, end = date.fromordinal(first), date.fromordinal(last)
    if (start.month - 1) // 3 != (end.month - 1) // 3:
        return f"{start.year}"
    return f"{start.year} Q{(start.month - 1) // 3 + 1}"
