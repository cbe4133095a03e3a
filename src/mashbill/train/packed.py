"""Packing: pieces of documents into blocks of a context's length, for as many steps as are taken.

Each pass over the data is in an order of its own, drawn from the seed. Of so many pieces at a time
the longest are placed first, each into the fullest block that it fits in; then the blocks are
shuffled. No piece is cut for another one, so how a document is learned from depends on nothing
that stands beside it. What is held in memory is a number a piece, and no text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mashbill.train.token_file import TokenFile

_WINDOW = 16_384
"""pieces that are packed at a time"""


@dataclass(frozen=True)
class Batch:
    """Blocks of one step, or of a part of it; shapes (blocks, tokens)."""

    ids_bt: torch.Tensor
    targets_bt: torch.Tensor
    positions_bt: torch.Tensor
    """of each token in its piece, from 0"""
    weights_bt: torch.Tensor
    """float32, 0 where nothing is told"""


def pack(lengths: np.ndarray, context: int) -> list[list[int]]:
    """Return blocks, each the places of its pieces: best fit, the longest first.

    Args:
        lengths: tokens of each piece, at least 1 and at most ``context``, shape (pieces,).
        context: tokens of a block.
    """
    blocks: list[list[int]] = []
    open_by_room: dict[int, list[int]] = {}
    rooms = 0  # bit r is set where a block has room for r tokens
    for place in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[place])
        fitting = rooms >> length << length
        if fitting:
            room = (fitting & -fitting).bit_length() - 1
            number = open_by_room[room].pop()
            if not open_by_room[room]:
                rooms &= ~(1 << room)
        else:
            room, number = context, len(blocks)
            blocks.append([])
        blocks[number].append(place)
        left = room - length
        if left:
            open_by_room.setdefault(left, []).append(number)
            rooms |= 1 << left
    return blocks


def blocks_in_order(lengths: np.ndarray, context: int, seed: int) -> Iterator[np.ndarray]:
    """Yield blocks without end, each the pieces that stand in it; all pieces once a pass."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(len(lengths))
        for start in range(0, len(order), _WINDOW):
            window = order[start : start + _WINDOW]
            blocks = pack(np.asarray(lengths[window]), context)
            for number in random.permutation(len(blocks)).tolist():
                yield window[blocks[number]]


def once(lengths: np.ndarray, context: int) -> list[np.ndarray]:
    """Return blocks with every piece once, in order of the data as far as packing lets it."""
    found: list[np.ndarray] = []
    for start in range(0, len(lengths), _WINDOW):
        window = np.asarray(lengths[start : start + _WINDOW])
        found += [start + np.array(block) for block in pack(window, context)]
    return found


class Blocks:
    """Makes batches of blocks."""

    def __init__(self, tokens: TokenFile, context: int, pad: int, weights: Sequence[float]) -> None:
        """Take the data.

        Args:
            tokens: the documents.
            context: tokens of a block.
            pad: id of what fills a block up.
            weights: of a token in the loss, by dataset.
        """
        self._ids = tokens.ids
        self._pieces = tokens.pieces
        self._context = context
        self._pad = pad
        self._weights = np.array(weights, np.float32)

    def weight(self, pieces: np.ndarray) -> float:
        """Return the weight of all that these pieces tell: what a loss is divided by."""
        found = self._pieces[pieces]
        return float((found["length"] * self._weights[found["set"]].astype(np.float64)).sum())

    def tokens(self, pieces: np.ndarray) -> int:
        """Return how many tokens these pieces tell."""
        return int(self._pieces["length"][pieces].sum())

    def batch(self, blocks: Sequence[np.ndarray]) -> Batch:
        """Return these blocks, cut to the longest of them, and filled up behind the others."""
        longest = max(int(self._pieces["length"][block].sum()) for block in blocks)
        ids = np.full((len(blocks), longest), self._pad, np.int64)
        targets = np.zeros_like(ids)
        positions = np.zeros_like(ids)
        weights = np.zeros(ids.shape, np.float32)
        for number, block in enumerate(blocks):
            at = 0
            for start, _, length, dataset in self._pieces[block].tolist():
                here = slice(at, at + length)
                ids[number, here] = self._ids[start : start + length]
                targets[number, here] = self._ids[start + 1 : start + length + 1]
                positions[number, here] = np.arange(length)
                weights[number, here] = self._weights[dataset]
                at += length
            # What fills up goes on as if it were the last piece's, and tells nothing.
            positions[number, at:] = np.arange(length, length + longest - at)
        return Batch(*map(torch.from_numpy, (ids, targets, positions, weights)))
