"""MinHash of sets: signatures that agree in about the share that the sets have in common.

Each of a signature's places holds the least element by an order of its own, so that two signatures
agree in a place with the probability of the sets' Jaccard similarity: |A and B| / |A or B|. All
elements of a set take part. They are not hashed once a place: as in fast similarity sketching
(Dahlgaard, Langhede, Houen, Thorup, arXiv:1704.04370) each element is thrown into one place a
round, and a place takes the least element of the first round that reached it; what is empty after
some rounds takes the least of all elements, by an order of that place. Both are functions of the
set that treat all elements alike, so a place agrees with exactly that probability.

Signatures are cut into bands of some rows each (places, that is). Two sets are looked at more
closely if they agree in all rows of a band: at a similarity s, with the probability
1 - (1 - s**rows)**bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mashbill.core.errors import RecipeError
from mashbill.files.rows.tokens import mixed

if TYPE_CHECKING:
    from mashbill.files.rows.tokens import Runs

_ROUNDS = 10  # of throwing: sets of a place's number of elements leave next to none empty
_ODD = 0x9E3779B97F4A7C15
_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True)
class Bands:
    """How signatures are cut."""

    bands: int
    rows: int
    """places of a band"""
    places: int
    """of a signature, a power of two; some at its end may be in no band"""

    def found(self, similarity: float) -> float:
        """Return the probability that two sets of this similarity are looked at more closely."""
        missed: float = (1 - similarity**self.rows) ** self.bands
        return 1 - missed


def bands_for(threshold: float, places: int, recall: float) -> Bands:
    """Return the bands of most rows that find a pair at the threshold with this probability.

    More rows mean fewer pairs looked at in vain.

    Args:
        threshold: similarity.
        places: of a signature, a power of two.
        recall: probability.

    Raises:
        RecipeError: if bands of one row would not do.
    """
    if places & (places - 1):
        msg = f"permutations = {places} is no power of two; set 64, 128 or 256"
        raise RecipeError(msg)
    for rows in range(places, 0, -1):
        cut = Bands(places // rows, rows, places)
        if cut.found(threshold) >= recall:
            return cut
    best = Bands(places, 1, places).found(threshold)
    msg = (
        f"permutations = {places} find two texts of similarity {threshold} with a probability of "
        f"{best:.3f} at most, and {recall} is wanted; set more "
        "permutations or a higher threshold"
    )
    raise RecipeError(msg)


def signatures(sets: Runs, places: int) -> np.ndarray:
    """Return the signature of each set, uint64, shape (rows, places); of an empty one all ones.

    Args:
        sets: elements, mixed numbers; one may be there several times.
        places: of a signature, a power of two.
    """
    rows, bits = len(sets.ends), places.bit_length() - 1
    found = np.full(rows * places, _NONE, np.uint64)
    numbers, counts = sets.numbers, sets.counts
    owners = np.repeat(np.arange(0, rows * places, places), counts)
    mask, turn = np.uint64(places - 1), 1
    for number in range(min(_ROUNDS, 64 // bits)):
        if number:
            unfilled = _unfilled(found, rows, places)
            left = int(unfilled.sum())
            if not left:
                break
            if left < rows / 2:  # else taking what is left costs more than it saves
                some = np.repeat(unfilled, counts)
                numbers, owners = numbers[some], owners[some]
                counts = np.where(unfilled, counts, 0)
            # Other bits say the place, and an order of its own which element is the least.
            turn = turn * _ODD % 2**64
        bins = numbers if not number else numbers >> np.uint64(number * bits)
        at = owners + (bins & mask).view(np.int64)
        if not number:
            np.minimum.at(found, at, numbers)
            continue
        new = np.flatnonzero(found[at] == _NONE)
        np.minimum.at(found, at[new], numbers[new] * np.uint64(turn))
    grid = found.reshape(rows, places)
    _fill(grid, sets)
    return grid


def _unfilled(found: np.ndarray, rows: int, places: int) -> np.ndarray:
    """Return which signatures have an empty place, bool, shape (rows,)."""
    empty: np.ndarray = (found.reshape(rows, places) == _NONE).any(axis=1)
    return empty


def _fill(grid: np.ndarray, sets: Runs) -> None:
    """Give each place that is empty the least of its set's elements, by an order of the place."""
    row, place = np.nonzero((grid == _NONE) & (sets.counts > 0)[:, None])
    if not len(row):
        return
    sizes = sets.counts[row]
    begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)[:-1]])
    at = np.arange(int(sizes.sum())) + np.repeat(sets.starts[row] - begins, sizes)
    orders = mixed(np.arange(1, grid.shape[1] + 1).astype(np.uint64) * np.uint64(_ODD))
    numbers = mixed(sets.numbers[at] ^ np.repeat(orders[place], sizes))
    grid[row, place] = np.minimum.reduceat(numbers, begins)


def band_keys(grid: np.ndarray, cut: Bands) -> np.ndarray:
    """Return a number for each band of signatures, uint64, shape (rows, bands).

    Bands that agree have one number, and no other has it but with a chance of about 2**-64.

    Args:
        grid: signatures, shape (rows, places).
        cut: how they are cut.
    """
    keys = np.zeros((len(grid), cut.bands), np.uint64) + np.arange(cut.bands).astype(np.uint64)
    for row in range(cut.rows):
        keys = keys * np.uint64(_ODD) + grid[:, row * cut.bands : (row + 1) * cut.bands]
    return mixed(keys)


def jaccard(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of what two sets have that both have; each has its elements once."""
    both = len(np.intersect1d(first, second, assume_unique=True))
    return both / max(len(first) + len(second) - both, 1)
