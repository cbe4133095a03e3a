"""The order of a graph in which everything stands behind what it rests on, level by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mashbill.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def levels_of(count: int, parent: np.ndarray, to: np.ndarray, names: Sequence[Any]) -> np.ndarray:
    """Return the longest way down from each node, int32, shape (count,), by Kahn's algorithm."""
    level = np.zeros(count, np.int32)
    left = np.bincount(parent, minlength=count)
    by_child = np.argsort(to.astype(np.int32, copy=False), kind="stable")
    above = parent[by_child]
    begin = np.concatenate([[0], np.cumsum(np.bincount(to, minlength=count))])
    ready = np.flatnonzero(left == 0)
    done, depth = len(ready), 0
    while len(ready):
        depth += 1
        parents = above[ragged(begin[ready], begin[ready + 1])]
        if len(parents) * 8 > count:
            taken = np.bincount(parents, minlength=count)
            left -= taken
            ready = np.flatnonzero((taken > 0) & (left == 0))
        else:
            met, taken = np.unique(parents, return_counts=True)
            left[met] -= taken
            ready = met[left[met] == 0]
        level[ready] = depth
        done += len(ready)
    if done < count:
        node = int(np.flatnonzero(left > 0)[0])
        named = names[node] if len(names) else node
        msg = f"the lineage of {named} leads back to itself; something that it was made of is wrong"
        raise InputError(msg)
    return level


def ragged(begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the integers of many ranges one behind the other.

    Args:
        begin: shape (ranges,), first of each.
        end: shape (ranges,), one behind the last of each.
    """
    sizes = end - begin
    total = int(sizes.sum())
    if total == 0:
        return np.empty(0, np.int64)
    shift = np.repeat(begin - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    places: np.ndarray = np.arange(total) + shift
    return places
