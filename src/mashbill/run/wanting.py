"""A stage that wants so many rows, and how far ahead its slices may be done.

Each slice before the one that decides is needed whole, whatever came of the others; so slices may
go ahead side by side as long as, at the rate so far, they will not be enough. The one that decides
is told how many are there, and is done when no other is.
"""

from __future__ import annotations

_MARGIN = 1.2  # times the rate so far: what is bought beyond what is wanted is bought for nothing


class Wanting:
    """Counts towards what is wanted."""

    def __init__(self, wanted: int, kept: int, *, goes_ahead: bool) -> None:
        """Begin.

        Args:
            wanted: rows.
            kept: rows that are there already.
            goes_ahead: whether slices may be done before they are counted at all.
        """
        self._goes_ahead = goes_ahead
        self._wanted = wanted
        self._kept = kept
        self._at_first = kept
        self._gone_through = 0

    @property
    def is_over(self) -> bool:
        """Whether there are enough."""
        return self._kept >= self._wanted

    def goes_ahead(self, rows: int) -> bool:
        """Return whether slices need not be counted, since they will not be enough.

        Args:
            rows: of the input, in all slices that are not committed, this one's too.
        """
        if not self._goes_ahead or not self._gone_through:
            return False
        rate = (self._kept - self._at_first + 1) / self._gone_through
        return self._kept + rate * rows * _MARGIN < self._wanted

    def is_decided_by(self, rows: int) -> bool:
        """Return whether so many rows more are enough."""
        return self._kept + rows >= self._wanted

    def came(self, rows: int, kept: int) -> None:
        """Count a slice.

        Args:
            rows: of the input.
            kept: rows that all slices gave, with it.
        """
        self._gone_through += rows
        self._kept = kept
