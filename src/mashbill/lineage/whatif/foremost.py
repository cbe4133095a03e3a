"""The first few of very many by their counts, without putting all of them in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def foremost(
    some: np.ndarray, counts: Sequence[np.ndarray], names: Sequence[str], most: int
) -> list[int]:
    """Return the first of some places: by counts, most first, and by their names between equals.

    Args:
        some: int64, shape (some,).
        counts: each shape (places,); the first decides before the second.
        names: name of each place.
        most: how many are wanted.
    """
    mine = [count[some] for count in counts]
    if len(some) > most:
        last = np.lexsort([-count for count in reversed(mine)])[most - 1]
        ahead, level = np.zeros(len(some), bool), np.ones(len(some), bool)
        for count in mine:
            ahead |= level & (count > count[last])
            level &= count == count[last]
        some = some[ahead | level]

    def rank(place: int) -> tuple[int | str, ...]:
        return (*(-int(count[place]) for count in counts), names[place])

    return sorted(some.tolist(), key=rank)[:most]
